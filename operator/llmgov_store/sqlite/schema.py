"""The tables of the SQLite ledger, as numbered migrations: `PRAGMA user_version` says which have run.

A migration is never edited once released; a change is a new one. Sums of money cannot become negative, whatever a
defect elsewhere tries: the checks stop it.
"""

import sqlite3

from llmgov.ledger.store import StoreError

_LEDGER = """
CREATE TABLE accounts (
    key TEXT PRIMARY KEY,
    scope TEXT NOT NULL,
    account TEXT NOT NULL,
    published INTEGER NOT NULL DEFAULT 0,
    base TEXT GENERATED ALWAYS AS (json_extract(account, '$.key')) VIRTUAL
) STRICT, WITHOUT ROWID;
CREATE INDEX accounts_base ON accounts (base);

CREATE TABLE windows (
    account TEXT NOT NULL REFERENCES accounts (key),
    scope TEXT NOT NULL,
    start INTEGER NOT NULL,
    "end" INTEGER NOT NULL CHECK ("end" > start),
    nano_usd INTEGER NOT NULL,
    spent INTEGER NOT NULL CHECK (spent >= 0),
    leased INTEGER NOT NULL CHECK (leased >= 0),
    unknown INTEGER NOT NULL CHECK (unknown >= 0),
    told TEXT NOT NULL,
    PRIMARY KEY (account, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX windows_scope ON windows (scope, start);
CREATE INDEX windows_end ON windows ("end");

CREATE TABLE leases (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    window_end INTEGER NOT NULL,
    holder TEXT NOT NULL,
    number INTEGER NOT NULL,
    amount INTEGER NOT NULL CHECK (amount > 0),
    deadline INTEGER NOT NULL,
    returned INTEGER NOT NULL CHECK (returned BETWEEN 0 AND amount),
    spent INTEGER NOT NULL CHECK (spent >= 0),
    state TEXT NOT NULL,
    over INTEGER,
    FOREIGN KEY (account, window_start) REFERENCES windows (account, start)
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_unfinished ON leases (holder) WHERE state = 'open' OR amount - returned - spent > 0;
CREATE INDEX leases_open ON leases (account, window_start) WHERE state = 'open';

CREATE TABLE returns (
    lease TEXT NOT NULL REFERENCES leases (id),
    serial INTEGER NOT NULL,
    PRIMARY KEY (lease, serial)
) STRICT, WITHOUT ROWID;

CREATE TABLE epochs (
    holder TEXT PRIMARY KEY,
    number INTEGER NOT NULL,
    closed INTEGER NOT NULL,
    refused TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    intent TEXT,
    settlement TEXT,
    at INTEGER GENERATED ALWAYS AS (json_extract(intent, '$.at')) VIRTUAL
) STRICT, WITHOUT ROWID;
CREATE INDEX attempts_at ON attempts (at);

CREATE TABLE spends (
    attempt TEXT NOT NULL REFERENCES attempts (id),
    scope TEXT NOT NULL,
    at INTEGER NOT NULL,
    cost INTEGER NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (attempt, scope)
) STRICT, WITHOUT ROWID;
CREATE INDEX spends_scope ON spends (scope, at, cost);

CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    policy TEXT NOT NULL,
    summary TEXT NOT NULL,
    created INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL,
    account TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    threshold INTEGER NOT NULL,
    digest TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    decided INTEGER,
    decided_by TEXT NOT NULL,
    reason TEXT NOT NULL,
    used_by TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX approvals_window ON approvals (account, window_start);

CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    audience TEXT NOT NULL,
    about TEXT NOT NULL,
    fact TEXT NOT NULL,
    message TEXT NOT NULL,
    delivered INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE events (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

CREATE TABLE violations (
    event TEXT NOT NULL,
    "index" INTEGER NOT NULL,
    at INTEGER NOT NULL,
    policy TEXT NOT NULL,
    action TEXT NOT NULL,
    reason TEXT NOT NULL,
    message TEXT NOT NULL,
    dry_run INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    service_account TEXT NOT NULL,
    "user" TEXT,
    model TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (event, "index")
) STRICT, WITHOUT ROWID;
CREATE INDEX violations_at ON violations (at);

CREATE TABLE records (
    writer TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash TEXT NOT NULL,
    recorded INTEGER NOT NULL,
    kind TEXT NOT NULL,
    data BLOB NOT NULL,
    PRIMARY KEY (writer, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (position INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;

CREATE TABLE subject_keys (
    id TEXT NOT NULL UNIQUE,
    subject TEXT PRIMARY KEY,
    secret BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE parts (
    part TEXT NOT NULL,
    version TEXT NOT NULL,
    document BLOB NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    PRIMARY KEY (part, version, since)
) STRICT, WITHOUT ROWID;
CREATE INDEX parts_in_force ON parts (part) WHERE until IS NULL;
"""

