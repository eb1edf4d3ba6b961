"""The rows that transactions work on, in memory, indexed by how a `Lock` names them.

The memory store keeps all of its ledger in one. The PostgreSQL store fills one with what the transactions of a batch
named, lets their steps run on it one after the other, and then writes what all of them put at once. So both see a
step's effects by the same rules, and neither searches all accounts for one.
"""

import collections
from collections.abc import Iterable, Iterator
from typing import TypeAlias, TypeVar

from llmgov.instants import Instant
from llmgov.ledger import sums, timing
from llmgov.ledger.book import Book, Ended, Lock, Put, WindowId
from llmgov.ledger.messages import Intent
from llmgov.ledger.rows import (
    ApprovalKind,
    ApprovalRow,
    ApprovalState,
    Attempt,
    AuditRow,
    ClusterRow,
    EpochRow,
    LeaseRow,
    LeaseState,
    LedgerEpoch,
    PartVersion,
    Spend,
    Sum,
    Window,
)
from llmgov.ledger.store import StoreError
from llmgov.money import MicroUsd

K = TypeVar("K")
V = TypeVar("V")

Summed: TypeAlias = tuple[str, Instant, Instant]
"""A scope, and from when (inclusive) to when (exclusive) what it spent is summed."""


class WorkingSet:
    """Rows by identity, and what finds them otherwise.

    Which rows it has to hold for a step to see what it should: all that `Lock` promises for the step's lock. What a
    step puts refers to rows of its own lock only, so that what a later step of a batch is promised is here, too.
    """

    def __init__(self) -> None:
        self.rows = Put()
        self.heads: dict[str, AuditRow] = {}
        self.in_force: dict[str, dict[str, PartVersion]] = collections.defaultdict(dict)
        """The versions in force, by cluster and part."""
        self.clusters: dict[str, ClusterRow] = {}
        self.edition = 0
        self.summed: dict[Summed, MicroUsd] = {}
        """What scopes spent before anything was put here, where they did."""
        self.users: dict[WindowId, int] = collections.defaultdict(int)
        """How many users have a window of one definition, by its key and the window's start."""
        self.ledger_epoch: LedgerEpoch | None = None
        self.database = ""
        self._spent: dict[str, dict[Instant, MicroUsd]] = collections.defaultdict(dict)
        self._windows: dict[str, dict[WindowId, None]] = collections.defaultdict(dict)
        self._unfinished: dict[str, dict[str, None]] = collections.defaultdict(dict)
        self._approvals: dict[WindowId, dict[str, None]] = collections.defaultdict(dict)
        self._pending: dict[str, dict[str, None]] = collections.defaultdict(dict)
        self.notices: list[str] = []
        """Those that may be removed."""

    def load(self, lock: Lock) -> Book:
        """What `lock` names."""
        rows = self.rows
        book = Book(
            leases={row.id: row for row in self._leases(lock)},
            epochs=_pick(rows.epochs, lock.holders),
            attempts=_pick(rows.attempts, lock.attempts),
            approvals=_pick(rows.approvals, lock.approvals),
            keys=_pick(rows.keys, lock.subjects),
            returns=rows.returns.intersection(lock.returns),
            events=rows.events.intersection(lock.events),
            edition=self.edition if lock.edition or lock.configuration is not None else 0,
            head=None if lock.writer is None else self.heads.get(lock.writer),
            corrections=_pick(rows.corrections, lock.corrections),
            ledger_epoch=self.ledger_epoch if lock.ledger_epoch else None,
            database=self.database if lock.ledger_epoch else "",
        )
        if lock.configuration is not None:
            book.in_force = dict(self.in_force.get(lock.configuration, {}))
            book.cluster = self.clusters.get(lock.configuration)
            book.others = frozenset(
                name for name, parts in self.in_force.items() if parts and name != lock.configuration
            )
        if lock.ended is not None:
            self._load_ended(book, lock.ended)
            book.notices.update(self.notices)
        for intent in lock.intents:
            self._load_intent(book, Attempt(intent.id), intent)
        for attempt in book.attempts.values():
            if attempt.intent is not None:
                self._load_intent(book, attempt, attempt.intent)
        if lock.approval_kinds:
            book.approvals.update((row.id, row) for row in rows.approvals.values() if row.kind in lock.approval_kinds)
        for workload in lock.workloads:
            book.approvals.update(_pick(rows.approvals, self._pending.get(workload, ())))
        for lease in book.leases.values():
            self._load_window(book, (lease.account, lease.window_start))
        self._load_windows(book, lock)
        return book

    def _leases(self, lock: Lock) -> Iterator[LeaseRow]:
        yield from _pick(self.rows.leases, lock.leases).values()
        for holder in lock.leases_of:
            yield from self.unfinished(holder)

    def _load_intent(self, book: Book, attempt: Attempt, intent: Intent) -> None:
        scopes = dict.fromkeys((*intent.subject.path, *attempt.beside))
        for part in intent.charged:
            if part.lease in self.rows.leases:
                book.leases[part.lease] = self.rows.leases[part.lease]
            if part.key in self.rows.accounts:
                book.accounts[part.key] = self.rows.accounts[part.key]
                scopes[self.rows.accounts[part.key].scope] = None
        at = timing.of(attempt, intent, self.rows.leases)
        for scope in scopes:
            for key in self._windows.get(scope, ()):
                window = self.rows.windows[key]
                if key not in book.windows and window.start <= at < window.end:
                    self._load_window(book, key)

    def _load_window(self, book: Book, key: WindowId) -> None:
        book.windows[key] = self.rows.windows[key]
        book.accounts[key[0]] = self.rows.accounts[key[0]]

    def _load_windows(self, book: Book, lock: Lock) -> None:
        for wanted in lock.windows:
            key = (wanted.account, wanted.span.start)
            if key in self.rows.windows:
                self._load_window(book, key)
            else:
                book.accounts.update(_pick(self.rows.accounts, [wanted.account]))
                book.backfill[key] = self.spent(wanted.scope, *wanted.span)
                if wanted.base:
                    book.users[wanted.base, wanted.span.start] = self.users[wanted.base, wanted.span.start]
            book.approvals.update((row.id, row) for row in self.approvals_of(key))

    def _load_ended(self, book: Book, ended: Ended) -> None:
        windows = sorted(filter(lambda row: _is_over(row, ended), self.rows.windows.values()), key=_by_end)
        for window in windows[: ended.most]:
            self._load_window(book, (window.account, window.start))
            book.leases.update((row.id, row) for row in self.leases_of(window))
        gone = sorted(filter(lambda row: self._is_gone(row, ended), self.rows.epochs.values()), key=_by_loss)
        book.epochs.update((row.holder, row) for row in gone[: ended.most])
        asked = sorted(filter(lambda row: _has_expired(row, ended), self.rows.approvals.values()), key=_by_expiry)
        book.approvals.update((row.id, row) for row in asked[: ended.most])

    def _is_gone(self, row: EpochRow, ended: Ended) -> bool:
        return row.gone is not None and row.gone < ended.before and not self._unfinished.get(row.holder)

    def leases_of(self, window: Window) -> list[LeaseRow]:
        """All leases on one window."""
        key = (window.account, window.start)
        return [row for row in self.rows.leases.values() if (row.account, row.window_start) == key]

    def unfinished(self, holder: str) -> list[LeaseRow]:
        """The leases of `holder` that have money outstanding, or may still be held from."""
        return [self.rows.leases[id_] for id_ in self._unfinished.get(holder, ())]

    def approvals_of(self, window: WindowId) -> list[ApprovalRow]:
        """The approvals of one window's thresholds."""
        return [self.rows.approvals[id_] for id_ in self._approvals.get(window, ())]

    def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        """What attempts begun in `[start, end)` cost `scope`."""
        here = sum(cost for at, cost in self._spent.get(scope, {}).items() if start <= at < end)
        return self.summed.get((scope, start, end), 0) + here

    def sums(self) -> list[Sum]:
        """All that are not 0, by scope and start."""
        spends = (Spend((scope,), at, cost) for scope, costs in self._spent.items() for at, cost in costs.items())
        return [Sum(scope, start, cost) for (scope, start), cost in sorted(sums.changes(spends).items()) if cost]

    def apply(self, put: Put) -> None:
        """Take what a step put, all or nothing.

        Raises:
            StoreError: an audit record's number is not above all of its writer.
        """
        self._refuse_repeated(put)
        rows = self.rows
        rows.accounts.update(put.accounts)
        for published in put.published.values():
            rows.accounts.update((row.key, row) for row in published)
        rows.epochs.update(put.epochs)
        rows.attempts.update(put.attempts)
        rows.keys.update(put.keys)
        rows.returns.update(put.returns)
        rows.events.update(put.events)
        rows.corrections.update(put.corrections)
        self._apply_indexed(put)
        self._apply_chains(put)
        self._apply_configuration(put)
        self._remove(put)
        if put.ledger_epoch is not None:
            self.ledger_epoch = put.ledger_epoch

    def _refuse_repeated(self, put: Put) -> None:
        last = {writer: head.seq for writer, head in self.heads.items()}
        for row in put.records:
            if row.seq <= last.get(row.writer, 0):
                raise StoreError("an audit record of this writer and number exists already")
            last[row.writer] = row.seq

    def _apply_indexed(self, put: Put) -> None:
        for key, window in put.windows.items():
            if window.base and key not in self.rows.windows:
                self.users[window.base, window.start] += 1
            self.rows.windows[key] = window
            self._windows[window.scope][key] = None
        for id_, lease in put.leases.items():
            self.rows.leases[id_] = lease
            if is_unfinished(lease):
                self._unfinished[lease.holder][id_] = None
            else:
                self._unfinished[lease.holder].pop(id_, None)
        for id_, approval in put.approvals.items():
            self.rows.approvals[id_] = approval
            if is_pending(approval):
                self._pending[approval.workload][id_] = None
            else:
                self._pending[approval.workload].pop(id_, None)
            if approval.account:
                self._approvals[approval.account, approval.window_start][id_] = None
        for spend in put.spends:
            for scope in spend.scopes:
                costs = self._spent[scope]
                costs[spend.at] = costs.get(spend.at, 0) + spend.cost

    def _apply_chains(self, put: Put) -> None:
        for record in put.records:
            self.heads[record.writer] = record

    def _apply_configuration(self, put: Put) -> None:
        for ended in put.ended_parts:
            self.in_force[ended.cluster].pop(ended.part, None)
        for part in put.parts:
            self.in_force[part.cluster][part.part] = part.head
        self.clusters.update(put.clusters)
        if put.edition is not None:
            self.edition = put.edition

    def _remove(self, put: Put) -> None:
        for key in put.removed_windows:
            window = self.rows.windows.pop(key, None)
            if window is None:
                continue
            leases = {row.id: row.holder for row in self.leases_of(window)}
            for id_, holder in leases.items():
                del self.rows.leases[id_]
                self._unfinished[holder].pop(id_, None)
            self.rows.returns -= {(lease, serial) for lease, serial in self.rows.returns if lease in leases}
            self._windows[window.scope].pop(key, None)
            for approval in self.approvals_of(key):
                if approval.state is ApprovalState.PENDING:
                    del self.rows.approvals[approval.id]
                    del self._approvals[key][approval.id]
            if window.base:
                self.users[window.base, window.start] -= 1
        for holder in put.removed_holders:
            self.rows.epochs.pop(holder, None)
            self.rows.events -= {event for event in self.rows.events if event.startswith(f"{holder}:")}
        for id_ in put.removed_approvals:
            row = self.rows.approvals.pop(id_, None)
            if row is not None:
                self._pending[row.workload].pop(id_, None)

    def forget_key(self, subject: str) -> bool:
        """Destroy a subject's key; whether there was one."""
        return self.rows.keys.pop(subject, None) is not None


def is_unfinished(row: LeaseRow) -> bool:
    """Whether a lease has money outstanding, or may still be held from."""
    return row.outstanding > 0 or row.state is LeaseState.OPEN


def is_pending(row: ApprovalRow) -> bool:
    """Whether a request waits for an approval."""
    return row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.PENDING


def _has_expired(row: ApprovalRow, ended: Ended) -> bool:
    return is_pending(row) and row.expires < ended.before


def _by_expiry(row: ApprovalRow) -> tuple[Instant, str]:
    return row.expires, row.id


def _is_over(row: Window, ended: Ended) -> bool:
    return row.end < ended.before and row.leased == row.unknown == 0


def _by_end(row: Window) -> tuple[Instant, str]:
    return row.end, row.account


def _by_loss(row: EpochRow) -> tuple[Instant, str]:
    return row.gone or 0, row.holder


def _pick(rows: dict[K, V], keys: Iterable[K]) -> dict[K, V]:
    return {key: rows[key] for key in keys if key in rows}
