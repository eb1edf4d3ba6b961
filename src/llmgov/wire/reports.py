"""Reading usage reports: numbers by name, and what no row knows."""

from collections.abc import Collection, Mapping
from typing import Any


def number(report: Mapping[str, Any], name: str) -> int:
    """A count, or 0 where it is absent, null or no whole number of at least 0."""
    value = report.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def section(report: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside the report; empty where it is absent or something else."""
    value = report.get(name)
    return value if isinstance(value, dict) else {}


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
        elif number(report, name):
            found.append(where)
    return tuple(found)
