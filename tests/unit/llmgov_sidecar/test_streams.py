"""Streams over real sockets: order, bytes, filters, cuts, and clients that leave."""

import asyncio
import json

import anthropic
import openai
import pytest

from llmgov.ledger.messages import Intent, Outcome, Settlement, Violated
from llmgov.policy.decision import Action
from llmgov.snapshot import ContentFilter, Direction, OnDetect, Pattern, Policy
from tests.unit.llmgov_sidecar import harness, world

ASKS_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
EVENTS = [world.piece("Hel"), world.piece("lo"), world.piece("", "stop"), world.usage_event(), world.DONE]


def ssn(on_detect: OnDetect) -> Policy:
    pattern = Pattern("ssn", r"SSN: \d{3}-\d{2}-\d{4}")
    return Policy("root/pii", 10, ContentFilter((Direction.RESPONSE,), on_detect, (pattern,)))


def streamed(*events: bytes) -> harness.Script:
    return harness.says(world.STREAM_HEAD, *(harness.chunk(event) for event in events), harness.chunk(b""))


def texts(body: bytes) -> str:
    """What a client of a chat stream reads."""
    data = [event.removeprefix(b"data: ") for event in body.split(b"\n\n") if event]
    chunks = [json.loads(one) for one in data if one != b"[DONE]"]
    return "".join(choice["delta"].get("content", "") for chunk in chunks for choice in chunk.get("choices", ()))


def test_a_stream_passes_byte_for_byte_and_is_paid() -> None:
    async def main() -> None:
        async with world.world(streamed(*EVENTS)) as made:
            client = await made.client()
            body = world.chat(**ASKS_USAGE)
            reply = await client.ask(world.CHAT, body)
            assert reply.body == b"".join(EVENTS)
            assert reply.header("content-type") == "text/event-stream"
            assert reply.header("x-llmgov-cost-usd") is None
            assert made.provider.seen[0].body == body
            settlement = await made.only(Settlement)
            assert (settlement.outcome, settlement.cost) == (Outcome.SETTLED, 75)
            await client.close()

    harness.run(main())


def test_usage_that_the_client_did_not_ask_for_is_asked_for_and_hidden() -> None:
    async def main() -> None:
        async with world.world(streamed(*EVENTS)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(stream=True))
            assert reply.body == b"".join([*EVENTS[:3], world.DONE])
            assert json.loads(made.provider.seen[0].body)["stream_options"] == {"include_usage": True}
            assert (await made.only(Settlement)).cost == 75
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000])
def test_however_the_provider_cuts_its_bytes_the_client_gets_the_same(size: int) -> None:
    whole = b"".join(EVENTS)
    pieces = [harness.chunk(whole[at : at + size]) for at in range(0, len(whole), size)]

    async def main() -> None:
        async with world.world(harness.says(world.STREAM_HEAD, *pieces, harness.chunk(b""))) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat(**ASKS_USAGE))).body == whole
            assert (await made.only(Settlement)).cost == 75
            await client.close()

    harness.run(main())


def test_each_event_goes_on_before_the_provider_sends_the_next() -> None:
    async def main() -> None:
        turns: asyncio.Queue[None] = asyncio.Queue()

        async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
            writer.write(world.STREAM_HEAD)
            for event in EVENTS:
                await turns.get()
                writer.write(harness.chunk(event))
            writer.write(harness.chunk(b""))

        async with world.world(script, [ssn(OnDetect.REDACT)]) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await client.head()
            for event in EVENTS:
                turns.put_nowait(None)
                assert await client.piece() == event
            assert await client.piece() == b""
            await client.close()

    harness.run(main())


def test_a_stream_is_paid_before_its_end_is_passed_on() -> None:
    async def main() -> None:
        async with world.world(streamed(*EVENTS)) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await client.head()
            body = b""
            while not body.endswith(world.DONE):
                body += await client.piece()
            assert made.steps[-1] == "settled"
            await client.close()

    harness.run(main())


