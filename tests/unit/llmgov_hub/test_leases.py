"""Leases over each store: concurrency, recalls of idle money from other sidecars, and what they wait for."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmgov.ledger import commands
from llmgov.ledger.messages import (
    Epoch,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recalled,
    Why,
)
from llmgov.ledger.purse import Purse, Wish
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, OrganizationPart
from llmgov_hub.hub import Hub
from llmgov_hub.recalls import Recalls
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

ACCOUNT = ledgers.account()
LOWERED = ledgers.account(limit=15 * CENT)


def hub(store: Store, wait: float = 5.0) -> Hub:
    return Hub(store, lambda: NOW, recall_wait_seconds=wait)


def request(epoch: Epoch, least: int, number: int = 1, account: Account = ACCOUNT) -> LeaseRequest:
    return LeaseRequest(epoch, number, (Need(account.key, account, least, least),), ledgers.PATH)


class Client:
    """A sidecar's purse joined to a hub, as simple as can be: every attempt settles as soon as it may go."""

    def __init__(self, services: Hub, purse: Purse, actual: int) -> None:
        self.hub = services
        self.purse = purse
        self.actual = actual
        self.outcomes: dict[str, commands.Held | commands.Refused] = {}

    async def obey(self, done: tuple[commands.Command, ...]) -> None:
        for command in done:
            match command:
                case commands.Send(message=LeaseRequest() as asked):
                    reply = await self.hub.lease(asked)
                    take = self.purse.on_grant if isinstance(reply, LeaseGrant) else self.purse.on_refusal
                    await self.obey(take(reply, NOW))  # type: ignore[arg-type]
                case commands.Send(message=LeaseReturn() as returned):
                    await self.hub.give_back(returned)
                case commands.Send(message=Recalled() as answer):
                    await self.hub.recalled(answer)
                case commands.Held(attempt=attempt):
                    self.outcomes[attempt] = command
                    intent = ledgers.intent(attempt, command.amount, command.charged)
                    await self.hub.deliver([intent, ledgers.settlement(attempt, self.actual)])
                    await self.obey(self.purse.settle(attempt, self.actual, NOW))
                case commands.Refused(attempt=attempt):
                    self.outcomes[attempt] = command
                case commands.Write():
                    pass

    async def follow_recalls(self) -> None:
        async for recall in self.hub.recalls(self.purse.epoch):
            await self.obey(self.purse.on_recall(recall, NOW))


@contextlib.asynccontextmanager
async def clients(store: Store, count: int, actual: int) -> AsyncIterator[list[Client]]:
    services = hub(store)
    epochs = [await services.register(f"pod-{index}") for index in range(count)]
    made = [Client(services, Purse(epoch), actual) for epoch in epochs]
    async with asyncio.TaskGroup() as group:
        followers = [group.create_task(client.follow_recalls()) for client in made]
        await asyncio.sleep(0)
        yield made
        for follower in followers:
            follower.cancel()


async def call(client: Client, name: str, worst: int) -> None:
    wish = Wish(f"{client.purse.epoch}/{name}", (ledgers.charge(ACCOUNT),), worst, worst, ledgers.PATH)
    await client.obey(client.purse.hold(wish, NOW))


@on_every_store
async def test_of_a_thousand_at_once_exactly_as_many_pass_as_the_limit_pays(store: Store) -> None:
    async with clients(store, 4, actual=10 * CENT) as made:
        await asyncio.gather(*(call(made[index % 4], f"a{index}", 10 * CENT) for index in range(1000)))
        outcomes = [outcome for client in made for outcome in client.outcomes.values()]
    assert len(outcomes) == 1000
    assert sum(isinstance(outcome, commands.Held) for outcome in outcomes) == 50
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (5 * USD, 0)


