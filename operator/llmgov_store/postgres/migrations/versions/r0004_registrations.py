"""Numbers of boots that were given out and not used yet: a registration alone fences nobody.

Rights on a table cover its new columns.
"""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Of what is there, every number is in use."""
    op.execute("ALTER TABLE llmgov.epochs ADD COLUMN given bigint NOT NULL DEFAULT 0")


def downgrade() -> None:
    """A boot that has not acted registers anew when it is started anew."""
    op.execute("UPDATE llmgov.epochs SET number = greatest(number, given)")
    op.execute("ALTER TABLE llmgov.epochs DROP COLUMN given")
