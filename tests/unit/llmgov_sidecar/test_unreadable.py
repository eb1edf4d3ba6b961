"""Answers that the proxy cannot read: a filter never lets them pass unseen, and their bytes are nobody's otherwise."""

import codecs
import gzip
import json
import zlib
from typing import Any

import openai
import pytest

from llmgov.ledger.messages import Intent, Outcome, Settlement, Violated
from llmgov.policy.decision import Action
from llmgov.snapshot import Audience, ContentFilter, Direction, OnDetect, Pattern, Policy
from tests.unit.llmgov_sidecar import harness, world

SECRET = "nightfall"
PLAIN = world.chat_answer(f"the code is {SECRET}")
EVENTS = b"".join(
    [world.piece("the code is "), world.piece(SECRET), world.piece("", "stop"), world.usage_event(), world.DONE]
)
GZIP = b"Content-Encoding: gzip\r\n"
SSE = b"Content-Type: text/event-stream\r\n"
ASKS_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}


def words(on_detect: OnDetect) -> Policy:
    pattern = Pattern("nightfall", f"(?i){SECRET}")
    return Policy("root/words", 10, ContentFilter((Direction.RESPONSE,), on_detect, (pattern,)))


UNREADABLE = {
    "gzip": (gzip.compress(PLAIN), GZIP),
    "deflate, in capitals": (zlib.compress(PLAIN), b"CONTENT-ENCODING: Deflate\r\n"),
    "an encoding behind identity": (gzip.compress(PLAIN), b"Content-Encoding: identity, gzip\r\n"),
    "an encoding in a second header": (gzip.compress(PLAIN), b"Content-Encoding: identity\r\n" + GZIP),
    "an encoding that does not say so": (gzip.compress(PLAIN), b""),
    "UTF-16": (PLAIN.decode().encode("utf-16"), b""),
    "UTF-16 without a mark": (PLAIN.decode().encode("utf-16-le"), b"Content-Type: application/json\r\n"),
    "a byte order mark": (codecs.BOM_UTF8 + PLAIN, b""),
    "UTF-7, by its header": (PLAIN, b'Content-Type: application/json; charset="utf-7"\r\n'),
    "half of it": (PLAIN[: len(PLAIN) // 2], b""),
    "no JSON": (b"the code is nightf\\u0061ll", b"Content-Type: text/plain\r\n"),
    "two documents": (PLAIN + b"\n" + PLAIN, b""),
    "a list": (b"[" + PLAIN + b"]", b""),
    "a key twice": (PLAIN.replace(b'"model"', b'"choices": [], "model"'), b""),
    "several parts": (
        b"--x\r\nContent-Type: application/json\r\n\r\n" + PLAIN + b"\r\n--x--",
        b"Content-Type: multipart/mixed; boundary=x\r\n",
    ),
    "events that nobody asked for": (EVENTS, SSE),
}


@pytest.mark.parametrize(("body", "headers"), UNREADABLE.values(), ids=UNREADABLE.keys())
@pytest.mark.parametrize("on_detect", [OnDetect.BLOCK, OnDetect.REDACT])
def test_a_filter_withholds_an_answer_that_cannot_be_read(on_detect: OnDetect, body: bytes, headers: bytes) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(body, headers=headers)), [words(on_detect)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["code"]) == (502, "upstream_error")
            assert "policy root/words filters answers" in error["message"]
            assert reply.header("x-llmgov-policy") == "root/words"
            assert reply.header("x-llmgov-decision") == "deny"
            assert reply.header("x-should-retry") == "false"
            assert await made.decided() == ["deny"]
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (Outcome.UNKNOWN, intent.hold)
            (violation,) = (await made.only(Violated)).violations
            assert (violation.policy, violation.action) == ("root/words", Action.DENY)
            assert (violation.reason, violation.notify) == ("answer_unread", (Audience.ADMINS,))
            await client.close()

    harness.run(main())


SHAPES = {
    "another API's": {"output": SECRET},
    "an older API's": {"choices": [{"text": SECRET}]},
    "a compatible server's": {"choices": [{"message": {"content": [{"type": "text", "text": f"a {SECRET}"}]}}]},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_filter_looks_into_every_shape(shape: Any) -> None:
    async def main() -> None:
        raw = harness.whole(json.dumps({**shape, "usage": {"prompt_tokens": 10, "completion_tokens": 5}}).encode())
        async with world.world(harness.says(raw), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (400, "content_policy_violation")
            assert (await made.only(Settlement)).cost == 75
            await client.close()
        async with world.world(harness.says(raw)) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


LOOKS_ON: dict[str, list[Policy]] = {
    "nobody filters": [],
    "a filter that only flags": [words(OnDetect.FLAG)],
    "a filter in dry run": [Policy("root/words", 10, words(OnDetect.BLOCK).body, dry_run=True)],
}
UNUSED = {name: UNREADABLE[name] for name in UNREADABLE if name not in ("a key twice", "UTF-7, by its header")}


@pytest.mark.parametrize(("body", "headers"), UNUSED.values(), ids=UNUSED.keys())
@pytest.mark.parametrize("policies", LOOKS_ON.values(), ids=LOOKS_ON.keys())
def test_where_no_filter_may_withhold_it_it_passes_and_costs_the_hold(
    policies: list[Policy], body: bytes, headers: bytes
) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(body, headers=headers)), policies) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.body) == (200, body)
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (Outcome.UNKNOWN, intent.hold)
            await made.on_record()
            found = [one for event in made.events if isinstance(event, Violated) for one in event.violations]
            (unread,) = [one for one in found if one.reason == "answer_unread"]
            assert (unread.policy, unread.action, unread.notify) == (
                "openai/gpt-4o",
                Action.FLAG,
                (Audience.ADMINS,),
            )
            assert b'"event":"an answer cannot be read"' in made.log.getvalue()
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("filtered", [True, False])
def test_an_encoded_stream_is_withheld_by_a_filter_and_else_passed_piece_by_piece(filtered: bool) -> None:
    encoded = gzip.compress(EVENTS)
    head = world.STREAM_HEAD.replace(b"\r\n\r\n", b"\r\n" + GZIP + b"\r\n")
    script = harness.says(head, harness.chunk(encoded[:20]), harness.chunk(encoded[20:]), harness.chunk(b""))

    async def main() -> None:
        async with world.world(script, [words(OnDetect.BLOCK)] if filtered else []) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            if filtered:
                assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "upstream_error")
            else:
                assert (reply.status, reply.body, reply.header("content-encoding")) == (200, encoded, "gzip")
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (Outcome.UNKNOWN, intent.hold)
            (violation,) = (await made.only(Violated)).violations
            assert violation.reason == "answer_unread"
            await client.close()

    harness.run(main())


