"""`llmgov spend`: sums of what was spent, from the state folder's ledger."""

import pathlib
from typing import TextIO

from llmgov import money
from llmgov.ledger import reports
from llmgov_cli import errors, observe, tables
from llmgov_cli.local import state

_HEADINGS = ("Attempts", "Spent", "Unknown", "Open", "Held")


def run(by: str, explicit: pathlib.Path | None, output: str, out: TextIO) -> int:
    """Print the lines of the report `by`, and their total; amounts in USD.

    Raises:
        CommandError: no such report or format, or no state folder.
    """
    tables.check_format(output)
    try:
        wanted = reports.By(by)
    except ValueError as error:
        known = ", ".join(each.value for each in reports.By)
        raise errors.CommandError(f"--by {by}: use one of {known}") from error
    attempts = observe.read(state.find(explicit), lambda reader: reader.attempts(0, observe.ALL_TIME))
    lines = reports.spend(attempts, wanted)
    rows = [_row(line) for line in [*lines, reports.total(lines)]]
    headings = (by, *_HEADINGS)
    if output in ("", "wide"):
        out.write(tables.render(headings, rows) + "\nAmounts are in USD; HELD is set aside for attempts under way.\n")
    else:
        out.write(tables.dump([tables.record(headings, row) for row in rows], output))
    return 0


def _row(line: reports.Line) -> list[str]:
    return [
        line.name,
        str(line.attempts),
        money.format_amount(line.cost),
        money.format_amount(line.unknown),
        str(line.open),
        money.format_amount(line.held),
    ]
