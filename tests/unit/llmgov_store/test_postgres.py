"""What only the PostgreSQL store promises: a bad transaction harms no other, every wait has a bound, it reconnects."""

import asyncio
import contextlib
import types
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest

from llmgov.ledger import sums
from llmgov.ledger.book import Book, Lock, WindowLock
from llmgov.ledger.rows import AccountRow, Attempt, EpochRow, OutboxEntry, Spend, Window
from llmgov.ledger.store import StoreError
from llmgov.ledger.windows import Span
from llmgov_store.postgres import batch, committing, connecting, lane, locking
from llmgov_store.postgres.batch import Job
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import NOW
from tests.support.postgres import Database

pytestmark = machine.requires("postgres")

ACCOUNT = ledgers.account()
WINDOW = Window(ACCOUNT.key, "team/payments", NOW - 1, NOW + 1, 1)
QUARTER = Span(NOW, NOW + sums.QUARTER)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[PostgresStore, Database]]:
    async with postgres.database() as database:
        store = await PostgresStore.open(database.hub)
        try:
            yield store, database
        finally:
            await store.close()


def open_window(book: Book) -> None:
    book.put_account(AccountRow(ACCOUNT.key, "team/payments", ACCOUNT))
    book.put_window(WINDOW)


def boot(holder: str) -> Callable[[Book], None]:
    def count(book: Book) -> None:
        known = book.epochs.get(holder)
        book.put_epoch(EpochRow(holder, 1 if known is None else known.number + 1))

    return count


async def boots(store: PostgresStore, *holders: str) -> dict[str, int]:
    book = await store.transact(Lock(holders=holders), lambda book: book)
    return {row.holder: row.number for row in book.epochs.values()}


def spend(cost: int) -> Callable[[Book], None]:
    def step(book: Book) -> None:
        book.put_attempt(Attempt("a/1"))
        book.put.spends.append(Spend(("team/payments",), NOW, cost))

    return step


@pytest.mark.parametrize(
    ("step", "error", "sentence"),
    [
        (lambda book: book.put_window(msgspec.structs.replace(WINDOW, spent=-1)), StoreError, "violates check"),
        (lambda book: book.put_window(msgspec.structs.replace(WINDOW, account="x")), StoreError, "foreign key"),
        (spend(-1), StoreError, "violates check"),
        (spend(2**63), ValueError, "the ledger cannot hold this"),
        (lambda book: book.put_epoch(EpochRow("\ud800", 1)), ValueError, "the ledger cannot hold this"),
    ],
    ids=[
        "a negative window",
        "a window without an account",
        "a negative sum",
        "an amount beyond range",
        "half of a character",
    ],
)
def test_a_transaction_that_cannot_be_written_harms_none_of_its_batch(
    step: Callable[[Book], None], error: type[Exception], sentence: str
) -> None:
    async def check() -> None:
        async with opened() as (store, _):
            await store.transact(Lock(), open_window)
            names = [f"pod-{number}" for number in range(5)]
            work = [store.transact(Lock(holders=(name,)), boot(name)) for name in names]
            work.insert(2, store.transact(Lock(), step))
            (*_,) = outcomes = await asyncio.gather(*work, return_exceptions=True)
            failure = outcomes.pop(2)
            assert outcomes == [None] * 5
            assert isinstance(failure, error)
            assert sentence in str(failure)
            assert await boots(store, *names) == dict.fromkeys(names, 1)
            assert await store.windows(NOW) == [WINDOW]

    asyncio.run(check())


def test_characters_that_a_column_cannot_hold_come_back_as_they_were() -> None:
    nasty = "a\x00b\x1a\\u0000"

    def put(book: Book) -> None:
        book.put_epoch(EpochRow(nasty, 1))
        intent = ledgers.intent(nasty, 5, who=ledgers.subject(user=nasty))
        book.put_attempt(Attempt(nasty, intent))
        book.put_event(nasty)
        book.put.outbox[nasty] = OutboxEntry(nasty, NOW, "Admins", nasty, nasty, nasty)
        book.put.spends.append(Spend((nasty,), NOW, 3))

    async def check() -> None:
        async with opened() as (store, _):
            await store.transact(Lock(), put)
            book = await store.transact(Lock(holders=(nasty,), attempts=(nasty,), events=(nasty,)), lambda book: book)
            assert book.epochs == {nasty: EpochRow(nasty, 1)}
            assert book.events == {nasty}
            intent = book.attempts[nasty].intent
            assert intent is not None
            assert intent.subject.user == nasty
            assert [entry.message for entry in await store.outbox()] == [nasty]
            assert await store.spent(nasty, *QUARTER) == 3

    asyncio.run(check())


