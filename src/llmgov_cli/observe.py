"""One look at a ledger, gathered for statuses and tables."""

import collections
import datetime
from collections.abc import Iterable

from llmgov import instants, snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows, store, windows
from llmgov.statuses.observed import Observed
from llmgov_cli.local import state

ALL_TIME: Instant = 2**62
"""An end that no instant in a ledger reaches."""


async def observe(reader: store.Reader, run: state.Run, now: Instant) -> Observed:
    """Everything that a status is made of, at `now`."""
    month = windows.current(snapshot.Period.MONTH, "UTC", now)
    return Observed(
        now=now,
        since=run.since,
        problems=run.problems,
        accounts=run.facts.accounts,
        windows=await _windows(reader, now),
        approvals=await reader.approvals(),
        violations=await reader.violations(0, ALL_TIME),
        spent={f"team/{name}": await reader.spent(f"team/{name}", *month) for name in run.facts.teams},
        teams=run.facts.teams,
        namespaces=run.facts.namespaces,
        sidecars=_by_namespace(run.sidecars),
        enforcing=_by_namespace(name for name, enforcing in run.enforcing.items() if enforcing),
        concerned={policy: frozenset(names) for policy, names in run.facts.concerned.items()},
        template_uses=run.facts.template_uses,
    )


async def _windows(reader: store.Reader, now: Instant) -> list[rows.Window]:
    """Every account's window: of one that nobody lent from yet, with what its target spent in that time before."""
    found = await reader.windows(now)
    open_ = {window.account for window in found}
    others = [row for row in await reader.accounts() if row.key not in open_ and _is_one(row)]
    spans = [windows.current(row.account.period, row.account.time_zone, now) for row in others]
    spent = await reader.spent_each([(row.scope, span) for row, span in zip(others, spans, strict=True)])
    return found + [
        rows.Window(row.key, row.scope, *span, row.account.nano_usd, cost)
        for row, span, cost in zip(others, spans, spent, strict=True)
    ]


def _is_one(row: rows.AccountRow) -> bool:
    """Whether it is an account, and not the definition of each user's."""
    return not (row.account.target.kind is snapshot.TargetKind.USER and row.key == row.account.key)


def _by_namespace(workloads: Iterable[str]) -> dict[str, int]:
    return collections.Counter(workload.partition("/")[0] for workload in workloads)


def now() -> Instant:
    """The machine's clock, for commands that only look."""
    return instants.from_datetime(datetime.datetime.now(datetime.UTC))
