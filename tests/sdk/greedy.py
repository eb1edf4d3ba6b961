"""Requests of any shape whose answers bill the most that they allow."""

from typing import Any

from hypothesis import strategies as st

from tests.sdk import cases
from tests.support.sdks import Call, Sdk

_GIF = "R0lGODlhAQABAAAAACwAAAAAAQABAAA="
_texts = st.text(st.characters(codec="utf-8"), max_size=60) | st.just("né🦊" * 300)
_maximum = st.none() | st.integers(1, 5000)
_schema = st.dictionaries(st.sampled_from(["city", "naïve"]), st.just({"type": "string"}), max_size=2)
_streamed = st.sampled_from([{}, {"stream": True}])


@st.composite
def chats(draw: st.DrawFn) -> Call:
    """Chat completions: choices, pictures, tools, tiers, with a maximum in either field or without."""
    model = draw(st.sampled_from(["gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5-mini", "o4-mini"]))
    fields = ["max_completion_tokens"] + (["max_tokens"] if model.startswith("gpt-4") else [])
    picture = {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{_GIF}"}}
    said = [{"role": draw(st.sampled_from(["system", "user", "assistant"])), "content": draw(_texts)}]
    parts = [{"type": "text", "text": draw(_texts)}] + [picture] * draw(st.integers(0, 2))
    messages = [*said, {"role": "user", "content": parts}, {"role": "user", "content": draw(_orders())}]
    tools = [{"type": "function", "function": {"name": "f", "parameters": draw(_parameters())}}]
    arguments = {"model": model, "messages": messages, "n": draw(st.integers(1, 3))} | draw(_streamed)
    arguments |= draw(st.sampled_from([{}, {"tools": tools}]))
    return Call(Sdk.OPENAI, "chat.completions.create", arguments | _limit(draw, fields))


@st.composite
def responses(draw: st.DrawFn) -> Call:
    """Responses: instructions, items, tools, reasoning."""
    model = draw(st.sampled_from(["gpt-4o", "gpt-4.1", "gpt-5-mini"]))
    items = [{"role": "user", "content": [{"type": "input_text", "text": draw(_texts)}]}]
    items.append({"role": "user", "content": [{"type": "input_text", "text": draw(_orders())}]})
    tools = [{"type": "function", "name": "f", "strict": False, "parameters": draw(_parameters())}]
    arguments = {"model": model, "input": items, "instructions": draw(_texts)} | draw(_streamed)
    arguments |= draw(st.sampled_from([{}, {"tools": tools}]))
    return Call(Sdk.OPENAI, "responses.create", arguments | _limit(draw, ["max_output_tokens"]))


@st.composite
def messages(draw: st.DrawFn) -> Call:
    """Messages: cache writes of both kinds, pictures, tools, thinking. They always have a maximum."""
    source = {"type": "base64", "media_type": "image/gif", "data": _GIF}
    blocks: list[dict[str, Any]] = [{"type": "text", "text": draw(_texts)}]
    blocks += [{"type": "image", "source": source}] * draw(st.integers(0, 2))
    cached = {"type": "text", "text": "long " * 50, "cache_control": {"type": "ephemeral", "ttl": draw(_lifetimes)}}
    blocks += [cached] * draw(st.integers(0, 2))
    turns = [{"role": "user", "content": blocks}, {"role": "user", "content": draw(_orders())}]
    tools = [{"name": "f", "input_schema": draw(_parameters())}]
    arguments = {
        "model": draw(st.sampled_from([cases.CLAUDE, "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"])),
        "messages": turns,
        "system": draw(_texts),
        "max_tokens": draw(st.integers(1, 5000)),
    }
    return Call(
        Sdk.ANTHROPIC, "messages.create", arguments | draw(_streamed) | draw(st.sampled_from([{}, {"tools": tools}]))
    )


_lifetimes = st.sampled_from(["5m", "1h"])
ANY = chats() | responses() | messages()


@st.composite
def _orders(draw: st.DrawFn) -> str:
    """The dearest answer, on a tier that nobody asked for where the account may be set to it."""
    cached = draw(st.sampled_from(["", "\nmock: cached 5"]))
    tier = draw(st.sampled_from(["", "\nmock: tier priority"]))
    return f"mock: spend max{cached}{tier}"


@st.composite
def _parameters(draw: st.DrawFn) -> dict[str, Any]:
    return {"type": "object", "properties": draw(_schema)}


def _limit(draw: st.DrawFn, fields: list[str]) -> dict[str, Any]:
    maximum = draw(_maximum)
    return {} if maximum is None else {draw(st.sampled_from(fields)): maximum}
