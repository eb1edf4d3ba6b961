"""Several replicas of a hub over one store: money that lies idle at another's sidecars, and what another publishes."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import pytest

from llmgov.ledger import balances, commands
from llmgov.ledger.messages import Epoch, LeaseGrant, LeaseRefusal, LeaseRequest, LeaseReturn, Need, Recall, Recalled
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Account, OrganizationPart, Target, TargetKind
from llmgov_hub.bus import Bus, Member
from llmgov_hub.hub import Hub
from llmgov_hub.memory_bus import MemoryBus, MemoryExchange
from llmgov_hub.recalls import DEFAULT_WAIT_ELSEWHERE_SECONDS, DEFAULT_WAIT_SECONDS
from llmgov_store.memory import MemoryStore
from tests.support import ledgers, purses, virtual
from tests.support.ledgers import CENT, NOW, USD

ACCOUNT = ledgers.account()
LOWERED = ledgers.account(limit=15 * CENT)


class Lossy:
    """A bus that loses messages: those that `loses` says, by their numbers, of recalls, answers and announcements."""

    def __init__(self, bus: MemoryBus, loses: Callable[[int], bool]) -> None:
        self._bus = bus
        self._loses = loses
        self._count = 0
        self.connect = bus.connect
        self.disconnect = bus.disconnect
        self.asking = bus.asking
        self.turn = bus.turn
        self.changed = bus.changed

    def join(self, member: Member) -> None:
        self._member = member
        self._bus.join(self)

    def asked(self, recall: Recall) -> None:
        if not self._lost():
            self._member.asked(recall)

    def told(self, message: Recalled) -> None:
        if not self._lost():
            self._member.told(message)

    def answer(self, message: Recalled) -> None:
        if not self._lost():
            self._bus.answer(message)

    def announce(self) -> None:
        if not self._lost():
            self._bus.announce()

    def _lost(self) -> bool:
        self._count += 1
        return self._loses(self._count)


def replicas(store: Store, count: int) -> tuple[list[Hub], list[MemoryBus]]:
    exchange = MemoryExchange()
    buses = [exchange.bus() for _ in range(count)]
    return [hub(store, bus, index) for index, bus in enumerate(buses)], buses


def hub(store: Store, bus: Bus, index: int = 0) -> Hub:
    return Hub(store, lambda: NOW, writer=f"hub-{index}", bus=bus)


def request(epoch: Epoch, least: int, number: int = 1, account: Account = ACCOUNT) -> LeaseRequest:
    return LeaseRequest(epoch, number, (Need(account.key, account, least, least),), ledgers.PATH)


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    def run() -> None:
        async def awaited() -> None:
            await test()

        virtual.run(awaited())

    run.__name__ = test.__name__
    return run


def now() -> float:
    return asyncio.get_running_loop().time()


@contextlib.asynccontextmanager
async def listening(services: Hub, epoch: Epoch) -> AsyncIterator[list[Recall]]:
    """A sidecar that hears what it is asked and never answers."""
    heard: list[Recall] = []

    async def follow() -> None:
        async for recall in services.recalls(epoch):
            heard.append(recall)  # noqa: PERF401 - it never ends

    async with asyncio.TaskGroup() as group:
        task = group.create_task(follow())
        await asyncio.sleep(0)
        try:
            yield heard
        finally:
            task.cancel()


@pytest.mark.parametrize("seed", range(10))
def test_of_a_thousand_at_once_exactly_as_many_pass_as_the_limit_pays(seed: int) -> None:
    async def run() -> None:
        store, chance = MemoryStore(), random.Random(seed)
        hubs, _ = replicas(store, 3)
        async with purses.clients([chance.choice(hubs) for _ in range(20)], actual=10 * CENT) as made:
            await asyncio.gather(*(chance.choice(made).call(f"a{index}", 10 * CENT) for index in range(1000)))
            assert sum(len(client.outcomes) for client in made) == 1000
            assert sum(len(client.held()) for client in made) == 50
        await accounted_for(store, spent=5 * USD)

    virtual.run(run())


@pytest.mark.parametrize("seed", range(10))
def test_nothing_is_refused_while_money_lies_idle_at_another_replica(seed: int) -> None:
    """One after the other, at random sidecars: $1 at worst, $0.10 in the end; 41 fit into $5."""

    async def run() -> None:
        store, chance = MemoryStore(), random.Random(seed)
        hubs, _ = replicas(store, 3)
        async with purses.clients([chance.choice(hubs) for _ in range(20)], actual=10 * CENT) as made:
            outcomes = [await chance.choice(made).call(f"a{index}", USD) for index in range(48)]
        assert [isinstance(outcome, commands.Held) for outcome in outcomes] == [True] * 41 + [False] * 7
        await accounted_for(store, spent=41 * 10 * CENT)

    virtual.run(run())


@pytest.mark.parametrize("seed", range(10))
def test_a_bus_that_loses_every_third_message_costs_no_money(seed: int) -> None:
    async def run() -> None:
        store, chance, exchange = MemoryStore(), random.Random(seed), MemoryExchange()
        hubs = [hub(store, Lossy(exchange.bus(), lambda _: chance.random() < 1 / 3), index) for index in range(3)]
        async with purses.clients([hubs[index % 3] for index in range(20)], actual=10 * CENT) as made:
            async with asyncio.timeout(600):
                await asyncio.gather(*(chance.choice(made).call(f"a{index}", 10 * CENT) for index in range(300)))
            held = sum(len(client.held()) for client in made)
            assert held <= 50
        await accounted_for(store, spent=held * 10 * CENT)

    virtual.run(run())


async def accounted_for(store: Store, spent: int) -> None:
    assert list(balances.differences(await store.balances())) == []
    (window,) = await store.windows(NOW)
    assert window.spent == spent


async def borrowed(store: Store, hubs: Sequence[Hub]) -> tuple[Epoch, Epoch]:
    """A sidecar that was lent everything, and another that is short."""
    rich, poor = await hubs[0].register("rich"), await hubs[1].register("poor")
    assert isinstance(await hubs[0].lease(request(rich, 5 * USD)), LeaseGrant)
    return rich, poor


@in_virtual_time
async def test_a_sidecar_that_is_connected_nowhere_is_not_waited_for() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    _, poor = await borrowed(store, hubs)
    began = now()
    assert isinstance(await hubs[1].lease(request(poor, USD)), LeaseRefusal)
    assert now() == began


@in_virtual_time
async def test_a_sidecar_elsewhere_that_does_not_answer_is_waited_for_up_to_the_bound() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[0], rich) as heard:
        began = now()
        assert isinstance(await hubs[1].lease(request(poor, USD)), LeaseRefusal)
        assert now() - began == pytest.approx(DEFAULT_WAIT_ELSEWHERE_SECONDS)
    assert [(recall.epoch, recall.key) for recall in heard] == [(rich, ACCOUNT.key)]


@in_virtual_time
async def test_one_that_did_not_answer_the_last_time_is_asked_again_and_hardly_waited_for() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[0], rich) as heard:
        await hubs[1].lease(request(poor, USD))
        for number in (2, 3):
            began = now()
            assert isinstance(await hubs[1].lease(request(poor, USD, number)), LeaseRefusal)
            assert now() - began == pytest.approx(DEFAULT_WAIT_ELSEWHERE_SECONDS / 10)
        assert len(heard) == 3
        async with asyncio.TaskGroup() as group:
            asked = group.create_task(hubs[1].lease(request(poor, USD, 4)))
            await asyncio.sleep(0.05)
            await hubs[0].give_back(LeaseReturn(rich, f"{rich}/1/0", 1, 5 * USD, final=True))
            await hubs[0].recalled(Recalled(rich, ACCOUNT.key, 5 * USD, heard[-1].ask))
        assert isinstance(asked.result(), LeaseGrant)


@in_virtual_time
async def test_one_that_answers_again_is_waited_for_as_before() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[0], rich) as heard:
        await hubs[1].lease(request(poor, USD))
        async with asyncio.TaskGroup() as group:
            group.create_task(hubs[1].lease(request(poor, USD, 2)))
            await asyncio.sleep(0.05)
            await hubs[0].recalled(Recalled(rich, ACCOUNT.key, 0, heard[-1].ask))
        began = now()
        await hubs[1].lease(request(poor, USD, 3))
        assert now() - began == pytest.approx(DEFAULT_WAIT_ELSEWHERE_SECONDS)


@in_virtual_time
async def test_one_here_that_does_not_answer_is_waited_for_no_longer_than_without_replicas() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[1], rich):
        began = now()
        assert isinstance(await hubs[1].lease(request(poor, USD)), LeaseRefusal)
        assert now() - began == pytest.approx(DEFAULT_WAIT_SECONDS)


@in_virtual_time
async def test_a_replica_that_is_known_to_be_gone_is_not_waited_for() -> None:
    store = MemoryStore()
    hubs, buses = replicas(store, 2)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[0], rich):
        buses[0].leave()
        began = now()
        assert isinstance(await hubs[1].lease(request(poor, USD)), LeaseRefusal)
        assert now() == began


@in_virtual_time
async def test_a_sidecar_that_connects_to_another_replica_is_asked_again_there() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 3)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[0], rich), asyncio.TaskGroup() as group:
        asked = group.create_task(hubs[1].lease(request(poor, USD)))
        await asyncio.sleep(0.1)
        async with listening(hubs[2], rich) as heard:
            await asyncio.sleep(0)
            (recall,) = heard
            await hubs[2].recalled(Recalled(rich, recall.key, 0, recall.ask))
            await asked
            assert now() == pytest.approx(0.1)


@in_virtual_time
async def test_a_connection_that_ends_late_does_not_end_the_one_after_it() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 3)
    rich, poor = await borrowed(store, hubs)
    async with listening(hubs[2], rich) as heard:
        async with listening(hubs[0], rich):
            later = hubs[2].recalls(rich)
            first = asyncio.ensure_future(anext(later))  # noqa: TID251 - the stream after both
            await asyncio.sleep(0)
        await hubs[1].lease(request(poor, USD))
        assert (await first).epoch == rich
    assert heard == []


async def publish(services: Hub, *accounts: Account) -> None:
    await services.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})


@in_virtual_time
async def test_a_replica_that_has_not_heard_of_a_lowered_limit_lends_by_it_all_the_same() -> None:
    store = MemoryStore()
    hubs, _ = replicas(store, 2)
    await publish(hubs[0], ACCOUNT)
    epoch = await hubs[1].register("pod")
    assert isinstance(await hubs[1].lease(request(epoch, 10 * CENT)), LeaseGrant)
    await publish(hubs[0], LOWERED)
    reply = await hubs[1].lease(request(epoch, 15 * CENT, 2))
    assert isinstance(reply, LeaseRefusal)
    assert reply.limit == LOWERED.limit


@in_virtual_time
async def test_a_grant_that_was_decided_meanwhile_is_decided_again_by_what_is_in_force() -> None:
    """The other replica publishes after this one knows what to lock, and before its transaction."""
    store = Overtaken()
    hubs, _ = replicas(store, 2)
    await publish(hubs[0], ACCOUNT)
    epoch = await hubs[1].register("pod")
    await hubs[1].configuration.resume()
    store.overtake = [lambda: publish(hubs[0], LOWERED)]
    reply = await hubs[1].lease(request(epoch, 20 * CENT))
    assert isinstance(reply, LeaseRefusal)
    assert reply.limit == LOWERED.limit


@in_virtual_time
async def test_a_configuration_that_changes_all_the_time_ends_in_an_error_that_says_so() -> None:
    store = Overtaken()
    hubs, _ = replicas(store, 2)
    epoch = await hubs[1].register("pod")
    await hubs[1].configuration.resume()
    limits = [ledgers.account(limit=(1 + cents) * CENT) for cents in range(20)]
    store.overtake = [lambda each=each: publish(hubs[0], each) for each in limits]  # type: ignore[misc]
    with pytest.raises(StoreError, match="changes faster"):
        await hubs[1].lease(request(epoch, CENT))


class Overtaken(MemoryStore):
    """A store in which other work is done between a replica's decision to lend and its transaction."""

    overtake: list[Callable[[], Awaitable[None]]] = []  # noqa: RUF012 - each test gives its own

    async def transact(self, lock, step):  # type: ignore[no-untyped-def]
        if lock.edition and self.overtake:
            await self.overtake.pop(0)()
        return await super().transact(lock, step)


ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION))


