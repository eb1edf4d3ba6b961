"""The calls that must be the same through the proxy: every operation that is governed, in the forms that it has."""

from collections.abc import Callable
from typing import Any

import pydantic

from tests.support.sdks import Call, Sdk

GPT = "gpt-4o-mini"
THINKER = "gpt-5-mini"
CLAUDE = "claude-haiku-4-5"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CALL_WEATHER = 'mock: call weather {"city": "Köln", "days": [1, 2]}'
LONG = "mock: say Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. 🦊 \\u0041 </script>"

_SYSTEM = {"role": "system", "content": "Be brief."}
_FUNCTION = {"name": "weather", "description": "Today's weather", "parameters": WEATHER}
_CHAT_TOOLS = [{"type": "function", "function": _FUNCTION}]
_RESPONSES_TOOLS = [{"type": "function", "strict": False, **_FUNCTION}]
_CLAUDE_TOOLS = [{"name": "weather", "description": "Today's weather", "input_schema": WEATHER}]
_WITH_USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
_THINKING: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
_REASONING: dict[str, Any] = {"model": THINKER, "reasoning": {"effort": "low", "summary": "auto"}}
_PIXEL = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="


class Town(pydantic.BaseModel):
    """What a structured answer is read into."""

    city: str


def chat(text: str, /, *, path: str = "create", helper: bool = False, **more: Any) -> Call:
    """A chat completion with an output maximum."""
    messages = [_SYSTEM, {"role": "user", "content": text}]
    arguments = {"model": GPT, "messages": messages, "max_completion_tokens": 500, **more}
    return Call(Sdk.OPENAI, f"chat.completions.{path}", arguments, helper)


def response(text: str, /, *, path: str = "create", helper: bool = False, **more: Any) -> Call:
    """A response with an output maximum."""
    arguments = {"model": GPT, "input": text, "instructions": "Be brief.", "max_output_tokens": 500, **more}
    return Call(Sdk.OPENAI, f"responses.{path}", arguments, helper)


def message(text: str, /, *, path: str = "create", helper: bool = False, **more: Any) -> Call:
    """A message."""
    messages = [{"role": "user", "content": text}]
    arguments = {"model": CLAUDE, "system": "Be brief.", "max_tokens": 500, "messages": messages, **more}
    return Call(Sdk.ANTHROPIC, f"messages.{path}", arguments, helper)


def _conversation() -> Call:
    function = {"name": "weather", "arguments": '{"city": "Köln"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    picture = {"type": "image_url", "image_url": {"url": _PIXEL, "detail": "low"}}
    messages = [
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, picture], "name": "ada"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 11.50, "big": 12345678901234567890}'},
        {"role": "user", "content": "mock: echo"},
    ]
    return chat("", messages=messages, tools=_CHAT_TOOLS, tool_choice="auto", metadata={"job": "7"}, seed=7)


def _turns() -> Call:
    source = {"type": "base64", "media_type": "image/gif", "data": _PIXEL.partition(",")[2]}
    turns = [
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, {"type": "image", "source": source}]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "K"}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": "11 °C"}]},
        {"role": "user", "content": "mock: echo"},
    ]
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    return message("", messages=turns, tools=_CLAUDE_TOOLS, system=system, metadata={"user_id": "u-1"})


