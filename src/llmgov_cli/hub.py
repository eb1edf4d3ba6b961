"""`llmgov hub --migrate`: bring the ledger's database to this version's schema, before replicas of it start.

A chart runs it as a job of its own, with the URL of a role that owns the schema; any number may run at once.
"""

import asyncio
import os
from collections.abc import Mapping
from typing import Final, TextIO

from llmgov.ledger.store import StoreError
from llmgov_cli import errors

DATABASE_URL: Final = "LLMGOV_DATABASE_URL"
"""The environment variable with the database's URL for the application's role, which may not change the schema."""

MIGRATION_URL: Final = "LLMGOV_DATABASE_MIGRATION_URL"
"""The environment variable with the URL for the role that owns the schema; used by `--migrate` alone."""


def migrate(out: TextIO, environment: Mapping[str, str] = os.environ) -> int:
    """Migrate, and say from which revision to which.

    Raises:
        CommandError: no URL is set, or the database cannot be migrated; the message holds no part of a URL.
    """
    from llmgov_store.postgres import migration

    url = environment.get(MIGRATION_URL, "")
    if not url:
        raise errors.CommandError(
            f"set {MIGRATION_URL} to the database's URL for the role that owns the schema:"
            " postgresql://USER:PASSWORD@HOST:PORT/DATABASE"
        )
    try:
        before, after = asyncio.run(migration.migrate(url))
    except StoreError as error:
        raise errors.CommandError(str(error)) from error
    if before == after:
        out.write(f"the ledger's database is at revision {after} already\n")
    else:
        out.write(f"the ledger's database was migrated from revision {before or 'none'} to {after}\n")
    return 0
