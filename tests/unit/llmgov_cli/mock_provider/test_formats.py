"""Every body and event of the mock against the official SDKs' own types: nothing unknown, nothing missing."""

import functools
import json
from typing import Any

import pydantic
import pytest
from anthropic import types as anthropic_types
from openai import types as openai_types
from openai.types import chat as openai_chat_types
from openai.types import responses as openai_responses_types

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

PLANS = [
    "plain",
    "mock: say the card is 4111 1111 1111 1111, né?",
    "mock: echo",
    'mock: call weather {"city": "Köln", "days": [1, 2]}',
    "mock: think step by step\nmock: say done",
    "mock: refuse",
    "mock: spend max",
    "mock: cached 3",
]
TOOL = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}


@functools.cache
def _adapter(kind: Any) -> pydantic.TypeAdapter[Any]:
    return pydantic.TypeAdapter(kind)


def _strict(kind: Any, document: Any) -> Any:
    """Validate, and refuse what the SDK's types do not know or would have to guess."""
    parsed = _adapter(kind).validate_json(json.dumps(document))
    _no_extras(parsed, "")
    return parsed


def _no_extras(value: Any, path: str) -> None:
    if isinstance(value, pydantic.BaseModel):
        assert not value.model_extra, f"{path or type(value).__name__} has {sorted(value.model_extra or ())}"
        missing = {name for name, field in type(value).model_fields.items() if field.is_required()}
        assert missing <= value.model_fields_set, f"{path} lacks {missing - value.model_fields_set}"
        for name in value.model_fields_set:
            _no_extras(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _no_extras(inner, f"{path}[{index}]")


def _events(stream: reply.Reply) -> list[tuple[str | None, Any]]:
    """The events of a stream, read by the rules of the event stream format (WHATWG HTML, section 9.2.6)."""
    assert isinstance(stream, reply.Stream)
    found = []
    for block in b"".join(stream.events).decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        data = fields["data"]
        found.append((fields.get("event"), data if data == "[DONE]" else json.loads(data)))
    return found


def _chat(text: str, **more: Any) -> reply.Reply:
    body = {
        "model": "gpt-4o",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}],
    }
    return openai_chat.respond(body | more, script.parse(text), identity.Ids(), 7)


def _responses(text: str, **more: Any) -> reply.Reply:
    body = {"model": "gpt-4o", "input": text, "instructions": "Be brief.", "tools": [{"type": "function", **TOOL}]}
    return openai_responses.respond(body | more, script.parse(text), identity.Ids(), 7)


def _messages(text: str, **more: Any) -> reply.Reply:
    body = {"model": "claude-haiku-5-5", "max_tokens": 90, "messages": [{"role": "user", "content": text}]}
    return anthropic_messages.respond(body | more, script.parse(text), identity.Ids(), "req_1")


def _body(whole: reply.Reply) -> dict[str, Any]:
    assert isinstance(whole, reply.Whole), whole
    assert whole.status == 200, whole
    return whole.body


@pytest.mark.parametrize("text", PLANS)
@pytest.mark.parametrize("choices", [1, 3])
def test_a_chat_completion_is_the_sdks(text: str, choices: int) -> None:
    parsed = _strict(openai_chat_types.ChatCompletion, _body(_chat(text, n=choices)))
    assert [choice.index for choice in parsed.choices] == list(range(choices))
    assert parsed.usage.total_tokens == parsed.usage.prompt_tokens + parsed.usage.completion_tokens


@pytest.mark.parametrize("text", PLANS)
@pytest.mark.parametrize("options", [None, {"include_usage": True}, {"include_obfuscation": False}])
def test_a_streamed_chat_completion_is_the_sdks_and_says_the_same(text: str, options: dict[str, bool] | None) -> None:
    *chunks, done = [data for _, data in _events(_chat(text, stream=True, stream_options=options, n=2))]
    assert done == "[DONE]"
    for chunk in chunks:
        _strict(openai_chat_types.ChatCompletionChunk, chunk)
    whole = _body(_chat(text, n=2))
    for index in range(2):
        mine = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
        for field in ("content", "refusal"):
            assert "".join(one["delta"].get(field) or "" for one in mine) == (
                whole["choices"][index]["message"][field] or ""
            )
        assert mine[-1]["finish_reason"] == whole["choices"][index]["finish_reason"]
    with_usage = bool(options and options.get("include_usage"))
    assert [chunk["usage"] for chunk in chunks if chunk.get("usage")] == ([whole["usage"]] if with_usage else [])
    assert all(("usage" in chunk) == with_usage for chunk in chunks)
    assert all(("obfuscation" in chunk) == (options != {"include_obfuscation": False}) for chunk in chunks)


