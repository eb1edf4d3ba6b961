"""Approvals are found by what they cover, those that wait by their workload. Old ones that nobody decided go,
and old notices.

Rights on a table cover its new columns.
"""

from alembic import op

revision = "0008"
down_revision = "0007"

_UPGRADE = (
    "ALTER TABLE llmgov.approvals ADD COLUMN workload text COLLATE \"C\" NOT NULL DEFAULT ''",
    "CREATE INDEX approvals_digest ON llmgov.approvals (digest) WHERE digest <> ''",
    "CREATE INDEX approvals_pending ON llmgov.approvals (workload) WHERE kind = 'request' AND state = 'pending'",
    "CREATE INDEX approvals_expires ON llmgov.approvals (expires) WHERE kind = 'request' AND state = 'pending'",
    "CREATE INDEX outbox_at ON llmgov.outbox (at)",
    "CREATE INDEX outbox_undelivered ON llmgov.outbox (at, id) WHERE delivered IS NULL",
    "GRANT DELETE ON llmgov.approvals, llmgov.outbox TO llmgov_hub",
)

_DOWNGRADE = (
    "REVOKE DELETE ON llmgov.approvals, llmgov.outbox FROM llmgov_hub",
    "DROP INDEX llmgov.outbox_undelivered",
    "DROP INDEX llmgov.outbox_at",
    "DROP INDEX llmgov.approvals_expires",
    "DROP INDEX llmgov.approvals_pending",
    "DROP INDEX llmgov.approvals_digest",
    "ALTER TABLE llmgov.approvals DROP COLUMN workload",
)


def upgrade() -> None:
    """Requests that wait already count for no workload."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Forget whose requests wait."""
    for statement in _DOWNGRADE:
        op.execute(statement)
