"""What was spent, by whom and on what: sums over attempts, the same rows that accounts are filled from.

Every attempt counts in exactly one line of a report, and what lost pods were billed has a line of its own, so that the
lines of each report add up to the same total.
"""

import enum
from collections.abc import Iterable
from typing import assert_never

import msgspec

from llmgov import instants
from llmgov.ledger.messages import Outcome
from llmgov.ledger.rows import Attempt
from llmgov.money import MicroUsd

NOBODY = "(none)"
"""The line of attempts without a team or a user."""

LOST = "(lost pods)"
"""The line of money that belongs to no attempt: what leases of lost pods were found to have cost."""


class By(enum.Enum):
    """What a report's lines are."""

    TEAM = "team"
    USER = "user"
    MODEL = "model"
    NAMESPACE = "namespace"
    DAY = "day"


class Line(msgspec.Struct, frozen=True):
    """One line: `cost` is what `attempts` cost, as corrected, of which `unknown` was charged without knowing the usage.

    `corrected` is what corrections added to `cost`, or took from it. `open` are attempts that have not ended yet and
    the money `held` for them, which is in no sum of cost.
    """

    name: str
    attempts: int = 0
    cost: MicroUsd = 0
    unknown: MicroUsd = 0
    open: int = 0
    held: MicroUsd = 0
    corrected: MicroUsd = 0

    def __add__(self, other: "Line") -> "Line":
        """The two lines as one, under the first one's name."""
        return Line(
            self.name,
            self.attempts + other.attempts,
            self.cost + other.cost,
            self.unknown + other.unknown,
            self.open + other.open,
            self.held + other.held,
            self.corrected + other.corrected,
        )


class Report:
    """The sums by one key, of attempts that are added one by one; it keeps its lines alone, however many those are."""

    def __init__(self, by: By) -> None:
        self._by = by
        self._lines: dict[str, Line] = {}

    def add(self, attempt: Attempt) -> None:
        """Count an attempt. A settlement whose intent is still on its way is not counted."""
        if attempt.intent is not None:
            line = _line(attempt, _name(attempt, self._by))
            self._lines[line.name] = self._lines[line.name] + line if line.name in self._lines else line

    def lines(self) -> list[Line]:
        """The lines, dearest first; days in their order."""
        if self._by is By.DAY:
            return sorted(self._lines.values(), key=lambda line: line.name)
        return sorted(self._lines.values(), key=lambda line: (-line.cost, line.name))


def spend(attempts: Iterable[Attempt], by: By) -> list[Line]:
    """The lines of attempts that are at hand."""
    report = Report(by)
    for attempt in attempts:
        report.add(attempt)
    return report.lines()


def lost(billed: MicroUsd) -> Line:
    """The line of what lost pods were billed: nothing of it was settled, all of it came with corrections."""
    return Line(LOST, cost=billed, corrected=billed)


def is_unknown(attempt: Attempt) -> bool:
    """Whether it ended without anybody knowing its usage, was charged its hold, and nobody has corrected that."""
    ended = attempt.settlement is not None and attempt.settlement.outcome in (Outcome.UNKNOWN, Outcome.ABANDONED)
    return ended and attempt.corrected is None


def total(lines: Iterable[Line]) -> Line:
    """All lines as one, called `total`."""
    return sum(lines, Line("total"))


def _line(attempt: Attempt, name: str) -> Line:
    assert attempt.intent is not None
    if attempt.settlement is None:
        return Line(name, open=1, held=attempt.intent.hold)
    cost, unknown = attempt.cost, attempt.cost if is_unknown(attempt) else 0
    return Line(name, attempts=1, cost=cost, unknown=unknown, corrected=cost - attempt.settlement.cost)


def _name(attempt: Attempt, by: By) -> str:
    assert attempt.intent is not None
    subject = attempt.intent.subject
    match by:
        case By.TEAM:
            return subject.teams[0] if subject.teams else NOBODY
        case By.USER:
            return subject.user or NOBODY
        case By.MODEL:
            return f"{subject.provider}/{subject.model or _nameless(subject.operation)}"
        case By.NAMESPACE:
            return subject.namespace
        case By.DAY:
            return instants.to_rfc3339(attempt.time or 0)[:10]
        case _:
            assert_never(by)


def _nameless(operation: str) -> str:
    """The line of what asks for no model, such as the list of them: `(models)` of operation `openai.models`."""
    return f"({operation.rpartition('.')[2]})"
