"""Several replicas of a hub over one PostgreSQL database: exact money, whatever becomes of notifications."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg

from llmgov.ledger import balances, commands
from llmgov.ledger.messages import Epoch, LeaseGrant, LeaseRefusal, LeaseRequest, LeaseReturn, Need, Recalled
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, OrganizationPart
from llmgov_hub.hub import Hub
from llmgov_hub.recalls import DEFAULT_WAIT_ELSEWHERE_SECONDS, DEFAULT_WAIT_SECONDS
from llmgov_store.postgres import connecting
from llmgov_store.postgres.notify import Times
from llmgov_store.postgres.store import PostgresStore
from tests.support import buses, ledgers, machine, postgres, purses
from tests.support.buses import OverPostgres, until
from tests.support.ledgers import CENT, NOW, USD
from tests.support.postgres import Database

ACCOUNT = ledgers.account()
LOWERED = ledgers.account(limit=15 * CENT)

PATIENT = 15.0
"""Seconds to wait for sidecars of others, where a busy machine is not to change who gets money."""

pytestmark = machine.requires("postgres")


class Cluster:
    """Replicas of a hub, each with a store and a bus of its own."""

    def __init__(self, database: Database, exchange: OverPostgres, exits: contextlib.AsyncExitStack) -> None:
        self.database = database
        self.exchange = exchange
        self.hubs: list[Hub] = []
        self._exits = exits

    async def start(self, times: Times | None = None, wait: float = DEFAULT_WAIT_ELSEWHERE_SECONDS) -> Hub:
        """One more replica, which waits so long for sidecars of others."""
        store = await PostgresStore.open(self.database.hub)
        self._exits.push_async_callback(store.close)
        self.store: Store = store
        bus = await self.exchange.bus(times)
        name = f"hub-{len(self.hubs)}"
        self.hubs.append(Hub(store, lambda: NOW, writer=name, bus=bus, recall_wait_elsewhere_seconds=wait))
        return self.hubs[-1]

    async def cut(self) -> None:
        """Break the connections of all buses."""
        await self.say("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llmgov bus'")

    async def say(self, statement: str) -> None:
        """Run a statement as the database's owner."""
        await postgres.execute(self.database.owner, statement)

    async def count(self, table: str) -> int:
        """How many rows a table has, or those of it behind `WHERE`."""
        connection = await connecting.connect(self.database.owner)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608 - ours
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def cluster(
    replicas: int, times: Times | None = None, wait: float = DEFAULT_WAIT_ELSEWHERE_SECONDS
) -> AsyncIterator[Cluster]:
    async with (
        postgres.database() as database,
        contextlib.AsyncExitStack() as exits,
        buses.over_postgres(database) as exchange,
    ):
        made = Cluster(database, exchange, exits)
        for _ in range(replicas):
            await made.start(times, wait)
        yield made


def with_replicas(
    count: int, times: Times | None = None, wait: float = DEFAULT_WAIT_ELSEWHERE_SECONDS
) -> Callable[[Callable[[Cluster], Awaitable[None]]], Callable[[], None]]:
    """Run an async test with so many replicas."""

    def decorate(test: Callable[[Cluster], Awaitable[None]]) -> Callable[[], None]:
        def run() -> None:
            async def with_cluster() -> None:
                async with cluster(count, times, wait) as made:
                    await test(made)

            asyncio.run(with_cluster())

        run.__doc__ = test.__doc__
        return run

    return decorate


def request(epoch: Epoch, least: int, number: int = 1, account: Account = ACCOUNT) -> LeaseRequest:
    return LeaseRequest(epoch, number, (Need(account.key, account, least, least),), ledgers.PATH)


async def accounted_for(store: Store, spent: int) -> None:
    assert list(balances.differences(await store.balances())) == []
    (window,) = await store.windows(NOW)
    assert window.spent == spent


def test_a_lost_notification_and_the_way_back_fit_into_the_bound() -> None:
    times = Times()
    assert (times.look, times.look_while_asking, times.beat, times.dead) == (0.5, 0.1, 2.0, 6.0)
    assert (DEFAULT_WAIT_SECONDS, DEFAULT_WAIT_ELSEWHERE_SECONDS) == (0.5, 1.0)
    assert times.reconnect + times.look + times.look_while_asking < DEFAULT_WAIT_ELSEWHERE_SECONDS