def _items() -> Call:
    items = [
        {"role": "user", "content": [{"type": "input_text", "text": "Look:"}]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city": "Köln"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "11 °C"},
        {"role": "user", "content": [{"type": "input_text", "text": "mock: echo"}]},
    ]
    return response("", input=items, tools=_RESPONSES_TOOLS, parallel_tool_calls=False)


def _structured() -> dict[str, Any]:
    schema = {"name": "town", "strict": True, "schema": WEATHER}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


_JSON = 'mock: say {"city": "Köln"}'

SAME: dict[str, Call] = {
    "a chat completion": chat(LONG),
    "a chat completion of two choices": chat(LONG, n=2),
    "a chat completion that calls a tool": chat(CALL_WEATHER, tools=_CHAT_TOOLS),
    "a chat completion that refuses": chat("mock: refuse"),
    "a chat completion cut at its maximum": chat(LONG, max_completion_tokens=3),
    "a chat completion by a schema": chat(_JSON, **_structured()),
    "a chat completion parsed by the SDK": chat(_JSON, path="parse", response_format=Town),
    "a whole conversation": _conversation(),
    "a chat stream with its usage": chat(LONG, stream=True, **_WITH_USAGE),
    "a chat stream of two choices": chat(LONG, stream=True, n=2, **_WITH_USAGE),
    "a chat stream that calls a tool": chat(CALL_WEATHER, stream=True, tools=_CHAT_TOOLS, **_WITH_USAGE),
    "a chat stream that refuses": chat("mock: refuse", stream=True, **_WITH_USAGE),
    "a chat stream through the SDK's helper": chat(LONG, path="stream", helper=True, **_WITH_USAGE),
    "a response": response(LONG),
    "a response that calls a tool": response(CALL_WEATHER, tools=_RESPONSES_TOOLS),
    "a response that refuses": response("mock: refuse"),
    "a response cut at its maximum": response(LONG, max_output_tokens=16),
    "a response that reasons": response(f"mock: think step by step\n{LONG}", **_REASONING),
    "a response parsed by the SDK": response(_JSON, path="parse", text_format=Town),
    "a response to items": _items(),
    "a response stream": response(LONG, stream=True),
    "a response stream that calls a tool": response(CALL_WEATHER, stream=True, tools=_RESPONSES_TOOLS),
    "a response stream that refuses": response("mock: refuse", stream=True),
    "a response stream that reasons": response(f"mock: think step by step\n{LONG}", stream=True, **_REASONING),
    "a response stream through the SDK's helper": response(LONG, path="stream", helper=True),
    "embeddings of a text": Call(Sdk.OPENAI, "embeddings.create", {"model": "text-embedding-3-small", "input": "né?"}),
    "embeddings of several texts": Call(
        Sdk.OPENAI,
        "embeddings.create",
        {"model": "text-embedding-3-large", "input": ["a", "b"], "dimensions": 8, "encoding_format": "float"},
    ),
    "OpenAI's models": Call(Sdk.OPENAI, "models.list", {}),
    "one of OpenAI's models": Call(Sdk.OPENAI, "models.retrieve", {"model": GPT}),
    "a message": message(LONG),
    "a message that calls a tool": message(CALL_WEATHER, tools=_CLAUDE_TOOLS),
    "a message that thinks": message(f"mock: think step by step\n{LONG}", **_THINKING),
    "a message that refuses": message("mock: refuse"),
    "a message cut at its maximum": message(LONG, max_tokens=3),
    "a whole conversation with Claude": _turns(),
    "a message stream": message(LONG, stream=True),
    "a message stream that calls a tool": message(CALL_WEATHER, stream=True, tools=_CLAUDE_TOOLS),
    "a message stream that thinks": message(f"mock: think step by step\n{LONG}", stream=True, **_THINKING),
    "a message stream through the SDK's helper": message(LONG, path="stream", helper=True),
    "counted tokens": Call(
        Sdk.ANTHROPIC, "messages.count_tokens", {"model": CLAUDE, "messages": [{"role": "user", "content": "né?"}]}
    ),
    "Anthropic's models": Call(Sdk.ANTHROPIC, "models.list", {}),
    "one of Anthropic's models": Call(Sdk.ANTHROPIC, "models.retrieve", {"model_id": CLAUDE}),
}
"""Of these nothing is edited on the way, neither of the request nor of the answer."""

UNASKED_USAGE: dict[str, Call] = {
    "a chat stream": chat(LONG, stream=True),
    "a chat stream of two choices": chat(LONG, stream=True, n=2),
    "a chat stream that calls a tool": chat(CALL_WEATHER, stream=True, tools=_CHAT_TOOLS),
    "a chat stream that declines its usage": chat(LONG, stream=True, stream_options={"include_usage": False}),
    "a chat stream without padding": chat(LONG, stream=True, stream_options={"include_obfuscation": False}),
    "a chat stream through the SDK's helper": chat(LONG, path="stream", helper=True),
}
"""Of these the proxy asks for the usage, and keeps it from the application."""

_MAKERS: dict[str, Callable[..., Call]] = {"chat": chat, "response": response, "message": message}

ERRORS: dict[str, Call] = {
    f"{status} to a {name}{' stream' if streamed else ''}": make(
        f"mock: status {status}", **({"stream": True} if streamed else {})
    )
    for status in (400, 403, 404, 429, 500, 503, 529)
    for name, make in _MAKERS.items()
    for streamed in (False, True)
} | {
    "a model that is not there": Call(Sdk.OPENAI, "models.retrieve", {"model": "nonesuch"}),
    "a model of Claude's that is not there": Call(Sdk.ANTHROPIC, "models.retrieve", {"model_id": "claude-nonesuch"}),
}
"""The provider's own errors."""

BREAKS: dict[str, Call] = {
    f"a {name} stream that ends in the provider's error": make("mock: fault error-event\n" + LONG, stream=True)
    for name, make in _MAKERS.items()
}
"""Streams that begin well."""