def of_the_team_alone(epoch: Epoch) -> LeaseRequest:
    """A request of a sidecar that has not heard of the organization's account."""
    return msgspec.structs.replace(request(epoch, USD), accounts=(ACCOUNT.key,), least=USD)


async def rich_in_two(hubs: Sequence[Hub]) -> tuple[Epoch, Epoch]:
    """A sidecar that was lent all that two accounts have, and another one."""
    await publish(hubs[0], ACCOUNT, ORGANIZATION)
    await hubs[1].leases.look_again()  # before anything is lent, which it would ask back
    rich, poor = await hubs[0].register("rich"), await hubs[1].register("poor")
    needs = tuple(Need(account.key, account, 5 * USD, 5 * USD) for account in (ACCOUNT, ORGANIZATION))
    assert isinstance(await hubs[0].lease(LeaseRequest(rich, 1, needs, ledgers.PATH)), LeaseGrant)
    return rich, poor


@contextlib.asynccontextmanager
async def giving_back(rich: Epoch, heard: Hub, answered: Hub, *, silent: str = "") -> AsyncIterator[None]:
    """It gives back what it is asked for: it listens to `heard`, and calls `answered`; answers about the account
    `silent` get lost, and what it returns arrives all the same."""

    async def give_back() -> None:
        async for recall in heard.recalls(rich):
            index = [ACCOUNT.key, ORGANIZATION.key].index(recall.key)
            await answered.give_back(LeaseReturn(rich, f"{rich}/1/{index}", 1, 5 * USD, final=True))
            if recall.key != silent:
                await answered.recalled(Recalled(rich, recall.key, 5 * USD, recall.ask))

    async with asyncio.TaskGroup() as group:
        task = group.create_task(give_back())
        await asyncio.sleep(0)
        yield
        task.cancel()


