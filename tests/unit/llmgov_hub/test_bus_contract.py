"""What every bus does alike: the contract that `llmgov_hub.bus` states."""

import asyncio

from llmgov.ledger.messages import Epoch
from tests.support.buses import SOON, Exchange, Heard, on_every_bus, until

KEY = "test|team/payments|Month|UTC"
POD, OTHER = Epoch("pod-1", 3), Epoch("pod-2", 1)


async def members(exchange: Exchange, count: int) -> list[Heard]:
    return [Heard(await exchange.bus()) for _ in range(count)]


async def connected(member: Heard, asker: Heard, epoch: Epoch) -> None:
    """Connect, and wait until others know."""
    probe = (epoch, "until it is known")
    member.bus.connect(epoch)
    async with asyncio.timeout(SOON):
        while probe not in member.asked_for:
            async with asker.bus.asking(probe[1], [epoch], SOON) as asked:
                if asked:
                    await until(lambda: probe in member.asked_for)
    member.recalls.clear()


@on_every_bus
async def test_a_sidecar_elsewhere_is_asked_and_its_answer_told(exchange: Exchange) -> None:
    asker, other, third = await members(exchange, 3)
    await connected(other, asker, POD)
    async with asker.bus.asking(KEY, [OTHER, POD], SOON) as asked:
        assert list(asked) == [POD]
        await until(lambda: other.asked_for == [(POD, KEY)])
        other.answer(7)
        await until(lambda: asker.told_of == [(POD, KEY, 7)])
    assert (asker.recalls, third.recalls, other.answers, third.answers) == ([], [], [], [])


@on_every_bus
async def test_an_account_of_any_name_is_asked_for(exchange: Exchange) -> None:
    asker, other = await members(exchange, 2)
    key, pod = f"{KEY}|user \x00\x1a ' \N{SNOWMAN}", Epoch("p\x00d", 1)
    await connected(other, asker, pod)
    other.idle = 7
    async with asker.bus.asking(key, [pod], SOON) as asked:
        assert list(asked) == [pod]
        await until(lambda: asker.told_of == [(pod, key, 7)])
    assert other.asked_for == [(pod, key)]


@on_every_bus
async def test_who_is_connected_here_or_nowhere_is_not_asked(exchange: Exchange) -> None:
    asker, other = await members(exchange, 2)
    asker.bus.connect(POD)
    await connected(other, asker, OTHER)
    other.bus.disconnect(OTHER)
    await asyncio.sleep(0.1)
    for epochs in ([POD, OTHER, Epoch("nowhere", 1)], []):
        async with asker.bus.asking(KEY, epochs, SOON) as asked:
            assert not asked
    await asyncio.sleep(0.1)
    assert (asker.recalls, other.recalls) == ([], [])


@on_every_bus
async def test_who_connects_to_another_replica_meanwhile_is_asked_there(exchange: Exchange) -> None:
    asker, first, second = await members(exchange, 3)
    await connected(first, asker, POD)
    async with asker.bus.asking(KEY, [POD], SOON):
        await until(lambda: first.asked_for == [(POD, KEY)])
        second.bus.connect(POD)
        await until(lambda: second.asked_for == [(POD, KEY)])
        first.bus.disconnect(POD)
        second.answer(0)
        await until(lambda: asker.told_of == [(POD, KEY, 0)])
    await asyncio.sleep(0.1)
    async with asker.bus.asking(KEY, [POD], SOON) as asked:
        assert list(asked) == [POD]


@on_every_bus
async def test_who_connects_again_to_its_replica_is_asked_again(exchange: Exchange) -> None:
    asker, other = await members(exchange, 2)
    await connected(other, asker, POD)
    async with asker.bus.asking(KEY, [POD], SOON):
        await until(lambda: other.asked_for == [(POD, KEY)])
        other.bus.connect(POD)
        await until(lambda: other.asked_for == [(POD, KEY)] * 2)


