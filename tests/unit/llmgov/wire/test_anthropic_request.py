"""Anthropic's requests: every string that reaches the model with its place, and all that a bound of the cost needs."""

import json
from typing import Any

import pytest

from llmgov.snapshot import Dimension
from llmgov.wire import anthropic, formats, malformed
from llmgov.wire.anthropic import parts
from llmgov.wire.events import Format, Operation, OutputLimit, Request, Route, TextRole
from tests.support.json_paths import plain

MESSAGES = Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages")
COUNT = Route(Format.ANTHROPIC, Operation.COUNT_TOKENS, "/v1/messages/count_tokens")


def messages(**fields: Any) -> Request:
    body = {"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]} | fields
    return anthropic.parse_request(MESSAGES, json.dumps(body).encode())


def user(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "assistant", "content": list(blocks)}]}


PLAIN = {"type": "text", "media_type": "text/plain", "data": "SECRET"}

PLACES: dict[str, tuple[dict[str, Any], str, TextRole]] = {
    "the system prompt": ({"system": "SECRET"}, "system", TextRole.SYSTEM),
    "the system prompt in blocks": (
        {"system": [{"type": "text", "text": "SECRET"}]},
        "system[0].text",
        TextRole.SYSTEM,
    ),
    "a message": ({"messages": [{"role": "user", "content": "SECRET"}]}, "messages[0].content", TextRole.USER),
    "a block": (user({"type": "text", "text": "SECRET"}), "messages[0].content[0].text", TextRole.USER),
    "a prefilled answer": (
        assistant({"type": "text", "text": "SECRET"}),
        "messages[0].content[0].text",
        TextRole.ASSISTANT,
    ),
    "a tool's input": (
        assistant({"type": "tool_use", "id": "t", "name": "f", "input": {"deep": ["SECRET"]}}),
        "messages[0].content[0].input.deep[0]",
        TextRole.TOOL_ARGUMENTS,
    ),
    "a tool's result": (
        user({"type": "tool_result", "tool_use_id": "t", "content": "SECRET"}),
        "messages[0].content[0].content",
        TextRole.TOOL_RESULT,
    ),
    "a tool's result in blocks": (
        user({"type": "tool_result", "content": [{"type": "text", "text": "SECRET"}]}),
        "messages[0].content[0].content[0].text",
        TextRole.TOOL_RESULT,
    ),
    "thinking": (
        assistant({"type": "thinking", "thinking": "SECRET", "signature": "x"}),
        "messages[0].content[0].thinking",
        TextRole.PROTECTED,
    ),
    "a document's text": (
        user({"type": "document", "source": PLAIN}),
        "messages[0].content[0].source.data",
        TextRole.USER,
    ),
    "a document's title": (
        user({"type": "document", "title": "SECRET", "source": PLAIN | {"data": "x"}}),
        "messages[0].content[0].title",
        TextRole.USER,
    ),
    "a search result": (
        user({"type": "search_result", "source": "s", "title": "t", "content": [{"type": "text", "text": "SECRET"}]}),
        "messages[0].content[0].content[0].text",
        TextRole.TOOL_RESULT,
    ),
    "a tool's description": (
        {"tools": [{"name": "f", "description": "SECRET", "input_schema": {"type": "object"}}]},
        "tools[0].description",
        TextRole.TOOL_DEFINITION,
    ),
    "a tool's schema": (
        {"tools": [{"type": "custom", "name": "f", "input_schema": {"properties": {"a": {"enum": ["SECRET"]}}}}]},
        "tools[0].input_schema.properties.a.enum[0]",
        TextRole.TOOL_DEFINITION,
    ),
    "a stop sequence": ({"stop_sequences": ["SECRET"]}, "stop_sequences[0]", TextRole.METADATA),
    "the user's id": ({"metadata": {"user_id": "SECRET"}}, "metadata.user_id", TextRole.METADATA),
    "an output schema": (
        {"output_config": {"format": {"type": "json_schema", "schema": {"description": "SECRET"}}}},
        "output_config.format.schema.description",
        TextRole.SYSTEM,
    ),
    "a block of tomorrow": (user({"type": "hologram", "x": "SECRET"}), "messages[0].content[0].x", TextRole.UNKNOWN),
    "a member of tomorrow": (
        user({"type": "text", "text": "x", "mood": "SECRET"}),
        "messages[0].content[0].mood",
        TextRole.UNKNOWN,
    ),
    "the name of a member of tomorrow": (
        user({"type": "text", "text": "x", "SECRET": 1}),
        "messages[0].content[0].SECRET",
        TextRole.PROTECTED,
    ),
    "an image's address": (
        user({"type": "image", "source": {"type": "url", "url": "https://x/?SECRET"}}),
        "messages[0].content[0].source.url",
        TextRole.PROTECTED,
    ),
}