@pytest.mark.parametrize("text", PLANS)
def test_a_response_is_the_sdks(text: str) -> None:
    parsed = _strict(openai_responses_types.Response, _body(_responses(text, reasoning={"effort": "low"})))
    assert parsed.status == ("incomplete" if text == "mock: spend max" else "completed")
    assert parsed.usage.total_tokens == parsed.usage.input_tokens + parsed.usage.output_tokens


@pytest.mark.parametrize("text", PLANS)
def test_a_streamed_response_is_the_sdks_in_order_and_ends_with_the_whole(text: str) -> None:
    events = _events(_responses(text, stream=True))
    for name, event in events:
        assert name == event["type"]
        _strict(openai_responses_types.ResponseStreamEvent, event)
    documents = [event for _, event in events]
    assert [event["sequence_number"] for event in documents] == list(range(len(documents)))
    assert [event["type"] for event in documents[:2]] == ["response.created", "response.in_progress"]
    whole = _body(_responses(text))
    assert documents[-1]["type"] == f"response.{whole['status']}"
    assert documents[-1]["response"] == whole
    assert [event["item"] for event in documents if event["type"] == "response.output_item.done"] == whole["output"]
    for event in documents:
        if event["type"] == "response.output_text.done":
            deltas = [one["delta"] for one in documents if one["type"] == "response.output_text.delta"]
            assert "".join(deltas) == event["text"]


@pytest.mark.parametrize("text", PLANS)
@pytest.mark.parametrize("thinking", [None, {"type": "enabled", "budget_tokens": 1024}])
def test_a_message_is_the_sdks(text: str, thinking: dict[str, Any] | None) -> None:
    parsed = _strict(anthropic_types.Message, _body(_messages(text, thinking=thinking)))
    kinds = [block.type for block in parsed.content]
    assert ("thinking" in kinds) == (thinking is not None or "think" in text)


@pytest.mark.parametrize("text", PLANS)
def test_a_streamed_message_is_the_sdks_and_its_usage_is_cumulative(text: str) -> None:
    events = _events(_messages(text, stream=True))
    assert all(name == event["type"] for name, event in events)
    documents = [event for _, event in events]
    for event in documents:
        if event["type"] != "ping":  # in the reference, not in the SDK's types: it skips them
            _strict(anthropic_types.RawMessageStreamEvent, event)
    assert [documents[0]["type"], documents[-1]["type"]] == ["message_start", "message_stop"]
    whole = _body(_messages(text))
    delta = documents[-2]
    assert delta["delta"]["stop_reason"] == whole["stop_reason"]
    assert delta["usage"].items() <= whole["usage"].items()
    texts = [event["delta"]["text"] for event in documents if event.get("delta", {}).get("type") == "text_delta"]
    assert "".join(texts) == "".join(block.get("text", "") for block in whole["content"])
    pieces = [one["delta"].get("partial_json", "") for one in documents if one["type"] == "content_block_delta"]
    inputs = [block["input"] for block in whole["content"] if block["type"] == "tool_use"]
    assert [json.loads("".join(pieces))] == inputs if inputs else not "".join(pieces)


@pytest.mark.parametrize("given", ["one", ["one", "two"], [1, 2, 3], [[1, 2], [3]]], ids=repr)
def test_embeddings_are_the_sdks(given: Any) -> None:
    body = _body(openai_models.embeddings({"model": "text-embedding-3-small", "input": given, "dimensions": 64}))
    parsed = _strict(openai_types.CreateEmbeddingResponse, body)
    assert len(parsed.data) == (len(given) if isinstance(given, list) and not isinstance(given[0], int) else 1)
    assert all(abs(sum(x * x for x in one.embedding) - 1) < 1e-5 for one in parsed.data)


