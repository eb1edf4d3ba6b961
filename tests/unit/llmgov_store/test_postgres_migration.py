"""The revisions of the PostgreSQL schema: forward and back, one by one, with data, by several at once."""

import asyncio

import pytest
from alembic import script

from llmgov import instants, snapshot
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, ClusterRow, EpochRow, PartRow
from llmgov.ledger.store import StoreError
from llmgov.snapshot import OrganizationPart, Target, TargetKind
from llmgov_store.postgres import connecting, migration, schema
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import everything, ledgers, machine, postgres

pytestmark = machine.requires("postgres")

_COLUMNS = """
    SELECT table_name, column_name, data_type, is_nullable, coalesce(column_default, ''), coalesce(collation_name, '')
    FROM information_schema.columns WHERE table_schema = 'llmgov'
"""
_INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'llmgov'"
_CHECKS = "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
_RIGHTS = """
    SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges
    WHERE table_schema = 'llmgov' AND grantee LIKE 'llmgov%'
"""


async def schema_of(url: str) -> list[list[tuple[object, ...]]]:
    """Everything that a revision makes."""
    connection = await connecting.connect(url)
    try:
        found = [await connection.fetch(query) for query in (_COLUMNS, _INDEXES, _CHECKS, _RIGHTS)]
        return [sorted(tuple(record) for record in records) for records in found]
    finally:
        await connection.close()


def test_the_revisions_are_numbered_without_a_gap_and_the_software_knows_the_last() -> None:
    found = migration.revisions()
    assert found == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert found[-1] == schema.REVISION
    folder = script.ScriptDirectory(str(migration._FOLDER))
    assert [each.revision for each in folder.walk_revisions()] == found[::-1]


@pytest.mark.parametrize("revision", migration.revisions())
def test_each_revision_alone_goes_back_to_what_was_before(revision: str) -> None:
    async def check() -> None:
        async with postgres.database(migrated=False) as database:
            known = migration.revisions()
            before = known[known.index(revision) - 1] if revision != known[0] else migration.EMPTY
            await migration.migrate(database.owner, known[0])
            await migration.migrate(database.owner, before)
            at_first = await schema_of(database.owner)
            assert (await migration.migrate(database.owner, revision))[1] == revision
            migrated = await schema_of(database.owner)
            assert migrated != at_first
            await migration.migrate(database.owner, before)
            assert await schema_of(database.owner) == at_first
            await migration.migrate(database.owner, revision)
            assert await schema_of(database.owner) == migrated

    asyncio.run(check())


def test_a_database_with_data_goes_back_and_forth_with_it() -> None:
    """Down to the first revision, the tables themselves, and up again."""

    async def check() -> None:
        async with postgres.database() as database:
            await everything.put(database.hub, 1)
            before = await everything.read(database.owner)
            first = migration.revisions()[0]
            assert await migration.migrate(database.owner, first) == (schema.REVISION, first)
            assert await migration.migrate(database.owner) == (first, schema.REVISION)
            assert await everything.read(database.owner) == before
            await everything.put(database.hub, 2)

    asyncio.run(check())


def test_down_to_nothing_and_up_again_is_an_empty_ledger() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await everything.put(database.hub, 1)
            await migration.migrate(database.owner, migration.EMPTY)
            columns, *_ = await schema_of(database.owner)
            assert {table for table, *_ in columns} == {"schema_version"}
            await migration.migrate(database.owner)
            reader = await PostgresReader.open(database.hub)
            assert await reader.writers() == []
            await reader.close()

    asyncio.run(check())


def test_replicas_that_migrate_at_once_do_it_once() -> None:
    async def check() -> None:
        async with postgres.database(migrated=False) as database:
            done = await asyncio.gather(*(migration.migrate(database.owner) for _ in range(4)))
            newest = schema.REVISION
            assert sorted(done, key=str) == [(newest, newest)] * 3 + [(None, newest)]

    asyncio.run(check())


def test_a_revision_that_fails_leaves_the_one_before() -> None:
    async def check() -> None:
        async with postgres.database(migrated=False) as database:
            await postgres.execute(database.owner, "CREATE SCHEMA llmgov", "CREATE TABLE llmgov.lanes (x int)")
            before = await schema_of(database.owner)
            with pytest.raises(StoreError, match='relation "lanes" already exists'):
                await migration.migrate(database.owner)
            assert await schema_of(database.owner) == before

    asyncio.run(check())


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [
        (None, "holds no ledger: run `llmgov hub --migrate` once"),
        ("0001", f"has schema 0001, this version of llmgov needs {schema.REVISION}: run `llmgov hub"),
        ("9999", f"has schema 9999, this version of llmgov knows {schema.REVISION}: install a newer one"),
    ],
    ids=["no schema at all", "an older one", "a newer one"],
)
def test_a_database_of_another_schema_is_refused_with_what_to_do(revision: str | None, sentence: str) -> None:
    async def check() -> None:
        async with postgres.database(migrated=revision is not None) as database:
            if revision is not None:
                claim = f"UPDATE llmgov.schema_version SET version_num = '{revision}'"  # noqa: S608
                await postgres.execute(database.owner, claim)
            for kind in (PostgresReader, PostgresStore):
                with pytest.raises(StoreError, match=sentence):
                    await kind.open(database.owner)
            if revision == "9999":
                with pytest.raises(StoreError, match="which a newer version of llmgov made"):
                    await migration.migrate(database.owner)

    asyncio.run(check())