@on_every_bus
async def test_answers_are_told_to_those_that_asked_and_to_nobody_that_does_not_wait_any_more(
    exchange: Exchange,
) -> None:
    first, second, other = await members(exchange, 3)
    await connected(other, first, POD)
    async with first.bus.asking(KEY, [POD], SOON):
        async with second.bus.asking(KEY, [POD], SOON):
            await until(lambda: other.asked_for == [(POD, KEY)] * 2)
        async with second.bus.asking("another", [POD], SOON):
            await until(lambda: len(other.recalls) == 3)
            other.answer(7, 0)
            other.answer(7, 1)
            await until(lambda: first.told_of == [(POD, KEY, 7)])
            await asyncio.sleep(0.1)
    assert (len(first.answers), second.answers) == (1, [])


@on_every_bus
async def test_a_late_answer_is_not_told_to_who_asks_the_same_again(exchange: Exchange) -> None:
    asker, other = await members(exchange, 2)
    await connected(other, asker, POD)
    async with asker.bus.asking(KEY, [POD], SOON):
        await until(lambda: len(other.recalls) == 1)
    async with asker.bus.asking(KEY, [POD], SOON):
        await until(lambda: len(other.recalls) == 2)
        other.answer(0, 0)
        await asyncio.sleep(0.1)
        assert asker.answers == []
        other.answer(7)
        await until(lambda: asker.told_of == [(POD, KEY, 7)])


@on_every_bus
async def test_a_replica_that_has_ended_is_not_waited_for(exchange: Exchange) -> None:
    asker, other = await members(exchange, 2)
    await connected(other, asker, POD)
    await exchange.leave(other.bus)
    async with asker.bus.asking(KEY, [POD], SOON) as asked:
        assert not asked


@on_every_bus
async def test_one_replica_at_a_time_has_the_turn_of_an_account(exchange: Exchange) -> None:
    first, second = await members(exchange, 2)
    order = []

    async def take(name: str, member: Heard, key: str = KEY) -> None:
        async with member.bus.turn(key, SOON):
            order.append(f"{name} begins")
            await asyncio.sleep(0.05)
            order.append(f"{name} ends")

    async with asyncio.TaskGroup() as group, first.bus.turn(KEY, SOON):
        group.create_task(take("second", second))
        await take("another account's", second, "another")
        await asyncio.sleep(0.1)
        order.append("first ends")
    assert order == [
        "another account's begins", "another account's ends", "first ends", "second begins", "second ends",
    ]  # fmt: skip


@on_every_bus
async def test_who_waits_too_long_for_a_turn_goes_ahead(exchange: Exchange) -> None:
    first, second = await members(exchange, 2)
    async with first.bus.turn(KEY, SOON):
        for _ in range(2):
            async with asyncio.timeout(SOON), second.bus.turn(KEY, 0.1):
                pass
    async with asyncio.timeout(SOON), second.bus.turn(KEY, 2 * SOON):
        pass


@on_every_bus
async def test_the_turn_of_a_replica_that_has_ended_is_free(exchange: Exchange) -> None:
    first, second = await members(exchange, 2)
    async with first.bus.turn(KEY, SOON):
        await exchange.leave(first.bus)
        async with asyncio.timeout(SOON), second.bus.turn(KEY, 2 * SOON):
            pass


@on_every_bus
async def test_an_announcement_wakes_the_other_replicas_once(exchange: Exchange) -> None:
    first, second, third = await members(exchange, 3)
    for member in (first, second, third):
        await member.bus.changed(0)  # what was before
    async with asyncio.timeout(SOON):
        first.bus.announce()
        await asyncio.gather(second.bus.changed(2 * SOON), third.bus.changed(2 * SOON))
    began = asyncio.get_running_loop().time()
    await second.bus.changed(0.2)
    assert asyncio.get_running_loop().time() - began >= 0.19
