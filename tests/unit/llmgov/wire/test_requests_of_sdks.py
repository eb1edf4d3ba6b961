"""What the official SDKs really send is known to the last field; and no body does anything but parse or be refused."""

import json
from collections.abc import Callable
from typing import Any

import anthropic
import httpx2
import openai
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.wire import formats, malformed, route, splice
from llmgov.wire.anthropic import parts as anthropic_parts
from llmgov.wire.anthropic import tops as anthropic_tops
from llmgov.wire.events import Format, Operation, ReplaceText, Request, Route, TextRole
from llmgov.wire.openai import parts as openai_parts
from llmgov.wire.openai import tops as openai_tops


class City(pydantic.BaseModel):
    """A city."""

    name: str
    people: int


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CLIENT_TOOL: Any = {"name": "f", "input_schema": {"type": "object", "properties": {}}}
CACHED: Any = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
HI: Any = [{"role": "user", "content": "hi"}]

OPENAI: dict[str, Callable[[openai.OpenAI], object]] = {
    "chat": lambda c: c.chat.completions.create(model="gpt-4o", messages=HI, temperature=0.2, seed=1, top_p=1),
    "chat with tools": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=HI, tools=[TOOL], tool_choice="auto", parallel_tool_calls=False
    ),
    "chat, streamed": lambda c: c.chat.completions.create(
        model="gpt-4o", messages=HI, stream=True, stream_options={"include_usage": True}
    ),
    "chat, streamed by the helper": lambda c: c.chat.completions.stream(model="gpt-4o", messages=HI).__enter__(),
    "chat into a type": lambda c: c.chat.completions.parse(model="gpt-4o", messages=HI, response_format=City),
    "a reasoning model": lambda c: c.chat.completions.create(
        model="o3", messages=HI, reasoning_effort="low", max_completion_tokens=9, store=False, user="u"
    ),
    "responses": lambda c: c.responses.create(
        model="gpt-5", input="hi", instructions="be short", reasoning={"effort": "low"}, max_output_tokens=9
    ),
    "responses into a type": lambda c: c.responses.parse(model="gpt-5", input=HI, text_format=City),
    "responses with a search": lambda c: c.responses.create(
        model="gpt-5", input="hi", tools=[{"type": "web_search"}], max_tool_calls=2
    ),
    "responses, streamed": lambda c: c.responses.create(model="gpt-5", input=HI, stream=True),
    "embeddings": lambda c: c.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8),
    "models": lambda c: c.models.list(),
    "one model": lambda c: c.models.retrieve("gpt-4o"),
}
ANTHROPIC: dict[str, Callable[[anthropic.Anthropic], object]] = {
    "messages": lambda c: c.messages.create(model="claude-opus-5", max_tokens=9, messages=HI, system="be short"),
    "messages with tools and a cache": lambda c: c.messages.create(
        model="claude-opus-5",
        max_tokens=9,
        messages=HI,
        system=[CACHED],
        tools=[CLIENT_TOOL],
        tool_choice={"type": "any"},
    ),
    "messages that think": lambda c: c.messages.create(
        model="claude-opus-5", max_tokens=2048, messages=HI, thinking={"type": "enabled", "budget_tokens": 1024}
    ),
    "messages, streamed by the helper": lambda c: c.messages.stream(
        model="claude-opus-5", max_tokens=9, messages=HI
    ).__enter__(),
    "messages of the beta": lambda c: c.beta.messages.create(
        model="claude-opus-5", max_tokens=9, messages=HI, metadata={"user_id": "u"}, betas=["x-2026-01-01"]
    ),
    "counting tokens": lambda c: c.messages.count_tokens(model="claude-opus-5", messages=HI, tools=[CLIENT_TOOL]),
    "models": lambda c: c.models.list(),
    "one model": lambda c: c.models.retrieve("claude-opus-5"),
}


