"""What only the SQLite store promises: durability, other processes on the same file, and checks in the schema."""

import asyncio
import json
import multiprocessing
import pathlib
import sqlite3
import stat

import msgspec
import pytest

from llmgov import instants, snapshot
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, ClusterRow, EpochRow, Spend, Window
from llmgov.ledger.store import StoreError
from llmgov.snapshot import NamespacePart, OrganizationPart, Part, Target, TargetKind
from llmgov_store.sqlite import schema, threads
from llmgov_store.sqlite.store import SqliteReader, SqliteStore
from tests.support import ledgers
from tests.support.ledgers import NOW

ACCOUNT = ledgers.account()
WINDOW = Window(ACCOUNT.key, "team/payments", NOW - 1, NOW + 1, 1)


def open_window(book: Book) -> None:
    book.put_account(AccountRow(ACCOUNT.key, "team/payments", ACCOUNT))
    book.put_window(WINDOW)


def test_what_was_committed_is_there_after_reopening(tmp_path: pathlib.Path) -> None:
    async def write() -> None:
        store = SqliteStore.open(tmp_path / "ledger.sqlite")
        await store.transact(Lock(), open_window)
        await store.close()

    async def read() -> list[Window]:
        store = SqliteStore.open(tmp_path / "ledger.sqlite")
        try:
            return await store.windows(NOW)
        finally:
            await store.close()

    asyncio.run(write())
    assert asyncio.run(read()) == [WINDOW]


def test_every_commit_is_synced(tmp_path: pathlib.Path) -> None:
    connection = threads.connect(tmp_path / "ledger.sqlite", read_only=False)
    full = 2
    assert connection.execute("PRAGMA synchronous").fetchone() == (full,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_only_its_owner_reads_the_file(tmp_path: pathlib.Path) -> None:
    store = SqliteStore.open(tmp_path / "ledger.sqlite")
    asyncio.run(store.close())
    assert stat.S_IMODE((tmp_path / "ledger.sqlite").stat().st_mode) == 0o600


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: pathlib.Path) -> None:
    connection = sqlite3.connect(tmp_path / "ledger.sqlite")
    connection.execute(f"PRAGMA user_version = {len(schema.MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="knows"):
        SqliteStore.open(tmp_path / "ledger.sqlite")
    with pytest.raises(StoreError, match="knows"):
        SqliteReader.open(tmp_path / "ledger.sqlite")


@pytest.mark.parametrize("content", [None, b"", b"no database at all, but long enough to be one" * 100])
def test_what_is_no_ledger_cannot_be_read(content: bytes | None, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.sqlite"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError):
        SqliteReader.open(path)


@pytest.mark.parametrize("column", ["spent", "leased", "unknown"])
def test_no_sum_of_money_becomes_negative(column: str, tmp_path: pathlib.Path) -> None:
    async def break_it() -> None:
        store = SqliteStore.open(tmp_path / "ledger.sqlite")
        try:
            await store.transact(Lock(), open_window)
            broken = msgspec.structs.replace(WINDOW, **{column: -1})
            with pytest.raises(StoreError, match="CHECK"):
                await store.transact(Lock(), lambda book: book.put_window(broken))
            assert await store.windows(NOW) == [WINDOW]
        finally:
            await store.close()

    asyncio.run(break_it())


def test_a_caller_that_is_cancelled_harms_nobody(tmp_path: pathlib.Path) -> None:
    async def cancel() -> set[str]:
        store = SqliteStore.open(tmp_path / "ledger.sqlite")
        try:
            names = [f"pod-{index}" for index in range(40)]
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(_count(store, name)) for name in names]
                await asyncio.sleep(0)
                for task in tasks[::2]:
                    task.cancel()
            book = await store.transact(Lock(holders=tuple(names)), lambda book: book)
            return set(names[1::2]) - set(book.epochs)
        finally:
            await store.close()

    assert asyncio.run(cancel()) == set()


async def _count(store: SqliteStore, holder: str) -> None:
    await store.transact(Lock(holders=(holder,)), lambda book: book.put_epoch(EpochRow(holder, 1)))


def test_two_stores_on_one_file_lose_no_update(tmp_path: pathlib.Path) -> None:
    def count(book: Book) -> None:
        known = book.epochs.get("pod")
        book.put_epoch(EpochRow("pod", 1 if known is None else known.number + 1))

    async def run(store: SqliteStore) -> None:
        for _ in range(100):
            await store.transact(Lock(holders=("pod",)), count)

    async def both() -> int:
        first, second = (SqliteStore.open(tmp_path / "ledger.sqlite") for _ in range(2))
        try:
            await asyncio.gather(run(first), run(second))
            return (await first.transact(Lock(holders=("pod",)), lambda book: book)).epochs["pod"].number
        finally:
            await first.close()
            await second.close()

    assert asyncio.run(both()) == 200


def test_a_folder_that_is_not_there_is_named_in_the_error(tmp_path: pathlib.Path) -> None:
    with pytest.raises(StoreError, match=r"cannot create the ledger ledger\.sqlite"):
        SqliteStore.open(tmp_path / "missing" / "ledger.sqlite")


def _boot(path: pathlib.Path, times: int) -> None:
    """In another process: count up one epoch."""

    def count(book: Book) -> None:
        known = book.epochs.get("pod")
        book.put_epoch(EpochRow("pod", 1 if known is None else known.number + 1))

    async def run() -> None:
        store = SqliteStore.open(path)
        for _ in range(times):
            await store.transact(Lock(holders=("pod",)), count)
        await store.close()

    asyncio.run(run())


def test_two_processes_write_in_turn_while_a_third_reads(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.sqlite"
    _boot(path, 1)
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_boot, args=(path, 20)) for _ in range(2)]
    for process in processes:
        process.start()

    async def look() -> None:
        reader = SqliteReader.open(path)
        while any(process.is_alive() for process in processes):
            assert await reader.windows(NOW) == []
            await asyncio.sleep(0.01)
        await reader.close()

    asyncio.run(look())
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]

    async def epochs() -> Book:
        store = SqliteStore.open(path)
        try:
            return await store.transact(Lock(holders=("pod",)), lambda book: book)
        finally:
            await store.close()

    assert asyncio.run(epochs()).epochs["pod"].number == 41


