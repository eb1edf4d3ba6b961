"""What a run found, for people: the events that led to it, in columns, and how to see it again."""

from tests.simulator.planted import Bug
from tests.simulator.world import Result

LAST = 60
"""How many events before a violation are shown."""


def found(result: Result, bug: str = "") -> str:
    """The violation, and the last events before it."""
    return f"{result.trace.text(LAST)}\n{ending(result, bug)}"


def ending(result: Result, bug: str = "") -> str:
    """One line, and where something was found another one; `bug` is the planted one that it was run with."""
    if result.violation is None:
        return f"seed {result.seed} ({result.kind}): every invariant held; trace {result.trace.digest()[:16]}"
    planted = f" --bug {bug}" if bug else ""
    return (
        f"seed {result.seed} ({result.kind}): {result.violation}\n"
        f"replay with: .venv/bin/python -m tests.simulator --seed {result.seed}{planted}"
    )


def row(name: str, bug: Bug, tried: int, result: Result) -> str:
    """A planted bug's line in the table of docs/simulator.md: how many worlds it took, and which one found what."""
    assert result.violation is not None
    what = bug.what.removesuffix(".").replace("\n    ", " ")
    return f"| {what} (`{name}`) | {bug.kind} | {tried} | {result.seed} | {result.violation.invariant.value} |"
