"""Stores of the ledger and the audit: SQLite and memory, under one contract."""
