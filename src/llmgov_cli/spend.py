"""`llmgov spend`: sums of what was spent, from the ledger."""

from typing import TextIO

from llmgov import money
from llmgov.instants import Instant
from llmgov.ledger import reports
from llmgov_cli import errors, observe, sources, tables

_HEADINGS = ("Attempts", "Spent", "Unknown", "Open", "Held")
_FOOTER = (
    "Amounts are in USD. UNKNOWN is the part of SPENT that was charged without knowing the usage;\n"
    "OPEN are attempts under way, which are not among ATTEMPTS, and HELD is set aside for them.\n"
)


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

    A document has the lines and the total apart; counts are numbers, money a decimal string.

    Raises:
        CommandError: no such report or format, the range is empty, or no ledger.
    """
    tables.check_format(output)
    wanted = _report(by)
    if start >= end:
        raise errors.CommandError("--since must be before --until")
    attempts = sources.read(sources.find(where), lambda ledger: ledger.rows.attempts(start, end))
    lines = reports.spend(attempts, wanted)
    headings, total = (by, *_HEADINGS), _row(reports.total(lines))
    rows = [_row(line) for line in lines]
    if output in ("", "wide"):
        out.write(f"{tables.render(headings, [*rows, total])}\n{_FOOTER}")
    else:
        document = {
            "currency": "USD",
            "lines": [tables.record(headings, row) for row in rows],
            "total": tables.record(_HEADINGS, total[1:]),
        }
        out.write(tables.dump(document, output))
    return 0


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
        line.open,
        money.format_amount(line.held),
    ]