@on_every_store
async def test_nothing_is_refused_while_money_that_nobody_holds_suffices(store: Store) -> None:
    """One after the other, in turn from four sidecars: $1 at worst, $0.10 in the end; 41 fit into $5."""
    async with clients(store, 4, actual=10 * CENT) as made:
        for index in range(48):
            await call(made[index % 4], f"a{index}", USD)
        outcomes = {name: outcome for client in made for name, outcome in client.outcomes.items()}
    held = sorted(
        int(name.rpartition("a")[2]) for name, outcome in outcomes.items() if isinstance(outcome, commands.Held)
    )
    assert held == list(range(41))
    assert (await store.windows(NOW))[0].spent == 41 * 10 * CENT


@on_every_store
async def test_a_sidecar_that_does_not_answer_delays_a_refusal_for_a_bounded_time(store: Store) -> None:
    services = hub(store, wait=0.01)
    silent, other = await services.register("silent"), await services.register("other")
    assert isinstance(await services.lease(request(silent, 5 * USD)), LeaseGrant)
    listening = services.recalls(silent)
    asked = asyncio.ensure_future(anext(listening))  # noqa: TID251 - a listener that never answers
    await asyncio.sleep(0)
    reply = await services.lease(request(other, USD))
    assert isinstance(reply, LeaseRefusal)
    assert (await asked).key == ACCOUNT.key


@on_every_store
async def test_who_asks_is_not_asked_for_its_own_money(store: Store) -> None:
    services = hub(store)
    epoch = await services.register("pod")
    assert isinstance(await services.lease(request(epoch, 5 * USD)), LeaseGrant)
    listening = services.recalls(epoch)
    asked = asyncio.ensure_future(anext(listening))  # noqa: TID251 - a listener that is never asked
    await asyncio.sleep(0)
    assert isinstance(await services.lease(request(epoch, USD, 2)), LeaseRefusal)
    await asyncio.sleep(0)
    assert not asked.done()
    asked.cancel()


@on_every_store
async def test_the_accounts_in_force_decide_after_a_restart_too(store: Store) -> None:
    lowered = ledgers.account(limit=USD)
    await hub(store).configuration.publish({"organization": OrganizationPart("test", accounts=(lowered,))})
    restarted = hub(store)
    await restarted.configuration.resume()
    reply = await ledgers.lease(restarted, request(ledgers.epoch(), 2 * USD))
    assert isinstance(reply, LeaseRefusal)
    assert reply.limit == USD


async def publish(services: Hub, *accounts: Account) -> None:
    await services.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})


@on_every_store
async def test_a_lowered_limit_calls_in_what_is_idle_at_sidecars_that_have_not_heard_of_it(store: Store) -> None:
    async with clients(store, 2, actual=10 * CENT) as made:
        services = made[0].hub
        await publish(services, ACCOUNT)
        for client in made:
            await call(client, "before", 10 * CENT)
        assert all(client.purse.idle(ACCOUNT.key, NOW) > 0 for client in made)
        await publish(services, LOWERED)
        await _until(lambda: not any(client.purse.idle(ACCOUNT.key, NOW) for client in made))
        for client in made:
            await call(client, "after", 10 * CENT)
        outcomes = {name: outcome for client in made for name, outcome in client.outcomes.items()}
    assert [name for name, outcome in outcomes.items() if isinstance(outcome, commands.Held)] == [
        "pod-0:1/before",
        "pod-1:1/before",
    ]
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (20 * CENT, 0)


@on_every_store
async def test_a_raised_limit_lends_at_once(store: Store) -> None:
    async with clients(store, 1, actual=10 * CENT) as (client,):
        await publish(client.hub, LOWERED)
        await call(client, "refused", 20 * CENT)
        await publish(client.hub, ACCOUNT)
        await call(client, "held", 20 * CENT)
        assert [type(outcome) for outcome in client.outcomes.values()] == [commands.Refused, commands.Held]


