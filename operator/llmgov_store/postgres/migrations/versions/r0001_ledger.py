"""The ledger's tables. Sums of money cannot become negative, whatever a defect elsewhere tries: the checks stop it.

Keys are compared byte by byte (`COLLATE "C"`), as every other store orders them. Tables whose rows change often leave
room in their pages, so that a change of a sum writes no index. Spends name attempts without a foreign key: it would
double what writing them takes, and docs/ledger.md has the query.
"""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = {
    "accounts": """
        key text COLLATE "C" PRIMARY KEY,
        scope text COLLATE "C" NOT NULL,
        account jsonb NOT NULL,
        base text COLLATE "C" GENERATED ALWAYS AS (account ->> 'key') STORED
    """,
    "published": """
        key text COLLATE "C" PRIMARY KEY REFERENCES accounts (key)
    """,
    "windows": """
        account text COLLATE "C" NOT NULL REFERENCES accounts (key),
        scope text COLLATE "C" NOT NULL,
        start bigint NOT NULL,
        "end" bigint NOT NULL CHECK ("end" > start),
        nano_usd bigint NOT NULL,
        spent bigint NOT NULL CHECK (spent >= 0),
        leased bigint NOT NULL CHECK (leased >= 0),
        unknown bigint NOT NULL CHECK (unknown >= 0),
        told jsonb NOT NULL,
        currency text NOT NULL,
        base text COLLATE "C" NOT NULL,
        PRIMARY KEY (account, start)
    """,
    "leases": """
        id text COLLATE "C" PRIMARY KEY,
        account text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        window_end bigint NOT NULL,
        holder text COLLATE "C" NOT NULL,
        number bigint NOT NULL,
        amount bigint NOT NULL CHECK (amount > 0),
        deadline bigint NOT NULL,
        returned bigint NOT NULL CHECK (returned BETWEEN 0 AND amount),
        spent bigint NOT NULL CHECK (spent >= 0),
        state text NOT NULL CHECK (state IN ('open', 'final', 'lost')),
        over bigint,
        definition text NOT NULL,
        billed bigint NOT NULL CHECK (billed >= 0),
        unfinished boolean GENERATED ALWAYS AS (state = 'open' OR amount - returned - spent > 0) STORED,
        FOREIGN KEY (account, window_start) REFERENCES windows (account, start)
    """,
    "returns": """
        lease text COLLATE "C" NOT NULL REFERENCES leases (id),
        serial bigint NOT NULL,
        PRIMARY KEY (lease, serial)
    """,
    "epochs": """
        holder text COLLATE "C" PRIMARY KEY,
        number bigint NOT NULL,
        closed bigint NOT NULL,
        refused jsonb NOT NULL,
        reported text NOT NULL,
        gone bigint
    """,
    "attempts": """
        id text COLLATE "C" PRIMARY KEY,
        intent jsonb,
        settlement jsonb,
        counted bigint,
        corrected bigint CHECK (corrected >= 0),
        time bigint GENERATED ALWAYS AS (coalesce(counted, (intent ->> 'at')::bigint)) STORED
    """,
    "spends": """
        attempt text COLLATE "C" NOT NULL,
        scope text COLLATE "C" NOT NULL,
        at bigint NOT NULL,
        cost bigint NOT NULL CHECK (cost >= 0),
        PRIMARY KEY (attempt, scope)
    """,
    "corrections": """
        id text COLLATE "C" PRIMARY KEY,
        at bigint NOT NULL,
        actor text NOT NULL,
        reason text NOT NULL CHECK (reason <> ''),
        kind text NOT NULL,
        subject text NOT NULL,
        before bigint NOT NULL CHECK (before >= 0),
        after bigint NOT NULL CHECK (after >= 0),
        account text NOT NULL,
        window_start bigint NOT NULL,
        path jsonb NOT NULL
    """,
    "approvals": """
        id text COLLATE "C" PRIMARY KEY,
        kind text NOT NULL,
        policy text NOT NULL,
        summary text NOT NULL,
        created bigint NOT NULL,
        expires bigint NOT NULL,
        state text NOT NULL,
        account text COLLATE "C" NOT NULL,
        window_start bigint NOT NULL,
        threshold bigint NOT NULL,
        digest text NOT NULL,
        requested_by text NOT NULL,
        decided bigint,
        decided_by text NOT NULL,
        reason text NOT NULL,
        used_by text NOT NULL
    """,
    "outbox": """
        id text COLLATE "C" PRIMARY KEY,
        at bigint NOT NULL,
        audience text NOT NULL,
        about text NOT NULL,
        fact text NOT NULL,
        message text NOT NULL,
        delivered bigint
    """,
    "events": """
        id text COLLATE "C" PRIMARY KEY
    """,
    "violations": """
        event text COLLATE "C" NOT NULL,
        "index" bigint NOT NULL,
        at bigint NOT NULL,
        policy text NOT NULL,
        action text NOT NULL,
        reason text NOT NULL,
        message text NOT NULL,
        dry_run boolean NOT NULL,
        namespace text NOT NULL,
        service_account text NOT NULL,
        "user" text,
        model text NOT NULL,
        count bigint NOT NULL,
        request_id text NOT NULL,
        path text,
        PRIMARY KEY (event, "index")
    """,
    "records": """
        writer text COLLATE "C" NOT NULL,
        seq bigint NOT NULL,
        hash text NOT NULL,
        recorded bigint NOT NULL,
        kind text NOT NULL,
        data bytea NOT NULL,
        PRIMARY KEY (writer, seq)
    """,
    "checkpoints": """
        position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        data bytea NOT NULL
    """,
    "subject_keys": """
        id text COLLATE "C" NOT NULL UNIQUE,
        subject text COLLATE "C" PRIMARY KEY,
        secret bytea NOT NULL
    """,
    "parts": """
        part text COLLATE "C" NOT NULL,
        version text COLLATE "C" NOT NULL,
        document bytea NOT NULL,
        since bigint NOT NULL,
        until bigint,
        PRIMARY KEY (part, version, since)
    """,
    "edition": """
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        number bigint NOT NULL
    """,
    "ledger_epoch": """
        only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
        id text NOT NULL,
        generation bigint NOT NULL,
        since bigint NOT NULL,
        open boolean NOT NULL
    """,
    "lanes": """
        id uuid PRIMARY KEY,
        batch bigint NOT NULL,
        at timestamptz NOT NULL DEFAULT now()
    """,
}

