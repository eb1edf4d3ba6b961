"""PostgreSQL breaks under load: backends are killed, the server falls over and recovers; the clients repeat and go on.

`python -m tests.faults.test_postgres_faults 20` kills the server so many times and prints what it found.
"""

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llmgov.ledger.store import StoreError
from llmgov_store.postgres import committing, connecting
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import ledger_queries, ledger_traffic, machine, postgres
from tests.support.ledgers import USD
from tests.support.postgres import Database
from tests.support.postgres_server import Server

pytestmark = machine.requires("postgres of its own")

PLENTY = 10_000 * USD
"""A limit that many runs do not reach."""

_KILL_ONE = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = $1 AND usename = 'llmgov_test_hub' ORDER BY random() LIMIT 1
"""


@contextlib.asynccontextmanager
async def beside(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Keep doing `work` until the block ends."""

    async def again() -> None:
        while True:
            await work()

    async with asyncio.TaskGroup() as group:
        task = group.create_task(again())
        yield
        task.cancel()


async def kill_a_backend(server: Server, database: Database) -> None:
    """One connection of a replica, whatever it is doing; then a pause.

    The pause is as long as a few connections take to open: on a busy machine kills at a fixed pace come before a
    replica has connected again and committed anything.
    """
    began = time.monotonic()
    connection = await connecting.connect(server.url("postgres"))
    try:
        await connection.execute(_KILL_ONE, database.name)
    finally:
        await connection.close()
    await asyncio.sleep((time.monotonic() - began) * random.uniform(0.5, 6))


def fall_over(server: Server, sign: signal.Signals) -> None:
    """The server ends at once and comes back; both block the clients, who are in this process, for a moment."""
    server.stop(sign)
    server.start()


def test_killed_backends_lose_nothing_that_was_acknowledged() -> None:
    async def check(server: Server) -> None:
        async with postgres.database(server.url("postgres")) as database:
            async with beside(lambda: kill_a_backend(server, database)):
                tally = await ledger_traffic.run(database.hub, range(16), rounds=5)
            assert tally.failures > 0
            await ledger_traffic.check(database.owner, tally)

    with contextlib.closing(Server.new()) as server:
        asyncio.run(check(server))


@pytest.mark.parametrize("sign", [signal.SIGQUIT, signal.SIGKILL], ids=["stopped at once", "killed"])
def test_a_server_that_falls_over_under_load_loses_nothing_that_was_acknowledged(sign: signal.Signals) -> None:
    with contextlib.closing(Server.new()) as server:
        fallen, tally = asyncio.run(fall_over_under_load(server, sign, 3))
    assert fallen == 3
    assert tally.failures > 0


async def fall_over_under_load(server: Server, sign: signal.Signals, times: int) -> tuple[int, ledger_traffic.Tally]:
    """Let clients run, again and again, while the server falls over so many times; every run is checked."""
    fallen, first, whole = 0, 0, ledger_traffic.Tally()

    async def fall() -> None:
        nonlocal fallen
        await asyncio.sleep(random.uniform(0.2, 0.6))
        if fallen < times:
            fallen += 1
            fall_over(server, sign)

    async with postgres.database(server.url("postgres")) as database:
        while fallen < times:
            async with beside(fall):
                whole += await ledger_traffic.run(
                    database.hub, range(first, first + 16), rounds=4, name=f"hub{first}", limit=PLENTY
                )
            first += 16
        await ledger_traffic.check(database.owner, whole, PLENTY)
    return fallen, whole


def test_a_checkpoint_is_stored_exactly_when_that_was_said() -> None:
    """The same records signed twice under one number would look like tampering."""

    async def put(store: PostgresStore, data: bytes) -> bool | None:
        try:
            await store.put_checkpoint(data)
        except StoreError as error:
            return None if "may or may not" in str(error) else False
        return True

    async def check(server: Server) -> None:
        async with postgres.database(server.url("postgres")) as database:
            store = await PostgresStore.open(database.hub)
            said = {}
            async with beside(lambda: kill_a_backend(server, database)):
                for number in range(200):
                    data = b"%d" % number
                    said[data] = await put(store, data)
            await store.close()
            reader = await PostgresReader.open(database.owner)
            stored = await reader.checkpoints()
            await reader.close()
            assert len(stored) == len(set(stored))
            assert None not in said.values()
            assert set(stored) == {data for data, done in said.items() if done}

    with contextlib.closing(Server.new()) as server:
        asyncio.run(check(server))


@contextlib.asynccontextmanager
async def stopped_at_its_commit(store: PostgresStore) -> AsyncIterator[Callable[[], None]]:
    """The next commit lies unread at a backend that is stopped, and its connection breaks; the value lets it go on."""
    commits = store._lane._commits
    connection, statement = commits._connection, commits._statement
    assert connection is not None
    pid = connection.get_server_pid()

    def stop() -> str:
        os.kill(pid, signal.SIGSTOP)
        asyncio.get_running_loop().call_later(0.1, connection.terminate)
        return statement()

    def go_on() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    commits._statement = stop  # type: ignore[method-assign]
    try:
        yield go_on
    finally:
        commits._statement = statement  # type: ignore[method-assign]
        go_on()


@pytest.mark.parametrize("goes_on", [True, False], ids=["for a moment", "for longer than anybody waits"])
def test_what_a_stopped_backend_was_sent_is_not_denied_and_then_committed(
    goes_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process has the commit and has not read it when the client asks by another connection what became of it."""
    monkeypatch.setattr(committing, "_OUTCOME_SECONDS", 10.0 if goes_on else 0.5)

    async def check(server: Server) -> None:
        async with postgres.database(server.url("postgres")) as database:
            store = await PostgresStore.open(database.hub)
            await store.put_checkpoint(b"before")
            async with stopped_at_its_commit(store) as go_on:
                if goes_on:
                    asyncio.get_running_loop().call_later(0.8, go_on)
                (said,) = await asyncio.gather(store.put_checkpoint(b"in doubt"), return_exceptions=True)
            await store.put_checkpoint(b"after")
            await asyncio.sleep(0.5)  # long enough for a backend to read what it was sent
            stored = b"in doubt" in await store.checkpoints()
            await store.close()
        if goes_on:
            assert stored == (said is None)
        else:
            assert "may or may not" in str(said)

    with contextlib.closing(Server.new()) as server:
        asyncio.run(check(server))


def main(times: int) -> None:
    """What a reader can repeat: kill the server so many times, and say what clients were told and what was found."""
    with contextlib.closing(Server.new()) as server:
        fallen, tally = asyncio.run(fall_over_under_load(server, signal.SIGKILL, times))
    print(f"killed {fallen} times; {len(tally.costs)} attempts settled, {tally.refused} requests refused")
    print(f"{tally.failures} calls failed and were repeated; every acknowledged cent is accounted for,")
    print(f"and none of the {len(ledger_queries.QUERIES)} queries of docs/ledger.md returns a row")


if __name__ == "__main__":
    main(int(sys.argv[1]))
