"""Places inside a document, as tuples and as the JSON paths that people read (`spec.thresholds[1].percent`)."""

import re
from typing import TypeAlias

Location: TypeAlias = tuple[str | int, ...]
"""Keys and indexes from the document's root."""

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*", re.ASCII)


def render(location: Location) -> str:
    """The JSON path: plain keys after dots, others in `["..."]`, indexes in `[...]`."""
    return "".join(_step(step) for step in location).removeprefix(".")


def _step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if _PLAIN.fullmatch(step) else '["' + step.replace("\\", r"\\").replace('"', r"\"") + '"]'