_WHERE_VIOLATED = """
ALTER TABLE violations ADD COLUMN request_id TEXT NOT NULL DEFAULT '';
ALTER TABLE violations ADD COLUMN path TEXT;
"""

_EDITION = """
CREATE TABLE edition (only INTEGER PRIMARY KEY CHECK (only = 1), number INTEGER NOT NULL) STRICT;
INSERT INTO edition VALUES (1, 0);
"""

ATTEMPT_TIME = "coalesce(counted, json_extract(intent, '$.at'))"
"""When an attempt counts (`Attempt.time`), as the index on it has it."""

_CORRECTIONS = """
ALTER TABLE windows ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE windows ADD COLUMN base TEXT NOT NULL DEFAULT '';
CREATE INDEX windows_base ON windows (base, start) WHERE base <> '';

ALTER TABLE leases ADD COLUMN definition TEXT NOT NULL DEFAULT '';
ALTER TABLE leases ADD COLUMN billed INTEGER NOT NULL DEFAULT 0 CHECK (billed >= 0);
CREATE INDEX leases_window ON leases (account, window_start);

ALTER TABLE epochs ADD COLUMN reported TEXT NOT NULL DEFAULT '';
ALTER TABLE epochs ADD COLUMN gone INTEGER;
CREATE INDEX epochs_gone ON epochs (gone) WHERE gone IS NOT NULL;

ALTER TABLE attempts ADD COLUMN counted INTEGER;
ALTER TABLE attempts ADD COLUMN corrected INTEGER CHECK (corrected >= 0);
DROP INDEX attempts_at;
CREATE INDEX attempts_time ON attempts (coalesce(counted, json_extract(intent, '$.at')));

CREATE TABLE corrections (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason <> ''),
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    before INTEGER NOT NULL CHECK (before >= 0),
    after INTEGER NOT NULL CHECK (after >= 0),
    account TEXT NOT NULL,
    window_start INTEGER NOT NULL,
    path TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX corrections_at ON corrections (at);

CREATE TABLE ledger_epoch (
    only INTEGER NOT NULL UNIQUE CHECK (only = 1) DEFAULT 1,
    id TEXT NOT NULL,
    generation INTEGER NOT NULL,
    since INTEGER NOT NULL,
    open INTEGER NOT NULL
) STRICT;
CREATE TABLE database (name TEXT NOT NULL) STRICT;
INSERT INTO database VALUES (lower(hex(randomblob(16))));
"""

_GIVEN_EPOCHS = """
ALTER TABLE epochs ADD COLUMN given INTEGER NOT NULL DEFAULT 0;
"""

_SUMS = """
CREATE TABLE sums (
    scope TEXT NOT NULL,
    start INTEGER NOT NULL,
    cost INTEGER NOT NULL CHECK (cost >= 0),
    PRIMARY KEY (scope, start)
) STRICT, WITHOUT ROWID;
INSERT INTO sums
SELECT scope, at - at % 900000000, sum(cost) FROM spends WHERE cost > 0 GROUP BY scope, at - at % 900000000;

ALTER TABLE attempts ADD COLUMN beside TEXT NOT NULL DEFAULT '[]';
UPDATE attempts SET beside = (
    SELECT json_group_array(scope) FROM spends WHERE attempt = attempts.id
    AND scope NOT IN (SELECT value FROM json_each(attempts.intent, '$.subject.path'))
) WHERE id IN (SELECT attempt FROM spends);
DROP TABLE spends;
"""

