"""Reading usage reports: numbers by name, what cannot be one, and what no row knows."""

from collections.abc import Collection, Mapping
from typing import Any, Final

MAX_COUNT: Final = 10**9
"""No request uses a thousandth of so many tokens or calls: a larger count is a fault of the provider's, not a bill."""


class Reader:
    """Reads one report, part by part, and remembers what its numbers did not say.

    `unreadable` are names of counts that are missing where one is needed, or no whole number of at least 0;
    `implausible` of those beyond `MAX_COUNT`. Either way what was billed is not known.
    """

    __slots__ = ("implausible", "unreadable")

    def __init__(self) -> None:
        self.unreadable: tuple[str, ...] = ()
        self.implausible: tuple[str, ...] = ()

    def needed(self, report: Mapping[str, Any], name: str) -> int:
        """A count that every report has; 0 where it is not believed."""
        if report.get(name) is None:
            self.unreadable += (name,)
            return 0
        return self.number(report, name)

    def number(self, report: Mapping[str, Any], name: str) -> int:
        """A count; 0 where it is absent or null, and where it is not believed."""
        value = report.get(name)
        if value is None:
            return 0
        if not _is_count(value):
            self.unreadable += (name,)
            return 0
        if value > MAX_COUNT:
            self.implausible += (name,)
            return 0
        return int(value)

    def parts(self, whole: int, **parts: int) -> None:
        """Counts that are said to be parts of one: more than the whole of it none of them can be."""
        self.unreadable += tuple(name for name, count in parts.items() if count > whole)

    def section(self, report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """An object inside the report; empty where it is absent or null, and where it is something else."""
        value = report.get(name)
        if isinstance(value, dict):
            return value
        if value is not None:
            self.unreadable += (name,)
        return {}


def unknown(report: Mapping[str, Any], known: Collection[str], path: str = "") -> tuple[str, ...]:
    """The paths of whole numbers above 0 that are not `known`: dimensions that may be billed.

    Fractions are durations and amounts that some compatible servers add; no provider bills by them.
    """
    found: list[str] = []
    for name, value in report.items():
        where = f"{path}{name}"
        if where in known:
            continue
        if isinstance(value, dict):
            found += unknown(value, known, f"{where}.")
        elif _is_count(value) and value:
            found.append(where)
    return tuple(found)


def latest(so_far: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, Any]:
    """Two reports of one stream as one: counts only grow, so the larger holds; a later one may leave some out."""
    merged = dict(so_far)
    for name, value in report.items():
        before = merged.get(name)
        if value is None:
            continue
        if isinstance(before, dict) and isinstance(value, dict):
            merged[name] = latest(before, value)
        elif _is_count(before) and _is_count(value):
            merged[name] = max(before, value)
        else:
            merged[name] = value
    return merged


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
