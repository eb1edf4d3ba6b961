"""Paths as tests write them: without the quotes in which names stand that a format does not know."""

import re


def plain(path: str) -> str:
    """`a["b"][0]` as `a.b[0]`; names that are no plain words keep their quotes."""
    return re.sub(
        r'(^|::)?\["([A-Za-z_$][\w$-]*)"\]', lambda found: (found[1] if found[1] is not None else ".") + found[2], path
    )
