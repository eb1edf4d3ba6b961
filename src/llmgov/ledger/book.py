"""What one transaction reads and writes: a `Lock` names rows, the store loads them into a `Book`, a step changes it.

A step is a pure function from a book (and a message) to a reply. The store locks, loads, runs the step, writes what
it put and commits; whatever the step raises rolls all of it back. So the rules about money exist once, whatever the
database, and are tested without one.
"""

import dataclasses
from typing import TypeAlias

from llmgov.instants import Instant
from llmgov.ledger.messages import Intent
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    ApprovalState,
    Attempt,
    AuditRow,
    ClusterRow,
    Correction,
    EpochRow,
    LeaseRow,
    LedgerEpoch,
    OutboxEntry,
    PartRow,
    PartVersion,
    Spend,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd

WindowId: TypeAlias = tuple[str, Instant]
"""An account's key and a window's start."""

PartId: TypeAlias = tuple[str, str]
"""A cluster and the name of a part of its configuration."""


@dataclasses.dataclass(frozen=True, slots=True)
class WindowLock:
    """A window of an account; where it does not exist yet, what its scope already spent in `span` is loaded.

    So is, where it would be one user's of a definition of each user (`base` is that one's key), how many users have
    such a window already.
    """

    account: str
    scope: str
    span: Span
    base: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """What nobody can ask for any more: to be loaded for its removal, `most` of each kind, oldest first.

    These are windows that ended before `before` and have neither leased nor unknown money, with all their leases;
    epoch rows whose holder was gone before `before` and has no unfinished lease; approvals of requests that expired
    before it and that nobody decided; and notices that are older.
    """

    before: Instant
    most: int


@dataclasses.dataclass(frozen=True, slots=True)
class Lock:
    """Which rows a step needs.

    With a window come its account and its approvals; with a lease its window; with an attempt whose intent is stored,
    or among `intents`, the leases it was charged to and every window of the scopes on its path at that time.
    `configuration` names the cluster whose row and versions in force are wanted, with the names of others that have
    any, `approval_kinds` all approvals of a
    kind. Either of `configuration` and `edition` brings the number of the configuration in force, of all clusters; with
    the latter no other comes into force before the transaction has ended, and any number of transactions may be sure of
    that at a time. `ledger_epoch` brings the
    ledger's epoch and the database's name for its own; nearly every transaction reads it and nearly none writes it.
    `ended` brings what may be removed. `workloads` bring those of their requests' approvals that are pending; no
    others begin to be before the transaction has ended. `beside` brings nothing: it is how many more rows the step
    writes, or what is as much work, than are named.
    """

    windows: tuple[WindowLock, ...] = ()
    leases: tuple[str, ...] = ()
    leases_of: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()
    intents: tuple[Intent, ...] = ()
    returns: tuple[tuple[str, int], ...] = ()
    holders: tuple[str, ...] = ()
    approvals: tuple[str, ...] = ()
    approval_kinds: tuple[ApprovalKind, ...] = ()
    workloads: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    writer: str | None = None
    subjects: tuple[str, ...] = ()
    configuration: str | None = None
    edition: bool = False
    corrections: tuple[str, ...] = ()
    ledger_epoch: bool = False
    ended: Ended | None = None
    beside: int = 0

    def with_audit(self, writer: str, subjects: tuple[str, ...]) -> "Lock":
        """The same rows, the head of an audit writer's chain, and the keys of subjects."""
        return dataclasses.replace(self, writer=writer, subjects=subjects)


@dataclasses.dataclass(slots=True)
class Put:
    """The rows that a step wrote: each replaces the row of the same identity, or is new.

    Of `outbox` an existing row stays as it is; `spends` are added to the sums of their scopes. `parts` are new, of
    `ended_parts` only `until` is. `published` are, by cluster and part, the accounts that are in force from now on in
    place of that part's before: an account is in force while any part's is. `removed_windows` go with all their leases
    and the returns of these, `removed_holders` are epoch rows that go with the ids of their holder's events. A
    window's approvals that nobody decided go with it; `removed_approvals` are others, `removed_notices` are rows of the
    outbox.
    """

    accounts: dict[str, AccountRow] = dataclasses.field(default_factory=dict)
    windows: dict[WindowId, Window] = dataclasses.field(default_factory=dict)
    leases: dict[str, LeaseRow] = dataclasses.field(default_factory=dict)
    epochs: dict[str, EpochRow] = dataclasses.field(default_factory=dict)
    attempts: dict[str, Attempt] = dataclasses.field(default_factory=dict)
    approvals: dict[str, ApprovalRow] = dataclasses.field(default_factory=dict)
    outbox: dict[str, OutboxEntry] = dataclasses.field(default_factory=dict)
    keys: dict[str, SubjectKeyRow] = dataclasses.field(default_factory=dict)
    returns: set[tuple[str, int]] = dataclasses.field(default_factory=set)
    events: set[str] = dataclasses.field(default_factory=set)
    spends: list[Spend] = dataclasses.field(default_factory=list)
    violations: list[ViolationRow] = dataclasses.field(default_factory=list)
    records: list[AuditRow] = dataclasses.field(default_factory=list)
    parts: list[PartRow] = dataclasses.field(default_factory=list)
    ended_parts: list[PartVersion] = dataclasses.field(default_factory=list)
    clusters: dict[str, ClusterRow] = dataclasses.field(default_factory=dict)
    edition: int | None = None
    published: dict[PartId, tuple[AccountRow, ...]] = dataclasses.field(default_factory=dict)
    corrections: dict[str, Correction] = dataclasses.field(default_factory=dict)
    ledger_epoch: LedgerEpoch | None = None
    removed_windows: set[WindowId] = dataclasses.field(default_factory=set)
    removed_holders: set[str] = dataclasses.field(default_factory=set)
    removed_approvals: set[str] = dataclasses.field(default_factory=set)
    removed_notices: set[str] = dataclasses.field(default_factory=set)


