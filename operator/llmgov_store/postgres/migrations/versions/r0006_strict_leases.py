"""Leases that only attempts hold from whose intents are on record before they are dispatched, and what those claim.

Rights on a table cover its new columns.
"""

from alembic import op

revision = "0006"
down_revision = "0005"

_COLUMNS = ("strict_in", "claimed")


def upgrade() -> None:
    """Of what is there, every lease is an ordinary one."""
    for column in _COLUMNS:
        op.execute(f"ALTER TABLE llmgov.leases ADD COLUMN {column} bigint NOT NULL DEFAULT 0 CHECK ({column} >= 0)")


def downgrade() -> None:
    """Those that are lost have given back what nobody claims; the others become ordinary ones."""
    for column in _COLUMNS:
        op.execute(f"ALTER TABLE llmgov.leases DROP COLUMN {column}")
