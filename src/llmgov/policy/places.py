"""How a refusal says where something unknown stands, without repeating what a filter may have been looking for."""

import re
from typing import Final

from llmgov.policy.scanner import Scanner
from llmgov.wire import paths

_LIKE_A_FIELD: Final = re.compile(r'(?P<parent>[^"]*)\["(?P<name>[a-z][a-z_]{0,39})"\]', re.ASCII)


def of_unknown(path: str, finder: Scanner) -> str:
    """The path with its last name where that looks like a new field of the format and no filter finds anything in it;
    else as far as its names are known, which may be the empty path: the request itself."""
    match = _LIKE_A_FIELD.fullmatch(path)
    if match is None or finder.occurring(match["name"].encode()):
        return paths.shown(path)
    return paths.key(match["parent"], match["name"])
