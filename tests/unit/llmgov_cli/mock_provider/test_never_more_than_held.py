"""The promise about money, against the mock that always spends the maximum: no charge above its hold.

The request goes through the proxy's own parsers and bounds, the answer through its own reading of usage; the mock
between them shares nothing with either.
"""

import json
import pathlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import money, prices
from llmgov.prices import document, lookup
from llmgov.wire import anthropic, formats, openai
from llmgov.wire.events import Format, Frame, Operation, Request, Route
from llmgov_cli.mock_provider import (
    anthropic_messages,
    anthropic_models,
    identity,
    openai_chat,
    openai_models,
    openai_responses,
    reply,
    script,
)

_PRICES = document.parse((pathlib.Path(prices.__file__).parent / "data.json").read_bytes())
_PLAN = script.Plan(spend_max=True)

_text = st.text(st.characters(codec="utf-8"), max_size=40)
_schema = st.dictionaries(st.sampled_from(["city", "naïve"]), st.just({"type": "string"}), max_size=2)
_maximum = st.integers(1, 5000)


def _held(request: Request, maximum: int, provider: str) -> tuple[int, Any]:
    price = lookup.find(_PRICES, provider, request.model)
    assert price is not None
    base, output = prices.base(request.cost, price), prices.per_output_token(request.cost, price)
    return money.round_up(base + maximum * output), price


def _body(whole: reply.Reply) -> bytes:
    assert isinstance(whole, reply.Whole)
    assert whole.status == 200, whole
    return reply.encode(whole.body)


@st.composite
def _chats(draw: st.DrawFn) -> dict[str, Any]:
    messages = draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["system", "user", "assistant"]),
                    "content": _text | st.lists(st.fixed_dictionaries({"type": st.just("text"), "text": _text})),
                }
            ),
            min_size=1,
            max_size=4,
        )
    )
    tool = {
        "type": "function",
        "function": {"name": "f", "parameters": {"type": "object", "properties": draw(_schema)}},
    }
    body = {
        "model": "gpt-4o",
        "messages": messages,
        "max_completion_tokens": draw(_maximum),
        "n": draw(st.integers(1, 3)),
    }
    return body | ({"tools": [tool]} if draw(st.booleans()) else {})


@given(_chats())
@settings(max_examples=60, deadline=None)
def test_a_chat_completion(body: dict[str, Any]) -> None:
    route = Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions")
    request = openai.parse_request(route, json.dumps(body).encode())
    held, price = _held(request, body["max_completion_tokens"], "openai")
    answer = openai.parse_answer(route, 200, _body(openai_chat.respond(body, _PLAN, identity.Ids(), 7)))
    assert answer.usage is not None
    assert prices.cost(answer.usage, price) <= held


@given(st.lists(_text, min_size=1, max_size=4), _text, _maximum, st.sampled_from(["gpt-4o", "gpt-5", "gpt-5.4-mini"]))
@settings(max_examples=60, deadline=None)
def test_a_response(texts: list[str], instructions: str, maximum: int, model: str) -> None:
    given = [{"role": "user", "content": [{"type": "input_text", "text": text}]} for text in texts]
    body = {"model": model, "input": given, "instructions": instructions, "max_output_tokens": maximum, "store": False}
    route = Route(Format.OPENAI, Operation.RESPONSES, "/responses")
    request = openai.parse_request(route, json.dumps(body).encode())
    held, price = _held(request, maximum, "openai")
    answer = openai.parse_answer(route, 200, _body(openai_responses.respond(body, _PLAN, identity.Ids(), 7)))
    assert answer.usage is not None
    assert prices.cost(answer.usage, price) <= held


@given(st.lists(_text, min_size=1, max_size=4), _text, _maximum, st.sampled_from([None, "5m", "1h"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_message(texts: list[str], system: str, maximum: int, ttl: str | None, thinks: bool) -> None:
    control = {} if ttl is None else {"cache_control": {"type": "ephemeral", "ttl": ttl}}
    content = [{"type": "text", "text": text, **control} for text in texts]
    thinking = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if thinks else {}
    body = {
        "model": "claude-haiku-4-5",
        "system": system,
        "max_tokens": maximum,
        "messages": [{"role": "user", "content": content}],
        **thinking,
    }
    route = Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages")
    request = anthropic.parse_request(route, json.dumps(body).encode())
    held, price = _held(request, maximum, "anthropic")
    whole = _body(anthropic_messages.respond(body, _PLAN, identity.Ids(), "req_1"))
    answer = anthropic.parse_answer(route, 200, whole)
    assert answer.usage is not None
    assert prices.cost(answer.usage, price) <= held


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_mock_names_only_models_that_have_a_price(provider: str) -> None:
    listed = (openai_models if provider == "openai" else anthropic_models).listed().body["data"]
    priced = [lookup.find(_PRICES, provider, model["id"]) for model in listed]
    assert [model["id"] for model, price in zip(listed, priced, strict=True) if price is None] == []


def _streamed(request: Request, stream: reply.Reply) -> list[Frame]:
    assert isinstance(stream, reply.Stream)
    reader = formats.stream_reader(request)
    return [frame for event in stream.events for frame in reader.feed(event)] + reader.end()


@pytest.mark.parametrize("operation", [Operation.CHAT_COMPLETIONS, Operation.RESPONSES, Operation.MESSAGES])
def test_a_stream_bills_what_the_whole_answer_bills_and_is_known_to_have_ended(operation: Operation) -> None:
    user = "mock: think first\nmock: cached 2\nmock: say all is well"
    plan, ids = script.parse(user), identity.Ids()
    match operation:
        case Operation.CHAT_COMPLETIONS:
            options = {"stream_options": {"include_usage": True}}
            body = {"model": "gpt-4o", "messages": [{"role": "user", "content": user}], **options}
            route = Route(Format.OPENAI, operation, "/chat/completions")
            whole, stream = (openai_chat.respond(body | {"stream": on}, plan, ids, 7) for on in (False, True))
        case Operation.RESPONSES:
            body = {"model": "gpt-5", "input": user, "store": False}
            route = Route(Format.OPENAI, operation, "/responses")
            whole, stream = (openai_responses.respond(body | {"stream": on}, plan, ids, 7) for on in (False, True))
        case _:
            body = {"model": "claude-haiku-4-5", "max_tokens": 99, "messages": [{"role": "user", "content": user}]}
            route = Route(Format.ANTHROPIC, operation, "/v1/messages")
            whole, stream = (anthropic_messages.respond(body | {"stream": on}, plan, ids, "r") for on in (False, True))
    request = formats.parse_request(route, json.dumps(body | {"stream": True}).encode())
    answer = formats.parse_answer(route, 200, _body(whole))
    frames = _streamed(request, stream)
    usages = [frame.usage for frame in frames if frame.usage is not None]
    assert answer.usage is not None
    assert usages[-1].counts == answer.usage.counts
    assert any(frame.terminal for frame in frames)
    assert not any(frame.error for frame in frames)
