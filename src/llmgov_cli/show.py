"""Documents as rows of a table: the columns that the kind's CRD prints, read by the same paths. Pure."""

import re
from collections.abc import Sequence
from typing import Any

from llmgov import instants
from llmgov.instants import Instant
from llmgov.resources import base

_STEP = re.compile(r"\.([A-Za-z]+)|\[\?\(@\.([A-Za-z]+)==\"([A-Za-z]+)\"\)\]")
_UNITS = ((instants.DAY, "d"), (instants.HOUR, "h"), (instants.MINUTE, "m"), (instants.SECOND, "s"))


def columns(kind: type[base.Resource], *, wide: bool) -> Sequence[base.Column]:
    """What `kubectl get` shows of a kind beside its name and namespace."""
    return [column for column in kind.naming.columns if wide or column.priority == 0]


def cell(document: dict[str, Any], column: base.Column, now: Instant) -> str:
    """One value as kubectl shows it; empty where there is none."""
    value = at(document, column.path)
    if value is None:
        return ""
    if column.type == "date":
        return age(instants.from_rfc3339(str(value)), now)
    return str(value)


def at(document: Any, path: str) -> Any:
    """The value at a JSONPath of those that CRDs' columns use: `.a.b`, and `[?(@.type=="x")]` in lists."""
    for step in _STEP.finditer(path):
        if document is None:
            return None
        field, key, wanted = step.groups()
        document = document.get(field) if field else _where(document, key, wanted)
    return document


def age(since: Instant, now: Instant) -> str:
    """How long ago, in the largest unit: `3d`, `5m`."""
    passed = max(0, now - since)
    return next((f"{passed // unit}{name}" for unit, name in _UNITS if passed >= unit), "0s")


def _where(entries: list[dict[str, Any]], key: str, wanted: str) -> dict[str, Any] | None:
    return next((entry for entry in entries if entry.get(key) == wanted), None)
