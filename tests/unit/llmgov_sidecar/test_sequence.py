"""Numbers of a sidecar's epoch: whatever becomes of requests, none is missing where nothing was lost."""

import asyncio
import itertools
import json

import pytest

from llmgov.ledger.messages import Intent, Refused, Settlement, Violated
from llmgov.snapshot import CostLimit, ModelAccess, Policy
from tests.unit.llmgov_sidecar import harness, world

ANSWER = harness.whole(world.chat_answer())
SMALL = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'


def missing(made: world.World) -> list[int]:
    """Numbers up to the greatest that no event on record has."""
    numbers = {int(event.id.rpartition("/")[2]) for event in made.events if not isinstance(event, Settlement)}
    return sorted(set(range(1, max(numbers) + 1)) - numbers)


def statuses(made: world.World, kind: type[Intent] | type[Refused]) -> int:
    return len([event for event in made.events if isinstance(event, kind)])


def test_a_budget_that_is_used_up_leaves_no_gap() -> None:
    async def main() -> None:
        async with world.world(harness.says(ANSWER), accounts=[world.budget("0.0015")]) as made:
            client = await made.client()
            replies = [await client.ask(world.CHAT, world.chat()) for _ in range(12)]
            assert {200, 402} == {reply.status for reply in replies}
            await made.on_record()
            assert missing(made) == []
            assert statuses(made, Intent) + statuses(made, Refused) == 12
            await client.close()

    harness.run(main())


def test_a_ledger_out_of_reach_and_a_key_that_is_not_at_hand_leave_no_gap() -> None:
    async def main() -> None:
        async with world.world(harness.says(ANSWER), lease_seconds=0.05) as made:
            client = await made.client()
            made.away = True
            assert (await client.ask(world.CHAT, world.chat())).status == 503
            made.away = False
            await made.sidecar.configuration.apply(world.document(made.provider.url), world.NOBODY, {})
            assert (await client.ask(world.CHAT, world.chat())).status == 503
            await made.sidecar.configuration.apply(world.document(made.provider.url), world.NOBODY, world.KEYS)
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            assert missing(made) == []
            await client.close()

    harness.run(main())


def test_retries_and_fallbacks_that_are_refused_leave_no_gap() -> None:
    answers = itertools.cycle([harness.whole(b'{"error":{"message":"later"}}', "503 Later"), ANSWER])

    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(next(answers))

    async def main() -> None:
        policy = Policy("root/m", 1, ModelAccess(retries=1, fallback_models=("gpt-unknown",)))
        async with world.world(script, [policy], [world.budget("0.0015")]) as made:
            client = await made.client()
            for _ in range(4):
                await client.ask(world.CHAT, world.chat())
            await made.on_record()
            assert missing(made) == []
            await client.close()

    harness.run(main())


def test_a_client_that_leaves_while_it_waits_for_money_leaves_no_gap() -> None:
    async def main() -> None:
        async with world.world(harness.says(ANSWER)) as made:
            client, other = await made.client(), await made.client()
            made.away = True
            client.send(harness.request(world.CHAT, world.chat()))
            leasing = made.sidecar._services.leasing
            assert leasing is not None
            while not leasing.waiting:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.01)
            client.reset()
            while leasing.waiting:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            made.away = False
            assert (await other.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            assert missing(made) == []
            assert statuses(made, Intent) == 1
            await other.close()

    harness.run(main())


@pytest.mark.parametrize(
    ("usd", "status"), [("0.02", 200), ("0.0001", 402)], ids=["allowed", "refused for want of money"]
)
def test_what_was_noticed_before_the_money_is_on_record_once(usd: str, status: int) -> None:
    policies = [Policy("root/dry", 1, CostLimit(max_request_cost=1), dry_run=True)]

    async def main() -> None:
        async with world.world(harness.says(ANSWER), policies, [world.budget(usd)], admin_port=0) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, SMALL)).status == status
            await made.on_record()
            kind: type[Violated] | type[Refused] = Violated if status == 200 else Refused
            event = await made.only(kind)
            assert [one.policy for one in event.violations] == ["root/dry", "Budget/root/shop"]
            if status == 200:
                assert event.attempt == (await made.only(Intent)).id
            assert missing(made) == []
            admin = await harness.Client.to(made.sidecar.admin_port)
            text = (await admin.ask("/metrics", b"", method="GET")).body.decode()
            assert 'policy_violations_total{policy="root/dry",action="deny",dry_run="true"} 1' in text
            await admin.close()
            await client.close()

    harness.run(main())


def test_an_attempt_that_finds_no_room_on_record_ends_without_a_trace_of_its_own() -> None:
    async def main() -> None:
        async with world.world(harness.says(ANSWER), spool_bytes=20_000, spool_segment_bytes=4_000) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            made.away = True
            replies = [await client.ask(world.CHAT, world.chat()) for _ in range(60)]
            assert json.loads(replies[-1].body)["error"]["code"] == "governance_unavailable"
            made.away = False
            await made.on_record()
            intents = {event.id for event in made.events if isinstance(event, Intent)}
            settled = {event.id for event in made.events if isinstance(event, Settlement)}
            assert settled == intents, "nothing is settled that never began"
            await client.close()

    harness.run(main())
