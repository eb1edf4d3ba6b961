"""Where in a request a text can stand that reaches the model, for each operation, and how a refusal names the place."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from tests.sdk import cases
from tests.support.sdks import Call, Sdk

CODE = "CODE-1234"
"""What the tests' policies look for."""

_TEXT = f"see {CODE}, né?"
_JSON = f'{{"city": "{CODE}", "n": 1.50}}'
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "description": _TEXT}}}
_HELLO = {"role": "user", "content": "hello"}


class Place(NamedTuple):
    """A call that has `CODE` in one place, and that place's JSON path, as far as the format names it."""

    call: Call
    path: str


def all_() -> dict[str, Place]:
    """Every place, by what it is."""
    return dict([*_chat(), *_responses(), *_messages(), *_embeddings()])


def _chat() -> Iterator[tuple[str, Place]]:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": _JSON}}
    calling = {"role": "assistant", "content": None, "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": _TEXT}
    parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": _TEXT}]
    first = {
        "the system's message": {"role": "system", "content": _TEXT},
        "the developer's message": {"role": "developer", "content": _TEXT},
        "the user's message": {"role": "user", "content": _TEXT},
        "the assistant's message": {"role": "assistant", "content": _TEXT},
    }
    for name, message in first.items():
        yield f"chat: {name}", Place(cases.chat("", messages=[message, _HELLO]), "messages[0].content")
    yield (
        "chat: a content part",
        Place(cases.chat("", messages=[{"role": "user", "content": parts}]), "messages[0].content[1].text"),
    )
    yield (
        "chat: a tool's arguments",
        Place(cases.chat("", messages=[calling, _HELLO]), "messages[0].tool_calls[0].function.arguments"),
    )
    yield "chat: a tool's result", Place(cases.chat("", messages=[result, _HELLO]), "messages[0].content")
    result_parts = [result | {"content": parts}, _HELLO]
    yield (
        "chat: a part of a tool's result",
        Place(cases.chat("", messages=result_parts), "messages[0].content[1].text"),
    )
    tool = {"type": "function", "function": {"name": "weather", "description": _TEXT}}
    yield "chat: a tool's description", Place(cases.chat("hello", tools=[tool]), "tools[0].function.description")
    tool = {"type": "function", "function": {"name": "weather", "parameters": _SCHEMA}}
    yield (
        "chat: a tool's schema",
        Place(cases.chat("hello", tools=[tool]), "tools[0].function.parameters"),
    )
    schema = {"type": "json_schema", "json_schema": {"name": "town", "schema": _SCHEMA}}
    yield (
        "chat: the answer's schema",
        Place(
            cases.chat("hello", response_format=schema),
            "response_format",
        ),
    )


def _responses() -> Iterator[tuple[str, Place]]:
    parts = [{"type": "input_text", "text": "hello"}, {"type": "input_text", "text": _TEXT}]
    result: dict[str, Any] = {"type": "function_call_output", "call_id": "c1", "output": _TEXT}
    items: dict[str, tuple[dict[str, Any], str]] = {
        "an item's text": ({"role": "user", "content": _TEXT}, "input[0].content"),
        "a content part": ({"role": "user", "content": parts}, "input[0].content[1].text"),
        "the developer's item": ({"role": "developer", "content": _TEXT}, "input[0].content"),
        "a tool's arguments": (
            {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": _JSON},
            "input[0].arguments",
        ),
        "a tool's result": (result, "input[0].output"),
        "a part of a tool's result": (result | {"output": parts}, "input[0].output[1].text"),
    }
    yield "responses: the instructions", Place(cases.response("hello", instructions=_TEXT), "instructions")
    yield "responses: the input", Place(cases.response(_TEXT), "input")
    for name, (item, path) in items.items():
        yield f"responses: {name}", Place(cases.response("", input=[item, _HELLO]), path)
    tool = {"type": "function", "name": "weather", "strict": False, "description": _TEXT, "parameters": {}}
    yield "responses: a tool's description", Place(cases.response("hello", tools=[tool]), "tools[0].description")
    form = {"format": {"type": "json_schema", "name": "town", "schema": _SCHEMA}}
    yield (
        "responses: the answer's schema",
        Place(cases.response("hello", text=form), "text"),
    )


def _messages() -> Iterator[tuple[str, Place]]:
    parts = [{"type": "text", "text": "hello"}, {"type": "text", "text": _TEXT}]
    document = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": _TEXT}}
    contents: dict[str, tuple[str, Any, str]] = {
        "the user's text": ("user", _TEXT, "messages[0].content"),
        "a block": ("user", parts, "messages[0].content[1].text"),
        "the assistant's text": ("assistant", _TEXT, "messages[0].content"),
        "a tool's input": (
            "assistant",
            [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"towns": [{"city": _TEXT}], "n": 1}}],
            "messages[0].content[0].input",
        ),
        "a tool's result": (
            "user",
            [{"type": "tool_result", "tool_use_id": "t1", "content": _TEXT}],
            "messages[0].content[0].content",
        ),
        "a block of a tool's result": (
            "user",
            [{"type": "tool_result", "tool_use_id": "t1", "content": parts}],
            "messages[0].content[0].content[1].text",
        ),
        "a document": ("user", [document], "messages[0].content[0].source.data"),
        "a document's title": (
            "user",
            [document | {"source": document["source"] | {"data": "x"}, "title": _TEXT}],  # type: ignore[operator]
            "messages[0].content[0].title",
        ),
    }
    yield "messages: the system prompt", Place(cases.message("hello", system=_TEXT), "system")
    yield "messages: a system block", Place(cases.message("hello", system=parts), "system[1].text")
    for name, (role, content, path) in contents.items():
        turns = [{"role": role, "content": content}, _HELLO]
        yield f"messages: {name}", Place(cases.message("", messages=turns), path)
    tool = {"name": "weather", "description": _TEXT, "input_schema": {"type": "object"}}
    yield "messages: a tool's description", Place(cases.message("hello", tools=[tool]), "tools[0].description")
    tool = {"name": "weather", "input_schema": _SCHEMA}
    yield (
        "messages: a tool's schema",
        Place(cases.message("hello", tools=[tool]), "tools[0].input_schema"),
    )
    counted = {"model": cases.CLAUDE, "messages": [{"role": "user", "content": _TEXT}]}
    yield (
        "count_tokens: the user's text",
        Place(Call(Sdk.ANTHROPIC, "messages.count_tokens", counted), "messages[0].content"),
    )


def _embeddings() -> Iterator[tuple[str, Place]]:
    for name, given, path in (("a text", _TEXT, "input"), ("one of several", ["hello", _TEXT], "input[1]")):
        arguments = {"model": "text-embedding-3-small", "input": given}
        yield f"embeddings: {name}", Place(Call(Sdk.OPENAI, "embeddings.create", arguments), path)
