"""The ledger in PostgreSQL: its store, its clock, its migrations, and the bus between replicas."""
