"""Brings a database to a schema, by alembic: for `llmgov hub --migrate`, with a role that owns the schema.

Several replicas may do so at once: the first does the work while the others wait, and then find it done. All revisions
run in one transaction, so that a database is at one or at the other, whatever happens.
"""

import pathlib
from typing import Any, Final

import asyncpg
import sqlalchemy
from alembic import command, config
from sqlalchemy.ext import asyncio as engines

from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting
from llmgov_store.postgres.connecting import SCHEMA

NEWEST: Final = "head"
EMPTY: Final = "base"

_LOCK_SECONDS: Final = 60
"""How long to wait for another migration, and for what reads and writes the tables meanwhile."""

_FOLDER = pathlib.Path(__file__).parent / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('llmgov migration', 0))"
_MIGRATING = "cannot migrate the ledger's database"


async def migrate(url: str, to: str = NEWEST) -> tuple[str | None, str | None]:
    """Run the revisions up or down to `to`, all of them or none; the revision before and after, `None` for none.

    Raises:
        StoreError: the database cannot be reached or is at a revision that this version does not know, the role may
            not do it, or tables are in use for too long.
    """
    given = connecting.arguments(url, lock_timeout=f"{_LOCK_SECONDS}s", statement_timeout="0")
    engine = engines.create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: connecting.connect_with({**given, "command_timeout": None}),
        poolclass=sqlalchemy.NullPool,
    )
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(_migrate, to)
    except sqlalchemy.exc.DBAPIError as error:
        raise _translated(error) from error
    finally:
        await engine.dispose()


def _migrate(connection: sqlalchemy.Connection, to: str) -> tuple[str | None, str | None]:
    connection.exec_driver_sql(_LOCK)
    if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
        raise StoreError(f"{_MIGRATING}: its encoding is not UTF8; create it with ENCODING 'UTF8' TEMPLATE template0")
    before = _revision(connection)
    if before is not None and before not in revisions():
        raise StoreError(f"{_MIGRATING}: it has revision {before}, which a newer version of llmgov made")
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    settings = config.Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(_FOLDER))
    (command.upgrade if _is_up(before, to) else command.downgrade)(settings, to)
    return before, _revision(connection)


def revisions() -> list[str]:
    """All revisions, oldest first: the files' names say them."""
    return sorted(path.name[1:5] for path in (_FOLDER / "versions").glob("r[0-9]*.py"))


def _is_up(before: str | None, to: str) -> bool:
    return to == NEWEST or (to != EMPTY and to >= (before or ""))


def _revision(connection: sqlalchemy.Connection) -> str | None:
    known: Any = connection.exec_driver_sql(f"SELECT to_regclass('{SCHEMA}.schema_version')").scalar()
    if known is None:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {SCHEMA}.schema_version").scalar()  # noqa: S608
    return None if found is None else str(found)


def _translated(error: sqlalchemy.exc.DBAPIError) -> StoreError:
    """SQLAlchemy wraps what asyncpg raised twice."""
    cause = error.orig.__cause__ if error.orig is not None else None
    translated = connecting.translation(cause or error, _MIGRATING)
    if isinstance(cause, asyncpg.InsufficientPrivilegeError):
        return StoreError(f"{translated}; docs/ledger.md says what the role needs")
    return translated
