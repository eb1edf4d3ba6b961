"""From a `Lock` to a `Book`, and from what was put to tables: the SQL of the SQLite ledger's transactions."""

import sqlite3
from collections.abc import Sequence

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock, Put, WindowLock
from llmgov.ledger.messages import Intent
from llmgov.money import MicroUsd
from llmgov_store.sqlite_rows import Table

ACCOUNTS = Table("accounts", rows.AccountRow, ["key"])
WINDOWS = Table("windows", rows.Window, ["account", "start"])
LEASES = Table("leases", rows.LeaseRow, ["id"])
EPOCHS = Table("epochs", rows.EpochRow, ["holder"])
ATTEMPTS = Table("attempts", rows.Attempt, ["id"])
SPENDS = Table("spends", rows.Spend, ["attempt", "scope"])
APPROVALS = Table("approvals", rows.ApprovalRow, ["id"])
OUTBOX = Table("outbox", rows.OutboxEntry, ["id"])
VIOLATIONS = Table("violations", rows.ViolationRow, ["event", '"index"'])
RECORDS = Table("records", rows.AuditRow, ["writer", "seq"])
KEYS = Table("subject_keys", rows.SubjectKeyRow, ["subject"])
PARTS = Table("parts", rows.PartRow, ["part", "version", "since"])


def load(connection: sqlite3.Connection, lock: Lock) -> Book:
    """The rows that `lock` names. SQLite has one writer, so they are locked by being read in its transaction."""
    book = Book(
        epochs={row.holder: row for row in EPOCHS.among(connection, "holder", lock.holders)},
        attempts={row.id: row for row in ATTEMPTS.among(connection, "id", lock.attempts)},
        approvals={row.id: row for row in APPROVALS.among(connection, "id", lock.approvals)},
        keys={row.subject: row for row in KEYS.among(connection, "subject", lock.subjects)},
        returns={pair for pair in lock.returns if _returned(connection, *pair)},
        events=_known_events(connection, lock),
        in_force=_in_force(connection) if lock.configuration else {},
        edition=edition(connection) if lock.configuration or lock.edition else 0,
        head=None if lock.writer is None else _head(connection, lock.writer),
    )
    if lock.approval_kinds:
        kinds = APPROVALS.among(connection, "kind", (kind.value for kind in lock.approval_kinds))
        book.approvals.update((row.id, row) for row in kinds)
    stored = (attempt.intent for attempt in book.attempts.values() if attempt.intent is not None)
    intents = (*lock.intents, *stored)
    _load_leases(connection, book, lock, intents)
    for intent in intents:
        _load_path(connection, book, intent)
    for window in lock.windows:
        _load_window(connection, book, window)
    keys = {account for account, _start in book.windows} | {window.account for window in lock.windows}
    book.accounts.update((row.key, row) for row in ACCOUNTS.among(connection, "key", keys))
    return book


def _load_leases(connection: sqlite3.Connection, book: Book, lock: Lock, intents: tuple[Intent, ...]) -> None:
    charged = [part for intent in intents for part in intent.charged]
    ids = [*lock.leases, *(part.lease for part in charged)]
    found = LEASES.among(connection, "id", ids) if ids else []
    for holder in lock.leases_of:
        found += unfinished(connection, holder)
    book.leases.update((row.id, row) for row in found)
    for account, start in {(row.account, row.window_start) for row in found}:
        (window,) = WINDOWS.select(connection, "WHERE account = ? AND start = ?", account, start)
        book.windows[account, start] = window
    if charged:
        accounts = ACCOUNTS.among(connection, "key", (part.key for part in charged))
        book.accounts.update((row.key, row) for row in accounts)


def _load_path(connection: sqlite3.Connection, book: Book, intent: Intent) -> None:
    """Every window of the intent's scopes at its time."""
    scopes = {*intent.subject.path}
    scopes.update(book.accounts[part.key].scope for part in intent.charged if part.key in book.accounts)
    found = WINDOWS.select(
        connection,
        'WHERE scope IN (SELECT value FROM json_each(?)) AND start <= ? AND "end" > ?',
        msgspec.json.encode(sorted(scopes)).decode(),
        intent.at,
        intent.at,
    )
    book.windows.update(((row.account, row.start), row) for row in found)