def test_a_caller_that_is_cancelled_leaves_its_work_done_whole_or_not_at_all() -> None:
    def both(book: Book) -> None:
        book.put_epoch(EpochRow("one", 1))
        book.put_epoch(EpochRow("other", 1))

    async def cancel_after(turns: int) -> tuple[bool, int]:
        async with opened() as (store, _):
            call = asyncio.ensure_future(store.transact(Lock(), both))  # noqa: TID251 - to be cancelled
            for _ in range(turns):
                await asyncio.sleep(0.0005)
            call.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await call
            return call.cancelled(), len(await boots(store, "one", "other"))

    async def check() -> None:
        outcomes = [await cancel_after(turns) for turns in (0, 1, 4, 8, 16, 64)]
        assert {count for _, count in outcomes} <= {0, 2}
        assert outcomes[1] == (True, 2)

    asyncio.run(check())


def test_closing_finishes_what_was_asked_for() -> None:
    async def check() -> None:
        async with opened() as (store, database):
            names = [f"pod-{number}" for number in range(20)]
            async with asyncio.TaskGroup() as group:
                for name in names:
                    group.create_task(store.transact(Lock(holders=(name,)), boot(name)))
                await asyncio.sleep(0)
                group.create_task(store.close())
            with pytest.raises(StoreError, match="closed"):
                await store.transact(Lock(), boot("late"))
            again = await PostgresStore.open(database.hub)
            assert await boots(again, *names) == dict.fromkeys(names, 1)
            await again.close()

    asyncio.run(check())


def test_every_wait_has_a_bound_and_the_shorter_ones_end_first() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            connection = await connecting.connect(database.hub)
            names = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout")
            values = [await connection.fetchval(f"SELECT setting::int FROM pg_settings WHERE name = '{name}'")  # noqa: S608
                      for name in names]  # fmt: skip
            await connection.close()
            assert 0 < values[0] < values[1] < values[2] < connecting.COMMAND_SECONDS * 1000

    asyncio.run(check())


def test_a_replica_that_is_paused_in_a_transaction_stops_the_others_for_a_bounded_time() -> None:
    numbers, _ = locking.numbered({"holder/pod": True})

    async def check() -> None:
        async with opened() as (store, database):
            paused = await connecting.connect(database.hub)
            await paused.execute(f"BEGIN; SELECT pg_advisory_xact_lock({numbers[0]})")
            async with asyncio.timeout(connecting.IDLE_SECONDS + 3):
                await store.transact(Lock(holders=("pod",)), boot("pod"))
            assert paused.is_closed()
            assert await boots(store, "pod") == {"pod": 1}

    asyncio.run(check())


def test_who_waits_too_long_for_a_lock_is_told_so_and_may_try_again() -> None:
    numbers, _ = locking.numbered({"holder/pod": True})

    async def check() -> None:
        async with opened() as (store, database):
            assert await boots(store, "pod") == {}
            await store._lane._commits._connection.execute("SET lock_timeout = '100ms'")  # type: ignore[union-attr]
            other = await connecting.connect(database.hub)
            await other.execute(f"BEGIN; SELECT pg_advisory_xact_lock({numbers[0]})")
            with pytest.raises(StoreError, match="lock timeout"):
                await store.transact(Lock(holders=("pod",)), boot("pod"))
            await other.execute("ROLLBACK")
            await store.transact(Lock(holders=("pod",)), boot("pod"))
            assert await boots(store, "pod") == {"pod": 1}
            await other.close()

    asyncio.run(check())


async def _break_connections(database: Database) -> None:
    await postgres.execute(
        database.owner,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )


def test_after_a_broken_connection_the_next_call_opens_another() -> None:
    async def check() -> None:
        async with opened() as (store, database):
            await store.transact(Lock(holders=("pod",)), boot("pod"))
            await store.windows(NOW)
            await _break_connections(database)
            for _ in range(2):
                with contextlib.suppress(StoreError):
                    await store.transact(Lock(holders=("pod",)), boot("pod"))
                with contextlib.suppress(StoreError):
                    await store.windows(NOW)
            assert (await boots(store, "pod"))["pod"] >= 2
            assert await store.windows(NOW) == []

    asyncio.run(check())


class LostCommit:
    """A connection that breaks at its commits: before or after the server has taken them."""

    def __init__(self, connection: connecting.Connection, *, taken: bool) -> None:
        self._connection = connection
        self._taken = taken

    def __getattr__(self, name: str) -> object:
        return getattr(self._connection, name)

    async def execute(self, statement: str, *arguments: object, **options: object) -> object:
        if statement.endswith("COMMIT"):
            if self._taken:
                await self._connection.execute(statement, *arguments)
            self._connection.terminate()
            raise ConnectionResetError("gone")
        return await self._connection.execute(statement, *arguments, **options)


class LateAnswer(LostCommit):
    """The server takes the commit and its answer does not come in time; the connection lives."""

    async def execute(self, statement: str, *arguments: object, **options: object) -> object:
        await self._connection.execute(statement, *arguments, **options)
        if statement.endswith("COMMIT"):
            raise TimeoutError
        return ""


