"""From a `Lock` to a `Book`, and from what was put to tables: the SQL of the SQLite ledger's transactions."""

import sqlite3
from collections.abc import Callable

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import rows, sums, timing
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Ended, Lock, Put, WindowLock
from llmgov.ledger.messages import Intent
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov_store.sqlite import schema
from llmgov_store.sqlite.rows import Table

ACCOUNTS = Table("accounts", rows.AccountRow, ["key"])
WINDOWS = Table("windows", rows.Window, ["account", "start"])
LEASES = Table("leases", rows.LeaseRow, ["id"])
EPOCHS = Table("epochs", rows.EpochRow, ["holder"])
ATTEMPTS = Table("attempts", rows.Attempt, ["id"])
SUMS = Table("sums", rows.Sum, ["scope", "start"])
APPROVALS = Table("approvals", rows.ApprovalRow, ["id"])
OUTBOX = Table("outbox", rows.OutboxEntry, ["id"])
VIOLATIONS = Table("violations", rows.ViolationRow, ["event", '"index"'])
RECORDS = Table("records", rows.AuditRow, ["writer", "seq"])
KEYS = Table("subject_keys", rows.SubjectKeyRow, ["subject"])
PARTS = Table("parts", rows.PartRow, ["cluster", "part", "version", "since"])
CLUSTERS = Table("clusters", rows.ClusterRow, ["cluster"])
CORRECTIONS = Table("corrections", rows.Correction, ["id"])
LEDGER_EPOCH = Table("ledger_epoch", rows.LedgerEpoch, ["only"])

_ADD = """
    INSERT INTO sums (scope, start, cost)
    VALUES (?1, ?2, ?3 + coalesce((SELECT cost FROM sums WHERE scope = ?1 AND start = ?2), 0))
    ON CONFLICT (scope, start) DO UPDATE SET cost = excluded.cost
"""
"""A check looks at what is to be inserted, before it is found to be there already: so that has to be the sum."""

_TIME = schema.ATTEMPT_TIME
ATTEMPTS_WITHIN = f"WHERE {_TIME} >= ? AND {_TIME} < ? ORDER BY {_TIME}, id"
"""What selects the attempts that count between two instants."""


def load(connection: sqlite3.Connection, lock: Lock) -> Book:
    """The rows that `lock` names. SQLite has one writer, so they are locked by being read in its transaction."""
    book = Book(
        epochs={row.holder: row for row in EPOCHS.among(connection, "holder", lock.holders)},
        attempts={row.id: row for row in ATTEMPTS.among(connection, "id", lock.attempts)},
        approvals={row.id: row for row in APPROVALS.among(connection, "id", lock.approvals)},
        keys={row.subject: row for row in KEYS.among(connection, "subject", lock.subjects)},
        returns={pair for pair in lock.returns if _returned(connection, *pair)},
        events=_known_events(connection, lock),
        edition=edition(connection) if lock.edition or lock.configuration is not None else 0,
        head=None if lock.writer is None else _head(connection, lock.writer),
        corrections={row.id: row for row in CORRECTIONS.among(connection, "id", lock.corrections)},
        ledger_epoch=ledger_epoch(connection) if lock.ledger_epoch else None,
        database=database(connection) if lock.ledger_epoch else "",
    )
    if lock.configuration is not None:
        _load_configuration(connection, book, lock.configuration)
    if lock.approval_kinds:
        kinds = APPROVALS.among(connection, "kind", (kind.value for kind in lock.approval_kinds))
        book.approvals.update((row.id, row) for row in kinds)
    for workload in lock.workloads:
        pending = APPROVALS.select(connection, f"WHERE workload = ? AND {schema.PENDING}", workload)
        book.approvals.update((row.id, row) for row in pending)
    attempts = [*(rows.Attempt(intent.id, intent) for intent in lock.intents), *book.attempts.values()]
    _load_leases(connection, book, lock, tuple(one.intent for one in attempts if one.intent is not None))
    for attempt in attempts:
        if attempt.intent is not None:
            _load_path(connection, book, attempt, attempt.intent)
    if lock.ended is not None:
        _load_ended(connection, book, lock.ended)
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


def _load_path(connection: sqlite3.Connection, book: Book, attempt: rows.Attempt, intent: Intent) -> None:
    """Every window of the intent's scopes at its time."""
    at = timing.of(attempt, intent, book.leases)
    scopes = {*intent.subject.path, *attempt.beside}
    scopes.update(book.accounts[part.key].scope for part in intent.charged if part.key in book.accounts)
    found = WINDOWS.select(
        connection,
        'WHERE scope IN (SELECT value FROM json_each(?)) AND start <= ? AND "end" > ?',
        msgspec.json.encode(sorted(scopes)).decode(),
        at,
        at,
    )
    book.windows.update(((row.account, row.start), row) for row in found)


