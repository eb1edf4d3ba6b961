"""Several clusters in one ledger: each has parts, accounts in force and a publisher's term of its own.

Which accounts are in force is known by part, so that a part that stays as it is keeps its own. Rights on a table cover
its new columns.
"""

import json

import sqlalchemy
from alembic import op

revision = "0007"
down_revision = "0006"

_CLUSTERS = """
    CREATE TABLE llmgov.clusters (
        cluster text COLLATE "C" PRIMARY KEY,
        term bigint NOT NULL CHECK (term >= 0),
        holder text NOT NULL,
        claimed bigint NOT NULL,
        changed bigint NOT NULL
    )
"""

_UPGRADE = (
    """ALTER TABLE llmgov.parts ADD COLUMN cluster text COLLATE "C" NOT NULL DEFAULT ''""",
    "ALTER TABLE llmgov.parts ADD COLUMN actor text NOT NULL DEFAULT ''",
    "ALTER TABLE llmgov.parts DROP CONSTRAINT parts_pkey",
    "ALTER TABLE llmgov.parts ADD PRIMARY KEY (cluster, part, version, since)",
    "DROP INDEX llmgov.parts_in_force",
    "CREATE INDEX parts_in_force ON llmgov.parts (cluster, part) WHERE until IS NULL",
    "CREATE INDEX parts_since ON llmgov.parts (since)",
    """ALTER TABLE llmgov.published ADD COLUMN cluster text COLLATE "C" NOT NULL DEFAULT ''""",
    """ALTER TABLE llmgov.published ADD COLUMN part text COLLATE "C" NOT NULL DEFAULT ''""",
    "ALTER TABLE llmgov.published DROP CONSTRAINT published_pkey",
    "ALTER TABLE llmgov.published ADD PRIMARY KEY (cluster, part, key)",
    "CREATE INDEX published_key ON llmgov.published (key)",
    "GRANT SELECT, INSERT, UPDATE ON llmgov.clusters TO llmgov_hub",
)

_FILL_CLUSTERS = """
    INSERT INTO llmgov.clusters
    SELECT cluster, 0, '', 0, greatest(max(since), max(until)) FROM llmgov.parts GROUP BY cluster
"""

_LATEST = "SELECT document FROM llmgov.parts WHERE part = 'organization' ORDER BY since DESC LIMIT 1"
_IN_FORCE = "SELECT part, document FROM llmgov.parts WHERE until IS NULL"

_DOWNGRADE = (
    "DELETE FROM llmgov.parts WHERE cluster <> :kept",
    "ALTER TABLE llmgov.parts DROP COLUMN cluster",  # and with it the key and the index
    "ALTER TABLE llmgov.parts DROP COLUMN actor",
    "ALTER TABLE llmgov.parts ADD PRIMARY KEY (part, version, since)",
    "CREATE INDEX parts_in_force ON llmgov.parts (part) WHERE until IS NULL",
    "DROP INDEX llmgov.parts_since",
    "CREATE TEMPORARY TABLE kept ON COMMIT DROP AS SELECT DISTINCT key FROM llmgov.published WHERE cluster = :kept",
    "DELETE FROM llmgov.published",
    "ALTER TABLE llmgov.published DROP COLUMN cluster",
    "ALTER TABLE llmgov.published DROP COLUMN part",
    "ALTER TABLE llmgov.published ADD PRIMARY KEY (key)",
    "INSERT INTO llmgov.published SELECT key FROM kept",
    "DROP INDEX IF EXISTS llmgov.published_key",
    "DROP TABLE llmgov.clusters",
)

_KEPT = (
    "SELECT coalesce(max(cluster), '') FROM llmgov.clusters WHERE changed = (SELECT max(changed) FROM llmgov.clusters)"
)


def upgrade() -> None:
    """What is there belongs to the cluster that its organization's part names."""
    op.execute(_CLUSTERS)
    for statement in _UPGRADE:
        op.execute(statement)
    connection = op.get_bind()
    latest = connection.execute(sqlalchemy.text(_LATEST)).scalar()
    cluster = _escaped(json.loads(latest)["cluster"]) if latest else ""
    connection.execute(sqlalchemy.text("UPDATE llmgov.parts SET cluster = :cluster"), {"cluster": cluster})
    op.execute(_FILL_CLUSTERS)
    _fill_published(connection, cluster)


def _fill_published(connection: sqlalchemy.Connection, cluster: str) -> None:
    """From the documents in force, where these can be read and name an account that is known."""
    known = set(connection.execute(sqlalchemy.text("DELETE FROM llmgov.published RETURNING key")).scalars())
    found = {
        (part, key)
        for part, document in connection.execute(sqlalchemy.text(_IN_FORCE))
        for key in (_escaped(account["key"]) for account in json.loads(document).get("accounts", ()))
        if key in known
    }
    for part, key in sorted(found):
        connection.execute(
            sqlalchemy.text("INSERT INTO llmgov.published (cluster, part, key) VALUES (:cluster, :part, :key)"),
            {"cluster": cluster, "part": part, "key": key},
        )


def _escaped(text: str) -> str:
    """As the ledger stores text that holds NUL."""
    return text.replace("\x1a", "\x1a1").replace("\x00", "\x1a0")


def downgrade() -> None:
    """The older software knows one cluster: the one whose configuration changed last stays, the others' are lost."""
    connection = op.get_bind()
    kept = connection.execute(sqlalchemy.text(_KEPT)).scalar()
    for statement in _DOWNGRADE:
        connection.execute(sqlalchemy.text(statement), {"kept": kept} if ":kept" in statement else {})