class Caught(Exception):  # noqa: N818 - it ends the SDK's call and is no error
    """The request that an SDK was about to send."""


def sent(call: Callable[[Any], object], make: Callable[[httpx2.Client], Any]) -> Request:
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        raise Caught

    ends = (Caught, openai.APIConnectionError, anthropic.APIConnectionError)
    with httpx2.Client(transport=httpx2.MockTransport(handle)) as http, pytest.raises(ends):
        call(make(http))
    (request,) = requests
    found = route.resolve(request.method, request.url.raw_path.decode(), request.headers.items())
    assert isinstance(found, Route)
    return formats.parse_request(found, request.read())


def known(request: Request) -> None:
    assert request.unknown_parts == ()
    assert request.cost.refused == ()
    assert not any(text.role is TextRole.UNKNOWN for text in request.texts)
    if request.route.operation not in (Operation.OPENAI_MODELS, Operation.ANTHROPIC_MODELS, Operation.EMBEDDINGS):
        assert any(text.text == "hi" for text in request.texts)


@pytest.mark.parametrize("call", OPENAI.values(), ids=OPENAI.keys())
def test_what_the_openai_sdk_sends_is_known(call: Callable[[openai.OpenAI], object]) -> None:
    known(sent(call, lambda http: openai.OpenAI(api_key="k", base_url="http://p/v1", http_client=http, max_retries=0)))


@pytest.mark.parametrize("call", ANTHROPIC.values(), ids=ANTHROPIC.keys())
def test_what_the_anthropic_sdk_sends_is_known(call: Callable[[anthropic.Anthropic], object]) -> None:
    known(
        sent(call, lambda http: anthropic.Anthropic(api_key="k", base_url="http://p", http_client=http, max_retries=0))
    )


def names(*tables: Any) -> list[str]:
    return sorted({key if isinstance(key, str) else key[1] for table in tables for key in table})


ROUTES = {
    Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/"): (openai_parts, openai_tops.CHAT),
    Route(Format.OPENAI, Operation.RESPONSES, "/"): (openai_parts, openai_tops.RESPONSES),
    Route(Format.OPENAI, Operation.EMBEDDINGS, "/"): (openai_parts, openai_tops.EMBEDDINGS),
    Route(Format.ANTHROPIC, Operation.MESSAGES, "/"): (anthropic_parts, anthropic_tops.MESSAGES),
}


@st.composite
def bodies(draw: st.DrawFn) -> tuple[Route, dict[str, Any]]:
    """Bodies of known names and types in any arrangement: what a fuzzer with a dictionary would send."""
    found = draw(st.sampled_from(list(ROUTES)))
    parts, top = ROUTES[found]
    keys = st.sampled_from([*names(parts.FIELDS), "type", "role", "content", "new"])
    types = st.sampled_from([*parts.PARTS, "hologram"])
    scalars = st.none() | st.booleans() | st.integers(-1, 10**7) | st.text(max_size=5) | types
    values = st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(keys, inner, max_size=4)
            | st.builds(lambda type_, rest: {"type": type_} | rest, types, st.dictionaries(keys, inner, max_size=3))
        ),
        max_leaves=12,
    )
    body = draw(st.dictionaries(st.sampled_from([*top, "new"]), values, max_size=5))
    return found, {"model": "m", "max_tokens": 5, "input": "x"} | body


@settings(max_examples=120)
@given(bodies())
def test_any_arrangement_of_known_names_parses_or_is_refused(made: tuple[Route, dict[str, Any]]) -> None:
    found, body = made
    data = json.dumps(body).encode()
    try:
        request = formats.parse_request(found, data)
    except malformed.RequestError:
        return
    assert 0 <= request.cost.text_bytes <= len(data)
    for text in request.texts:
        if text.role is not TextRole.PROTECTED:
            edited = json.loads(splice.apply(data, [ReplaceText(text.path, "<new>")]))
            assert "<new>" in json.dumps(edited)
