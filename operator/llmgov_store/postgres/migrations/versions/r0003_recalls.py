"""What the replicas of a hub tell each other: which sidecars are connected where, and what is asked back of them.

The tables are unlogged: all they say is known to the replicas, which say it again when the tables were emptied.
"""

from alembic import op

revision = "0003"
down_revision = "0002"

_STATEMENTS = (
    """
    CREATE UNLOGGED TABLE llmgov.hub_replicas (
        name text PRIMARY KEY CHECK (length(name) BETWEEN 1 AND 253),
        seen timestamptz NOT NULL
    )
    """,
    """
    CREATE UNLOGGED TABLE llmgov.hub_connections (
        holder text NOT NULL,
        epoch bigint NOT NULL,
        replica text NOT NULL,
        PRIMARY KEY (holder, epoch)
    )
    """,
    "CREATE INDEX hub_connections_replica ON llmgov.hub_connections (replica)",
    """
    CREATE UNLOGGED TABLE llmgov.hub_recalls (
        asker text NOT NULL,
        number bigint NOT NULL,
        holder text NOT NULL,
        epoch bigint NOT NULL,
        account text NOT NULL,
        until timestamptz NOT NULL,
        amount bigint CHECK (amount >= 0),
        PRIMARY KEY (asker, number, holder, epoch)
    )
    """,
    "CREATE INDEX hub_recalls_open ON llmgov.hub_recalls (holder, epoch) WHERE amount IS NULL",
    "CREATE INDEX hub_recalls_until ON llmgov.hub_recalls (until)",
)

_TABLES = ("hub_replicas", "hub_connections", "hub_recalls")


def upgrade() -> None:
    """Make the tables, for the hub alone."""
    for statement in _STATEMENTS:
        op.execute(statement)
    for table in _TABLES:
        op.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON llmgov.{table} TO llmgov_hub")


def downgrade() -> None:
    """Drop them: the replicas fill them anew."""
    for table in _TABLES:
        op.execute(f"DROP TABLE llmgov.{table}")