def test_a_ledger_with_spends_is_brought_to_sums(tmp_path: pathlib.Path) -> None:
    """One attempt counts for a key beside its path, one was corrected, and the third cost nothing."""
    path, quarter = tmp_path / "ledger.sqlite", instants.from_rfc3339("2026-11-24T08:15:00Z")
    intent = json.dumps({"at": 5, "subject": {"path": ["organization", "team/a"]}})
    made = [("a", quarter, 7), ("b", quarter + 1, 10), ("free", quarter, 0)]
    connection = sqlite3.connect(path)
    for script in schema.MIGRATIONS[:5]:
        connection.executescript(script)
    connection.execute("PRAGMA user_version = 5")
    for name, at, cost in made:
        connection.execute("INSERT INTO attempts (id, intent, counted) VALUES (?, ?, ?)", (name, intent, at))
        for scope in ("organization", "team/a", *(["key"] if name == "a" else [])):
            connection.execute("INSERT INTO spends VALUES (?, ?, ?, ?)", (name, scope, at, cost))
    connection.commit()
    connection.close()
    asyncio.run(SqliteStore.open(path).close())
    connection = sqlite3.connect(path)
    sums = connection.execute("SELECT scope, start, cost FROM sums ORDER BY scope").fetchall()
    assert sums == [("key", quarter, 7), ("organization", quarter, 17), ("team/a", quarter, 17)]
    beside = connection.execute("SELECT id, beside FROM attempts ORDER BY id").fetchall()
    assert beside == [("a", '["key"]'), ("b", "[]"), ("free", "[]")]
    connection.close()


def test_no_sum_of_a_scope_becomes_negative(tmp_path: pathlib.Path) -> None:
    async def take_away() -> None:
        store = SqliteStore.open(tmp_path / "ledger.sqlite")
        try:
            with pytest.raises(StoreError, match="CHECK"):
                await store.transact(Lock(), lambda book: book.put.spends.append(Spend(("team/a",), NOW, -1)))
        finally:
            await store.close()

    asyncio.run(take_away())


def _of_the_sixth(path: pathlib.Path, *parts: tuple[str, Part, int, int | None]) -> None:
    """A ledger as the software before clusters left it: parts with their documents, and the accounts in force."""
    connection = sqlite3.connect(path)
    for script in schema.MIGRATIONS[:7]:
        connection.executescript(script)
    connection.execute("PRAGMA user_version = 7")
    for part, document, since, until in parts:
        row = (part, f"v{since}", snapshot.encode(document), since, until)
        connection.execute("INSERT INTO parts VALUES (?, ?, ?, ?, ?)", row)
    for account in (ACCOUNT, ledgers.account(Target(TargetKind.ORGANIZATION))):
        known = (account.key, str(account.target), msgspec.json.encode(account).decode(), account is ACCOUNT)
        connection.execute("INSERT INTO accounts (key, scope, account, published) VALUES (?, ?, ?, ?)", known)
    connection.commit()
    connection.close()


def test_a_configuration_from_before_clusters_belongs_to_its_organizations(tmp_path: pathlib.Path) -> None:
    """Its accounts stay in force, each by the parts that have it; what had ended stays ended."""
    path = tmp_path / "ledger.sqlite"
    organization = OrganizationPart("local")
    shop = NamespacePart("shop", accounts=(ACCOUNT,))
    ended = NamespacePart("old", accounts=(ledgers.account(Target(TargetKind.ORGANIZATION)),))
    _of_the_sixth(
        path,
        ("organization", organization, 50, None),
        ("namespace/shop", shop, 60, None),
        ("namespace/old", ended, 50, 70),
    )

    async def check() -> None:
        store = SqliteStore.open(path)
        try:
            book = await store.transact(Lock(configuration="local"), lambda book: book)
            assert {name: row.version for name, row in book.in_force.items()} == {
                "organization": "v50",
                "namespace/shop": "v60",
            }
            assert book.cluster == ClusterRow("local", changed=70)
            assert [row.key for row in await store.accounts()] == [ACCOUNT.key]
            assert [(row.part, row.document) for row in await store.parts(55)] == [
                ("namespace/old", snapshot.encode(ended)),
                ("organization", snapshot.encode(organization)),
            ]
        finally:
            await store.close()

    asyncio.run(check())
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT cluster, part, key FROM published").fetchall()
    connection.close()
    assert found == [("local", "namespace/shop", ACCOUNT.key)]


def test_a_ledger_without_a_configuration_gets_clusters_all_the_same(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.sqlite"
    _of_the_sixth(path)
    asyncio.run(SqliteStore.open(path).close())
    connection = sqlite3.connect(path)
    for table in ("clusters", "published", "parts"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)  # noqa: S608
    connection.close()
