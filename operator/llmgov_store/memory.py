"""The ledger in memory: for tests, the protocol's simulator, and whoever wants nothing to outlive the process.

A step runs while nothing else does (it never awaits), so every transaction is serial; a step that raises has only
touched its book.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import approvals, violated
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Ended, Lock, PartId, Put
from llmgov.ledger.messages import Epoch
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    ApprovalState,
    Attempt,
    AuditRow,
    Correction,
    LeaseRow,
    LeaseState,
    LedgerEpoch,
    OutboxEntry,
    PartRow,
    PartVersion,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.store import StoreError
from llmgov.ledger.violated import Violated
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov_store.working import WorkingSet

T = TypeVar("T")


class MemoryStore:
    """A `llmgov.ledger.store.Store` that keeps everything in dictionaries.

    `name` stands for what a database says of its life; `begin_life` is what a failover would do to it.
    """

    def __init__(self, name: str = "memory") -> None:
        self._closed = False
        self._working = WorkingSet()
        self._working.database = name
        self._published: dict[PartId, set[str]] = {}
        self._outbox: dict[str, OutboxEntry] = {}
        self._violations: list[ViolationRow] = []
        self._records: dict[str, list[AuditRow]] = {}
        self._checkpoints: list[bytes] = []
        self._parts: dict[tuple[str, str, str, Instant], PartRow] = {}

    @property
    def _rows(self) -> Put:
        return self._working.rows

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        self._open()
        book = self._working.load(lock)
        if lock.ended is not None:
            book.notices.update(self._old_notices(lock.ended))
        reply = step(book)
        self._working.apply(book.put)
        self._keep(book.put)
        return reply

    def _open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def _keep(self, put: Put) -> None:
        """What no transaction reads again."""
        self._violations.extend(put.violations)
        for record in put.records:
            self._records.setdefault(record.writer, []).append(record)
        for ended in put.ended_parts:
            identity = (ended.cluster, ended.part, ended.version, ended.since)
            self._parts[identity] = msgspec.structs.replace(self._parts[identity], until=ended.until)
        for part in put.parts:
            self._parts[part.cluster, part.part, part.version, part.since] = part
        for name, accounts in put.published.items():
            self._published[name] = {row.key for row in accounts}
        for entry in put.outbox.values():
            self._outbox.setdefault(entry.id, entry)
        for id_ in put.removed_notices:
            self._outbox.pop(id_, None)

    def _old_notices(self, ended: Ended) -> list[str]:
        old = sorted((row.at, row.id) for row in self._outbox.values() if row.at < ended.before)
        return [id_ for _, id_ in old[: ended.most]]

    def begin_life(self, name: str) -> None:
        """From now on say that this is another life of the database."""
        self._working.database = name

    async def put_checkpoint(self, data: bytes) -> None:
        self._open()
        self._checkpoints.append(data)

    async def destroy_key(self, subject: str) -> bool:
        self._open()
        return self._working.forget_key(subject)

    async def delivered(self, entries: Sequence[str], now: Instant) -> None:
        self._open()
        for entry in entries:
            self._outbox[entry] = msgspec.structs.replace(self._outbox[entry], delivered=now)

    async def close(self) -> None:
        self._closed = True

    async def accounts(self) -> list[AccountRow]:
        self._open()
        published = set[str]().union(*self._published.values())
        found = (row for row in self._rows.accounts.values() if row.account.key in published)
        return sorted(found, key=lambda row: row.key)

    async def windows(self, at: Instant) -> list[Window]:
        self._open()
        found = (row for row in self._rows.windows.values() if at in row.span)
        return sorted(found, key=lambda row: (row.account, row.start))

    async def nearest_windows(self, at: Instant) -> list[Window]:
        found = await self.windows(at)
        order = sorted(found, key=lambda row: (-row.spent - row.unknown, -row.leased, row.account))
        nearest = {row.base or row.account: row for row in reversed(order)}
        return [row for row in found if nearest[row.base or row.account] is row]

    async def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        self._open()
        return self._working.spent(scope, start, end)

    async def spent_each(self, wanted: Sequence[tuple[str, Span]]) -> list[MicroUsd]:
        self._open()
        return [self._working.spent(scope, *span) for scope, span in wanted]

    async def borrowers(self, account: str, start: Instant) -> dict[Epoch, MicroUsd]:
        self._open()
        found: dict[Epoch, MicroUsd] = {}
        for row in self._rows.leases.values():
            if (row.account, row.window_start, row.state) == (account, start, LeaseState.OPEN) and row.outstanding:
                found[row.epoch] = found.get(row.epoch, 0) + row.outstanding
        return found

    async def leases(self, holder: str) -> list[LeaseRow]:
        self._open()
        return sorted(self._working.unfinished(holder), key=lambda row: row.id)

    async def unaccounted(self) -> list[LeaseRow]:
        self._open()
        found = (row for row in self._rows.leases.values() if row.billed or _is_lost(row))
        return sorted(found, key=lambda row: row.id)

    async def attempts(self, start: Instant, end: Instant) -> list[Attempt]:
        self._open()
        timed = ((row.time, row) for row in self._rows.attempts.values())
        found = ((time, row) for time, row in timed if time is not None and start <= time < end)
        return [row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1].id))]

    async def each_attempt(self, start: Instant, end: Instant, take: Callable[[Attempt], object]) -> None:
        for attempt in await self.attempts(start, end):
            take(attempt)

    async def corrections(self, start: Instant, end: Instant) -> list[Correction]:
        self._open()
        found = (row for row in self._rows.corrections.values() if start <= row.at < end)
        return sorted(found, key=lambda row: (row.at, row.id))

    async def ledger_epoch(self) -> LedgerEpoch | None:
        self._open()
        return self._working.ledger_epoch

    async def database(self) -> str:
        self._open()
        return self._working.database

    async def unreported(self, ledger_epoch: str) -> list[str]:
        self._open()
        reported = {row.holder for row in self._rows.epochs.values() if row.reported == ledger_epoch}
        open_ = {row.holder for row in self._rows.leases.values() if row.state is LeaseState.OPEN}
        return sorted(open_ - reported)

    async def balances(self) -> Balances:
        self._open()
        rows = self._rows
        return Balances(
            windows=tuple(row for _, row in sorted(rows.windows.items())),
            leases=tuple(row for _, row in sorted(rows.leases.items())),
            attempts=tuple(row for _, row in sorted(rows.attempts.items())),
            sums=tuple(self._working.sums()),
            accounts=tuple(row for _, row in sorted(rows.accounts.items())),
            corrections=tuple(row for _, row in sorted(rows.corrections.items())),
        )

    async def add_up(self, begin: Callable[[Balances], Callable[[Attempt], object]]) -> None:
        given = await self.balances()
        take = begin(msgspec.structs.replace(given, attempts=()))
        for attempt in given.attempts:
            take(attempt)

    async def approvals(self) -> list[ApprovalRow]:
        self._open()
        return sorted(self._rows.approvals.values(), key=lambda row: (-row.created, row.id))

    async def opened(self, at: Instant) -> list[ApprovalRow]:
        self._open()
        opened = (ApprovalKind.THRESHOLD, ApprovalState.APPROVED)
        found = (row for row in self._rows.approvals.values() if (row.kind, row.state) == opened and row.expires > at)
        return sorted(found, key=lambda row: row.id)

    async def approvals_told(self, at: Instant, most: int) -> list[ApprovalRow]:
        return approvals.told(await self.approvals(), at, most)

    async def approvals_of(self, digests: Sequence[str]) -> list[ApprovalRow]:
        wanted = frozenset(digests)
        return [row for row in await self.approvals() if row.digest in wanted]

    async def outbox(self) -> list[OutboxEntry]:
        self._open()
        return sorted(self._outbox.values(), key=lambda row: (row.at, row.id))

    async def undelivered(self) -> list[OutboxEntry]:
        return [row for row in await self.outbox() if row.delivered is None]

    async def violations(self, start: Instant, end: Instant) -> list[ViolationRow]:
        self._open()
        found = (row for row in self._violations if start <= row.at < end)
        return sorted(found, key=lambda row: (row.at, row.event, row.index))

    async def violated(self, start: Instant, end: Instant) -> dict[str, Violated]:
        return violated.of(await self.violations(start, end))

    async def records(self, writer: str, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        self._open()
        return [row for row in self._records.get(writer, []) if row.seq > after][:limit]

    async def writers(self) -> list[str]:
        self._open()
        return sorted(self._records)

    async def checkpoints(self) -> list[bytes]:
        self._open()
        return list(self._checkpoints)

    async def subject_keys(self) -> list[SubjectKeyRow]:
        self._open()
        return sorted(self._rows.keys.values(), key=lambda row: row.id)

    async def parts(self, at: Instant, only: Sequence[str] = ()) -> list[PartRow]:
        self._open()
        found = (row for row in self._parts.values() if row.since <= at and (row.until is None or at < row.until))
        return sorted((row for row in found if not only or row.part in only), key=lambda row: (row.cluster, row.part))

    async def parts_now(self, part: str) -> list[PartRow]:
        self._open()
        found = (row for row in self._parts.values() if row.part == part and row.until is None)
        return sorted(found, key=lambda row: row.cluster)

    async def part_versions(self) -> list[PartVersion]:
        self._open()
        heads = (row.head for row in self._parts.values())
        return sorted(heads, key=lambda row: (row.since, row.cluster, row.part))

    async def edition(self) -> int:
        self._open()
        return self._working.edition

    async def part(self, cluster: str, part: str, version: str) -> PartRow | None:
        self._open()
        wanted = (cluster, part, version)
        found = [row for row in self._parts.values() if (row.cluster, row.part, row.version) == wanted]
        return max(found, key=lambda row: row.since, default=None)


def _is_lost(row: LeaseRow) -> bool:
    return row.state is LeaseState.LOST and row.outstanding > 0