def test_models_are_the_sdks() -> None:
    for document in _body(openai_models.listed())["data"]:
        _strict(openai_types.Model, document)
        assert openai_models.one(document["id"]).body == document
    listed = _body(anthropic_models.listed())
    assert listed.keys() == {"data", "has_more", "first_id", "last_id"}
    for document in listed["data"]:
        _strict(anthropic_types.ModelInfo, document)
    count = anthropic_messages.count({"model": "claude-haiku-5-5", "messages": []}, "req_1")
    _strict(anthropic_types.MessageTokensCount, _body(count))


def test_a_chat_completion_has_the_fields_that_the_reference_shows() -> None:
    """https://platform.openai.com/docs/api-reference/chat/object."""
    body = _body(_chat("plain"))
    assert body.keys() == {
        "id", "object", "created", "model", "choices", "usage", "service_tier", "system_fingerprint"
    }  # fmt: skip
    assert body["choices"][0].keys() == {"index", "message", "logprobs", "finish_reason"}
    assert body["choices"][0]["message"] == {
        "role": "assistant", "content": "You said: plain", "refusal": None, "annotations": []
    }  # fmt: skip
    assert body["model"] == "gpt-4o-2024-08-06"


def test_a_message_has_the_fields_that_the_reference_shows() -> None:
    """https://docs.anthropic.com/en/api/messages."""
    body = _body(_messages("plain"))
    assert body.keys() == {
        "id", "type", "role", "model", "content", "stop_reason", "stop_sequence", "stop_details", "usage"
    }  # fmt: skip
    assert body["content"] == [{"type": "text", "text": "You said: plain"}]


# The rule for tokens


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"messages": [{"role": "user", "content": "abcde"}]}, 2 + 3 + 3),
        ({"messages": [{"role": "user", "content": "né"}, {"role": "user", "content": ""}]}, 1 + 6 + 3),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": "abcd"}]}]}, 1 + 3 + 3),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x" * 400}}]}]}, 91),
        ({"messages": [], "tools": [{"a": "bcdef"}]}, 4 + 3),
    ],
    ids=["a begun token counts", "bytes count, and messages", "parts count", "an image is 85", "a tool is its JSON"],
)
def test_input_tokens_follow_the_documented_rule(body: dict[str, Any], expected: int) -> None:
    whole = openai_chat.respond({"model": "gpt-4o"} | body, script.Plan(), identity.Ids(), 7)
    assert _body(whole)["usage"]["prompt_tokens"] == expected


def test_an_answer_beyond_the_maximum_is_cut_there() -> None:
    body = _body(_chat("mock: say " + "word" * 20, max_tokens=5))
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["choices"][0]["message"]["content"] == "word" * 5
    assert body["usage"]["completion_tokens"] == 5


@pytest.mark.parametrize("maximum", [1, 7, 4000])
def test_spending_the_maximum_bills_a_token_a_byte_and_the_whole_output(maximum: int) -> None:
    usage = _body(_chat("mock: spend max", max_completion_tokens=maximum, n=2))["usage"]
    assert usage["prompt_tokens"] == len("Be brief.") + len("mock: spend max") + 2 * 3 + 3
    assert usage["completion_tokens"] == 2 * maximum


def test_cache_control_moves_tokens_out_of_the_input() -> None:
    cached = {"type": "text", "text": "abcd" * 10, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    short = cached | {"cache_control": {"type": "ephemeral"}}
    plain = {"type": "text", "text": "abcd"}
    messages = [{"role": "user", "content": [cached, short, plain]}]
    usage = _body(_messages("mock: cached 4", messages=messages))["usage"]
    assert usage["cache_creation"] == {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 10}
    assert usage["cache_creation_input_tokens"] == 20
    assert usage["cache_read_input_tokens"] == 4
    assert usage["input_tokens"] == 10 + 10 + 1 + 3 + 3 - 20 - 4


def test_equal_requests_get_equal_answers() -> None:
    assert _body(_chat("plain")) == _body(_chat("plain"))
    assert identity.Ids(1).new("x") != identity.Ids(2).new("x")
