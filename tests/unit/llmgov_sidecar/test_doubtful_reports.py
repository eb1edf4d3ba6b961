"""Providers that report nonsense: the record goes on, nothing is free, and an administrator can let the model go on."""

import json
import re
from typing import Any

import pytest

from llmgov.ledger import billing
from llmgov.ledger.messages import Intent, Outcome, Settlement, Violated
from llmgov.policy.decision import Action
from llmgov_sidecar.sidecar import system_clock
from tests.unit.llmgov_sidecar import harness, world


def answer(usage: Any) -> bytes:
    return harness.whole(json.dumps({**json.loads(world.chat_answer()), "usage": usage}).encode())


FINE = {"prompt_tokens": 10, "completion_tokens": 5}
STOPPING = {
    "a count beyond belief": {**FINE, "prompt_tokens": 9 * 10**18},
    "a count that no machine word holds": {**FINE, "prompt_tokens": 10**18 * 10},
    "more than the model can read": {**FINE, "prompt_tokens": 128_001},
    "a thousand million for eighty bytes": {**FINE, "prompt_tokens": 10**9},
    "a field without a price": {**FINE, "video_tokens": 3},
}
UNREADABLE = {
    "a fraction": {**FINE, "prompt_tokens": 1e30},
    "a word": {**FINE, "completion_tokens": "5"},
    "nothing": {},
    "no object": "much",
    "nothing was read or written": {"prompt_tokens": 0, "completion_tokens": 0},
    "more cached than read": {**FINE, "prompt_tokens_details": {"cached_tokens": 11}},
}


@pytest.mark.parametrize("usage", STOPPING.values(), ids=STOPPING.keys())
def test_what_cannot_be_billed_costs_the_hold_and_stops_the_model_until_approved(usage: Any) -> None:
    async def main() -> None:
        async with world.world(harness.says(answer(usage))) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            settlement = await made.only(Settlement)
            (intent,) = [attempt.intent for attempt in await made.store.attempts(0, 2**62)]
            assert intent is not None
            assert (settlement.outcome, settlement.cost) == (Outcome.UNKNOWN, intent.hold)
            assert settlement.stop.endswith("was charged its hold")
            (violation,) = (await made.only(Violated)).violations
            assert settlement.stop in violation.message
            refused = await client.ask(world.CHAT, world.chat())
            error = json.loads(refused.body)["error"]
            assert (refused.status, error["code"]) == (403, "policy_denied")
            assert frozenset((await made.hub.approvals.directory()).stopped) == {"openai/gpt-4o"}
            (approval,) = await made.hub.approvals.list()
            assert settlement.stop in approval.summary
            (named,) = re.findall(r"`llmgov approvals approve (\S+)`", error["message"])
            assert named == approval.id
            await made.hub.approvals.approve(named, "root")
            assert frozenset((await made.hub.approvals.directory()).stopped) == frozenset()
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("usage", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_usage_that_cannot_be_read_costs_the_hold_and_the_next_request_goes(usage: Any) -> None:
    async def main() -> None:
        async with world.world(harness.says(answer(usage))) as made:
            client = await made.client()
            replies = [await client.ask(world.CHAT, world.chat()) for _ in range(2)]
            assert [reply.status for reply in replies] == [200, 200]
            await made.on_record()
            attempts = await made.store.attempts(0, system_clock() + 1)
            assert len(attempts) == 2
            for attempt in attempts:
                assert attempt.intent is not None
                assert attempt.settlement is not None
                assert (attempt.settlement.outcome, attempt.settlement.stop) == (Outcome.UNKNOWN, "")
                assert attempt.settlement.cost == attempt.intent.hold > 0
            assert await made.hub.approvals.list() == []
            await client.close()

    harness.run(main())


STREAM = (world.STREAM_HEAD, *map(harness.chunk, (world.piece("hi"), world.piece("", "stop"))))
DONE = (harness.chunk(world.event(b"[DONE]")), harness.chunk(b""))
WITHOUT_USAGE = json.dumps({name: value for name, value in json.loads(world.chat_answer()).items() if name != "usage"})
UNREPORTED = {
    "null in a whole answer": (False, (answer(None),)),
    "absent from a whole answer": (False, (harness.whole(WITHOUT_USAGE.encode()),)),
    "null in a stream": (True, (*STREAM, harness.chunk(world.event({"choices": [], "usage": None})), *DONE)),
    "absent from a stream": (True, (*STREAM, *DONE)),
}


@pytest.mark.parametrize(("stream", "raw"), UNREPORTED.values(), ids=UNREPORTED.keys())
def test_usage_that_is_not_reported_costs_the_hold_and_somebody_is_told(stream: bool, raw: tuple[bytes, ...]) -> None:
    async def main() -> None:
        async with world.world(harness.says(*raw)) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat(stream=stream))).status == 200
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost, settlement.stop) == (Outcome.UNKNOWN, intent.hold, "")
            (violation,) = (await made.only(Violated)).violations
            assert (violation.policy, violation.reason) == ("openai/gpt-4o", "usage_missing")
            assert violation.action is Action.FLAG
            (notice,) = await made.store.outbox()
            assert (notice.audience, "reported no usage" in notice.message) == ("Admins", True)
            await client.close()

    harness.run(main())


def test_a_stream_that_was_cut_is_not_said_to_lack_its_usage() -> None:
    async def main() -> None:
        async with world.world(harness.says(*STREAM, harness.chunk(b""))) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat(stream=True))
            assert (await made.only(Settlement)).outcome is Outcome.UNKNOWN
            assert await made.store.outbox() == []
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("asked", [10**15, 10**18, 10**30])
@pytest.mark.parametrize("usage", [FINE, {}], ids=["reported", "not reported"])
def test_a_clients_own_maximum_that_nobody_limits_holds_what_the_ledger_can_sum(asked: int, usage: Any) -> None:
    async def main() -> None:
        async with world.world(harness.says(answer(usage)), accounts=()) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat(max_tokens=asked))).status == 200
            assert (await made.only(Intent)).hold == billing.MAX_COST
            assert (await made.only(Settlement)).cost == (75 if usage else billing.MAX_COST)
            await client.close()

    harness.run(main())