@pytest.mark.parametrize(("fields", "path", "role"), PLACES.values(), ids=PLACES.keys())
def test_a_string_is_found_in_its_place(fields: dict[str, Any], path: str, role: TextRole) -> None:
    found = [(plain(text.path), text.role) for text in messages(**fields).texts if "SECRET" in text.text]
    assert found == [(path, role)]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": ""}, "model"),
    "no output maximum": ({"max_tokens": None}, "max_tokens"),
    "an output maximum of nothing": ({"max_tokens": 0}, "max_tokens"),
    "messages that are a string": ({"messages": "hi"}, "messages"),
    "stream as a number": ({"stream": 1}, "stream"),
    "uses in words": (
        {"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": "2"}]},
        "tools[0].max_uses",
    ),
    "metadata that is a string": ({"metadata": "u"}, "metadata"),
    "speed as a number": ({"speed": 2}, "speed"),
}


@pytest.mark.parametrize(("fields", "path"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(malformed.RequestError) as caught:
        messages(**fields)
    assert caught.value.refusal.param == path


def test_facts_of_a_plain_message() -> None:
    request = messages(metadata={"user_id": "u"}, stream=True)
    assert request.output_limit == OutputLimit("max_tokens", 9)
    assert (request.user, request.stream, request.wants_usage) == ("u", True, True)
    assert request.cost.text_bytes == len(request.body)
    assert not request.cost.opaque_context


def test_an_image_is_an_image_and_its_bytes_are_no_text() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "A" * 4000}
    facts = messages(**user({"type": "image", "source": source})).cost
    assert facts.images == 1
    assert facts.text_bytes < 300


DOCUMENTS = {
    "plain text": (PLAIN, False),
    "blocks": ({"type": "content", "content": [{"type": "text", "text": "x"}]}, False),
    "a PDF": ({"type": "base64", "media_type": "application/pdf", "data": "AAAA"}, True),
    "an address": ({"type": "url", "url": "https://x/y.pdf"}, True),
    "a file by id": ({"type": "file", "file_id": "f"}, True),
}


@pytest.mark.parametrize(("source", "opaque"), DOCUMENTS.values(), ids=DOCUMENTS.keys())
def test_a_document_is_opaque_unless_its_text_is_here(source: dict[str, Any], opaque: bool) -> None:
    facts = messages(**user({"type": "document", "source": source})).cost
    assert facts.opaque_context is opaque
    assert not facts.refused


def test_cache_breakpoints_name_the_writes_that_they_cause() -> None:
    block = {"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}
    assert messages(system=[block]).cost.cache_writes == {Dimension.CACHE_WRITE_5M}
    hour = {"name": "f", "input_schema": {}, "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    assert messages(system=[block], tools=[hour]).cost.cache_writes == {
        Dimension.CACHE_WRITE_5M,
        Dimension.CACHE_WRITE_1H,
    }
    assert messages(cache_control={"type": "ephemeral", "ttl": "1h"}).cost.cache_writes == {Dimension.CACHE_WRITE_1H}
    assert messages(cache_control={"type": "ephemeral", "ttl": "1d"}).cost.refused


def search(**fields: Any) -> dict[str, Any]:
    return {"type": "web_search_20250305", "name": "web_search"} | fields


def test_web_searches_are_bounded_by_their_uses_and_the_loop_by_its_limit() -> None:
    few = messages(tools=[search(max_uses=3)]).cost
    assert (few.calls, few.iterations, few.opaque_context) == ({Dimension.WEB_SEARCH_CALL: 3}, 4, True)
    assert few.choices == 4, "each run may say as much as the output maximum"
    many = messages(tools=[search(max_uses=50)]).cost
    assert (many.calls, many.iterations) == ({Dimension.WEB_SEARCH_CALL: 50}, parts.MAX_LOOP + 1)
    assert not few.refused
    fetch = messages(tools=[{"type": "web_fetch_20250910", "name": "web_fetch"}]).cost
    assert (fetch.calls, fetch.iterations, fetch.refused) == ({}, parts.MAX_LOOP + 1, ())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "web searches without a number": ({"tools": [search()]}, "tools[0]"),
    "code execution": ({"tools": [{"type": "code_execution_20250825", "name": "c"}]}, "tools[0]"),
    "an advisor": ({"tools": [{"type": "advisor_20260301", "name": "a", "model": "m"}]}, "tools[0]"),
    "a container": ({"container": "c"}, "container"),
    "MCP servers": ({"mcp_servers": [{"type": "url", "url": "u", "name": "n"}]}, "mcp_servers"),
    "fallback models": ({"fallbacks": [{"model": "m"}]}, "fallbacks"),
    "compaction": ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "context_management.edits[0]"),
    "a field of tomorrow": ({"turbo": 1}, "turbo"),
    "a block of tomorrow": (user({"type": "hologram"}), "messages[0].content[0]"),
    "a tool of tomorrow": ({"tools": [{"type": "web_search_20990101", "max_uses": 1}]}, "tools[0]"),
    "an option of a tool of tomorrow": ({"tools": [{"name": "f", "gold": True}]}, "tools[0].gold"),
}


