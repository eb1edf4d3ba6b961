"""The lists of `llmgov get` that are no resources: accounts, violations, outbox and snapshots."""

import dataclasses
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.ledger.store import Reader
from llmgov.statuses import kinds
from llmgov_cli import observe, sources, tables


@dataclasses.dataclass(frozen=True, slots=True)
class Filter:
    """Which violations are wanted; `policy` is `namespace/name` or a name, `limit` how many of the newest."""

    policy: str | None = None
    namespace: str | None = None
    since: Instant = 0
    limit: int | None = None

    def takes(self, row: rows.ViolationRow) -> bool:
        """Whether a violation is one of these, whatever the limit."""
        policy = self.policy is None or row.policy == self.policy or row.policy.endswith(f"/{self.policy}")
        return policy and self.namespace in (None, row.namespace)


ALL = Filter()


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a list is gathered from: an open ledger, its source, and which violations are wanted."""

    ledger: sources.Ledger[Reader]
    source: sources.Source
    wanted: Filter

    @property
    def rows(self) -> Reader:
        """The ledger's rows."""
        return self.ledger.rows


Rows: TypeAlias = list[list[tables.Cell]]


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A list's headings, `wide` those that only `-o wide` and documents have, and what gathers its rows."""

    headings: Sequence[str]
    wide: Sequence[str]
    gather: Callable[[Look], Awaitable[Rows]]


async def _accounts(look: Look) -> Rows:
    serving = await look.source.serving(look.ledger)
    observed = await observe.observe(look.rows, serving, look.ledger.clock(), every_user=True)
    return [
        [
            account.source,
            status["target"],
            money.format_amount(account.limit),
            status["spent"],
            status["held"],
            status["used"],
            status["window"]["end"],
            status["state"],
            account.currency,
            account.period.value,
            status["forecast"],
            "no" if account.dry_run else "yes",
        ]
        for account, status in kinds.accounts(observed)
    ]


async def _violations(look: Look) -> Rows:
    found = await look.rows.violations(look.wanted.since, observe.ALL_TIME)
    wanted = [each for each in found if look.wanted.takes(each)]
    return [_violation(each) for each in wanted[-(look.wanted.limit or len(wanted)) :]]


def _violation(row: rows.ViolationRow) -> list[tables.Cell]:
    return [
        instants.to_rfc3339(row.at),
        row.policy,
        row.action.value + (" (dry run)" if row.dry_run else ""),
        row.reason,
        f"{row.namespace}/{row.service_account}",
        row.user or "",
        row.model,
        row.count,
        row.request_id,
        row.path or "",
        row.message,
    ]


async def _outbox(look: Look) -> Rows:
    return [
        [instants.to_rfc3339(row.at), row.audience, row.about, row.fact, row.message, tables.moment(row.delivered)]
        for row in await look.rows.outbox()
    ]


async def _snapshots(look: Look) -> Rows:
    return [
        [part.part, part.version, instants.to_rfc3339(part.since), len(part.document)]
        for part in await look.rows.parts(look.ledger.clock())
    ]


LISTS = {
    "accounts": Listing(
        ("Limited-By", "Target", "Limit", "Spent", "Held", "Used", "Resets", "State", "Currency"),
        ("Period", "Forecast", "Enforced"),
        _accounts,
    ),
    "violations": Listing(
        ("Time", "Policy", "Action", "Reason", "Workload", "User", "Model", "Count"),
        ("Request", "Path", "Message"),
        _violations,
    ),
    "outbox": Listing(("Time", "Audience", "About", "Fact", "Message", "Delivered"), (), _outbox),
    "snapshots": Listing(("Part", "Version", "Since", "Bytes"), (), _snapshots),
}
