"""Least rights: the hub's role cannot rewrite the audit, a reader cannot write or read secrets, nothing is unused."""

import asyncio
import itertools

import pytest

from llmgov.ledger.messages import Epoch
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting, recalls
from llmgov_store.postgres.store import PostgresReader
from tests.support import everything, machine, postgres

pytestmark = machine.requires("postgres")

_RIGHTS = """
    SELECT table_name, privilege_type, NULL FROM information_schema.table_privileges
    WHERE table_schema = 'llmgov' AND grantee = $1
    UNION
    SELECT table_name, privilege_type, column_name FROM information_schema.column_privileges AS columns
    WHERE table_schema = 'llmgov' AND grantee = $1 AND NOT EXISTS (
        SELECT FROM information_schema.table_privileges AS tables WHERE tables.table_schema = 'llmgov'
        AND (tables.table_name, tables.grantee, tables.privilege_type)
            = (columns.table_name, columns.grantee, columns.privilege_type))
    ORDER BY 1, 2, 3
"""


async def rights(url: str, role: str) -> list[tuple[str, str, str | None]]:
    """Table, right, and the column where it is one column's."""
    connection = await connecting.connect(url)
    try:
        return [tuple(record) for record in await connection.fetch(_RIGHTS, role)]
    finally:
        await connection.close()


@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize(
    ("table", "column"),
    [("records", "data"), ("checkpoints", "data"), ("corrections", "reason"), ("violations", "message")],
)
def test_the_hubs_role_appends_to_the_audit_and_no_more(table: str, column: str, statement: str) -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await everything.put(database.hub, 1)
            with pytest.raises(StoreError, match=f"permission denied for table {table}"):
                await postgres.execute(database.hub, statement.format(f"llmgov.{table}", column, column))

    asyncio.run(check())


@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE llmgov.windows",
        "ALTER TABLE llmgov.records ADD COLUMN x int",
        "CREATE TABLE llmgov.mine (x int)",
        "UPDATE llmgov.schema_version SET version_num = '0'",
        "UPDATE llmgov.outbox SET message = ''",
        "UPDATE llmgov.subject_keys SET secret = ''",
        "UPDATE llmgov.sums SET scope = ''",
        "DELETE FROM llmgov.attempts",
        "TRUNCATE llmgov.windows CASCADE",
    ],
)
def test_the_hubs_role_cannot(statement: str) -> None:
    async def check() -> None:
        async with postgres.database() as database:
            with pytest.raises(StoreError, match=r"permission denied|must be owner"):
                await postgres.execute(database.hub, statement)

    asyncio.run(check())


def test_a_reader_reads_all_but_secrets_and_writes_nothing() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await everything.put(database.hub, 1)
            assert await everything.read(database.reader) == await everything.read(database.hub)
            reader = await PostgresReader.open(database.reader)
            with pytest.raises(StoreError, match="permission denied for table subject_keys"):
                await reader.subject_keys()
            await reader.close()
            granted = await rights(database.owner, "llmgov_reader")
            assert {right for _, right, _ in granted} == {"SELECT"}
            assert "subject_keys" not in {table for table, _, _ in granted}

    asyncio.run(check())


def test_nobody_else_has_any_right() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            assert await rights(database.owner, "PUBLIC") == []

    asyncio.run(check())


def test_every_right_of_the_hubs_role_is_used() -> None:
    """Without any one of them, something that a hub does fails."""

    async def check() -> None:
        numbers = itertools.count(1)
        async with postgres.database() as database:
            await use(database.hub, next(numbers))
            granted = await rights(database.owner, "llmgov_hub")
            assert len(granted) > 60
            for table, right, column in granted:
                print(f"{right} on {table}")  # what is granted and not used is the last line of a failure
                what = f"{right} ({column})" if column else right
                await postgres.execute(database.owner, f"REVOKE {what} ON llmgov.{table} FROM llmgov_hub")
                with pytest.raises(StoreError, match="permission denied"):
                    await use(database.hub, next(numbers))
                await postgres.execute(database.owner, f"GRANT {what} ON llmgov.{table} TO llmgov_hub")
            await use(database.hub, next(numbers))

    asyncio.run(check())


def test_every_right_of_a_reader_is_used() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await everything.put(database.hub, 1)
            for table, right, _ in await rights(database.owner, "llmgov_reader"):
                await postgres.execute(database.owner, f"REVOKE {right} ON llmgov.{table} FROM llmgov_reader")
                with pytest.raises(StoreError, match="permission denied"):
                    await everything.read(database.reader)
                await postgres.execute(database.owner, f"GRANT {right} ON llmgov.{table} TO llmgov_reader")

    asyncio.run(check())


async def use(url: str, number: int) -> None:
    """All that a replica does: with the ledger, and with other replicas."""
    await everything.put(url, number)
    connection = await connecting.connect(url)
    try:
        with connecting.translated():
            await _recall(connection, Epoch("pod", number))
    finally:
        await connection.close()


async def _recall(connection: connecting.Connection, epoch: Epoch) -> None:
    for name in ("a", "b"):
        await recalls.introduce(connection, name, [epoch], [])
    await recalls.beat(connection, "a", 5.0)
    await recalls.ask(connection, "a", epoch.number, "key", [epoch], 5.0, 5.0)
    found = await recalls.open_recalls(connection, "b")
    await recalls.answer(connection, dict.fromkeys(found, 1))
    await recalls.answers(connection, "a")
    await recalls.withdraw(connection, "a", [epoch.number])
    await recalls.depart(connection, "b", [epoch])
    await recalls.sweep(connection, 60.0)
    await recalls.leave(connection, "b")
