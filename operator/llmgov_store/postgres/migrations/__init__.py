"""The schema of the PostgreSQL ledger as numbered revisions, forward and back, run by alembic."""
