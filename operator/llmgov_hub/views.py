"""What reports show, read from a store that another process may be writing: `llmgov get`, `llmgov spend`, the API."""

from llmgov.instants import Instant
from llmgov.ledger import reports, windows
from llmgov.ledger.reports import Budget, By, Spend, Violations
from llmgov.ledger.store import Reader


async def budgets(reader: Reader, now: Instant) -> list[Budget]:
    """Every account in force, with what is spent and held of its window at `now`."""
    accounts = await reader.accounts()
    spent = {}
    for row in accounts:
        span = windows.current(row.account.period, row.account.time_zone, now)
        spent[row.key] = await reader.spent(row.scope, *span)
    return reports.budgets(accounts, await reader.windows(now), spent, now)


async def spend(reader: Reader, by: By, start: Instant, end: Instant) -> list[Spend]:
    """What attempts begun in `[start, end)` cost, grouped."""
    return reports.spend(await reader.attempts(start, end), by)


async def violations(reader: Reader, start: Instant, end: Instant) -> list[Violations]:
    """Violations in `[start, end)`, by policy."""
    return reports.violations(await reader.violations(start, end))
