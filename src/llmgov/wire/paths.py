"""JSON paths, as messages show them: `messages[0].content[1].text`, `metadata["a key"]`, `arguments::city`.

`::` enters a string that itself holds JSON (a tool call's arguments), so that a string nested there has a name too.

A path names a value for splicing, and for messages and the ledger. A name that is not of the format's own vocabulary is
somebody's text, so it may be the very thing that a filter found: it always stands in quotes (`free`), and what is shown
ends before it (`shown`).
"""

import json
import re
from typing import TypeAlias

Step: TypeAlias = str | int
Steps: TypeAlias = tuple[Step, ...]

_PLAIN = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]*", re.ASCII)
_STEP = re.compile(r'\.?([A-Za-z_$][A-Za-z0-9_$-]*)|\[([0-9]+)\]|\[("(?:[^"\\]|\\.)*")\]', re.ASCII)
NESTED = "::"


def key(path: str, name: str) -> str:
    """The path of the member `name` of the object at `path`."""
    if not (name.isidentifier() and name.isascii()) and not _PLAIN.fullmatch(name):
        return f"{path}[{json.dumps(name)}]"
    return f"{path}.{name}" if path and not path.endswith(NESTED) else path + name


def free(path: str, name: str) -> str:
    """The path of a member whose name the format does not know."""
    return f"{path}[{json.dumps(name)}]"


def shown(path: str) -> str:
    """The path as far as its names are of the format's own vocabulary: it holds no text of anybody's."""
    return path.partition('["')[0].removesuffix(NESTED)


def item(path: str, index: int) -> str:
    """The path of an array's item."""
    return f"{path}[{index}]"


def nested(path: str) -> str:
    """The path of the JSON value inside the string at `path`."""
    return path + NESTED


def split(path: str) -> Steps:
    """The steps of a path that does not enter a string.

    Raises:
        ValueError: `path` is not one that `key` and `item` build.
    """
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is not a JSON path")
        position = match.end()
        name, index, quoted = match.groups()
        steps.append(int(index) if index else name or json.loads(quoted))
    return tuple(steps)


def split_nested(path: str) -> list[str]:
    """The path cut where it enters strings: `a::b::c` is `[a, b, c]`. Quoted keys may hold the mark themselves."""
    parts = [""]
    position = 0
    while position < len(path):
        if path.startswith(NESTED, position):
            parts.append("")
            position += len(NESTED)
            continue
        match = _STEP.match(path, position)
        if match is None:
            raise ValueError(f"{path!r} is not a JSON path")
        parts[-1] += match[0]
        position = match.end()
    return parts