@dataclasses.dataclass(slots=True)
class Book:
    """The locked rows, by identity, and in `put` what the step made of them. Missing rows are absent keys.

    `users` says of a window that was wanted with a `base` and does not exist how many users of it have one, by the
    base and the window's start. `in_force` are the versions in force of the cluster that was wanted, by part, and
    `cluster` is its row; `others` are other clusters that have parts in force. `database` is the database's name for
    its life (`LedgerEpoch`).
    """

    accounts: dict[str, AccountRow] = dataclasses.field(default_factory=dict)
    windows: dict[WindowId, Window] = dataclasses.field(default_factory=dict)
    backfill: dict[WindowId, MicroUsd] = dataclasses.field(default_factory=dict)
    leases: dict[str, LeaseRow] = dataclasses.field(default_factory=dict)
    epochs: dict[str, EpochRow] = dataclasses.field(default_factory=dict)
    attempts: dict[str, Attempt] = dataclasses.field(default_factory=dict)
    approvals: dict[str, ApprovalRow] = dataclasses.field(default_factory=dict)
    keys: dict[str, SubjectKeyRow] = dataclasses.field(default_factory=dict)
    returns: set[tuple[str, int]] = dataclasses.field(default_factory=set)
    events: set[str] = dataclasses.field(default_factory=set)
    in_force: dict[str, PartVersion] = dataclasses.field(default_factory=dict)
    cluster: ClusterRow | None = None
    others: frozenset[str] = frozenset()
    edition: int = 0
    head: AuditRow | None = None
    corrections: dict[str, Correction] = dataclasses.field(default_factory=dict)
    users: dict[WindowId, int] = dataclasses.field(default_factory=dict)
    ledger_epoch: LedgerEpoch | None = None
    database: str = ""
    notices: set[str] = dataclasses.field(default_factory=set)
    """The ids of those that may be removed."""
    put: Put = dataclasses.field(default_factory=Put)

    def put_account(self, row: AccountRow) -> None:
        self.accounts[row.key] = self.put.accounts[row.key] = row

    def put_window(self, row: Window) -> None:
        self.windows[row.account, row.start] = self.put.windows[row.account, row.start] = row

    def put_lease(self, row: LeaseRow) -> None:
        self.leases[row.id] = self.put.leases[row.id] = row

    def put_epoch(self, row: EpochRow) -> None:
        self.epochs[row.holder] = self.put.epochs[row.holder] = row

    def put_attempt(self, row: Attempt) -> None:
        self.attempts[row.id] = self.put.attempts[row.id] = row

    def put_approval(self, row: ApprovalRow) -> None:
        self.approvals[row.id] = self.put.approvals[row.id] = row

    def put_key(self, row: SubjectKeyRow) -> None:
        self.keys[row.subject] = self.put.keys[row.subject] = row

    def put_return(self, lease: str, serial: int) -> None:
        self.returns.add((lease, serial))
        self.put.returns.add((lease, serial))

    def put_event(self, event: str) -> None:
        self.events.add(event)
        self.put.events.add(event)

    def put_edition(self, number: int) -> None:
        self.edition = self.put.edition = number

    def put_cluster(self, row: ClusterRow) -> None:
        self.cluster = self.put.clusters[row.cluster] = row

    def put_correction(self, row: Correction) -> None:
        self.corrections[row.id] = self.put.corrections[row.id] = row

    def put_ledger_epoch(self, row: LedgerEpoch) -> None:
        self.ledger_epoch = self.put.ledger_epoch = row

    def put_record(self, row: AuditRow) -> None:
        self.head = row
        self.put.records.append(row)

    def opened(self, window: Window) -> frozenset[int]:
        """The thresholds of `window` that an approval opened."""
        return frozenset(
            row.threshold
            for row in self.approvals.values()
            if row.account == window.account
            and row.window_start == window.start
            and row.state is ApprovalState.APPROVED
        )