def test_a_store_that_is_open_refuses_a_schema_that_changed_when_it_connects_again() -> None:
    def step(book: Book) -> None:
        book.put_epoch(EpochRow("pod", 1))

    async def check() -> None:
        async with postgres.database() as database:
            store = await PostgresStore.open(database.hub)
            await store.transact(Lock(), step)
            await postgres.execute(
                database.owner,
                "UPDATE llmgov.schema_version SET version_num = '9999'",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            with pytest.raises(StoreError):
                await store.transact(Lock(), step)
            with pytest.raises(StoreError, match="install a newer one"):
                await store.transact(Lock(), step)
            await store.close()

    asyncio.run(check())


def test_a_role_that_may_not_migrate_is_told_so() -> None:
    async def check() -> None:
        async with postgres.database(migrated=False) as database:
            with pytest.raises(StoreError, match=r"permission denied for database .*; docs/ledger.md says"):
                await migration.migrate(database.hub)

    asyncio.run(check())


def test_a_database_that_cannot_hold_every_text_is_refused() -> None:
    async def check() -> None:
        async with postgres.database(migrated=False, encoding="LATIN1") as database:
            with pytest.raises(StoreError, match="its encoding is not UTF8"):
                await migration.migrate(database.owner)

    asyncio.run(check())


def test_the_error_of_a_migration_names_no_password() -> None:
    for url in ("postgresql://me:hunter2@127.0.0.1:1/x", "postgresql://me:hunter2/x@host:y/x", "mysql://me:hunter2@x"):
        with pytest.raises(StoreError) as caught:
            asyncio.run(migration.migrate(url))
        assert "hunter2" not in str(caught.value)


_SPENDS = "SELECT attempt, scope, at, cost FROM llmgov.spends ORDER BY attempt, scope"
_SUMS = "SELECT scope, start, cost FROM llmgov.sums ORDER BY scope, start"
_BESIDE = "SELECT id, beside FROM llmgov.attempts WHERE beside <> '[]'"


async def rows_of(url: str, query: str) -> list[tuple[object, ...]]:
    connection = await connecting.connect(url)
    try:
        return [tuple(record) for record in await connection.fetch(query)]
    finally:
        await connection.close()


def test_spends_become_sums_and_are_made_again_from_attempts() -> None:
    """Of revision 0004: one attempt counts for a key beside its path, one was corrected, one is not settled."""
    quarter, other = (instants.from_rfc3339(f"2026-11-24T08:{minute}:00Z") for minute in ("15", "30"))
    path = '{"at": 5, "subject": {"path": ["organization", "team/a"]}}'
    made = [
        ("a", quarter, 7, None, ("key", "organization", "team/a")),
        ("b", other - 1, 3, 10, ("organization", "team/a")),
        ("c", other, 5, None, ("organization", "team/a")),
        ("free", other, 0, None, ("organization", "team/a")),
    ]
    spends = [
        (name, scope, at, cost if put is None else put) for name, at, cost, put, scopes in made for scope in scopes
    ]

    async def check() -> None:
        async with postgres.database(migrated=False) as database:
            await migration.migrate(database.owner, "0004")
            connection = await connecting.connect(database.owner)
            await connection.executemany(
                "INSERT INTO llmgov.attempts (id, intent, settlement, counted, corrected) VALUES ($1, $2, $3, $4, $5)",
                [(name, path, f'{{"cost": {cost}}}', at, put) for name, at, cost, put, _ in made]
                + [("d", path, None, quarter, None), ("e", None, '{"cost": 9}', None, None)],
            )
            await connection.executemany("INSERT INTO llmgov.spends VALUES ($1, $2, $3, $4)", spends)
            await connection.close()
            await migration.migrate(database.owner, "0005")
            expected = [("key", quarter, 7)]
            for scope in ("organization", "team/a"):
                expected += [(scope, quarter, 17), (scope, other, 5)]
            assert await rows_of(database.owner, _SUMS) == expected
            assert await rows_of(database.owner, _BESIDE) == [("a", '["key"]')]
            await migration.migrate(database.owner, "0004")
            assert await rows_of(database.owner, _SPENDS) == spends

    asyncio.run(check())


def test_a_ledger_of_several_clusters_goes_back_as_that_of_the_one_that_changed_last() -> None:
    """The older software knows one: it would end what another cluster has in force, or lend by it without an end."""

    async def publish(url: str, cluster: str, at: int, *accounts: AccountRow) -> None:
        store = await PostgresStore.open(url)

        def step(book: Book) -> None:
            document = snapshot.encode(OrganizationPart(cluster, accounts=tuple(row.account for row in accounts)))
            book.put.parts.append(PartRow("organization", f"v{at}", document, at, None, cluster))
            book.put.published[cluster, "organization"] = accounts
            book.put_cluster(ClusterRow(cluster, 1, "operator", at, at))

        await store.transact(Lock(configuration=cluster), step)
        await store.close()

    async def check() -> None:
        one, other = (
            AccountRow(account.key, str(account.target), account)
            for account in (ledgers.account(), ledgers.account(Target(TargetKind.ORGANIZATION)))
        )
        async with postgres.database() as database:
            await publish(database.hub, "west", 50, one)
            await publish(database.hub, "east", 60, other)
            await migration.migrate(database.owner, "0006")
            await migration.migrate(database.owner)
            reader = await PostgresReader.open(database.hub)
            assert [(row.cluster, row.version) for row in await reader.parts(70)] == [("east", "v60")]
            assert await reader.accounts() == [other]
            await reader.close()

    asyncio.run(check())
