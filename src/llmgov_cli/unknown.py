"""`llmgov spend unknown`: money that was charged without anybody knowing what it bought, with the ids to correct it by.

Such are attempts whose usage was never learnt, which cost what was held for them, and what leases of lost pods still
have outstanding, which counts as HELD until it is corrected or learnt after all.
"""

from typing import TextIO

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import reports
from llmgov.ledger.rows import Attempt, LeaseRow, LeaseState
from llmgov.ledger.store import Reader
from llmgov_cli import errors, observe, sources, tables

_ATTEMPTS = ("Attempt", "Time", "Workload", "User", "Model", "Outcome", "Charged")
_LEASES = ("Lease", "Holder", "Account", "From", "Until", "Unknown")
_NONE = "No unknown money\n"
_FOOTER = (
    "Amounts are in USD. A pod's loss is held in every account that it was lent from, so lines of one HOLDER are not\n"
    "to be added up. What the provider billed is put in its place with\n"
    "llmgov spend correct ATTEMPT|LEASE|HOLDER --cost USD --reason WHY\n"
)


def run(where: sources.Where, output: str, out: TextIO, *, start: Instant = 0, end: Instant = observe.ALL_TIME) -> int:
    """Print the attempts that count in `[start, end)` and the leases whose windows are in that time.

    Raises:
        CommandError: no such format, the range is empty, or no ledger.
    """
    tables.check_format(output)
    if start >= end:
        raise errors.CommandError("--since must be before --until")
    attempts, leases = sources.read(sources.find(where), lambda ledger: _gather(ledger.rows, start, end))
    first, second = [_attempt(each) for each in attempts], [_lease(each) for each in leases]
    if output in ("json", "yaml"):
        document = {
            "currency": "USD",
            "attempts": [tables.record(_ATTEMPTS, row) for row in first],
            "leases": [tables.record(_LEASES, row) for row in second],
        }
        out.write(tables.dump(document, output))
        return 0
    shown = [tables.render(headings, rows) for headings, rows in ((_ATTEMPTS, first), (_LEASES, second)) if rows]
    out.write("\n".join([*shown, _FOOTER]) if shown else _NONE)
    return 0


def is_lost(row: LeaseRow) -> bool:
    """Whether it is unknown what became of money of a lease."""
    return row.state is LeaseState.LOST and row.outstanding > 0


async def _gather(rows: Reader, start: Instant, end: Instant) -> tuple[list[Attempt], list[LeaseRow]]:
    attempts: list[Attempt] = []

    def keep(each: Attempt) -> None:
        if each.intent and reports.is_unknown(each):
            attempts.append(each)

    await rows.each_attempt(start, end, keep)
    leases = [row for row in await rows.unaccounted() if row.window_start < end and row.window_end > start]
    return attempts, [row for row in leases if is_lost(row)]


def _attempt(row: Attempt) -> list[tables.Cell]:
    assert row.intent is not None
    assert row.settlement is not None
    subject = row.intent.subject
    return [
        row.id,
        tables.moment(row.time),
        f"{subject.namespace}/{subject.service_account}",
        subject.user or "",
        f"{subject.provider}/{subject.model}",
        row.settlement.outcome.value,
        money.format_amount(row.cost),
    ]


def _lease(row: LeaseRow) -> list[tables.Cell]:
    span = (instants.to_rfc3339(row.window_start), instants.to_rfc3339(row.window_end))
    return [row.id, row.holder, row.account, *span, money.format_amount(row.outstanding)]
