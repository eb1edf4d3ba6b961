"""Stores of the ledger and the audit: PostgreSQL, SQLite and memory, under one contract."""
