"""`llmgov spend`: sums of what was spent, from the ledger, with whatever an administrator corrected."""

from collections.abc import Sequence
from typing import Any, TextIO

import msgspec

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import losses, reports
from llmgov.ledger.losses import Losses
from llmgov.ledger.rows import LeaseRow
from llmgov.ledger.store import Reader
from llmgov.ledger.windows import Span
from llmgov_cli import errors, observe, sources, tables

_HEADINGS = ("Attempts", "Spent", "Unknown", "Corrected", "Open", "Held")
_LEASES = ("Account", "From", "Until", "Spent")
_FOOTER = (
    "Amounts are in USD. UNKNOWN is the part of SPENT that was charged without knowing the usage, and CORRECTED is\n"
    "what corrections added to SPENT or took from it; OPEN are attempts under way, which are not among ATTEMPTS, and\n"
    "HELD is set aside for them.\n"
)
_BILLED = (
    "What lost leases were found to cost, by account. Of one loss each account on its path has a part, so these\n"
    "are not to be added up:\n"
)
_TRIES = 5
"""How often a report is made of a ledger in which leases are being corrected or settled, before it is shown anyhow."""


class _Found(msgspec.Struct, frozen=True):
    """What a report is made of. `leases` are the unaccounted ones whose windows touch its time."""

    report: reports.Report
    losses: Losses
    leases: Sequence[LeaseRow]

    @property
    def lines(self) -> list[reports.Line]:
        """The lines, that of lost pods the last one."""
        lost = [reports.lost(self.losses.billed)] if self.losses.billed else []
        return [*self.report.lines(), *lost]


def run(
    by: str,
    where: sources.Where,
    output: str,
    out: TextIO,
    *,
    start: Instant = 0,
    end: Instant = observe.ALL_TIME,
) -> int:
    """Print the lines of the report `by` on attempts that count in `[start, end)`, and their total; amounts in USD.

    What lost pods were billed belongs to no attempt and has a line of its own, so that the total of a window of the
    organization is what its account has spent (`llmgov.ledger.losses`). What lost leases were billed follows by
    account. A document has the lines, the total, `lostPods` and the lost leases apart; counts are numbers, money a
    decimal string.

    Raises:
        CommandError: no such report or format, the range is empty, or no ledger.
    """
    tables.check_format(output)
    wanted = _report(by)
    if start >= end:
        raise errors.CommandError("--since must be before --until")
    time = Span(start, end)
    found = sources.read(sources.find(where), lambda ledger: _gather(ledger.rows, wanted, time))
    out.write(_table(by, found) if output in ("", "wide") else tables.dump(_document(by, found), output))
    return 0


async def _gather(rows: Reader, by: reports.By, time: Span) -> _Found:
    """One attempt at a time, however many there are; what leases were billed is of the same moment as they are."""
    for left in reversed(range(_TRIES)):
        before, report = await rows.unaccounted(), reports.Report(by)
        await rows.each_attempt(*time, report.add)
        if not left or await rows.unaccounted() == before:
            break
    leases = [row for row in before if row.window_start < time.end and row.window_end > time.start]
    return _Found(report, losses.losses(leases, await rows.accounts(), time), leases)


def _table(by: str, found: _Found) -> str:
    lines, billed = found.lines, _billed(found.leases)
    total = reports.total(lines)
    text = f"{tables.render((by, *_HEADINGS), [_row(line) for line in (*lines, total)])}\n{_FOOTER}"
    text += "".join(f"\n{sentence}\n" for sentence in _notes(found.losses, total))
    return f"{text}\n{_BILLED}{tables.render(_LEASES, billed)}" if billed else text


def _notes(lost: Losses, total: reports.Line) -> list[str]:
    """What the lines cannot say: whose account lost money is counted in, and what is not in the total."""
    notes = []
    if lost.billed:
        counted = f"in account {lost.account}" if lost.account else "in the account that each cost most"
        notes.append(f"{reports.LOST} is what leases of lost pods were found to cost {counted}.")
    if total.unknown or lost.unknown:
        notes.append(
            f"${money.format_amount(total.unknown)} of SPENT is unknown, and ${money.format_amount(lost.unknown)} that"
            " lost pods had is still held beside it;\n`llmgov spend unknown` lists both."
        )
    if lost.beyond:
        notes.append(
            f"${money.format_amount(lost.beyond)} that lost pods cost or still hold is not in the total: it is of"
            " windows that lie only partly in this time."
        )
    return notes


def _document(by: str, found: _Found) -> dict[str, Any]:
    lines, lost = found.lines, found.losses
    amounts = {"spent": lost.billed, "held": lost.unknown, "beyond": lost.beyond}
    return {
        "currency": "USD",
        "lines": [tables.record((by, *_HEADINGS), _row(line)) for line in lines],
        "total": tables.record(_HEADINGS, _row(reports.total(lines))[1:]),
        "lostPods": {"account": lost.account or None}
        | {name: money.format_amount(amount) for name, amount in amounts.items()},
        "lostLeases": [tables.record(_LEASES, row) for row in _billed(found.leases)],
    }


def _billed(leases: Sequence[LeaseRow]) -> list[list[tables.Cell]]:
    sums: dict[tuple[str, Instant, Instant], int] = {}
    for row in leases:
        key = (row.account, row.window_start, row.window_end)
        sums[key] = sums.get(key, 0) + row.billed
    return [
        [account, instants.to_rfc3339(start), instants.to_rfc3339(end), money.format_amount(amount)]
        for (account, start, end), amount in sorted(sums.items())
        if amount
    ]


def _report(by: str) -> reports.By:
    try:
        return reports.By(by)
    except ValueError as error:
        known = ", ".join(each.value for each in reports.By)
        raise errors.CommandError(f"--by {by}: use one of {known}") from error


def _row(line: reports.Line) -> list[tables.Cell]:
    return [
        line.name,
        line.attempts,
        money.format_amount(line.cost),
        money.format_amount(line.unknown),
        money.format_amount(line.corrected),
        line.open,
        money.format_amount(line.held),
    ]