SPLIT = [world.piece("it is SS"), world.piece("N: 123-4"), world.piece("5-6789, ok"), *EVENTS[2:]]


def test_a_redaction_spans_events() -> None:
    async def main() -> None:
        async with world.world(streamed(*SPLIT), [ssn(OnDetect.REDACT)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            text = texts(reply.body)
            assert "123-4" not in text
            assert text.startswith("it is ")
            assert text.endswith(", ok")
            violated = await made.only(Violated)
            assert [one.action for one in violated.violations] == [Action.REDACT]
            await client.close()

    harness.run(main())


def test_a_block_ends_the_stream_with_an_error_that_sdks_raise_and_the_usage_is_still_learnt() -> None:
    async def main() -> None:
        async with world.world(streamed(*SPLIT), [ssn(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            assert b"123-4" not in reply.body
            assert world.DONE not in reply.body
            last = json.loads(reply.body.split(b"data: ")[-1])
            assert last["error"]["code"] == "content_policy_violation"
            settlement = await made.only(Settlement)
            assert (settlement.outcome, settlement.cost) == (Outcome.SETTLED, 75)
            assert (await client.ask(world.CHAT, world.chat(**ASKS_USAGE))).status == 200
            assert set(await made.decided()) == {"deny"}
            await client.close()

    harness.run(main())


def test_a_provider_that_goes_on_for_ever_after_a_block_is_left() -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(world.STREAM_HEAD)
        for event in SPLIT[:3]:
            writer.write(harness.chunk(event))
        await asyncio.sleep(30)

    async def main() -> None:
        async with world.world(script, [ssn(OnDetect.BLOCK)], learn_seconds=0.05) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            assert b'"error"' in reply.body
            intent = await made.only(Intent)
            while not (settled := [event for event in made.events if isinstance(event, Settlement)]):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            assert settled[0].cost == intent.hold
            await client.close()

    harness.run(main())


async def until_end(client: harness.Client) -> tuple[bytes, bool]:
    """The stream, and whether it was cut."""
    body = b""
    try:
        while piece := await client.piece():
            body += piece
    except asyncio.IncompleteReadError:
        return body, True
    return body, False


ENDS = [
    ("it is cut in the middle", EVENTS[:2], True, Outcome.UNKNOWN),
    ("it is cut behind its usage", EVENTS[:4], True, Outcome.UNKNOWN),
    ("it ends without its last event", EVENTS[:2], False, Outcome.UNKNOWN),
    ("it reports no usage", [*EVENTS[:3], world.DONE], False, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(("events", "cut", "outcome"), [c[1:] for c in ENDS], ids=[c[0] for c in ENDS])
def test_a_stream_whose_price_is_not_known_costs_the_hold(events: list[bytes], cut: bool, outcome: Outcome) -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(world.STREAM_HEAD)
        for event in events:
            writer.write(harness.chunk(event))
        if cut:
            writer.close()
        else:
            writer.write(harness.chunk(b""))

    async def main() -> None:
        async with world.world(script) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await client.head()
            body, was_cut = await until_end(client)
            sent, event = body[: len(b"".join(events))], body[len(b"".join(events)) :]
            assert (sent, was_cut) == (b"".join(events), cut)
            assert event.startswith(b'data: {"error":{"message":"llmgov: the provider\'s answer broke off (') is cut
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (outcome, intent.hold)
            await client.close()

    harness.run(main())


def test_a_client_that_leaves_a_stream_pays_what_it_cost() -> None:
    async def main() -> None:
        go_on = asyncio.Event()

        async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
            writer.write(world.STREAM_HEAD + harness.chunk(EVENTS[0]))
            await go_on.wait()
            for event in EVENTS[1:]:
                writer.write(harness.chunk(event))
            writer.write(harness.chunk(b""))

        async with world.world(script, learn_seconds=5) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await client.head()
            client.reset()
            await asyncio.sleep(0.05)
            go_on.set()
            while "settled" not in made.steps:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            settlement = await made.only(Settlement)
            assert (settlement.outcome, settlement.cost) == (Outcome.SETTLED, 75)

    harness.run(main())


LEAVES = ["before the answer begins", "in the middle of a stream"]


@pytest.mark.parametrize("begins", [False, True], ids=LEAVES)
def test_a_client_that_leaves_for_good_pays_the_hold(begins: bool) -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        if begins:
            writer.write(world.STREAM_HEAD + harness.chunk(EVENTS[0]))
        await asyncio.sleep(30)

    async def main() -> None:
        async with world.world(script, learn_seconds=0.05) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await made.provider.asked.wait()
            if begins:
                await client.head()
            client.reset()
            while "settled" not in made.steps:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (Outcome.ABANDONED, intent.hold)

    harness.run(main())


def test_a_client_that_stops_reading_holds_the_provider_back() -> None:
    filler = world.piece("x" * 60_000)
    sent: list[int] = []

    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(world.STREAM_HEAD)
        for turn in range(400):
            writer.write(harness.chunk(filler))
            await writer.drain()
            sent.append(turn)
        for event in EVENTS[2:]:
            writer.write(harness.chunk(event))
        writer.write(harness.chunk(b""))

    async def main() -> None:
        async with world.world(script) as made:
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat(**ASKS_USAGE)))
            await client.head()
            await asyncio.sleep(0.3)
            assert len(sent) < 400
            total = 0
            while piece := await client.piece():
                total += len(piece)
            assert total == 400 * len(filler) + sum(len(event) for event in EVENTS[2:])
            await client.close()

    harness.run(main())


MESSAGE_EVENTS = [
    ("message_start", {"type": "message_start", "message": {"id": "m", "type": "message", "role": "assistant",
     "content": [], "model": "claude-x", "usage": {"input_tokens": 20, "output_tokens": 1}}}),
    ("content_block_start", {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}),
    ("content_block_stop", {"type": "content_block_stop", "index": 0}),
    ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 8}}),
    ("message_stop", {"type": "message_stop"}),
]  # fmt: skip


def test_an_anthropic_stream_passes_with_its_key_and_cumulative_usage() -> None:
    events = [f"event: {name}\ndata: {json.dumps(data)}\n\n".encode() for name, data in MESSAGE_EVENTS]
    body = {"model": "claude-x", "max_tokens": 50, "stream": True, "messages": [{"role": "user", "content": "x"}]}

    async def main() -> None:
        async with world.world(streamed(*events)) as made:
            client = await made.client()
            headers = "x-api-key: placeholder\r\nanthropic-version: 2023-06-01\r\n"
            reply = await client.ask("/v1/messages", json.dumps(body).encode(), headers)
            assert reply.body == b"".join(events)
            assert reply.header("request-id") == reply.header("x-request-id")
            (seen,) = made.provider.seen
            assert seen.header("x-api-key") == ["sk-real-anthropic"]
            assert seen.header("authorization") == []
            assert seen.line == b"POST /v1/messages HTTP/1.1"
            assert (await made.only(Settlement)).cost == 20 * 3 + 8 * 15
            await client.close()

    harness.run(main())


async def read_to_usage(client: openai.AsyncOpenAI) -> str:
    """What a client reads that takes the usage for the end of the stream."""
    text = ""
    async with await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "hi"}],
        max_tokens=100,
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        async for chunk in stream:
            text += "".join(choice.delta.content or "" for choice in chunk.choices)
            if chunk.usage is not None:
                break
    return text