def _load_window(connection: sqlite3.Connection, book: Book, wanted: WindowLock) -> None:
    key = (wanted.account, wanted.span.start)
    found = WINDOWS.select(connection, "WHERE account = ? AND start = ?", *key)
    if found:
        book.windows[key] = found[0]
    else:
        book.backfill[key] = spent(connection, wanted.scope, *wanted.span)
        if wanted.base:
            book.users[wanted.base, wanted.span.start] = _users(connection, wanted.base, wanted.span.start)
    approvals = APPROVALS.select(connection, "WHERE account = ? AND window_start = ?", *key)
    book.approvals.update((row.id, row) for row in approvals)


def _users(connection: sqlite3.Connection, base: str, start: Instant) -> int:
    """How many users have a window of one definition."""
    query = "SELECT count(*) FROM windows WHERE base = ? AND base <> '' AND start = ?"
    return int(connection.execute(query, (base, start)).fetchone()[0])


def _load_ended(connection: sqlite3.Connection, book: Book, ended: Ended) -> None:
    """What may be removed, oldest first."""
    windows = WINDOWS.select(
        connection,
        'WHERE "end" < ? AND leased = 0 AND unknown = 0 ORDER BY "end", account LIMIT ?',
        ended.before,
        ended.most,
    )
    for window in windows:
        book.windows[window.account, window.start] = window
        leases = LEASES.select(connection, "WHERE account = ? AND window_start = ?", window.account, window.start)
        book.leases.update((row.id, row) for row in leases)
    gone = EPOCHS.select(
        connection,
        "WHERE gone < ? AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.holder = epochs.holder"
        " AND (state = 'open' OR amount - returned - spent > 0)) ORDER BY gone, holder LIMIT ?",
        ended.before,
        ended.most,
    )
    book.epochs.update((row.holder, row) for row in gone)
    condition = f"WHERE {schema.PENDING} AND expires < ? ORDER BY expires, id LIMIT ?"
    asked = APPROVALS.select(connection, condition, ended.before, ended.most)
    book.approvals.update((row.id, row) for row in asked)
    told = connection.execute("SELECT id FROM outbox WHERE at < ? ORDER BY at, id LIMIT ?", (ended.before, ended.most))
    book.notices.update(id_ for (id_,) in told)


def _returned(connection: sqlite3.Connection, lease: str, serial: int) -> bool:
    found = connection.execute("SELECT 1 FROM returns WHERE lease = ? AND serial = ?", (lease, serial))
    return found.fetchone() is not None


