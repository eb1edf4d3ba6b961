"""A process that is no replica, as the operator is, publishes; replicas of a hub over PostgreSQL go by it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from llmgov.ledger.messages import LeaseRefusal, LeaseRequest, Need
from llmgov.snapshot import Account, OrganizationPart
from llmgov_hub.configuration import DEFAULT_LOOK_SECONDS
from llmgov_hub.hub import Hub
from llmgov_store import opening
from llmgov_store.opening import Opened
from llmgov_store.postgres.store import PostgresStore
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder
from tests.support import buses, ledgers, machine, postgres, purses
from tests.support.buses import until
from tests.support.ledgers import CENT, NOW

ACCOUNT = ledgers.account()
LOWERED = ledgers.account(limit=15 * CENT)
NEVER = 3600.0
"""Seconds between two looks of a replica that learns by being told, or not at all."""

pytestmark = machine.requires("postgres")


@contextlib.asynccontextmanager
async def replica(database: postgres.Database, look_seconds: float) -> AsyncIterator[Hub]:
    """One that follows."""
    async with (
        contextlib.AsyncExitStack() as exits,
        buses.over_postgres(database) as exchange,
        asyncio.TaskGroup() as group,
    ):
        store = await PostgresStore.open(database.hub)
        exits.push_async_callback(store.close)
        services = Hub(store, lambda: NOW, bus=await exchange.bus())
        following = group.create_task(services.configuration.follow(look_seconds))
        yield services
        following.cancel()


async def nothing() -> None:
    """An announcement that is lost."""


def publisher(ledger: Opened, announce: Callable[[], Awaitable[None]]) -> Publisher:
    return Publisher(ledger.store, Recorder("operator"), lambda: NOW, announce)


async def publish(publisher: Publisher, *accounts: Account) -> None:
    await publisher.publish({"organization": OrganizationPart("test", accounts=accounts)})


async def followed(look_seconds: float, announced: bool) -> float:
    """Publish a limit, let a sidecar hold money, and lower it: seconds until the sidecar is asked for its idle rest."""
    async with (
        postgres.database() as database,
        replica(database, look_seconds) as services,
        purses.clients([services], actual=10 * CENT) as (client,),
    ):
        ledger = await opening.open_store(database.hub)
        try:
            operator = publisher(ledger, ledger.announce if announced else nothing)
            await publish(operator, ACCOUNT)
            await client.call("before", 10 * CENT)
            assert client.purse.idle(ACCOUNT.key, NOW)
            begun = time.monotonic()
            await publish(operator, LOWERED)
            await until(lambda: not client.purse.idle(ACCOUNT.key, NOW))
            seconds = time.monotonic() - begun
            need = Need(ACCOUNT.key, ACCOUNT, 20 * CENT, 20 * CENT)
            reply = await services.lease(LeaseRequest(await services.register("new"), 1, (need,), ledgers.PATH))
            assert isinstance(reply, LeaseRefusal)
            assert reply.limit == LOWERED.limit
            return seconds
        finally:
            await ledger.close()


def test_a_replica_hears_of_it_within_a_second_without_looking() -> None:
    assert asyncio.run(followed(NEVER, announced=True)) < 1


def test_a_replica_finds_it_by_looking_where_the_notification_is_lost() -> None:
    assert asyncio.run(followed(DEFAULT_LOOK_SECONDS, announced=False)) < 2 * DEFAULT_LOOK_SECONDS


def test_an_announcement_is_heard_after_the_connection_that_it_goes_by_broke() -> None:
    async def check() -> None:
        async with postgres.database() as database, buses.over_postgres(database) as exchange:
            bus = await exchange.bus()
            ledger = await opening.open_store(database.hub)
            try:
                for _ in range(3):
                    await bus.changed(0)
                    await ledger.announce()
                    async with asyncio.timeout(buses.SOON):
                        await bus.changed(NEVER)
                    await postgres.execute(
                        database.owner,
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'llmgov'"
                        " AND datname = current_database() AND pid <> pg_backend_pid()",
                    )
            finally:
                await ledger.close()

    asyncio.run(check())


def test_an_announcement_into_a_database_that_is_away_is_lost_in_silence() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            ledger = await opening.open_store(database.hub)
            await postgres.execute(database.owner, f'ALTER DATABASE "{database.name}" CONNECTION LIMIT 0')
            await ledger.announce()
            await ledger.close()

    asyncio.run(check())