@pytest.mark.parametrize(("fields", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nothing_bounds_is_marked_as_refused(fields: dict[str, Any], path: str) -> None:
    assert [plain(refused.path) for refused in messages(**fields).cost.refused] == [path]


def test_what_is_off_is_not_refused() -> None:
    facts = messages(
        mcp_servers=[], container=None, context_management={"edits": [{"type": "clear_thinking_20251015"}]}
    )
    assert not facts.cost.refused
    assert not facts.unknown_parts


TIERS = {
    "nothing asked": ({}, None),
    "the provider's choice": ({"service_tier": "auto"}, "auto"),
    "standard only": ({"service_tier": "standard_only"}, "standard"),
    "fast mode": ({"speed": "fast", "service_tier": "standard_only"}, "fast"),
    "standard speed": ({"speed": "standard"}, None),
}


@pytest.mark.parametrize(("fields", "tier"), TIERS.values(), ids=TIERS.keys())
def test_tier_and_speed_are_one_fact(fields: dict[str, Any], tier: str | None) -> None:
    assert messages(**fields).cost.service_tier == tier


def test_tools_add_the_providers_own_words() -> None:
    bare = messages().cost.overhead_tokens
    own = messages(tools=[{"name": "f", "input_schema": {}}]).cost.overhead_tokens
    shell = messages(tools=[{"type": "bash_20250124", "name": "bash"}]).cost.overhead_tokens
    assert bare < own < shell


def test_counting_tokens_needs_no_output_maximum_and_produces_nothing() -> None:
    request = formats.parse_request(COUNT, b'{"model":"c","messages":[{"role":"user","content":"SECRET"}]}')
    assert request.output_limit is None
    assert not request.cost.produces_output
    assert request.texts[0].text == "SECRET"


def test_models_have_no_body() -> None:
    route = Route(Format.ANTHROPIC, Operation.ANTHROPIC_MODELS, "/v1/models/claude-x?y=1")
    assert formats.parse_request(route, b"").model == "claude-x"
    with pytest.raises(malformed.RequestError):
        formats.parse_request(route, b"{}")