@with_replicas(3, wait=PATIENT)
async def test_of_four_hundred_at_once_exactly_as_many_pass_as_the_limit_pays(given: Cluster) -> None:
    chance = random.Random(1)
    async with purses.clients([chance.choice(given.hubs) for _ in range(20)], actual=10 * CENT) as made:
        await asyncio.gather(*(chance.choice(made).call(f"a{index}", 10 * CENT) for index in range(400)))
        assert sum(len(client.outcomes) for client in made) == 400
        assert sum(len(client.held()) for client in made) == 50
    await accounted_for(given.store, spent=5 * USD)
    assert await given.count("hub_recalls") == 0


@with_replicas(3, wait=PATIENT)
async def test_nothing_is_refused_while_money_lies_idle_at_another_replica(given: Cluster) -> None:
    """One after the other, at random sidecars: $1 at worst, $0.10 in the end; 41 fit into $5."""
    chance = random.Random(2)
    async with purses.clients([chance.choice(given.hubs) for _ in range(20)], actual=10 * CENT) as made:
        outcomes = [await chance.choice(made).call(f"a{index}", USD) for index in range(48)]
    assert [isinstance(outcome, commands.Held) for outcome in outcomes] == [True] * 41 + [False] * 7
    await accounted_for(given.store, spent=41 * 10 * CENT)


@with_replicas(3, wait=PATIENT)
async def test_nor_while_connections_break_and_notifications_are_lost(given: Cluster) -> None:
    chance = random.Random(3)
    async with purses.clients([chance.choice(given.hubs) for _ in range(20)], actual=10 * CENT) as made:
        outcomes = []
        for index in range(48):
            if index % 4 == 3:
                await given.cut()
            outcomes.append(await chance.choice(made).call(f"a{index}", USD))
    assert given.exchange.broken
    assert [isinstance(outcome, commands.Held) for outcome in outcomes] == [True] * 41 + [False] * 7
    await accounted_for(given.store, spent=41 * 10 * CENT)


async def borrowed(lender: Hub) -> Epoch:
    """A sidecar that was lent everything."""
    rich = await lender.register("rich")
    assert isinstance(await lender.lease(request(rich, 5 * USD)), LeaseGrant)
    return rich


async def give_back(services: Hub, rich: Epoch) -> None:
    """Return everything on the first recall."""
    async for recall in services.recalls(rich):
        await services.give_back(LeaseReturn(rich, f"{rich}/1/0", 1, 5 * USD, final=True))
        await services.recalled(Recalled(rich, recall.key, 5 * USD, recall.ask))
        return


async def timed(lending: Awaitable[LeaseGrant | LeaseRefusal]) -> tuple[type, float]:
    """What kind of answer it was, and after how many seconds."""
    began = time.monotonic()
    reply = await lending
    return type(reply), time.monotonic() - began


@with_replicas(2)
async def test_who_is_asked_elsewhere_answers_long_before_the_next_look(given: Cluster) -> None:
    rich = await borrowed(given.hubs[0])
    poor = await given.hubs[1].register("poor")
    async with asyncio.TaskGroup() as group:
        group.create_task(give_back(given.hubs[0], rich))
        await known(given, rich)
        kind, seconds = await timed(given.hubs[1].lease(request(poor, USD)))
    assert kind is LeaseGrant
    assert seconds < Times().look / 2


