"""The ledger in memory: for tests, the protocol's simulator, and whoever wants nothing to outlive the process.

A step runs while nothing else does (it never awaits), so every transaction is serial; a step that raises has only
touched its book.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from llmgov.instants import Instant
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock, Put, WindowId
from llmgov.ledger.messages import Epoch, Intent
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalRow,
    Attempt,
    AuditRow,
    LeaseRow,
    LeaseState,
    OutboxEntry,
    PartRow,
    Spend,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.store import StoreError
from llmgov.money import MicroUsd

T = TypeVar("T")


class MemoryStore:
    """A `llmgov.ledger.store.Store` that keeps everything in dictionaries."""

    def __init__(self) -> None:
        self._closed = False
        self._rows = Put()
        self._published: set[str] = set()
        self._spends: dict[tuple[str, str], Spend] = {}
        self._checkpoints: list[bytes] = []
        self._parts: dict[tuple[str, str, Instant], PartRow] = {}
        self._edition = 0

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        self._open()
        book = self._load(lock)
        reply = step(book)
        self._refuse_repeated(book.put)
        self._apply(book.put)
        return reply

    def _open(self) -> None:
        if self._closed:
            raise StoreError("the store is closed")

    def _load(self, lock: Lock) -> Book:
        rows = self._rows
        book = Book(
            leases={row.id: row for row in self._leases(lock)},
            epochs=_pick(rows.epochs, lock.holders),
            attempts=_pick(rows.attempts, lock.attempts),
            approvals=_pick(rows.approvals, lock.approvals),
            keys=_pick(rows.keys, lock.subjects),
            returns=rows.returns.intersection(lock.returns),
            events=rows.events.intersection(lock.events),
            in_force=self._in_force() if lock.configuration else {},
            edition=self._edition if lock.configuration or lock.edition else 0,
            head=None if lock.writer is None else self._head(lock.writer),
        )
        for intent in (*lock.intents, *(attempt.intent for attempt in book.attempts.values() if attempt.intent)):
            self._load_intent(book, intent)
        book.approvals.update((row.id, row) for row in self._rows.approvals.values() if row.kind in lock.approval_kinds)
        for lease in book.leases.values():
            self._load_window(book, (lease.account, lease.window_start))
        self._load_windows(book, lock)
        return book

    def _leases(self, lock: Lock) -> Iterable[LeaseRow]:
        yield from _pick(self._rows.leases, lock.leases).values()
        for row in self._rows.leases.values():
            if row.holder in lock.leases_of and _unfinished(row):
                yield row

    def _load_intent(self, book: Book, intent: Intent) -> None:
        scopes = set(intent.subject.path)
        for part in intent.charged:
            if part.lease in self._rows.leases:
                book.leases[part.lease] = self._rows.leases[part.lease]
            if part.key in self._rows.accounts:
                book.accounts[part.key] = self._rows.accounts[part.key]
                scopes.add(self._rows.accounts[part.key].scope)
        for window in self._rows.windows.values():
            if window.scope in scopes and intent.at in window.span:
                self._load_window(book, (window.account, window.start))

    def _load_window(self, book: Book, key: WindowId) -> None:
        book.windows[key] = self._rows.windows[key]
        book.accounts[key[0]] = self._rows.accounts[key[0]]

    def _load_windows(self, book: Book, lock: Lock) -> None:
        for wanted in lock.windows:
            key = (wanted.account, wanted.span.start)
            if key in self._rows.windows:
                self._load_window(book, key)
            else:
                book.accounts.update(_pick(self._rows.accounts, [wanted.account]))
                book.backfill[key] = self._spent(wanted.scope, *wanted.span)
            for row in self._rows.approvals.values():
                if (row.account, row.window_start) == key:
                    book.approvals[row.id] = row

    def _spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        return sum(row.cost for row in self._spends.values() if row.scope == scope and start <= row.at < end)

    def _in_force(self) -> dict[str, PartRow]:
        return {row.part: row for row in self._parts.values() if row.until is None}

    def _head(self, writer: str) -> AuditRow | None:
        return next((row for row in reversed(self._rows.records) if row.writer == writer), None)

    def _refuse_repeated(self, put: Put) -> None:
        known = {(row.writer, row.seq) for row in self._rows.records}
        if not known.isdisjoint((row.writer, row.seq) for row in put.records):
            raise StoreError("an audit record of this writer and number exists already")

    def _apply(self, put: Put) -> None:
        rows = self._rows
        rows.accounts.update(put.accounts)
        rows.windows.update(put.windows)
        rows.leases.update(put.leases)
        rows.epochs.update(put.epochs)
        rows.attempts.update(put.attempts)
        rows.approvals.update(put.approvals)
        rows.keys.update(put.keys)
        rows.returns.update(put.returns)
        rows.events.update(put.events)
        rows.violations.extend(put.violations)
        rows.records.extend(put.records)
        for part in put.parts:
            self._parts[part.part, part.version, part.since] = part
        if put.edition is not None:
            self._edition = put.edition
        if put.published is not None:
            self._published = {row.key for row in put.published}
            rows.accounts.update({row.key: row for row in put.published})
        for entry in put.outbox.values():
            rows.outbox.setdefault(entry.id, entry)
        for spend in put.spends:
            self._spends.setdefault((spend.attempt, spend.scope), spend)

    async def put_checkpoint(self, data: bytes) -> None:
        self._open()
        self._checkpoints.append(data)

    async def destroy_key(self, subject: str) -> bool:
        self._open()
        return self._rows.keys.pop(subject, None) is not None

    async def delivered(self, entries: Sequence[str], now: Instant) -> None:
        self._open()
        for entry in entries:
            self._rows.outbox[entry] = msgspec.structs.replace(self._rows.outbox[entry], delivered=now)

    async def close(self) -> None:
        self._closed = True

    async def accounts(self) -> list[AccountRow]:
        self._open()
        found = (row for row in self._rows.accounts.values() if row.account.key in self._published)
        return sorted(found, key=lambda row: row.key)

    async def windows(self, at: Instant) -> list[Window]:
        self._open()
        found = (row for row in self._rows.windows.values() if at in row.span)
        return sorted(found, key=lambda row: (row.account, row.start))

    async def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        self._open()
        return self._spent(scope, start, end)

    async def borrowers(self, account: str, start: Instant) -> dict[Epoch, MicroUsd]:
        self._open()
        found: dict[Epoch, MicroUsd] = {}
        for row in self._rows.leases.values():
            if (row.account, row.window_start, row.state) == (account, start, LeaseState.OPEN) and row.outstanding:
                found[row.epoch] = found.get(row.epoch, 0) + row.outstanding
        return found

    async def leases(self, holder: str) -> list[LeaseRow]:
        self._open()
        found = (row for row in self._rows.leases.values() if row.holder == holder and _unfinished(row))
        return sorted(found, key=lambda row: row.id)

    async def attempts(self, start: Instant, end: Instant) -> list[Attempt]:
        self._open()
        found = [row for row in self._rows.attempts.values() if row.intent and start <= row.intent.at < end]
        return sorted(found, key=lambda row: (row.intent.at if row.intent else 0, row.id))

    async def balances(self) -> Balances:
        self._open()
        rows = self._rows
        return Balances(
            windows=tuple(row for _, row in sorted(rows.windows.items())),
            leases=tuple(row for _, row in sorted(rows.leases.items())),
            attempts=tuple(row for _, row in sorted(rows.attempts.items())),
            spends=tuple(row for _, row in sorted(self._spends.items())),
        )

    async def approvals(self) -> list[ApprovalRow]:
        self._open()
        return sorted(self._rows.approvals.values(), key=lambda row: (-row.created, row.id))

    async def outbox(self) -> list[OutboxEntry]:
        self._open()
        return sorted(self._rows.outbox.values(), key=lambda row: (row.at, row.id))

    async def violations(self, start: Instant, end: Instant) -> list[ViolationRow]:
        self._open()
        found = (row for row in self._rows.violations if start <= row.at < end)
        return sorted(found, key=lambda row: (row.at, row.event, row.index))

    async def records(self, writer: str, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        self._open()
        return [row for row in self._rows.records if row.writer == writer and row.seq > after][:limit]

    async def writers(self) -> list[str]:
        self._open()
        return sorted({row.writer for row in self._rows.records})

    async def checkpoints(self) -> list[bytes]:
        self._open()
        return list(self._checkpoints)

    async def subject_keys(self) -> list[SubjectKeyRow]:
        self._open()
        return sorted(self._rows.keys.values(), key=lambda row: row.id)

    async def parts(self, at: Instant) -> list[PartRow]:
        self._open()
        found = (row for row in self._parts.values() if row.since <= at and (row.until is None or at < row.until))
        return sorted(found, key=lambda row: row.part)

    async def edition(self) -> int:
        self._open()
        return self._edition

    async def part(self, part: str, version: str) -> PartRow | None:
        self._open()
        found = [row for row in self._parts.values() if (row.part, row.version) == (part, version)]
        return max(found, key=lambda row: row.since, default=None)


K = TypeVar("K")
V = TypeVar("V")


def _pick(rows: dict[K, V], keys: Iterable[K]) -> dict[K, V]:
    return {key: rows[key] for key in keys if key in rows}


def _unfinished(row: LeaseRow) -> bool:
    return row.outstanding > 0 or row.state is LeaseState.OPEN
