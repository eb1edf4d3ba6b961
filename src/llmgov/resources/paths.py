"""Places inside a document, as tuples and as the JSON paths that people read (`spec.thresholds[1].percent`)."""

import re
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the document's root."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)


def render(location: Location) -> str:
    """The JSON path: plain keys after dots, others in `["..."]`, indexes in `[...]`."""
    return "".join(map(step, location)).removeprefix(".")


def step(name: str | int) -> str:
    """What one key or index adds to a path; a path does not begin with the dot of its first key."""
    if isinstance(name, int):
        return f"[{name}]"
    return f".{name}" if _PLAIN.fullmatch(name) else '["' + name.replace("\\", r"\\").replace('"', r"\"") + '"]'