@pytest.mark.parametrize(
    ("kind", "taken"),
    [(LostCommit, True), (LostCommit, False), (LateAnswer, True)],
    ids=["broken, and the commit came about", "broken, and it did not", "a late answer"],
)
def test_a_commit_whose_answer_is_lost_leaves_no_doubt(kind: type[LostCommit], taken: bool) -> None:
    async def check() -> None:
        async with opened() as (store, _):
            await store.put_checkpoint(b"one")
            commits = store._lane._commits
            commits._connection = kind(commits._connection, taken=taken)
            if taken:
                await store.put_checkpoint(b"two")
            else:
                with pytest.raises(StoreError, match="gone"):
                    await store.put_checkpoint(b"two")
            assert await store.checkpoints() == ([b"one", b"two"] if taken else [b"one"])

    asyncio.run(check())


def test_where_the_server_stays_away_after_a_commit_the_doubt_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "_OUTCOME_SECONDS", 0.3)

    async def away() -> tuple[connecting.Connection, str]:
        raise StoreError("nobody listens")

    async def check() -> None:
        async with opened() as (store, _):
            await store.put_checkpoint(b"one")
            commits = store._lane._commits
            connect = commits._connect
            commits._connection, commits._connect = LostCommit(commits._connection, taken=True), away
            with pytest.raises(StoreError, match="may or may not have been written"):
                await store.put_checkpoint(b"two")
            commits._connect = connect

    asyncio.run(check())


def test_a_server_that_does_not_commit_to_disk_by_default_does_so_for_the_ledger() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await postgres.execute(database.owner, f"ALTER DATABASE {database.name} SET synchronous_commit = off")
            store = await PostgresStore.open(database.hub)
            await store.put_checkpoint(b"one")
            assert await store._lane._commits._connection.fetchval("SHOW synchronous_commit") == "on"  # type: ignore[union-attr]
            await store.close()

    asyncio.run(check())


def test_a_process_that_ended_leaves_no_row_of_its_lane() -> None:
    async def check() -> None:
        async with opened() as (store, database):
            await store.put_checkpoint(b"one")
            await store.close()
            connection = await connecting.connect(database.owner)
            assert await connection.fetchval("SELECT count(*) FROM lanes") == 0
            await connection.close()

    asyncio.run(check())


def test_a_reader_cannot_write_even_as_the_hubs_role() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            reader = await PostgresReader.open(database.hub)
            with pytest.raises(StoreError, match="read-only transaction"):
                await reader._read(lambda connection: connection.execute("DELETE FROM lanes"))
            await reader.close()

    asyncio.run(check())


def test_a_correction_is_counted_once_by_a_window_that_opens_in_the_same_batch() -> None:
    wanted = Lock(windows=(WindowLock("new", "team/payments", QUARTER),))
    correct = Lock(attempts=("a/1",), corrections=("c",))

    async def check() -> None:
        async with opened() as (store, _):
            await store.transact(Lock(), spend(70))
            look = [store.transact(wanted, lambda book: dict(book.backfill)) for _ in range(2)]
            before, _, after = await asyncio.gather(look[0], store.transact(correct, spend(30)), look[1])
            assert (before, after) == ({("new", NOW): 70}, {("new", NOW): 100})
            assert await store.spent("team/payments", *QUARTER) == 100

    asyncio.run(check())


@pytest.mark.parametrize(("module", "bound"), [(lane, "MAX_BATCH"), (lane, "MAX_WEIGHT"), (locking, "MAX_NAMES")])
def test_a_batch_is_bounded_and_whoever_alone_exceeds_a_bound_is_served(
    module: types.ModuleType, bound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    run = batch.run

    async def noted(connection: connecting.Connection, jobs: list[Job], *rest: Any) -> bool:
        sizes.append(len(jobs))
        return await run(connection, jobs, *rest)

    async def check() -> None:
        async with opened() as (store, _):
            monkeypatch.setattr(module, bound, 4)
            monkeypatch.setattr(batch, "run", noted)
            names = [f"pod-{number}" for number in range(12)]
            await asyncio.gather(*(store.transact(Lock(holders=(name,)), boot(name)) for name in names))
            assert max(sizes) == 4
            assert sum(sizes) == 12
            assert await boots(store, *names) == dict.fromkeys(names, 1)

    asyncio.run(check())


def test_a_transaction_whose_rows_contradict_each_other_fails_alone() -> None:
    """A window without its account, which only a hand can have made."""

    async def check() -> None:
        async with opened() as (store, database):
            await store.transact(Lock(), open_window)
            await postgres.execute(
                database.owner,
                "ALTER TABLE windows DROP CONSTRAINT windows_account_fkey",
                "DELETE FROM accounts",
            )
            lock = Lock(windows=(WindowLock(ACCOUNT.key, "team/payments", Span(WINDOW.start, WINDOW.end)),))
            failure, done = await asyncio.gather(
                store.transact(lock, lambda book: book),
                store.transact(Lock(holders=("pod",)), boot("pod")),
                return_exceptions=True,
            )
            assert isinstance(failure, KeyError)
            assert done is None

    asyncio.run(check())
