"""Which schema this version of the software works with, and the sentence for a database that has another one."""

from typing import Final

from llmgov.ledger.store import StoreError
from llmgov_store.postgres.connecting import SCHEMA, Connection, translated

REVISION: Final = "0009"
"""The newest revision in `migrations/versions`."""


async def check(connection: Connection) -> None:
    """Refuse a database that was not migrated, or by another version.

    Raises:
        StoreError: with what to do.
    """
    with translated():
        known = await connection.fetchval("SELECT to_regclass($1)", f"{SCHEMA}.schema_version")
        found = known and await connection.fetchval("SELECT version_num FROM schema_version")
    if not found:
        raise StoreError("the database holds no ledger: run `llmgov hub --migrate` once")
    if found < REVISION:
        raise StoreError(f"the ledger has schema {found}, this version of llmgov needs {REVISION}: run"
                         " `llmgov hub --migrate`")  # fmt: skip
    if found > REVISION:
        raise StoreError(f"the ledger has schema {found}, this version of llmgov knows {REVISION}: install a newer one")


async def life(connection: Connection) -> str:
    """The database's name for its life: the server's system id and timeline, which a failover and a backup change.

    Raises:
        StoreError: the server is a standby, which has no timeline of its own.
    """
    with translated("the ledger's database is no primary server"):
        return str(await connection.fetchval(_LIFE))


_LIFE = """
    SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) FROM pg_control_system()
"""