_STRICT_LEASES = """
ALTER TABLE leases ADD COLUMN strict_in INTEGER NOT NULL DEFAULT 0 CHECK (strict_in >= 0);
ALTER TABLE leases ADD COLUMN claimed INTEGER NOT NULL DEFAULT 0 CHECK (claimed >= 0);
"""

_CLUSTERS = """
CREATE TABLE clusters (
    cluster TEXT PRIMARY KEY,
    term INTEGER NOT NULL CHECK (term >= 0),
    holder TEXT NOT NULL,
    claimed INTEGER NOT NULL,
    changed INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE parts_by_cluster (
    cluster TEXT NOT NULL,
    part TEXT NOT NULL,
    version TEXT NOT NULL,
    document BLOB NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER,
    actor TEXT NOT NULL,
    PRIMARY KEY (cluster, part, version, since)
) STRICT;
INSERT INTO parts_by_cluster SELECT coalesce((
    SELECT json_extract(CAST(document AS TEXT), '$.cluster') FROM parts WHERE part = 'organization'
    ORDER BY since DESC LIMIT 1
), ''), part, version, document, since, until, '' FROM parts;
DROP TABLE parts;
ALTER TABLE parts_by_cluster RENAME TO parts;
CREATE INDEX parts_in_force ON parts (cluster, part) WHERE until IS NULL;
CREATE INDEX parts_since ON parts (since);
INSERT INTO clusters SELECT cluster, 0, '', 0, max(max(since), coalesce(max(until), 0)) FROM parts GROUP BY cluster;

CREATE TABLE published (
    cluster TEXT NOT NULL,
    part TEXT NOT NULL,
    key TEXT NOT NULL REFERENCES accounts (key),
    PRIMARY KEY (cluster, part, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX published_key ON published (key);
INSERT INTO published SELECT DISTINCT parts.cluster, parts.part, json_extract(account.value, '$.key')
FROM parts, json_each(CAST(parts.document AS TEXT), '$.accounts') AS account WHERE parts.until IS NULL;
ALTER TABLE accounts DROP COLUMN published;
"""

PENDING = "kind = 'request' AND state = 'pending'"
"""Approvals of requests that wait for a decision, as the index on them has it."""

_ASKED = f"""
ALTER TABLE approvals ADD COLUMN workload TEXT NOT NULL DEFAULT '';
CREATE INDEX approvals_digest ON approvals (digest) WHERE digest <> '';
CREATE INDEX approvals_pending ON approvals (workload) WHERE {PENDING};
CREATE INDEX approvals_expires ON approvals (expires) WHERE {PENDING};
CREATE INDEX outbox_at ON outbox (at);
CREATE INDEX outbox_undelivered ON outbox (at, id) WHERE delivered IS NULL;
"""

_ASKED_BY = """
ALTER TABLE approvals ADD COLUMN "user" TEXT NOT NULL DEFAULT '';
CREATE INDEX approvals_kind ON approvals (kind);
CREATE INDEX approvals_created ON approvals (created DESC, id) WHERE kind = 'request';
CREATE INDEX approvals_decided ON approvals (expires) WHERE kind = 'request' AND state <> 'pending';
"""

MIGRATIONS = (
    _LEDGER,
    _WHERE_VIOLATED,
    _EDITION,
    _CORRECTIONS,
    _GIVEN_EPOCHS,
    _SUMS,
    _STRICT_LEASES,
    _CLUSTERS,
    _ASKED,
    _ASKED_BY,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest schema, in one transaction.

    Raises:
        StoreError: it was written by a newer version of this software.
        sqlite3.Error: the database is locked beyond its timeout, or no database.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = schema_version(connection)
        for statement in (line for script in MIGRATIONS[version:] for line in _statements(script)):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def schema_version(connection: sqlite3.Connection) -> int:
    """How many migrations have run.

    Raises:
        StoreError: more than this software knows.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StoreError(f"the ledger has schema {version}; this version of llmgov knows {len(MIGRATIONS)}")
    return version


def _statements(script: str) -> list[str]:
    return [statement for statement in script.split(";\n") if statement.strip()]