@in_virtual_time
async def test_idle_money_is_asked_for_in_every_account_that_covers_a_request_also_one_that_it_does_not_name() -> None:
    hubs, _ = replicas(MemoryStore(), 2)
    rich, poor = await rich_in_two(hubs)
    async with giving_back(rich, hubs[0], hubs[0]):
        assert isinstance(await hubs[1].lease(of_the_team_alone(poor)), LeaseGrant)


def of_both(epoch: Epoch) -> LeaseRequest:
    needs = tuple(Need(account.key, account, USD, USD) for account in (ACCOUNT, ORGANIZATION))
    return LeaseRequest(epoch, 1, needs, ledgers.PATH)


@in_virtual_time
async def test_what_a_sidecar_gives_back_through_another_replica_than_that_which_asked_is_lent() -> None:
    hubs, _ = replicas(MemoryStore(), 2)
    rich, poor = await rich_in_two(hubs)
    async with giving_back(rich, heard=hubs[1], answered=hubs[0]):
        assert isinstance(await hubs[1].lease(of_both(poor)), LeaseGrant)


@pytest.mark.parametrize("silent", [ACCOUNT.key, ORGANIZATION.key], ids=["the first account", "the second account"])
def test_an_answer_that_gets_lost_costs_time_and_no_refusal(silent: str) -> None:
    @in_virtual_time
    async def run() -> None:
        hubs, _ = replicas(MemoryStore(), 2)
        rich, poor = await rich_in_two(hubs)
        async with giving_back(rich, hubs[0], hubs[0], silent=silent):
            began = now()
            assert isinstance(await hubs[1].lease(of_both(poor)), LeaseGrant)
            assert now() - began == pytest.approx(DEFAULT_WAIT_ELSEWHERE_SECONDS)

    run()


