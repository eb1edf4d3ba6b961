"""Fallback models: each is an attempt of its own, with its own decision, hold and place on record."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping

import msgspec
import pytest

from llmgov.ledger.messages import Intent, Outcome, Refused, Settlement
from llmgov.snapshot import Dimension, ModelAccess, ModelPrice, Policy
from tests.unit.llmgov_sidecar import harness, world

SMALL = msgspec.structs.replace(
    world.GPT, model="gpt-small", rates={Dimension.INPUT: 1_000_000, Dimension.OUTPUT: 2_000_000}
)
FAILED = b'{"error":{"message":"later"}}'
ANSWER = world.chat_answer("from the fallback", tokens=(10, 5))


@contextlib.asynccontextmanager
async def answering(
    answers: Mapping[str, bytes], *policies: Policy, prices: tuple[ModelPrice, ...] = (SMALL,)
) -> AsyncIterator[tuple[world.World, harness.Client]]:
    """A provider that answers each model in its way, and a client of a sidecar before it."""

    async def script(seen: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[json.loads(seen.body)["model"]])

    async with world.world(script) as made:
        document = world.document(made.provider.url, policies)
        known = msgspec.structs.replace(document.prices, models=(world.GPT, *prices))
        await made.sidecar.configuration.apply(
            msgspec.structs.replace(document, prices=known), world.NOBODY, world.KEYS
        )
        client = await made.client()
        yield made, client
        await client.close()


def falling_back(*models: str, retries: int = 0) -> Policy:
    return Policy("root/m", 1, ModelAccess(retries=retries, fallback_models=models))


@pytest.mark.parametrize("status", ["500 Internal", "503 Unavailable", "429 Too Many", "529 Overloaded"])
def test_the_client_gets_the_answer_of_the_fallback(status: str) -> None:
    async def main() -> None:
        answers = {"gpt-4o": harness.whole(FAILED, status), "gpt-small": harness.whole(ANSWER)}
        async with answering(answers, falling_back("gpt-small")) as (made, client):
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.body) == (200, ANSWER)
            assert reply.header("x-llmgov-cost-usd") == "0.00002"
            first, second = (json.loads(seen.body) for seen in made.provider.seen)
            assert (first.pop("model"), second.pop("model")) == ("gpt-4o", "gpt-small")
            assert first == second
            await made.on_record()
            intents = [event for event in made.events if isinstance(event, Intent)]
            settlements = [event for event in made.events if isinstance(event, Settlement)]
            assert [intent.subject.model for intent in intents] == ["gpt-4o", "gpt-small"]
            assert [one.id for one in intents] == [one.id for one in settlements]
            assert len({intent.id for intent in intents}) == 2
            assert len({intent.request_id for intent in intents}) == 1
            assert intents[0].hold > intents[1].hold > 0, "each holds what its own model may cost"
            assert [sum(part.held for part in one.charged) for one in intents] == [one.hold for one in intents]
            assert [(one.outcome, one.cost, one.model) for one in settlements] == [
                (Outcome.FREE, 0, "gpt-4o"),
                (Outcome.SETTLED, 20, "gpt-small"),
            ]
            assert (await made.account())[0] == 20

    harness.run(main())


def test_retries_come_before_fallbacks_and_the_last_answer_is_passed_on() -> None:
    async def main() -> None:
        answers = {name: harness.whole(FAILED, "503 Unavailable") for name in ("gpt-4o", "gpt-small")}
        async with answering(answers, falling_back("gpt-small", retries=1)) as (made, client):
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.body) == (503, FAILED)
            models = [json.loads(seen.body)["model"] for seen in made.provider.seen]
            assert models == ["gpt-4o", "gpt-4o", "gpt-small"]
            assert (await made.account())[0] == 0

    harness.run(main())


def test_an_error_that_another_attempt_does_not_cure_is_passed_on() -> None:
    async def main() -> None:
        answers = {"gpt-4o": harness.whole(FAILED, "400 Bad Request")}
        async with answering(answers, falling_back("gpt-small")) as (made, client):
            assert (await client.ask(world.CHAT, world.chat())).status == 400
            assert len(made.provider.seen) == 1

    harness.run(main())


REFUSED = [
    ("a model that another policy denies", (Policy("root/no", 2, ModelAccess(deny=("*small",))),), (SMALL,)),
    ("a model without a price", (), ()),
]


@pytest.mark.parametrize(("policies", "prices"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_fallback_is_decided_anew(policies: tuple[Policy, ...], prices: tuple[ModelPrice, ...]) -> None:
    async def main() -> None:
        answers = {"gpt-4o": harness.whole(FAILED, "500 Internal")}
        async with answering(answers, falling_back("gpt-small"), *policies, prices=prices) as (made, client):
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (403, "policy_denied")
            assert len(made.provider.seen) == 1
            refused = await made.only(Refused)
            assert refused.subject.model == "gpt-small"
            assert (await made.only(Settlement)).outcome is Outcome.FREE

    harness.run(main())