_OFTEN_CHANGED = ("windows", "leases", "epochs", "attempts", "lanes")

_INDEXES = (
    "CREATE INDEX accounts_base ON llmgov.accounts (base)",
    'CREATE INDEX windows_scope ON llmgov.windows (scope, "end")',
    'CREATE INDEX windows_end ON llmgov.windows ("end")',
    "CREATE INDEX windows_base ON llmgov.windows (base, start) WHERE base <> ''",
    "CREATE INDEX leases_unfinished ON llmgov.leases (holder) WHERE unfinished",
    "CREATE INDEX leases_open ON llmgov.leases (account, window_start) WHERE state = 'open'",
    "CREATE INDEX leases_unaccounted ON llmgov.leases (id) WHERE billed > 0 OR state = 'lost'",
    "CREATE INDEX leases_window ON llmgov.leases (account, window_start)",
    "CREATE INDEX epochs_gone ON llmgov.epochs (gone) WHERE gone IS NOT NULL",
    "CREATE INDEX attempts_time ON llmgov.attempts (time)",
    "CREATE INDEX corrections_at ON llmgov.corrections (at)",
    "CREATE INDEX spends_scope ON llmgov.spends (scope, at) INCLUDE (cost)",
    "CREATE INDEX approvals_window ON llmgov.approvals (account, window_start)",
    "CREATE INDEX approvals_kind ON llmgov.approvals (kind)",
    "CREATE INDEX violations_at ON llmgov.violations (at)",
    "CREATE INDEX parts_in_force ON llmgov.parts (part) WHERE until IS NULL",
)


def upgrade() -> None:
    """Make the tables."""
    for name, columns in _TABLES.items():
        op.execute(f"CREATE TABLE llmgov.{name} ({columns})")
    for name in _OFTEN_CHANGED:
        op.execute(f"ALTER TABLE llmgov.{name} SET (fillfactor = 60)")
    for index in _INDEXES:
        op.execute(index)
    op.execute("INSERT INTO llmgov.edition (number) VALUES (0)")


def downgrade() -> None:
    """Drop the ledger with everything in it."""
    for name in reversed(_TABLES):
        op.execute(f"DROP TABLE llmgov.{name}")
