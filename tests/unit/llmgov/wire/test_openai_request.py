"""OpenAI's requests: every string that reaches the model with its place, and all that a bound of the cost needs."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.snapshot import Dimension
from llmgov.wire import formats, malformed, openai, splice
from llmgov.wire.events import Format, Operation, OutputLimit, ReplaceText, Request, Route, SetTrue, TextRole
from tests.support.json_paths import plain

CHAT = Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions")
RESPONSES = Route(Format.OPENAI, Operation.RESPONSES, "/responses")
EMBEDDINGS = Route(Format.OPENAI, Operation.EMBEDDINGS, "/embeddings")


def chat(**fields: Any) -> Request:
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]} | fields
    return openai.parse_request(CHAT, json.dumps(body).encode())


def responses(**fields: Any) -> Request:
    return openai.parse_request(RESPONSES, json.dumps({"model": "gpt-5", "input": "hi"} | fields).encode())


def embeddings(given: Any) -> Request:
    return openai.parse_request(EMBEDDINGS, json.dumps({"model": "e", "input": given}).encode())


def places(request: Request) -> dict[str, tuple[str, TextRole]]:
    return {plain(text.path): (text.text, text.role) for text in request.texts}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "SECRET"}}
PART_TEXT = {"type": "text", "text": "SECRET"}
FUNCTION = {"name": "f", "description": "SECRET", "parameters": {}}

CHAT_PLACES: dict[str, tuple[dict[str, Any], str, TextRole]] = {
    "a system message": (
        {"messages": [{"role": "system", "content": "SECRET"}]},
        "messages[0].content",
        TextRole.SYSTEM,
    ),
    "a developer message in parts": (
        {"messages": [{"role": "developer", "content": [PART_TEXT]}]},
        "messages[0].content[0].text",
        TextRole.SYSTEM,
    ),
    "a user message": ({"messages": [{"role": "user", "content": "SECRET"}]}, "messages[0].content", TextRole.USER),
    "a speaker's name": (
        {"messages": [{"role": "user", "content": "x", "name": "SECRET"}]},
        "messages[0].name",
        TextRole.PROTECTED,
    ),
    "an assistant message": (
        {"messages": [{"role": "assistant", "content": "SECRET"}]},
        "messages[0].content",
        TextRole.ASSISTANT,
    ),
    "a refusal of before": (
        {"messages": [{"role": "assistant", "refusal": "SECRET"}]},
        "messages[0].refusal",
        TextRole.ASSISTANT,
    ),
    "a tool call's arguments": (
        {"messages": [{"role": "assistant", "tool_calls": [CALL]}]},
        "messages[0].tool_calls[0].function.arguments",
        TextRole.TOOL_ARGUMENTS,
    ),
    "a custom tool call's input": (
        {"messages": [{"role": "assistant", "tool_calls": [{"type": "custom", "custom": {"input": "SECRET"}}]}]},
        "messages[0].tool_calls[0].custom.input",
        TextRole.TOOL_ARGUMENTS,
    ),
    "an old function call's arguments": (
        {"messages": [{"role": "assistant", "function_call": {"name": "f", "arguments": "SECRET"}}]},
        "messages[0].function_call.arguments",
        TextRole.TOOL_ARGUMENTS,
    ),
    "a tool's result": (
        {"messages": [{"role": "tool", "tool_call_id": "1", "content": "SECRET"}]},
        "messages[0].content",
        TextRole.TOOL_RESULT,
    ),
    "a file's name": (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": "SECRET"}}]}]},
        "messages[0].content[0].file.filename",
        TextRole.FILE_NAME,
    ),
    "a tool's description": (
        {"tools": [{"type": "function", "function": FUNCTION}]},
        "tools[0].function.description",
        TextRole.TOOL_DEFINITION,
    ),
    "a parameter's description": (
        {
            "tools": [
                {
                    "type": "function",
                    "function": {"name": "f", "parameters": {"properties": {"a": {"description": "SECRET"}}}},
                }
            ]
        },
        "tools[0].function.parameters.properties.a.description",
        TextRole.TOOL_DEFINITION,
    ),
    "an old function's description": ({"functions": [FUNCTION]}, "functions[0].description", TextRole.TOOL_DEFINITION),
    "a name in a schema": (
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {"SECRET": {}}}}},
        "response_format.json_schema.schema",
        TextRole.PROTECTED,
    ),
    "a prediction": (
        {"prediction": {"type": "content", "content": "SECRET"}},
        "prediction.content",
        TextRole.ASSISTANT,
    ),
    "metadata": ({"metadata": {"k": "SECRET"}}, "metadata.k", TextRole.METADATA),
    "a field of tomorrow": ({"new": {"deep": ["SECRET"]}}, "new.deep[0]", TextRole.UNKNOWN),
    "a part of tomorrow": (
        {"messages": [{"role": "user", "content": [{"type": "hologram", "x": "SECRET"}]}]},
        "messages[0].content[0].x",
        TextRole.UNKNOWN,
    ),
    "a member of tomorrow": (
        {"messages": [{"role": "user", "content": "x", "mood": "SECRET"}]},
        "messages[0].mood",
        TextRole.UNKNOWN,
    ),
    "a text file": (
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_data": "U0VDUkVU"}}]}]},
        "messages[0].content[0].file.file_data",
        TextRole.PROTECTED,
    ),
    "an image that is text": (
        {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,U0VDUkVU"}}],
                }
            ]
        },
        "messages[0].content[0].image_url.url",
        TextRole.PROTECTED,
    ),
    "an image's address": (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x/?SECRET"}}]}]},
        "messages[0].content[0].image_url.url",
        TextRole.PROTECTED,
    ),
}


@pytest.mark.parametrize(("fields", "path", "role"), CHAT_PLACES.values(), ids=CHAT_PLACES.keys())
def test_a_string_of_a_chat_is_found_in_its_place(fields: dict[str, Any], path: str, role: TextRole) -> None:
    found = [(plain(text.path), text.role) for text in chat(**fields).texts if "SECRET" in text.text]
    assert found == [(path, role)]


RESPONSE_PLACES: dict[str, tuple[dict[str, Any], str, TextRole]] = {
    "the input": ({"input": "SECRET"}, "input", TextRole.USER),
    "instructions": ({"instructions": "SECRET"}, "instructions", TextRole.SYSTEM),
    "an easy message": ({"input": [{"role": "user", "content": "SECRET"}]}, "input[0].content", TextRole.USER),
    "a part": (
        {"input": [{"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "SECRET"}]}]},
        "input[0].content[0].text",
        TextRole.SYSTEM,
    ),
    "a call's arguments": (
        {"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "SECRET"}]},
        "input[0].arguments",
        TextRole.TOOL_ARGUMENTS,
    ),
    "a call's output": (
        {"input": [{"type": "function_call_output", "call_id": "c", "output": "SECRET"}]},
        "input[0].output",
        TextRole.TOOL_RESULT,
    ),
    "a call's output in parts": (
        {"input": [{"type": "function_call_output", "output": [{"type": "input_text", "text": "SECRET"}]}]},
        "input[0].output[0].text",
        TextRole.TOOL_RESULT,
    ),
    "reasoning": (
        {"input": [{"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "SECRET"}]}]},
        "input[0].summary[0].text",
        TextRole.PROTECTED,
    ),
    "a file's name": (
        {"input": [{"role": "user", "content": [{"type": "input_file", "filename": "SECRET", "file_id": "f"}]}]},
        "input[0].content[0].filename",
        TextRole.FILE_NAME,
    ),
    "a shell's output": (
        {"input": [{"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "SECRET"}]}]},
        "input[0].output[0].stdout",
        TextRole.TOOL_RESULT,
    ),
    "an MCP call's output": (
        {"input": [{"type": "mcp_call", "name": "f", "output": "SECRET"}]},
        "input[0].output",
        TextRole.TOOL_RESULT,
    ),
    "a tool's description": (
        {"tools": [{"type": "function", "name": "f", "description": "SECRET"}]},
        "tools[0].description",
        TextRole.TOOL_DEFINITION,
    ),
    "a tool in a namespace": (
        {"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "function", "description": "SECRET"}]}]},
        "tools[0].tools[0].description",
        TextRole.TOOL_DEFINITION,
    ),
    "a prompt's variable": ({"prompt": {"id": "p", "variables": {"a": "SECRET"}}}, "prompt.variables.a", TextRole.USER),
    "a schema": (
        {"text": {"format": {"type": "json_schema", "description": "SECRET"}}},
        "text.format.description",
        TextRole.SYSTEM,
    ),
    "a patch": (
        {"input": [{"type": "apply_patch_call", "operation": {"type": "update_file", "diff": "SECRET"}}]},
        "input[0].operation.diff",
        TextRole.TOOL_ARGUMENTS,
    ),
}


@pytest.mark.parametrize(("fields", "path", "role"), RESPONSE_PLACES.values(), ids=RESPONSE_PLACES.keys())
def test_a_string_of_a_response_is_found_in_its_place(fields: dict[str, Any], path: str, role: TextRole) -> None:
    found = [(plain(text.path), text.role) for text in responses(**fields).texts if "SECRET" in text.text]
    assert found == [(path, role)]


def test_escapes_in_nested_json_hide_nothing_and_can_be_edited() -> None:
    call = {"type": "function", "function": {"name": "f", "arguments": '{"note": "\\u0053SN: 1"}'}}
    request = chat(messages=[{"role": "assistant", "tool_calls": [call]}])
    path = "messages[0].tool_calls[0].function.arguments"
    assert places(request)[f"{path}::note"] == ("SSN: 1", TextRole.TOOL_ARGUMENTS)
    edited = json.loads(splice.apply(request.body, [ReplaceText(f"{path}::note", "-")]))
    assert edited["messages"][0]["tool_calls"][0]["function"]["arguments"] == '{"note": "-"}'


def test_a_long_number_in_free_form_json_is_read_as_text() -> None:
    request = chat(metadata={"card": 4111111111111111, "small": 7})
    assert places(request)["metadata.card"] == ("4111111111111111", TextRole.PROTECTED)
    assert "metadata.small" not in places(request)


@settings(max_examples=60)
@given(
    st.recursive(
        st.text(min_size=1) | st.integers() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3),
        max_leaves=8,
    )
)
def test_every_string_and_name_of_an_unknown_value_is_seen(value: Any) -> None:
    body = json.dumps({"model": "m", "messages": [], "new": value}).encode()
    try:
        request = openai.parse_request(CHAT, body)
    except malformed.RequestError:
        return
    seen = "\n".join(text.text for text in request.texts)
    for string in _strings(value):
        assert string in seen or string in ("object", "string", "number", "integer", "boolean", "array", "null")
    assert [plain(path) for path in request.unknown_parts] == ["new"]


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [*value, *(found for inner in value.values() for found in _strings(inner))]
    return [found for inner in value for found in _strings(inner)] if isinstance(value, list) else []


LIMITS = {
    "none, a model of OpenAI": ("gpt-4o", {}, OutputLimit("max_completion_tokens")),
    "none, a reasoning model": ("o3-mini", {}, OutputLimit("max_completion_tokens")),
    "none, a fine-tuned model": ("ft:gpt-4o:x", {}, OutputLimit("max_completion_tokens")),
    "none, another server's model": ("llama-4", {}, OutputLimit("max_tokens")),
    "the old field": ("gpt-4o", {"max_tokens": 5}, OutputLimit("max_tokens", 5)),
    "the new field": ("llama-4", {"max_completion_tokens": 5}, OutputLimit("max_completion_tokens", 5)),
    "null": ("gpt-4o", {"max_tokens": None}, OutputLimit("max_completion_tokens")),
}


@pytest.mark.parametrize(("model", "fields", "limit"), LIMITS.values(), ids=LIMITS.keys())
def test_the_output_limit_is_in_the_field_that_the_model_takes(
    model: str, fields: dict[str, Any], limit: OutputLimit
) -> None:
    assert chat(model=model, **fields).output_limit == limit


def test_responses_and_embeddings_have_their_own_output_limit_and_none() -> None:
    assert responses(max_output_tokens=9).output_limit == OutputLimit("max_output_tokens", 9)
    assert embeddings("x").output_limit is None


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model"),
    "a model that is a number": ({"model": 5}, "model"),
    "an endless model name": ({"model": "m" * 257}, "model"),
    "messages that are no array": ({"messages": {"a": 1}}, "messages"),
    "a limit in words": ({"max_tokens": "5"}, "max_tokens"),
    "a limit of a half": ({"max_tokens": 5.5}, "max_tokens"),
    "a limit that is true": ({"max_tokens": True}, "max_tokens"),
    "a negative limit": ({"max_tokens": -1}, "max_tokens"),
    "both limits": ({"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens"),
    "no choices": ({"n": 0}, "n"),
    "too many choices": ({"n": 129}, "n"),
    "stream in words": ({"stream": "true"}, "stream"),
    "usage in words": ({"stream": True, "stream_options": {"include_usage": 1}}, "include_usage"),
    "a tier that is a number": ({"service_tier": 1}, "service_tier"),
    "tools that are no array": ({"tools": {}}, "tools"),
}


@pytest.mark.parametrize(("fields", "path"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_type_is_refused_with_its_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(malformed.RequestError) as caught:
        chat(**fields)
    assert caught.value.refusal.param == path
    assert path in caught.value.refusal.message


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 4000}}
SOUND = {"type": "input_audio", "input_audio": {"data": "A" * 5000, "format": "wav"}}


def test_media_is_counted_as_media_and_not_as_text() -> None:
    bare = chat(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": ""}}]}])
    pictured = chat(messages=[{"role": "user", "content": [IMAGE]}])
    assert (pictured.cost.images, pictured.cost.text_bytes) == (1, bare.cost.text_bytes)
    heard = chat(messages=[{"role": "user", "content": [SOUND]}])
    assert heard.cost.audio_tokens == 201
    assert heard.cost.text_bytes < 300


def test_text_is_bounded_by_the_bytes_of_the_body() -> None:
    request = chat(messages=[{"role": "user", "content": "é" * 100}])
    assert request.cost.text_bytes == len(request.body) >= 200


def test_choices_tier_and_prediction_are_facts() -> None:
    facts = chat(n=3, service_tier="flex", prediction={"type": "content", "content": "éé"}).cost
    assert (facts.choices, facts.service_tier, facts.extra_output_tokens) == (3, "flex", 4)


OPAQUE = {
    "a response of before": {"previous_response_id": "resp_1"},
    "a conversation": {"conversation": "conv_1"},
    "a file by id": {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
    "a file with its bytes": {"input": [{"role": "user", "content": [{"type": "input_file", "file_data": "AAAA"}]}]},
    "an item by reference": {"input": [{"type": "item_reference", "id": "x"}]},
    "a compacted history": {"input": [{"type": "compaction", "encrypted_content": "x"}]},
}


@pytest.mark.parametrize("fields", OPAQUE.values(), ids=OPAQUE.keys())
def test_what_the_provider_holds_makes_the_context_opaque(fields: dict[str, Any]) -> None:
    facts = responses(**fields).cost
    assert facts.opaque_context
    assert not facts.refused


def test_server_tools_are_bounded_by_the_number_of_calls() -> None:
    tools = [{"type": "web_search"}, {"type": "file_search", "vector_store_ids": ["v"]}, {"type": "mcp"}]
    facts = responses(tools=tools, max_tool_calls=3).cost
    assert facts.iterations == 4
    assert facts.calls == {Dimension.WEB_SEARCH_CALL: 3, Dimension.FILE_SEARCH_CALL: 3}
    assert facts.opaque_context
    assert not facts.refused


REFUSED = {
    "a server tool without a number of calls": ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    "a stored prompt without one": ({"prompt": {"id": "p"}}, "prompt"),
    "code interpreter": ({"tools": [{"type": "code_interpreter"}], "max_tool_calls": 1}, "tools[0]"),
    "image generation": ({"tools": [{"type": "image_generation"}], "max_tool_calls": 1}, "tools[0]"),
    "a hosted shell": ({"tools": [{"type": "shell"}], "max_tool_calls": 1}, "tools[0]"),
    "a background response": ({"background": True}, "background"),
    "compaction": ({"context_management": [{"type": "compaction"}]}, "context_management"),
    "a pro mode": ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
    "a cache lifetime of tomorrow": ({"prompt_cache_options": {"ttl": "99h"}}, "prompt_cache_options"),
    "a field of tomorrow": ({"turbo": 1}, "turbo"),
    "an item of tomorrow": ({"input": [{"type": "hologram"}]}, "input[0]"),
    "a tool of tomorrow": ({"tools": [{"type": "web_search_2099"}], "max_tool_calls": 1}, "tools[0]"),
    "an option of a tool of tomorrow": ({"tools": [{"type": "function", "gold": True}]}, "tools[0].gold"),
}


@pytest.mark.parametrize(("fields", "path"), REFUSED.values(), ids=REFUSED.keys())
def test_what_nothing_bounds_is_marked_as_refused(fields: dict[str, Any], path: str) -> None:
    assert [plain(refused.path) for refused in responses(**fields).cost.refused] == [path]


def test_what_is_off_is_not_refused() -> None:
    facts = responses(background=False, context_management=None, tools=[], reasoning={"mode": "standard"}).cost
    assert not facts.refused
    assert not responses(tools=[{"type": "shell", "environment": {"type": "local"}}]).cost.refused


def test_web_search_in_chat_is_refused_since_nothing_bounds_it() -> None:
    assert chat(web_search_options={}).cost.refused[0].path == "web_search_options"


def test_longer_cache_lifetimes_are_cache_writes() -> None:
    assert responses(prompt_cache_options={"ttl": "12h"}).cost.cache_writes == {Dimension.CACHE_WRITE_12H}
    assert not responses(prompt_cache_options={"ttl": "30m"}).cost.cache_writes, (
        "models write that unasked, or not at all"
    )
    part = {"type": "text", "text": "x", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}
    request = chat(messages=[{"role": "user", "content": [part]}])
    assert request.cost.cache_writes == {Dimension.CACHE_WRITE_12H}


def test_usage_is_asked_for_only_in_streams_that_do_not_ask() -> None:
    wanted = SetTrue("stream_options.include_usage")
    assert openai.usage_edits(chat()) == ()
    assert openai.usage_edits(chat(stream=True)) == (wanted,)
    assert openai.usage_edits(chat(stream=True, stream_options={"include_usage": True})) == ()
    assert openai.usage_edits(responses(stream=True)) == ()
    silent = chat(stream=True, stream_options={"include_usage": False})
    assert json.loads(splice.apply(silent.body, openai.usage_edits(silent)))["stream_options"] == {
        "include_usage": True
    }


def test_embeddings_of_tokens_cannot_be_read_and_say_so() -> None:
    assert embeddings(["a", "b"]).texts[1].path == "input[1]"
    assert embeddings("a").unknown_parts == ()
    assert embeddings([[1, 2], [3]]).unknown_parts == ("input",)
    assert not embeddings([1]).cost.produces_output


def test_models_have_no_body_and_cost_nothing() -> None:
    route = Route(Format.OPENAI, Operation.OPENAI_MODELS, "/models/gpt-4o?x=1")
    assert formats.parse_request(route, b"").model == "gpt-4o"
    with pytest.raises(malformed.RequestError):
        formats.parse_request(route, b"{}")


def test_a_user_is_named_by_either_field() -> None:
    assert chat(user="u").user == "u"
    assert responses(safety_identifier="s").user == "s"
