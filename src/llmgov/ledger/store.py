"""The Store protocol: what memory, SQLite and PostgreSQL do alike, held to it by one contract suite.

Changes go through `transact`, one transaction each; the rest are reads for services and reports, and the few writes
that concern no money. Clocks are arguments.
"""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from llmgov.instants import Instant
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Epoch
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalRow,
    Attempt,
    AuditRow,
    Correction,
    LeaseRow,
    LedgerEpoch,
    OutboxEntry,
    PartRow,
    PartVersion,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.violated import Violated
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd

T = TypeVar("T")


class StoreError(OSError):
    """The store cannot do what was asked now: it is closed, busy beyond its timeout, or its database is damaged.

    An `OSError`, as a connection to a hub that broke would raise: a sidecar tries again either way.
    """


class Reader(Protocol):
    """The reads: what a process that only looks gets, too."""

    async def accounts(self) -> list[AccountRow]:
        """The accounts published as in force (`Put.published`), of all clusters, and users' own ones of these that were
        used, by key."""
        ...

    async def windows(self, at: Instant) -> list[Window]:
        """Windows that contain `at`, by account."""
        ...

    async def nearest_windows(self, at: Instant) -> list[Window]:
        """Windows that contain `at`, by account: of an account that each user has, only that of the user who spent most
        of the limit (`spent` and `unknown`, then `leased`, then the first by key)."""
        ...

    async def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        """What attempts begun in `[start, end)` cost `scope`."""
        ...

    async def spent_each(self, wanted: Sequence[tuple[str, Span]]) -> list[MicroUsd]:
        """The same for many scopes and times at once, in their order."""
        ...

    async def borrowers(self, account: str, start: Instant) -> dict[Epoch, MicroUsd]:
        """Who has open leases on the account's window that starts at `start`, and how much is outstanding."""
        ...

    async def leases(self, holder: str) -> list[LeaseRow]:
        """The leases of `holder` that have money outstanding, or may still be held from, by id."""
        ...

    async def unaccounted(self) -> list[LeaseRow]:
        """Leases whose cost nobody reported: lost ones with money outstanding, and those that an administrator billed,
        by id."""
        ...

    async def attempts(self, start: Instant, end: Instant) -> list[Attempt]:
        """Attempts that count in `[start, end)` (`Attempt.time`), by that time and id; settled ones and others."""
        ...

    async def each_attempt(self, start: Instant, end: Instant, take: Callable[[Attempt], object]) -> None:
        """Hand each of `attempts` to `take`, in their order and as they were at one moment, without keeping them.

        `take` may run on another thread, one call after the other. What it raises comes out as it is.
        """
        ...

    async def corrections(self, start: Instant, end: Instant) -> list[Correction]:
        """Corrections made in `[start, end)`, oldest first."""
        ...

    async def ledger_epoch(self) -> LedgerEpoch | None:
        """The ledger's epoch; `None` before the first grant."""
        ...

    async def database(self) -> str:
        """The database's name for the life it is in: another one after a failover or a restored backup."""
        ...

    async def unreported(self, ledger_epoch: str) -> list[str]:
        """Holders of open leases that have not reported them to the ledger epoch of this id, in order."""
        ...

    async def balances(self) -> Balances:
        """Everything that money is counted by, as it was at one moment; for checking it."""
        ...

    async def add_up(self, begin: Callable[[Balances], Callable[[Attempt], object]]) -> None:
        """The same of a ledger of any size: `begin` takes all but the attempts, which whatever it returns takes then,
        one by one and as of the same moment; on another thread perhaps, as with `each_attempt`."""
        ...

    async def approvals(self) -> list[ApprovalRow]:
        """All approvals, newest first."""
        ...

    async def opened(self, at: Instant) -> list[ApprovalRow]:
        """Thresholds that somebody approved of windows that end after `at`, by id."""
        ...

    async def approvals_told(self, at: Instant, most: int) -> list[ApprovalRow]:
        """What sidecars' directories are made of (`approvals.told`), newest first: requests' approvals that may be used
        at `at`, the `most` latest denials in force, of `most` digests the latest asking that is over or not the first,
        and the latest of each stopped model."""
        ...

    async def approvals_of(self, digests: Sequence[str]) -> list[ApprovalRow]:
        """Those that cover one of `digests`: of requests, or of models by their names; newest first."""
        ...

    async def outbox(self) -> list[OutboxEntry]:
        """All entries, oldest first."""
        ...

    async def undelivered(self) -> list[OutboxEntry]:
        """Those that wait to be delivered, oldest first."""
        ...

    async def violations(self, start: Instant, end: Instant) -> list[ViolationRow]:
        """Violations in `[start, end)`, oldest first."""
        ...

    async def violated(self, start: Instant, end: Instant) -> dict[str, Violated]:
        """The same summed up, by policy in order."""
        ...

    async def records(self, writer: str, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        """A writer's audit records whose `seq` is above `after`, in order."""
        ...

    async def writers(self) -> list[str]:
        """Who wrote audit records."""
        ...

    async def checkpoints(self) -> list[bytes]:
        """All checkpoints, in the order they were put."""
        ...

    async def subject_keys(self) -> list[SubjectKeyRow]:
        """The keys that still exist."""
        ...

    async def parts(self, at: Instant, only: Sequence[str] = ()) -> list[PartRow]:
        """The configurations in force at `at`, by cluster and part; `only` those parts, where any are named."""
        ...

    async def parts_now(self, part: str) -> list[PartRow]:
        """The versions in force of one part, by cluster."""
        ...

    async def part_versions(self) -> list[PartVersion]:
        """Every version that ever was in force, oldest first, then by cluster and part."""
        ...

    async def edition(self) -> int:
        """The number of the configuration in force: it grows with each that comes into force, of whichever cluster; 0
        before the first."""
        ...

    async def part(self, cluster: str, part: str, version: str) -> PartRow | None:
        """One version of a part, whenever it was in force; the latest time that it was."""
        ...


class Store(Reader, Protocol):
    """The ledger."""

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        """Load what `lock` names, run `step`, write what it put, commit: all or nothing, one after the other.

        Durable when it returns. What `step` raises comes out as it is and nothing is written.

        Raises:
            StoreError: nothing was written; where the database was lost at the commit, and the message says so, it may
                have been: what is repeated then has to be such that it counts once.
        """
        ...

    async def put_checkpoint(self, data: bytes) -> None:
        """Keep a signed checkpoint."""
        ...

    async def destroy_key(self, subject: str) -> bool:
        """Destroy a subject's key; whether there was one."""
        ...

    async def delivered(self, entries: Sequence[str], now: Instant) -> None:
        """Mark outbox entries as delivered."""
        ...

    async def close(self) -> None:
        """End; later calls raise `StoreError`."""
        ...