async def known(given: Cluster, epoch: Epoch) -> None:
    """Wait until the database says where a sidecar is connected."""
    async with asyncio.timeout(buses.SOON):
        while not await given.count(f"hub_connections WHERE holder = '{epoch.holder}'"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


class Deaf(asyncpg.Connection):  # type: ignore[misc]
    """A connection that is told nothing."""

    async def add_listener(self, channel: str, callback: object) -> None:
        pass


async def deaf(given: OverPostgres) -> connecting.Connection:
    arguments = connecting.arguments(given.url)
    return await asyncpg.connect(**arguments, connection_class=Deaf)


def test_without_any_notification_the_money_comes_back_within_the_bound() -> None:
    async def run() -> None:
        async with cluster(0) as given:
            given.exchange.connect = lambda: deaf(given.exchange)  # type: ignore[method-assign]
            lender, hub = [await given.start() for _ in range(2)]
            rich, poor = await borrowed(lender), await hub.register("poor")
            async with asyncio.TaskGroup() as group:
                group.create_task(give_back(lender, rich))
                await known(given, rich)
                kind, seconds = await timed(hub.lease(request(poor, USD)))
            assert kind is LeaseGrant
            assert seconds < DEFAULT_WAIT_ELSEWHERE_SECONDS

    asyncio.run(run())


QUICK = Times(beat=0.05, dead=1.5)


@with_replicas(1, QUICK)
async def test_a_replica_that_dies_without_a_word_is_waited_for_up_to_the_bound_and_then_not_at_all(
    given: Cluster,
) -> None:
    (services,) = given.hubs
    rich, poor = await borrowed(services), await services.register("poor")
    await given.say("INSERT INTO hub_replicas VALUES ('dead', clock_timestamp())")
    await given.say(f"INSERT INTO hub_connections VALUES ('rich', {rich.number}, 'dead')")  # noqa: S608 - a number
    kind, seconds = await timed(services.lease(request(poor, USD)))
    assert kind is LeaseRefusal
    assert DEFAULT_WAIT_ELSEWHERE_SECONDS <= seconds < DEFAULT_WAIT_ELSEWHERE_SECONDS + 0.4
    await asyncio.sleep(0.6)
    another = await given.start(QUICK)
    kind, seconds = await timed(another.lease(request(poor, USD, 2)))
    assert kind is LeaseRefusal
    assert seconds < DEFAULT_WAIT_SECONDS


@with_replicas(1)
async def test_a_lone_replica_waits_for_nobody(given: Cluster) -> None:
    (services,) = given.hubs
    await borrowed(services)
    kind, seconds = await timed(services.lease(request(await services.register("poor"), USD)))
    assert kind is LeaseRefusal
    assert seconds < DEFAULT_WAIT_SECONDS / 2


@with_replicas(2)
async def test_a_lowered_limit_is_lent_by_at_once_and_asked_back_at_every_replica(given: Cluster) -> None:
    async with asyncio.TaskGroup() as group, purses.clients(given.hubs, actual=10 * CENT) as made:
        followers = [group.create_task(services.configuration.follow()) for services in given.hubs]
        await publish(given.hubs[0], ACCOUNT)
        for client in made:
            await client.call("before", 10 * CENT)
        assert all(client.purse.idle(ACCOUNT.key, NOW) for client in made)
        await publish(given.hubs[0], LOWERED)
        reply = await given.hubs[1].lease(request(await given.hubs[1].register("new"), 20 * CENT))
        assert isinstance(reply, LeaseRefusal)
        assert reply.limit == LOWERED.limit
        await until(lambda: not any(client.purse.idle(ACCOUNT.key, NOW) for client in made))
        for follower in followers:
            follower.cancel()
    await accounted_for(given.store, spent=20 * CENT)


async def publish(services: Hub, *accounts: Account) -> None:
    await services.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})


@with_replicas(3)
async def test_while_limits_are_published_no_grant_goes_by_an_older_one(given: Cluster) -> None:
    """Limits that only fall, published by one replica while all lend: what is lent fits the limit of its moment."""
    limits = [5 * USD - step * 20 * CENT for step in range(20)]
    in_force = [limits[0]]
    wrong: list[tuple[int, int]] = []

    async def lend(services: Hub, name: str) -> None:
        epoch = await services.register(name)
        for number in range(1, 40):
            limit = in_force[0]
            reply = await services.lease(request(epoch, CENT, number))
            if isinstance(reply, LeaseRefusal) and reply.limit > limit:
                wrong.append((reply.limit, limit))
            used = (await given.store.windows(NOW))[0].used
            if isinstance(reply, LeaseGrant) and used > limit:
                wrong.append((used, limit))

    async def lower() -> None:
        for limit in limits[1:]:
            await publish(given.hubs[0], ledgers.account(limit=limit))
            in_force[0] = limit
            await asyncio.sleep(0.05)

    await publish(given.hubs[0], ACCOUNT)
    await asyncio.gather(lower(), *(lend(services, f"pod-{index}") for index, services in enumerate(given.hubs)))
    assert wrong == []
