"""One look at a ledger, gathered for statuses and tables."""

from collections.abc import Mapping, Sequence
from typing import Final

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows, windows
from llmgov.ledger.store import Reader
from llmgov.ledger.violated import Violated
from llmgov.problems import Problem
from llmgov.statuses import observed
from llmgov.statuses.observed import Facts, Observed

ALL_TIME: Final[Instant] = 2**62
"""An end that no instant in a ledger reaches."""

NONE: Final[Mapping[str, int]] = {}


async def observe(
    reader: Reader,
    facts: Facts,
    now: Instant,
    *,
    since: Instant = 0,
    problems: Sequence[Problem] = (),
    sidecars: Mapping[str, int] = NONE,
    enforcing: Mapping[str, int] = NONE,
    violated: Mapping[str, Violated] | None = None,
    every_user: bool = False,
) -> Observed:
    """Everything that a status is made of, at `now`; the names are those of `Observed`.

    `violated` are the sums of all time where somebody keeps them. With `every_user` all windows of an account that each
    user has are read, else the one nearest to its limit.

    Raises:
        StoreError: the ledger does not answer.
    """
    return Observed(
        now=now,
        since=since,
        facts=facts,
        problems=problems,
        windows=await _windows(reader, facts, now, every_user=every_user),
        approvals=await reader.opened(now),
        violated=await reader.violated(0, ALL_TIME) if violated is None else violated,
        spent=await _spent(reader, facts, now),
        sidecars=sidecars,
        enforcing=enforcing,
    )


async def _spent(reader: Reader, facts: Facts, now: Instant) -> dict[str, int]:
    """What each team spent in this month."""
    month = windows.current(snapshot.Period.MONTH, "UTC", now)
    paths = [f"team/{name}" for name in facts.teams]
    return dict(zip(paths, await reader.spent_each([(path, month) for path in paths]), strict=True))


async def _windows(reader: Reader, facts: Facts, now: Instant, *, every_user: bool) -> list[rows.Window]:
    """Every account's window: of one that nobody lent from yet, with what its target spent in that time before."""
    found = await (reader.windows(now) if every_user else reader.nearest_windows(now))
    open_ = {window.account for window in found}
    others = {each.key: each for each in facts.accounts if each.key not in open_ and not observed.is_each_user(each)}
    spans = [windows.current(each.period, each.time_zone, now) for each in others.values()]
    scopes = [rows.scope(each, each.key) for each in others.values()]
    spent = await reader.spent_each(list(zip(scopes, spans, strict=True)))
    return found + [
        rows.Window(each.key, scope, *span, each.nano_usd, cost)
        for each, scope, span, cost in zip(others.values(), scopes, spans, spent, strict=True)
    ]