@on_every_store
async def test_a_request_that_waits_for_its_turn_is_answered_by_the_limit_in_force_then(store: Store) -> None:
    services = hub(store)
    await publish(services, ACCOUNT)
    transact, turn = store.transact, asyncio.Event()

    async def wait_and_transact(*args: Any) -> Any:
        await turn.wait()
        return await transact(*args)

    store.transact = wait_and_transact  # type: ignore[method-assign,assignment]
    async with asyncio.TaskGroup() as group:
        asked = group.create_task(ledgers.lease(services, request(ledgers.epoch(), 20 * CENT)))
        await asyncio.sleep(0)
        store.transact = transact  # type: ignore[method-assign]
        await publish(services, LOWERED)
        turn.set()
    reply = asked.result()
    assert isinstance(reply, LeaseRefusal)
    assert reply.limit == LOWERED.limit


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - until others have had their turns
            await asyncio.sleep(0)


@on_every_store
async def test_epochs_grow_and_fence(store: Store) -> None:
    services = hub(store)
    first, second, late = [await services.register("pod") for _ in range(3)]
    assert (first.number, second.number, late.number) == (1, 2, 3)
    assert isinstance(await services.lease(request(first, CENT)), LeaseGrant)
    assert isinstance(await services.lease(request(second, CENT)), LeaseGrant)
    reply = await services.lease(request(first, CENT, 2))
    assert isinstance(reply, LeaseRefusal)
    assert reply.why is Why.FENCED
    assert (await services.register("pod")).number == 4
    assert isinstance(await services.lease(request(second, CENT, 2)), LeaseGrant)


@on_every_store
async def test_a_lost_pods_money_counts_as_unknown(store: Store) -> None:
    services = hub(store)
    epoch = await services.register("pod")
    grant = await services.lease(request(epoch, 40 * CENT))
    assert isinstance(grant, LeaseGrant)
    assert await services.leases.lose("pod") == grant.leases[0].amount
    (window,) = await store.windows(NOW)
    assert (window.leased, window.unknown) == (0, grant.leases[0].amount)


def test_turns_are_one_at_a_time_and_forgotten() -> None:
    async def take_turns() -> list[str]:
        recalls, seen = Recalls(), []

        async def turn(name: str) -> None:
            async with recalls.turn("key"):
                seen.append(f"{name} begins")
                await asyncio.sleep(0)
                seen.append(f"{name} ends")

        await asyncio.gather(turn("a"), turn("b"))
        assert len(recalls._turns) == 0
        return seen

    assert asyncio.run(take_turns()) == ["a begins", "a ends", "b begins", "b ends"]


@pytest.mark.parametrize("answer", [0, 7], ids=["nothing was idle", "something was"])
def test_collecting_sums_what_the_connected_ones_returned(answer: int) -> None:
    async def collect() -> int:
        recalls, epoch = Recalls(5.0), ledgers.epoch()

        async def follow() -> None:
            async for recall in recalls.stream(epoch):
                recalls.answered(Recalled(recall.epoch, recall.key, answer, recall.ask))

        async with asyncio.TaskGroup() as group:
            follower = group.create_task(follow())
            await asyncio.sleep(0)
            async with recalls.turn("key"):
                collected = await recalls.collect("key", [epoch, ledgers.epoch("away")])
            follower.cancel()
        return collected

    assert asyncio.run(collect()) == answer


def test_a_late_answer_to_one_recall_is_not_taken_for_that_to_the_next() -> None:
    async def collect() -> list[int]:
        recalls, epoch, heard = Recalls(5.0), ledgers.epoch(), asyncio.Queue[Recall]()

        async def follow() -> None:
            async for recall in recalls.stream(epoch):
                assert isinstance(recall, Recall)
                heard.put_nowait(recall)

        async def answer(recall: Recall, amount: int) -> None:
            recalls.answered(Recalled(recall.epoch, recall.key, amount, recall.ask))
            await asyncio.sleep(0)

        async with asyncio.TaskGroup() as group:
            follower = group.create_task(follow())
            await asyncio.sleep(0)
            first = group.create_task(recalls.collect("key", [epoch]))
            late = await heard.get()
            await answer(late, 1)
            await first
            again = group.create_task(recalls.collect("key", [epoch]))
            recall = await heard.get()
            await answer(late, 0)
            await answer(recall, 7)
            collected = [first.result(), await again]
            follower.cancel()
        return collected

    assert asyncio.run(collect()) == [1, 7]
