"""The ledger in one SQLite file: local mode, and a hub of one process."""
