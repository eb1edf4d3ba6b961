"""Roles with least rights: the hub's role writes and never rewrites the audit; a reader's role reads no secrets.

The roles are made where they are missing and this migration's role may make them. They are groups without a login: an
administrator makes the logins members of them (docs/ledger.md). Rights go away with the revision, roles stay, since
they belong to all databases of the server.
"""

from alembic import op

revision = "0002"
down_revision = "0001"

HUB = "llmgov_hub"
READER = "llmgov_reader"

_HUB = {
    "accounts": "SELECT, INSERT, UPDATE",
    "published": "SELECT, INSERT, DELETE",
    "windows": "SELECT, INSERT, UPDATE, DELETE",
    "leases": "SELECT, INSERT, UPDATE, DELETE",
    "returns": "SELECT, INSERT, DELETE",
    "epochs": "SELECT, INSERT, UPDATE, DELETE",
    "attempts": "SELECT, INSERT, UPDATE",
    "spends": "SELECT, INSERT, UPDATE (at, cost)",
    "corrections": "SELECT, INSERT",
    "approvals": "SELECT, INSERT, UPDATE",
    "outbox": "SELECT, INSERT, UPDATE (delivered)",
    "events": "SELECT, INSERT, DELETE",
    "violations": "SELECT, INSERT",
    "records": "SELECT, INSERT",
    "checkpoints": "SELECT, INSERT",
    "subject_keys": "SELECT, INSERT, DELETE",
    "parts": "SELECT, INSERT, UPDATE",
    "edition": "SELECT, UPDATE (number)",
    "ledger_epoch": "SELECT, INSERT, UPDATE",
    "lanes": "SELECT, INSERT, UPDATE, DELETE",
    "schema_version": "SELECT",
}

_READER = (
    "accounts", "published", "windows", "leases", "epochs", "attempts", "spends", "corrections", "approvals", "outbox",
    "violations", "records", "checkpoints", "parts", "edition", "ledger_epoch", "schema_version",
)  # fmt: skip

_MAKE_ROLE = """
    DO $$ BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
            CREATE ROLE {role} NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END $$
"""


def upgrade() -> None:
    """Make the roles and grant what each needs."""
    op.execute("REVOKE ALL ON SCHEMA llmgov FROM PUBLIC")
    for role in (HUB, READER):
        op.execute(_MAKE_ROLE.format(role=role))
        op.execute(f"GRANT USAGE ON SCHEMA llmgov TO {role}")
    for table, rights in _HUB.items():
        op.execute(f"GRANT {rights} ON llmgov.{table} TO {HUB}")
    for table in _READER:
        op.execute(f"GRANT SELECT ON llmgov.{table} TO {READER}")


def downgrade() -> None:
    """Take the rights back."""
    for role in (HUB, READER):
        op.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA llmgov FROM {role}")
        op.execute(f"REVOKE ALL ON SCHEMA llmgov FROM {role}")
