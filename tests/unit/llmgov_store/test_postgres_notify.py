"""What only the bus over PostgreSQL has to survive: broken connections, a server that crashes, names used again."""

import asyncio
import contextlib
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llmgov.ledger.messages import Epoch
from llmgov_store.postgres import connecting, recalls
from llmgov_store.postgres.notify import PostgresBus, Times
from tests.support import buses, machine, postgres
from tests.support.buses import SOON, Heard, OverPostgres, until
from tests.support.postgres_server import Server

KEY = "test|team/payments|Month|UTC"
POD = Epoch("pod-1", 3)

pytestmark = machine.requires("postgres")


class World:
    """An exchange, and its database as its owner sees it."""

    def __init__(self, exchange: OverPostgres, owner: str) -> None:
        self.exchange = exchange
        self.owner = owner

    async def member(self, times: Times | None = None) -> Heard:
        return Heard(await self.exchange.bus(times))

    async def rows(self, query: str) -> list[tuple[object, ...]]:
        connection = await connecting.connect(self.owner)
        try:
            return [tuple(row) for row in await connection.fetch(query)]
        finally:
            await connection.close()

    async def empties(self, table: str) -> None:
        """Wait until a table has no row."""
        async with asyncio.timeout(SOON):
            while await self.rows(f"SELECT FROM {table}"):  # noqa: ASYNC110 - ours
                await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def world(server: str | None = None) -> AsyncIterator[World]:
    async with postgres.database(server) as database, buses.over_postgres(database) as exchange:
        yield World(exchange, database.owner)