@in_virtual_time
async def test_an_account_that_stops_covering_a_request_while_it_is_short_of_it_refuses_no_longer() -> None:
    store = Delayed()
    hubs, _ = replicas(store, 2)
    await publish(hubs[0], ACCOUNT, ORGANIZATION)
    rich, poor = await hubs[0].register("rich"), await hubs[1].register("poor")
    needs = (Need(ORGANIZATION.key, ORGANIZATION, 5 * USD, 5 * USD),)
    assert isinstance(await hubs[0].lease(LeaseRequest(rich, 1, needs, ledgers.PATH)), LeaseGrant)

    async def forget_the_organization() -> None:
        await publish(hubs[0], ACCOUNT)
        await hubs[1].configuration.resume()

    await hubs[1].configuration.resume()
    store.then = [lambda: asyncio.sleep(0), forget_the_organization]
    assert isinstance(await hubs[1].lease(of_the_team_alone(poor)), LeaseGrant)


class Delayed(MemoryStore):
    """A store in which other work is done between a transaction and its answer."""

    then: list[Callable[[], Awaitable[None]]] = []  # noqa: RUF012 - each test gives its own

    async def transact(self, lock, step):  # type: ignore[no-untyped-def]
        reply = await super().transact(lock, step)
        if lock.edition and self.then:
            await self.then.pop(0)()
        return reply


