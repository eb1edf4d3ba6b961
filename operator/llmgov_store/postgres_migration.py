"""Brings a database to a schema, by alembic: for `llmgov hub --migrate`, with a role that owns the schema.

Several replicas may do so at once: the first does the work while the others wait, and then find it done.
"""

import pathlib
from typing import Any, Final

import sqlalchemy
from alembic import command, config
from sqlalchemy.ext import asyncio as engines

from llmgov.ledger.store import StoreError
from llmgov_store import postgres_connection
from llmgov_store.postgres_connection import SCHEMA

NEWEST: Final = "head"
EMPTY: Final = "base"

_LOCK_SECONDS: Final = 60
_FOLDER = pathlib.Path(__file__).parent / "migrations"
_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('llmgov migration', 0))"


async def migrate(url: str, to: str = NEWEST) -> tuple[str | None, str | None]:
    """Run the revisions up or down to `to`, all of them or none; the revision before and after, `None` for none.

    Raises:
        StoreError: the database cannot be reached, the role may not do it, or tables are in use for too long.
    """
    url_arguments = postgres_connection.arguments(url, lock_timeout=f"{_LOCK_SECONDS}s", statement_timeout="0")
    url_arguments["command_timeout"] = None
    engine = engines.create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: postgres_connection.connect_with(url_arguments),
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
    connection.exec_driver_sql(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    before = _revision(connection)
    settings = config.Config(attributes={"connection": connection})
    settings.set_main_option("script_location", str(_FOLDER))
    (command.upgrade if _is_up(before, to) else command.downgrade)(settings, to)
    return before, _revision(connection)


def _is_up(before: str | None, to: str) -> bool:
    return to == NEWEST or (to != EMPTY and to >= (before or ""))


def _revision(connection: sqlalchemy.Connection) -> str | None:
    known: Any = connection.exec_driver_sql(f"SELECT to_regclass('{SCHEMA}.schema_version')").scalar()
    if known is None:
        return None
    found = connection.exec_driver_sql(f"SELECT version_num FROM {SCHEMA}.schema_version").scalar()  # noqa: S608
    return None if found is None else str(found)


def _translated(error: sqlalchemy.exc.DBAPIError) -> StoreError:
    cause = error.orig.__cause__ if error.orig is not None and error.orig.__cause__ is not None else error.orig
    return postgres_connection.translation(cause or error, "cannot migrate the ledger's database")