ERRORS = {
    "one that is encoded": (gzip.compress(b'{"error":{"message":"no"}}'), GZIP, 502, "upstream_error"),
    "one that is no UTF-8": (b"\xff\xfe<h", b"", 502, "upstream_error"),
    "one in UTF-16": ("<p>nightfall</p>".encode("utf-16-be"), b"", 502, "upstream_error"),
    "one that says it": (b'{"error":{"message":"nightfall"}}', b"", 400, "content_policy_violation"),
    "a page that says it": (b"<p>Nightfall</p>", b"", 400, "content_policy_violation"),
}


@pytest.mark.parametrize(("body", "headers", "status", "code"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_answer_is_free_and_filtered_like_any_other(
    body: bytes, headers: bytes, status: int, code: str
) -> None:
    async def main() -> None:
        raw = harness.whole(body, "429 Too Many", headers)
        async with world.world(harness.says(raw), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, code)
            assert (await made.only(Settlement)).outcome is Outcome.FREE
            await client.close()
        async with world.world(harness.says(raw)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.body) == (429, body)
            await made.on_record()
            assert not [event for event in made.events if isinstance(event, Violated)]
            await client.close()

    harness.run(main())


def test_a_refused_key_is_told_in_plain_json_whatever_the_providers_encoding() -> None:
    raw = harness.whole(gzip.compress(b"{}"), "401 Unauthorized", GZIP + b"Content-Type: text/html\r\n")

    async def main() -> None:
        async with world.world(harness.says(raw)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.header("content-encoding")) == (401, None)
            assert reply.header("content-type") == "application/json"
            assert "refused the key" in json.loads(reply.body)["error"]["message"]
            await client.close()

    harness.run(main())


def test_a_list_of_models_is_no_models_answer() -> None:
    body = b'{"data":[{"id":"nightfall-7b"}]}'

    async def main() -> None:
        async with world.world(harness.says(harness.whole(body)), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask("/v1/models", b"", method="GET")
            assert (reply.status, reply.body) == (200, body)
            await client.close()

    harness.run(main())


def test_the_sdk_raises_its_own_error_and_does_not_pay_again() -> None:
    async def main() -> None:
        raw = harness.whole(gzip.compress(PLAIN), headers=GZIP + b"Content-Type: application/json\r\n")
        async with world.world(harness.says(raw), [words(OnDetect.BLOCK)]) as made:
            url = f"http://127.0.0.1:{made.sidecar.port}/v1"
            async with openai.AsyncOpenAI(base_url=url, api_key="x", max_retries=2) as client:
                with pytest.raises(openai.InternalServerError, match="cannot be read"):
                    await client.chat.completions.create(
                        model="gpt-4o", messages=[{"role": "user", "content": "hi"}], max_tokens=9
                    )
            assert len(made.provider.seen) == 1

    harness.run(main())


def streamed(*events: bytes) -> harness.Script:
    return harness.says(world.STREAM_HEAD, *(harness.chunk(one) for one in events), harness.chunk(b""))


def odd(data: bytes) -> bytes:
    return data.replace(SECRET.encode(), b"night\\u0066all")


BODY = world.piece(SECRET).removeprefix(b"data: ").strip()
HALVES = world.piece("night"), world.piece("fall")
SEEN = {
    "a byte order mark before the first event": (codecs.BOM_UTF8 + odd(world.piece(SECRET)),),
    "carriage returns alone": (odd(world.piece(SECRET)).replace(b"\n", b"\r"),),
    "an event in many lines of data": (b"data: " + odd(BODY).replace(b", ", b",\ndata:") + b"\n\n",),
    "an event that nobody ends": (odd(world.piece(SECRET)).rstrip(),),
    "a comment": (b": nightfall\n\n",),
    "a field that nobody knows": (b"text: nightfall\n" + world.piece("x"),),
    "a name of an event": (b"event: the nightfall\n" + world.piece("x"),),
    "something behind the mark of the end": (world.event(b"[DONE] nightfall"),),
    "an event behind the end": (world.DONE, world.piece(SECRET)),
    "a member beside the choices": (world.event({"choices": [], "output": SECRET}),),
    "a choice of the older API": (world.event({"choices": [{"index": 0, "text": SECRET}]}),),
    "a whole message": (world.event({"choices": [{"index": 0, "message": {"content": SECRET}}]}),),
    "a delta that is a string": (world.event({"choices": [{"index": 0, "delta": SECRET}]}),),
    "an error": (world.event({"error": {"message": SECRET}}),),
    "the name of a called tool": (
        world.event({"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": SECRET}}]}}]}),
    ),
    "a content in parts, over two events": tuple(
        world.event({"choices": [{"index": 0, "delta": {"content": [{"type": "text", "text": half}]}}]})
        for half in ("night", "fall")
    ),
    "a member beside a text that is cut": (
        world.event({"choices": [{"index": 0, "delta": {"content": "it is night"}}], "x": SECRET}),
    ),
}


