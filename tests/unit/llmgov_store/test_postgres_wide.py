"""Transactions that name more than the server's table of locks has room for: they take one lock, which excludes all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, EpochRow, LeaseRow, Window
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import batch, connecting, locking
from llmgov_store.postgres.batch import Job
from llmgov_store.postgres.store import PostgresStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import NOW

pytestmark = machine.requires("postgres")

ACCOUNT = ledgers.account()
MANY = tuple(f"pod-{number}" for number in range(20_000))
"""Three times as many names as the server has places for by default."""


@contextlib.asynccontextmanager
async def replicas() -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    async with postgres.database() as database, contextlib.AsyncExitStack() as stack:
        stores = []
        for _ in range(2):
            store = await PostgresStore.open(database.hub)
            stack.push_async_callback(store.close)
            stores.append(store)
        yield stores[0], stores[1]


def boot(holder: str) -> Callable[[Book], None]:
    def count(book: Book) -> None:
        known = book.epochs.get(holder)
        book.put_epoch(EpochRow(holder, 1 if known is None else known.number + 1))

    return count


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many locks each transaction held before it was committed."""
    counts: list[int] = []
    run = batch.run

    async def noted(connection: connecting.Connection, jobs: list[Job], *rest: Any) -> bool:
        wrote = await run(connection, jobs, *rest)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        counts.append(await connection.fetchval(held))
        return wrote

    monkeypatch.setattr(batch, "run", noted)
    return counts


def test_who_states_more_names_than_there_is_room_for_is_served_and_so_are_others(taken: list[int]) -> None:
    wide = Lock(holders=("pod", *MANY))

    async def check() -> None:
        async with replicas() as (store, other):
            await asyncio.gather(
                *(store.transact(wide, boot("pod")) for _ in range(3)),
                *(other.transact(Lock(holders=(name,)), boot(name)) for name in MANY[:50]),
            )
            book = await other.transact(wide, lambda book: book)
            assert {row.holder: row.number for row in book.epochs.values()} == {"pod": 3, **dict.fromkeys(MANY[:50], 1)}

    asyncio.run(check())
    assert max(taken) <= locking.MAX_NAMES + 1


def test_who_states_few_names_whose_rows_name_many_is_served_too(taken: list[int]) -> None:
    """A pod is lost that has leases of thousands of users."""
    users = [f"user/u{number}" for number in range(3000)]

    def lend(book: Book) -> None:
        for number, user in enumerate(users):
            key = f"{ACCOUNT.key}|{number}"
            book.put_account(AccountRow(key, user, ACCOUNT))
            book.put_window(Window(key, user, NOW - 1, NOW + 1, 1, leased=5))
            book.put_lease(LeaseRow(f"pod:1/{number}/0", key, NOW - 1, NOW + 1, "pod", 1, 5, NOW))

    async def check() -> None:
        async with replicas() as (store, other):
            await store.transact(Lock(holders=("pod",)), lend)
            found = await asyncio.gather(
                store.transact(Lock(leases_of=("pod",)), lambda book: len(book.leases)),
                other.transact(Lock(leases_of=("pod",)), lambda book: len(book.windows)),
            )
            assert found == [len(users), len(users)]

    asyncio.run(check())
    assert max(taken) <= locking.MAX_NAMES + 1


def test_the_one_lock_excludes_whoever_has_named_what_it_stands_for() -> None:
    wide, narrow = Lock(holders=("pod", *MANY[:2000])), Lock(holders=("pod",))

    async def check() -> None:
        async with replicas() as (store, other):
            for _ in range(10):
                await asyncio.gather(store.transact(wide, boot("pod")), other.transact(narrow, boot("pod")))
            book = await store.transact(narrow, lambda book: book)
            assert book.epochs["pod"].number == 20

    asyncio.run(check())


def test_a_key_is_not_destroyed_while_somebody_relies_on_everything() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            store, wide = await PostgresStore.open(database.hub), await connecting.connect(database.hub)
            assert not await store.destroy_key("user/jane")
            await store._lane._commits._connection.execute("SET lock_timeout = '100ms'")  # type: ignore[union-attr]
            await wide.execute(f"BEGIN; {locking.statement({locking.EVERYTHING: True})}")
            with pytest.raises(StoreError, match="lock timeout"):
                await store.destroy_key("user/jane")
            await wide.close()
            await store.close()

    asyncio.run(check())
