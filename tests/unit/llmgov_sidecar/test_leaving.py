"""Clients that leave, and requests cut short, at every point: nothing hangs, nothing is charged twice or forgotten."""

import asyncio
import json

import pytest

from llmgov.ledger.messages import Intent, Outcome, Settlement
from llmgov.snapshot import OnExceed, Policy, RateLimit, Subject
from tests.unit.llmgov_sidecar import harness, world

STEPS = ["held", "intent", "dispatched", "first_byte", "usage", "settled"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("step", STEPS)
def test_a_client_that_leaves_at_a_step_leaves_the_money_right(step: str, stream: bool) -> None:
    events = [world.piece("Hi", "stop"), world.usage_event(), world.DONE]
    raw = world.STREAM_HEAD + b"".join(harness.chunk(event) for event in events) + harness.chunk(b"")
    answer = raw if stream else harness.whole(world.chat_answer())

    async def main() -> None:
        async with world.world(harness.says(answer), learn_seconds=0.2) as made:
            client = await made.client()
            seen: list[str] = []

            def at_step(now: str) -> None:
                seen.append(now)
                if now == step:
                    client.reset()

            made.at_step = at_step
            client.send(harness.request(world.CHAT, world.chat(stream=stream)))
            other = await made.client()
            while "settled" not in seen:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.005)
            assert (await other.ask(world.CHAT, world.chat(stream=stream))).status == 200
            await made.on_record()
            intents = [event.id for event in made.events if isinstance(event, Intent)]
            settlements = {event.id: event for event in made.events if isinstance(event, Settlement)}
            assert sorted(settlements) == sorted(intents) or len(settlements) == len(intents) + 1
            await other.close()
            await made.sidecar.stop()
            (window,) = await made.store.windows(world.system_clock())
            assert window.leased == 0
            assert window.spent == sum(one.cost for one in settlements.values())

    harness.run(main())


def test_a_client_that_waits_for_money_and_leaves_takes_none() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            made.away = True
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat()))
            while not made.sidecar._services.leasing.waiting:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            client.reset()
            while made.sidecar._services.leasing.waiting:  # type: ignore[union-attr]  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            made.away = False
            await made.sidecar.stop()
            assert made.provider.seen == []
            windows = await made.store.windows(world.system_clock())
            assert [(window.spent, window.leased) for window in windows] in ([], [(0, 0)])

    harness.run(main())


def test_a_throttled_client_that_leaves_gives_its_place_away() -> None:
    limit = RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, 60_000_000, requests_per_minute=1)

    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer())), [Policy("root/r", 1, limit)]) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            state = made.sidecar._proxy._turns.state
            before = len(state._tickets)
            client.send(harness.request(world.CHAT, world.chat()))
            while len(state._tickets) == before:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            client.reset()
            while len(state._tickets) != before:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            assert len(made.provider.seen) == 1

    harness.run(main())


def test_a_request_cut_at_any_byte_reaches_no_provider_and_no_ledger() -> None:
    raw = harness.request(world.CHAT, world.chat("x"), "Authorization: Bearer placeholder\r\n")

    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            for at in range(0, len(raw), 3):
                client = await made.client()
                client.send(raw[:at])
                client.writer.write_eof()
                assert await client.reader.read() == b""
                await client.close()
            assert made.provider.seen == []
            assert made.steps == []

    harness.run(main())


@pytest.mark.parametrize("size", [1, 5, 17])
def test_a_request_in_small_pieces_is_the_same_request(size: int) -> None:
    raw = harness.request(world.CHAT, world.chat("x"))

    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            client = await made.client()
            for at in range(0, len(raw), size):
                client.send(raw[at : at + size])
                await asyncio.sleep(0)
            assert (await client.reply()).status == 200
            assert made.provider.seen[0].body == world.chat("x")
            await client.close()

    harness.run(main())


def test_a_provider_cut_at_any_byte_is_paid_by_what_is_known() -> None:
    answer = harness.whole(world.chat_answer())
    cuts = range(0, len(answer), 23)

    async def script(seen: harness.Seen, writer: asyncio.StreamWriter) -> None:
        cut = int(json.loads(seen.body)["messages"][0]["content"])
        writer.write(answer[:cut])
        writer.close()

    async def main() -> None:
        async with world.world(script) as made:
            client = await made.client()
            for cut in cuts:
                assert (await client.ask(world.CHAT, world.chat(str(cut)))).status == 502
            await made.on_record()
            outcomes = [event.outcome for event in made.events if isinstance(event, Settlement)]
            assert outcomes == [Outcome.UNKNOWN] * len(cuts)
            await client.close()

    harness.run(main())


def test_a_small_budget_lets_exactly_as_many_pass_as_it_pays_for() -> None:
    """Worst case = actual = $0.01 each, limit $0.20: of 60 at once exactly 20 pass."""
    body = world.chat("x", max_tokens=900)

    async def main() -> None:
        async def script(seen: harness.Seen, writer: asyncio.StreamWriter) -> None:
            held = next(hold)
            await asyncio.sleep(0.01)
            assert held
            writer.write(harness.whole(world.chat_answer(tokens=(costly, 900))))

        hold = iter(range(1, 100))
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as probe:
            client = await probe.client()
            await client.ask(world.CHAT, body)
            worst = (await probe.only(Intent)).hold
            await client.close()
        costly = (worst - 9000) * 1_000_000 // 2_500_000
        limit = 20 * worst
        async with world.world(script, accounts=[world.budget(f"{limit / 1e6:.6f}")]) as made:
            clients = [await made.client() for _ in range(60)]
            replies = await asyncio.gather(*[client.ask(world.CHAT, body) for client in clients])
            statuses = [reply.status for reply in replies]
            assert (statuses.count(200), statuses.count(402)) == (20, 40)
            spent, _ = await made.account()
            assert limit - 20 * 3 <= spent <= limit
            for client in clients:
                await client.close()

    harness.run(main())