@pytest.mark.parametrize("events", SEEN.values(), ids=SEEN.keys())
def test_a_filter_sees_all_that_a_stream_says(events: tuple[bytes, ...]) -> None:
    async def main() -> None:
        async with world.world(streamed(*events), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            last = json.loads(reply.body.split(b"data: ")[-1])
            assert last["error"]["code"] == "content_policy_violation"
            assert b"fall" not in reply.body.removesuffix(b"data: " + reply.body.split(b"data: ")[-1])
            await client.close()

    harness.run(main())


UNSEEN = {
    "no JSON": (world.event(b'{"choices": "nightf'),),
    "two documents": (world.event(BODY + b" " + BODY),),
    "a key twice": (world.event(b'{"x": 1, "x": 2}'),),
    "a list": (world.event(b"[" + BODY + b"]"),),
    "bytes in no encoding": (gzip.compress(EVENTS) + b"\n\n",),
    "UTF-16": (EVENTS.decode().encode("utf-16"), b"\n\n"),
    "UTF-16 without a mark": (EVENTS.decode().encode("utf-16-le"), b"\n\n"),
    "a text that goes on behind its end": (HALVES[0], world.piece("", "stop"), HALVES[1]),
    "a text that goes on behind the usage": (HALVES[0], world.usage_event(), HALVES[1]),
    "a text that goes on behind the end": (HALVES[0], world.DONE, HALVES[1]),
}


@pytest.mark.parametrize("events", UNSEEN.values(), ids=UNSEEN.keys())
def test_a_filter_ends_a_stream_that_it_cannot_read(events: tuple[bytes, ...]) -> None:
    async def main() -> None:
        async with world.world(streamed(world.piece("so: "), *events), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            last = json.loads(reply.body.split(b"data: ")[-1])
            assert last["error"]["code"] == "upstream_error"
            assert "policy root/words filters answers" in last["error"]["message"]
            assert reply.body.startswith(world.piece("so: "))
            assert b"fall" not in reply.body
            (violation,) = (await made.only(Violated)).violations
            assert (violation.reason, violation.action) == ("answer_unread", Action.DENY)
            await client.close()
        async with world.world(streamed(world.piece("so: "), *events)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            assert reply.body == world.piece("so: ") + b"".join(events)
            await client.close()

    harness.run(main())


def test_a_stream_of_garbage_that_nobody_filters_is_on_record() -> None:
    async def main() -> None:
        async with world.world(streamed(world.event(b"{broken"), world.DONE)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            assert reply.body == world.event(b"{broken") + world.DONE
            assert (await made.only(Settlement)).outcome is Outcome.UNKNOWN
            (violation,) = (await made.only(Violated)).violations
            assert (violation.reason, violation.action) == ("answer_unread", Action.FLAG)
            await client.close()

    harness.run(main())


FINE = {
    "a comment to keep the connection": b": OPENROUTER PROCESSING\n\n",
    "an event of nothing": b"data: \n\n",
    "an id and a time": b"id: 4111111111111111\nretry: 3000\n\n",
    "a byte order mark": codecs.BOM_UTF8 + world.piece("x"),
}


@pytest.mark.parametrize("event", FINE.values(), ids=FINE.keys())
def test_what_is_harmless_passes_a_filter_byte_for_byte(event: bytes) -> None:
    async def main() -> None:
        async with world.world(streamed(event, EVENTS.replace(b"nightfall", b"day")), [words(OnDetect.BLOCK)]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(**ASKS_USAGE))
            assert reply.body == event + EVENTS.replace(b"nightfall", b"day")
            assert (await made.only(Settlement)).outcome is Outcome.SETTLED
            await client.close()

    harness.run(main())