@contextlib.asynccontextmanager
async def following(hubs: Sequence[Hub]) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(services.configuration.follow()) for services in hubs]
        await asyncio.sleep(0)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()


@pytest.mark.parametrize("lost", [False, True], ids=["the announcement arrives", "the announcement is lost"])
def test_a_lowered_limit_calls_in_what_is_idle_at_the_sidecars_of_all_replicas(lost: bool) -> None:
    async def run() -> None:
        store, exchange = MemoryStore(), MemoryExchange()
        hubs = [hub(store, Lossy(exchange.bus(), lambda _: lost), index) for index in range(3)]
        async with following(hubs), purses.clients(hubs, actual=10 * CENT) as made:
            await publish(hubs[0], ACCOUNT)
            for client in made:
                await client.call("before", 10 * CENT)
            assert all(client.purse.idle(ACCOUNT.key, NOW) for client in made)
            await asyncio.sleep(2)
            assert not any(client.asked_back for client in made)
            await publish(hubs[0], LOWERED)
            await asyncio.sleep(1.01 if lost else 0.01)
            assert not any(client.purse.idle(ACCOUNT.key, NOW) for client in made)
        await accounted_for(store, spent=30 * CENT)

    virtual.run(run())


class Failing(MemoryStore):
    """A store that cannot tell who borrowed for as long as `broken`."""

    broken = False

    async def borrowers(self, account: str, start: int) -> dict[Epoch, int]:
        if self.broken:
            raise StoreError("away")
        return await super().borrowers(account, start)


@in_virtual_time
async def test_what_could_not_be_asked_back_is_asked_back_later() -> None:
    store = Failing()
    (services,), _ = replicas(store, 1)
    async with following([services]), purses.clients([services], actual=10 * CENT) as (client,):
        await publish(services, ACCOUNT)
        await client.call("before", 10 * CENT)
        store.broken = True
        await publish(services, LOWERED)
        await asyncio.sleep(5)
        assert client.asked_back == 0
        store.broken = False
        await asyncio.sleep(1.01)
        assert client.asked_back == 1
        await asyncio.sleep(5)
        assert client.asked_back == 1


class Slow(MemoryStore):
    """A store that takes a millisecond, so that requests at several replicas are under way at a time."""

    async def transact(self, lock, step):  # type: ignore[no-untyped-def]
        await asyncio.sleep(0.001)
        return await super().transact(lock, step)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_of_those_that_are_short_at_several_replicas_one_gets_what_all_have_idle(count: int) -> None:
    """Each has an equal part of the limit idle, and needs all of it: taking each other's parts helps nobody."""

    async def run() -> None:
        store, account = Slow(), ledgers.account(limit=count * 30 * CENT)
        hubs, _ = replicas(store, count)
        async with purses.clients(hubs, actual=0, account=account) as made:
            await asyncio.gather(*(client.call("part", 30 * CENT) for client in made))
            async with asyncio.timeout(10):
                await asyncio.gather(*(client.call("whole", count * 30 * CENT) for client in made))
            assert sum(name.endswith("whole") for client in made for name in client.held()) >= 1
        await accounted_for(store, spent=0)

    virtual.run(run())