def in_a_world(test: Callable[[World], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def with_world() -> None:
            async with world() as given:
                await test(given)

        asyncio.run(with_world())

    run.__doc__ = test.__doc__
    return run


async def is_asked(asker: Heard, other: Heard, epoch: Epoch = POD) -> None:
    """Ask until the sidecar is asked and its answer told: at once, or once the buses work again."""
    other.idle = 7
    asker.answers.clear()
    async with asyncio.timeout(2 * SOON):
        while (epoch, KEY, 7) not in asker.told_of:
            async with asker.bus.asking(KEY, [epoch], 1.0) as asked:
                if asked:
                    with contextlib.suppress(TimeoutError):
                        await until(lambda: (epoch, KEY, 7) in asker.told_of, 1.0)


@in_a_world
async def test_after_a_connection_broke_a_replica_says_again_what_it_knows(given: World) -> None:
    asker, other = await given.member(), await given.member()
    other.bus.connect(POD)
    await is_asked(asker, other)
    for _ in range(3):
        await given.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llmgov bus'")
        await is_asked(asker, other)
    assert given.exchange.broken


@in_a_world
async def test_a_recall_is_answered_though_both_connections_break_meanwhile(given: World) -> None:
    asker, other = await given.member(), await given.member()
    other.bus.connect(POD)
    await is_asked(asker, other)
    other.idle = None
    other.recalls.clear()
    asker.answers.clear()
    async with asker.bus.asking(KEY, [POD], SOON) as asked:
        assert list(asked) == [POD]
        await until(lambda: other.asked_for == [(POD, KEY)])
        other.idle = 7
        await given.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llmgov bus'")
        await until(lambda: (POD, KEY, 7) in asker.told_of)


def test_after_a_crash_of_the_server_which_empties_the_tables_all_is_as_before() -> None:
    async def run(server: Server) -> None:
        async with world(server.url("postgres")) as given:
            asker, other = await given.member(), await given.member()
            other.bus.connect(POD)
            await is_asked(asker, other)
            server.stop(signal.SIGQUIT)
            server.start()
            assert isinstance(other.bus, PostgresBus)
            await is_asked(asker, other)

    server = Server.new()
    try:
        asyncio.run(run(server))
    finally:
        server.close()


@in_a_world
async def test_a_replica_that_the_others_gave_up_begins_anew(given: World) -> None:
    asker, other = await given.member(), await given.member()
    other.bus.connect(POD)
    await is_asked(asker, other)
    await given.rows("DELETE FROM hub_connections")
    await given.rows("DELETE FROM hub_replicas")
    await is_asked(asker, other)


@in_a_world
async def test_while_a_replica_says_again_what_it_has_its_sidecars_are_never_connected_nowhere(given: World) -> None:
    asker, other = await given.member(), await given.member()
    other.bus.connect(POD)
    await is_asked(asker, other)
    connection = await given.exchange.connect()

    async def say_again() -> None:
        for _ in range(100):
            await recalls.introduce(connection, "hub-1", [POD], [])

    async with asyncio.TaskGroup() as group:
        saying = group.create_task(say_again())
        while not saying.done():
            async with asker.bus.asking(KEY, [POD], SOON) as asked:
                assert list(asked) == [POD]
    await connection.close()


@in_a_world
async def test_what_a_replica_left_that_died_is_removed(given: World) -> None:
    await given.rows("INSERT INTO hub_replicas VALUES ('dead', clock_timestamp() - interval '61 seconds')")
    await given.rows("INSERT INTO hub_connections VALUES ('pod-9', 1, 'dead')")
    await given.rows(
        "INSERT INTO hub_recalls VALUES ('dead', 1, 'pod-8', 1, 'key', clock_timestamp() - interval '1 second')"
    )
    for bus in range(2):
        made = PostgresBus(f"alone-{bus}", given.exchange.connect, times=Times(beat=0.05))
        task = asyncio.ensure_future(made.run())  # noqa: TID251 - cancelled below
        for table in ("hub_recalls", "hub_connections", "hub_replicas WHERE name = 'dead'"):
            await given.empties(table)
        task.cancel()
        await asyncio.wait([task])
    await given.empties("hub_replicas")


@in_a_world
async def test_a_new_process_of_a_name_ends_what_the_one_before_had(given: World) -> None:
    await given.rows("INSERT INTO hub_replicas VALUES ('hub-0', clock_timestamp())")
    await given.rows("INSERT INTO hub_connections VALUES ('pod-9', 1, 'hub-0')")
    await given.rows(
        "INSERT INTO hub_recalls VALUES ('hub-0', 1, 'pod-9', 1, 'key', clock_timestamp() + interval '1 hour')"
    )
    await given.member()
    assert await given.rows("SELECT holder FROM hub_connections") == []
    assert await given.rows("SELECT number FROM hub_recalls") == []


@pytest.mark.parametrize("amount", [-1, 2**80], ids=["less than nothing", "more than a column holds"])
def test_what_no_sidecar_can_have_returned_breaks_nothing(amount: int) -> None:
    async def run() -> None:
        async with world() as given:
            asker, other = await given.member(), await given.member()
            other.bus.connect(POD)
            await is_asked(asker, other)
            asker.answers.clear()
            other.idle = amount
            async with asker.bus.asking(KEY, [POD], SOON):
                await until(lambda: bool(asker.answers))
            assert asker.answers[0].amount == max(0, min(amount, 2**63 - 1))
            assert given.exchange.broken == []

    asyncio.run(run())


@in_a_world
async def test_under_load_no_two_statements_wait_for_each_other(given: World) -> None:
    """Four replicas ask for everything at once, while sidecars move between them."""
    chance = random.Random(4)
    members = [await given.member() for _ in range(4)]
    epochs = [Epoch(f"pod-{index}", 1) for index in range(40)]
    for member in members:
        member.idle = 1

    async def ask(member: Heard) -> None:
        for turn in range(200):  # a machine with other work to do answers later, so there each turn waits longer
            if turn >= 25 and sum(len(each.answers) for each in members) > 100:
                return
            async with member.bus.asking(chance.choice("abc"), chance.sample(epochs, 20), 0.2 + turn / 100):
                await asyncio.sleep(chance.random() * 0.02 + max(0, turn - 25) / 100)

    async def move() -> None:
        for _ in range(300):
            chance.choice(members).bus.connect(chance.choice(epochs))
            chance.choice(members).bus.disconnect(chance.choice(epochs))
            await asyncio.sleep(0.001)

    await asyncio.gather(move(), *(ask(member) for member in members * 3))
    assert given.exchange.broken == []
    assert sum(len(member.answers) for member in members) > 100
    await given.empties("hub_recalls")


@in_a_world
async def test_a_notification_carries_the_name_of_who_is_to_look_and_nothing_else(given: World) -> None:
    asker, other = await given.member(), await given.member()
    heard: set[tuple[str, str]] = set()
    listener = await connecting.connect(given.owner)
    for channel in (recalls.WAKE, recalls.CONFIGURATION):
        await listener.add_listener(channel, lambda _connection, _pid, name, payload: heard.add((name, payload)))
    other.bus.connect(POD)
    await is_asked(asker, other)
    asker.bus.announce()
    await until(lambda: len(heard) >= 3)
    assert heard == {("llmgov_hub", "hub-0"), ("llmgov_hub", "hub-1"), ("llmgov_configuration", "")}
    await listener.close()


@pytest.mark.parametrize("name", ["", "x" * 254, "a\x00b", "line\nbreak"])
def test_a_name_that_no_pod_can_have_is_refused(name: str) -> None:
    async def connect() -> connecting.Connection:
        raise AssertionError

    with pytest.raises(ValueError, match="no name for a replica"):
        PostgresBus(name, connect)


@in_a_world
async def test_the_longest_name_works(given: World) -> None:
    asker = await given.member()
    longest = PostgresBus("x" * 253, given.exchange.connect, times=Times(beat=0.05))
    other = Heard(longest)
    task = asyncio.ensure_future(longest.run())  # noqa: TID251 - cancelled below
    longest.connect(POD)
    await is_asked(asker, other)
    task.cancel()
    await asyncio.wait([task])


def test_a_replica_works_with_no_more_rights_than_its_role_has() -> None:
    """The tables are the owner's; the hub's role may change rows, and a reader's not even see them."""

    async def run() -> None:
        async with postgres.database() as database:
            reader = await connecting.connect(database.reader)
            try:
                for table in ("hub_replicas", "hub_connections", "hub_recalls"):
                    with pytest.raises(Exception, match="permission denied"):
                        await reader.execute(f"SELECT FROM {table}")
            finally:
                await reader.close()

    asyncio.run(run())
