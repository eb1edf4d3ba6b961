"""Approvals that wait are counted by the verified user whose request it is, too. Directories are read by index."""

from alembic import op

revision = "0009"
down_revision = "0008"

_UPGRADE = (
    'ALTER TABLE llmgov.approvals ADD COLUMN "user" text COLLATE "C" NOT NULL DEFAULT \'\'',
    "CREATE INDEX approvals_created ON llmgov.approvals (created DESC, id) WHERE kind = 'request'",
    "CREATE INDEX approvals_decided ON llmgov.approvals (expires) WHERE kind = 'request' AND state <> 'pending'",
)

_DOWNGRADE = (
    "DROP INDEX llmgov.approvals_decided",
    "DROP INDEX llmgov.approvals_created",
    'ALTER TABLE llmgov.approvals DROP COLUMN "user"',
)


def upgrade() -> None:
    """Requests that wait already count for their workload alone."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Forget which user's requests wait."""
    for statement in _DOWNGRADE:
        op.execute(statement)
