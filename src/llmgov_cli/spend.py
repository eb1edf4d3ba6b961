"""`llmgov spend`: sums of what was spent, from the ledger, with whatever an administrator corrected."""

from collections.abc import Sequence
from typing import Any, TextIO

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import reports
from llmgov.ledger.rows import Attempt, LeaseRow
from llmgov.ledger.store import Reader
from llmgov_cli import errors, observe, sources, tables

_HEADINGS = ("Attempts", "Spent", "Unknown", "Corrected", "Open", "Held")
_LEASES = ("Account", "From", "Until", "Spent")
_FOOTER = (
    "Amounts are in USD. UNKNOWN is the part of SPENT that was charged without knowing the usage, and CORRECTED is\n"
    "what corrections added to SPENT or took from it; OPEN are attempts under way, which are not among ATTEMPTS, and\n"
    "HELD is set aside for them.\n"
)
_BILLED = "Lost leases cost accounts this beside, as corrected; of one loss each account on its path has a part:\n"


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

    What lost leases were billed belongs to no attempt: it follows by account, for the windows in that time. A document
    has the lines, the total and the lost leases apart; counts are numbers, money a decimal string.

    Raises:
        CommandError: no such report or format, the range is empty, or no ledger.
    """
    tables.check_format(output)
    wanted = _report(by)
    if start >= end:
        raise errors.CommandError("--since must be before --until")
    attempts, leases = sources.read(sources.find(where), lambda ledger: _gather(ledger.rows, start, end))
    lines, billed = reports.spend(attempts, wanted), _billed(leases)
    out.write(
        _table(by, lines, billed) if output in ("", "wide") else tables.dump(_document(by, lines, billed), output)
    )
    return 0


async def _gather(rows: Reader, start: Instant, end: Instant) -> tuple[list[Attempt], list[LeaseRow]]:
    leases = [row for row in await rows.unaccounted() if row.window_start < end and row.window_end > start]
    return await rows.attempts(start, end), leases


def _table(by: str, lines: Sequence[reports.Line], billed: Sequence[Sequence[tables.Cell]]) -> str:
    rows = [_row(line) for line in (*lines, reports.total(lines))]
    text = f"{tables.render((by, *_HEADINGS), rows)}\n{_FOOTER}"
    return f"{text}\n{_BILLED}{tables.render(_LEASES, billed)}" if billed else text


def _document(by: str, lines: Sequence[reports.Line], billed: Sequence[Sequence[tables.Cell]]) -> dict[str, Any]:
    return {
        "currency": "USD",
        "lines": [tables.record((by, *_HEADINGS), _row(line)) for line in lines],
        "total": tables.record(_HEADINGS, _row(reports.total(lines))[1:]),
        "lostLeases": [tables.record(_LEASES, row) for row in billed],
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