def _load_window(connection: sqlite3.Connection, book: Book, wanted: WindowLock) -> None:
    key = (wanted.account, wanted.span.start)
    found = WINDOWS.select(connection, "WHERE account = ? AND start = ?", *key)
    if found:
        book.windows[key] = found[0]
    else:
        book.backfill[key] = spent(connection, wanted.scope, *wanted.span)
    approvals = APPROVALS.select(connection, "WHERE account = ? AND window_start = ?", *key)
    book.approvals.update((row.id, row) for row in approvals)


def _returned(connection: sqlite3.Connection, lease: str, serial: int) -> bool:
    found = connection.execute("SELECT 1 FROM returns WHERE lease = ? AND serial = ?", (lease, serial))
    return found.fetchone() is not None


def _known_events(connection: sqlite3.Connection, lock: Lock) -> set[str]:
    wanted = msgspec.json.encode(lock.events).decode()
    found = connection.execute("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    return {event for (event,) in found}


def _in_force(connection: sqlite3.Connection) -> dict[str, rows.PartRow]:
    return {row.part: row for row in PARTS.select(connection, "WHERE until IS NULL")}


def edition(connection: sqlite3.Connection) -> int:
    """The number of the configuration in force."""
    return int(connection.execute("SELECT number FROM edition").fetchone()[0])


def _head(connection: sqlite3.Connection, writer: str) -> rows.AuditRow | None:
    found = RECORDS.select(connection, "WHERE writer = ? ORDER BY seq DESC LIMIT 1", writer)
    return found[0] if found else None


def spent(connection: sqlite3.Connection, scope: str, start: Instant, end: Instant) -> MicroUsd:
    """What attempts begun in `[start, end)` cost `scope`."""
    query = "SELECT coalesce(sum(cost), 0) FROM spends WHERE scope = ? AND at >= ? AND at < ?"
    return int(connection.execute(query, (scope, start, end)).fetchone()[0])


def unfinished(connection: sqlite3.Connection, holder: str) -> list[rows.LeaseRow]:
    """The holder's leases that have money outstanding, or may still be held from, by id."""
    condition = "WHERE holder = ? AND (state = 'open' OR amount - returned - spent > 0) ORDER BY id"
    return LEASES.select(connection, condition, holder)


def balances(connection: sqlite3.Connection) -> Balances:
    """Everything that money is counted by, in one read transaction."""
    connection.execute("BEGIN")
    try:
        return Balances(
            windows=tuple(WINDOWS.select(connection, "ORDER BY account, start")),
            leases=tuple(LEASES.select(connection, "ORDER BY id")),
            attempts=tuple(ATTEMPTS.select(connection, "ORDER BY id")),
            spends=tuple(SPENDS.select(connection, "ORDER BY attempt, scope")),
        )
    finally:
        connection.execute("ROLLBACK")


def apply(connection: sqlite3.Connection, put: Put) -> None:
    """Write what a step put; referenced rows first."""
    ACCOUNTS.put(connection, put.accounts.values())
    WINDOWS.put(connection, put.windows.values())
    LEASES.put(connection, put.leases.values())
    EPOCHS.put(connection, put.epochs.values())
    ATTEMPTS.put(connection, put.attempts.values())
    SPENDS.keep(connection, put.spends)
    APPROVALS.put(connection, put.approvals.values())
    OUTBOX.keep(connection, put.outbox.values())
    VIOLATIONS.add(connection, put.violations)
    RECORDS.add(connection, put.records)
    KEYS.put(connection, put.keys.values())
    PARTS.put(connection, put.parts)
    if put.edition is not None:
        connection.execute("UPDATE edition SET number = ?", (put.edition,))
    if put.published is not None:
        _publish(connection, put.published)
    connection.executemany("INSERT INTO returns (lease, serial) VALUES (?, ?)", sorted(put.returns))
    connection.executemany("INSERT INTO events (id) VALUES (?)", [(event,) for event in sorted(put.events)])


def _publish(connection: sqlite3.Connection, accounts: Sequence[rows.AccountRow]) -> None:
    ACCOUNTS.put(connection, accounts)
    connection.execute("UPDATE accounts SET published = 0 WHERE published")
    connection.executemany("UPDATE accounts SET published = 1 WHERE key = ?", [(row.key,) for row in accounts])