def _known_events(connection: sqlite3.Connection, lock: Lock) -> set[str]:
    wanted = msgspec.json.encode(lock.events).decode()
    found = connection.execute("SELECT id FROM events WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    return {event for (event,) in found}


def _load_configuration(connection: sqlite3.Connection, book: Book, cluster: str) -> None:
    in_force = part_versions(connection, "WHERE until IS NULL")
    book.in_force = {row.part: row for row in in_force if row.cluster == cluster}
    book.others = frozenset(row.cluster for row in in_force if row.cluster != cluster)
    found = CLUSTERS.select(connection, "WHERE cluster = ?", cluster)
    book.cluster = found[0] if found else None


def part_versions(connection: sqlite3.Connection, condition: str, *values: str) -> list[rows.PartVersion]:
    """Versions of parts for which `condition` (what follows FROM) holds, without their documents."""
    query = f"SELECT cluster, part, version, since, until, actor, length(document) FROM parts {condition}"  # noqa: S608
    return [rows.PartVersion(*found) for found in connection.execute(query, values)]


def edition(connection: sqlite3.Connection) -> int:
    """The number of the configuration in force."""
    return int(connection.execute("SELECT number FROM edition").fetchone()[0])


def ledger_epoch(connection: sqlite3.Connection) -> rows.LedgerEpoch | None:
    """The ledger's epoch."""
    found = LEDGER_EPOCH.select(connection, "")
    return found[0] if found else None


def database(connection: sqlite3.Connection) -> str:
    """The file's own name. It stays when an older copy of the file is put in its place, which nothing here can see:
    who does that has to say so."""
    return str(connection.execute("SELECT name FROM database").fetchone()[0])


def _head(connection: sqlite3.Connection, writer: str) -> rows.AuditRow | None:
    found = RECORDS.select(connection, "WHERE writer = ? ORDER BY seq DESC LIMIT 1", writer)
    return found[0] if found else None


def spent(connection: sqlite3.Connection, scope: str, start: Instant, end: Instant) -> MicroUsd:
    """What attempts that count in `[start, end)` cost `scope`."""
    parts = sums.parts(Span(start, end))
    query = "SELECT coalesce(sum(cost), 0) FROM sums WHERE scope = ? AND start >= ? AND start < ?"
    cost = int(connection.execute(query, (scope, *parts.quarters)).fetchone()[0])
    rest = (row for part in parts.rest for row in ATTEMPTS.select(connection, ATTEMPTS_WITHIN, *part))
    return cost + sum(row.cost for row in rest if row.settlement is not None and scope in row.scopes)


def unfinished(connection: sqlite3.Connection, holder: str) -> list[rows.LeaseRow]:
    """The holder's leases that have money outstanding, or may still be held from, by id."""
    condition = "WHERE holder = ? AND (state = 'open' OR amount - returned - spent > 0) ORDER BY id"
    return LEASES.select(connection, condition, holder)


UNACCOUNTED = "WHERE billed > 0 OR (state = 'lost' AND amount - returned - spent > 0) ORDER BY id"
"""Leases whose cost nobody reported."""


def add_up(connection: sqlite3.Connection, begin: Callable[[Balances], Callable[[rows.Attempt], object]]) -> None:
    """Hand on everything that money is counted by, the attempts one by one, in one read transaction."""
    connection.execute("BEGIN")
    try:
        take = begin(
            Balances(
                windows=tuple(WINDOWS.select(connection, "ORDER BY account, start")),
                leases=tuple(LEASES.select(connection, "ORDER BY id")),
                sums=tuple(SUMS.select(connection, "WHERE cost <> 0 ORDER BY scope, start")),
                accounts=tuple(ACCOUNTS.select(connection, "ORDER BY key")),
                corrections=tuple(CORRECTIONS.select(connection, "ORDER BY id")),
            )
        )
        for attempt in ATTEMPTS.each(connection, "ORDER BY id"):
            take(attempt)
    finally:
        connection.execute("ROLLBACK")


def apply(connection: sqlite3.Connection, put: Put) -> None:
    """Write what a step put; referenced rows first."""
    ACCOUNTS.put(connection, put.accounts.values())
    WINDOWS.put(connection, put.windows.values())
    LEASES.put(connection, put.leases.values())
    EPOCHS.put(connection, put.epochs.values())
    ATTEMPTS.put(connection, put.attempts.values())
    changes = sums.changes(put.spends).items()
    connection.executemany(_ADD, [(*key, cost) for key, cost in changes if cost])
    APPROVALS.put(connection, put.approvals.values())
    OUTBOX.keep(connection, put.outbox.values())
    VIOLATIONS.add(connection, put.violations)
    RECORDS.add(connection, put.records)
    KEYS.put(connection, put.keys.values())
    _apply_configuration(connection, put)
    connection.executemany("INSERT INTO returns (lease, serial) VALUES (?, ?)", sorted(put.returns))
    connection.executemany("INSERT INTO events (id) VALUES (?)", [(event,) for event in sorted(put.events)])
    CORRECTIONS.add(connection, put.corrections.values())
    if put.ledger_epoch is not None:
        LEDGER_EPOCH.put(connection, [put.ledger_epoch])
    _remove(connection, put)


def _remove(connection: sqlite3.Connection, put: Put) -> None:
    for window in sorted(put.removed_windows):
        leases = "(SELECT id FROM leases WHERE account = ? AND window_start = ?)"
        connection.execute(f"DELETE FROM returns WHERE lease IN {leases}", window)  # noqa: S608 - names from code
        connection.execute("DELETE FROM leases WHERE account = ? AND window_start = ?", window)
        connection.execute("DELETE FROM windows WHERE account = ? AND start = ?", window)
        connection.execute("DELETE FROM approvals WHERE account = ? AND window_start = ? AND state = 'pending'", window)
    for holder in sorted(put.removed_holders):
        connection.execute("DELETE FROM epochs WHERE holder = ?", (holder,))
        connection.execute("DELETE FROM events WHERE id >= ? AND id < ?", (f"{holder}:", f"{holder};"))
    for table, removed in (("approvals", put.removed_approvals), ("outbox", put.removed_notices)):
        connection.executemany(f"DELETE FROM {table} WHERE id = ?", [(id_,) for id_ in sorted(removed)])  # noqa: S608


def _apply_configuration(connection: sqlite3.Connection, put: Put) -> None:
    ended = [(row.until, row.cluster, row.part, row.version, row.since) for row in put.ended_parts]
    connection.executemany(
        "UPDATE parts SET until = ? WHERE cluster = ? AND part = ? AND version = ? AND since = ?", ended
    )
    PARTS.put(connection, put.parts)
    CLUSTERS.put(connection, put.clusters.values())
    if put.edition is not None:
        connection.execute("UPDATE edition SET number = ?", (put.edition,))
    for name, accounts in put.published.items():
        ACCOUNTS.put(connection, accounts)
        connection.execute("DELETE FROM published WHERE cluster = ? AND part = ?", name)
        connection.executemany(
            "INSERT OR IGNORE INTO published VALUES (?, ?, ?)", [(*name, row.key) for row in accounts]
        )
