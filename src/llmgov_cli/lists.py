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
    """Which rows of a list are wanted.

    Of violations: `policy` is `namespace/name` or a name, `namespace` the workload's, `limit` how many of the newest.
    Of snapshots: those of a `namespace`, and those in force `at` a time.
    """

    policy: str | None = None
    namespace: str | None = None
    since: Instant = 0
    limit: int | None = None
    at: Instant | None = None

    def takes(self, row: rows.ViolationRow) -> bool:
        """Whether a violation is one of these, whatever the limit."""
        policy = self.policy is None or row.policy == self.policy or row.policy.endswith(f"/{self.policy}")
        return policy and self.namespace in (None, row.namespace)

    def takes_version(self, row: rows.PartVersion) -> bool:
        """Whether a version of a part is one of these."""
        in_time = self.at is None or (row.since <= self.at and (row.until is None or self.at < row.until))
        return in_time and (self.namespace is None or row.part == f"namespace/{self.namespace}")

    def refused(self, what: str) -> str | None:
        """Why the list `what` cannot be filtered so; `None` where it can."""
        if what == "violations" and self.at is None:
            return None
        if what == "snapshots" and (self.policy, self.since, self.limit) == (None, 0, None):
            return None
        if self == ALL:
            return None
        return (
            "--policy, --namespace, --since and --limit choose among `llmgov get violations`, and --namespace and --at"
            " among `llmgov get snapshots`"
        )


ALL = Filter()


@dataclasses.dataclass(frozen=True, slots=True)
class Look:
    """What a list is gathered from: an open ledger, its source, and which rows are wanted; `whole` means all columns,
    and nothing shortened."""

    ledger: sources.Ledger[Reader]
    source: sources.Source
    wanted: Filter
    whole: bool = False

    @property
    def rows(self) -> Reader:
        """The ledger's rows."""
        return self.ledger.rows


_SHORT = 8
"""Digits of a version in a table: enough to tell those of one part from each other."""

Rows: TypeAlias = list[list[tables.Cell]]


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A list's headings, `wide` those that only `-o wide` and documents have, and what gathers its rows."""

    headings: Sequence[str]
    wide: Sequence[str]
    gather: Callable[[Look], Awaitable[Rows]]
    none: str
    """What is said where there is no row."""


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
    """Every version that was ever in force, or those of one time; the oldest first."""
    return [
        [
            instants.to_rfc3339(row.since),
            tables.moment(row.until),
            row.part,
            row.version if look.whole else row.version[:_SHORT],
            row.size,
            row.actor,
            row.cluster,
        ]
        for row in await look.rows.part_versions()
        if look.wanted.takes_version(row)
    ]


LISTS = {
    "accounts": Listing(
        ("Limited-By", "Target", "Limit", "Spent", "Held", "Used", "Resets", "State", "Currency"),
        ("Period", "Forecast", "Enforced"),
        _accounts,
        "No accounts",
    ),
    "violations": Listing(
        ("Time", "Policy", "Action", "Reason", "Workload", "User", "Model", "Count"),
        ("Request", "Path", "Message"),
        _violations,
        "No violations",
    ),
    "outbox": Listing(
        ("Time", "Audience", "About", "Fact", "Message", "Delivered"), (), _outbox, "No notices are waiting"
    ),
    "snapshots": Listing(("From", "Until", "Part", "Version", "Bytes", "By"), ("Cluster",), _snapshots, "No snapshots"),
}