UNFINISHED = {
    "nothing says that the answer is finished": [world.piece("Your SS"), world.piece("N: 12")],
    "the last words say that it is finished": [world.piece("Your SS"), world.piece("N: 12", "stop")],
}


@pytest.mark.parametrize("events", UNFINISHED.values(), ids=UNFINISHED.keys())
@pytest.mark.parametrize("ends", [world.DONE, b""], ids=["with a mark of the end", "without"])
def test_what_is_held_back_goes_out_before_the_usage(events: list[bytes], ends: bytes) -> None:
    async def main() -> None:
        async with world.world(
            streamed(*events, world.usage_event(), ends or b": end\n\n"), [ssn(OnDetect.REDACT)]
        ) as made:
            url = f"http://127.0.0.1:{made.sidecar.port}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=0) as client:
                assert await read_to_usage(client) == "Your SSN: 12"

    harness.run(main())


def test_what_is_held_back_goes_out_before_the_end_where_the_usage_is_hidden() -> None:
    async def main() -> None:
        events = [*UNFINISHED["nothing says that the answer is finished"], world.usage_event(), world.DONE]
        async with world.world(streamed(*events), [ssn(OnDetect.REDACT)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(stream=True))
            assert texts(reply.body) == "Your SSN: 12"
            assert reply.body.endswith(world.DONE)
            assert b"usage" not in reply.body
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("begins", ["", "it is SS", "it is SSN: 123-45-67"])
def test_a_block_that_begins_with_words_is_one_text_with_its_deltas(begins: str) -> None:
    text = "it is SSN: 123-45-6789, ok"
    events = json.loads(json.dumps([data for _, data in MESSAGE_EVENTS]))
    events[1]["content_block"]["text"] = begins
    events[2]["delta"]["text"] = text.removeprefix(begins)
    raw = [f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode() for data in events]

    async def main() -> None:
        async with world.world(streamed(*raw), [ssn(OnDetect.REDACT)]) as made:
            url = f"http://127.0.0.1:{made.sidecar.port}"
            async with (
                anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as client,
                client.messages.stream(
                    model="claude-x", max_tokens=50, messages=[{"role": "user", "content": "x"}]
                ) as stream,
            ):
                message = await stream.get_final_message()
            (block,) = message.content
            assert isinstance(block, anthropic.types.TextBlock)
            assert block.text == "it is [REDACTED:ssn], ok"

    harness.run(main())


def test_a_block_whose_beginning_is_held_back_still_says_it() -> None:
    events = json.loads(json.dumps([data for _, data in MESSAGE_EVENTS]))
    events[1]["content_block"]["text"] = "it is SS"
    del events[2]
    raw = [f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode() for data in events]

    async def main() -> None:
        async with world.world(streamed(*raw), [ssn(OnDetect.REDACT)]) as made:
            url = f"http://127.0.0.1:{made.sidecar.port}"
            async with (
                anthropic.AsyncAnthropic(base_url=url, api_key="x", max_retries=0) as client,
                client.messages.stream(
                    model="claude-x", max_tokens=50, messages=[{"role": "user", "content": "x"}]
                ) as stream,
            ):
                message = await stream.get_final_message()
            assert [block.text for block in message.content if block.type == "text"] == ["it is SS"]

    harness.run(main())


SPELT = {"content": [{"token": token, "logprob": -0.1, "top_logprobs": []} for token in ("SSN", ": ", "123-45-6789")]}
LATE = world.event({"choices": [{"index": 0, "delta": {}, "logprobs": SPELT}]})
ALONE = json.dumps(
    json.loads(world.chat_answer("hi")) | {"choices": [{"message": {"content": "hi"}, "logprobs": SPELT}]}
).encode()


@pytest.mark.parametrize("on_detect", OnDetect)
def test_log_probabilities_pass_no_filter_that_acts_whatever_the_text_beside_them(on_detect: OnDetect) -> None:
    scripts = {
        True: streamed(world.piece("hi"), LATE, world.piece("", "stop"), world.usage_event(), world.DONE),
        False: harness.says(harness.whole(ALONE)),
    }

    async def main(*, stream: bool) -> None:
        async with world.world(scripts[stream], [ssn(on_detect)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**(ASKS_USAGE if stream else {})))
            assert reply.status == 200
            assert b"hi" in reply.body
            assert (b"123-45-6789" in reply.body) == (on_detect is OnDetect.FLAG)
            await client.close()

    for stream in (True, False):
        harness.run(main(stream=stream))
