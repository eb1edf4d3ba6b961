"""Calls through the official SDKs, and what came of them as plain values that can be compared.

What differs between two equal calls (ids, times, padding) is replaced by what must not differ: an id by the number of
its first appearance, so that two events that name the same item still do.
"""

import asyncio
import dataclasses
import enum
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anthropic
import openai
import pydantic

PLACEHOLDER = "llmgov-placeholder"
_IDS = frozenset({"id", "item_id", "call_id", "tool_call_id", "request_id", "first_id", "last_id"})
_MADE_ID = re.compile(r"(chatcmpl-|call_|resp_|msg_|rs_|fc_|toolu_|req_)[a-z0-9]{24}")
_TIMES = frozenset({"created", "created_at", "completed_at"})


class Sdk(enum.Enum):
    """One of the official clients."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """A method of a client, by its dotted path, and its arguments. `helper` is a context manager over a stream."""

    sdk: Sdk
    path: str
    arguments: dict[str, Any]
    helper: bool = False


def openai_client(port: int, key: str = PLACEHOLDER) -> openai.OpenAI:
    """OpenAI's client of whatever listens on a port, without retries."""
    plain = openai.DefaultHttpxClient(verify=False, trust_env=False)
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, http_client=plain)


def anthropic_client(port: int, key: str = PLACEHOLDER) -> anthropic.Anthropic:
    """Anthropic's client of whatever listens on a port, without retries."""
    plain = anthropic.DefaultHttpxClient(verify=False, trust_env=False)
    return anthropic.Anthropic(base_url=f"http://127.0.0.1:{port}", api_key=key, max_retries=0, http_client=plain)


def client(sdk: Sdk, port: int, key: str = PLACEHOLDER) -> Any:
    """The client of an SDK."""
    return openai_client(port, key) if sdk is Sdk.OPENAI else anthropic_client(port, key)


def async_client(sdk: Sdk, port: int, key: str = PLACEHOLDER) -> Any:
    """The asynchronous client of an SDK."""
    if sdk is Sdk.OPENAI:
        plain = openai.DefaultAsyncHttpxClient(verify=False, trust_env=False)
        return openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, http_client=plain)
    transport = anthropic.DefaultAsyncHttpxClient(verify=False, trust_env=False)
    return anthropic.AsyncAnthropic(
        base_url=f"http://127.0.0.1:{port}", api_key=key, max_retries=0, http_client=transport
    )


def perform(client: Any, call: Call) -> list[Any]:
    """What a call gives: one value, or the events of its stream; an exception as the last of them."""
    plain = Plain()
    found: list[Any] = []
    try:
        found.extend(plain.of(value) for value in _values(client, call))
    except (openai.APIError, anthropic.APIError) as error:
        found.append(plain.error(error))
    return found


def perform_async(client: Any, call: Call) -> list[Any]:
    """The same through an asynchronous client, which is closed afterwards."""
    return asyncio.run(_perform(client, call))


async def _perform(client: Any, call: Call) -> list[Any]:
    plain = Plain()
    found: list[Any] = []
    async with client:
        try:
            async for value in _async_values(client, call):
                found.append(plain.of(value))  # noqa: PERF401 - what came before an exception counts, too
        except (openai.APIError, anthropic.APIError) as error:
            found.append(plain.error(error))
    return found


def method(client: Any, path: str) -> Any:
    """The method behind a dotted path."""
    for name in path.split("."):
        client = getattr(client, name)
    return client


def _values(client: Any, call: Call) -> Iterator[Any]:
    made = method(client, call.path)(**call.arguments)
    if call.helper:
        with made as stream:
            yield from stream
            yield final(stream)
    elif call.arguments.get("stream"):
        with made:
            yield from made
    else:
        yield made


async def _async_values(client: Any, call: Call) -> AsyncIterator[Any]:
    made = method(client, call.path)(**call.arguments)
    if call.helper:
        async with made as stream:
            async for event in stream:
                yield event
            yield await final(stream)
    elif call.path.endswith("models.list"):
        yield await made
    elif call.arguments.get("stream"):
        async with await made as stream:
            async for event in stream:
                yield event
    else:
        yield await made


def final(stream: Any) -> Any:
    """What the stream of a helper has added up to, read to its end."""
    names = ("get_final_completion", "get_final_response", "get_final_message")
    return next(getattr(stream, name) for name in names if hasattr(stream, name))()


class Plain:
    """Turns values of one call into comparable ones; ids are numbered across all of them."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}

    def of(self, value: Any) -> Any:
        """An SDK's object as a value."""
        kind = type(value).__name__.removeprefix("Async").removeprefix("Sync")
        if isinstance(value, pydantic.BaseModel):
            members = {name: inner for name, inner in value.__dict__.items() if not name.startswith("_")}
            return {"kind": kind, **self.of(members | (value.model_extra or {}))}
        if isinstance(value, dict):
            return {name: self._member(name, inner) for name, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.of(inner) for inner in value]
        return value

    def error(self, error: openai.APIError | anthropic.APIError) -> Any:
        """An exception: its class, its status and what the provider said."""
        status = getattr(error, "status_code", None)
        return {"raised": type(error).__name__, "status": status, "body": self.of(error.body)}

    def _member(self, name: str, value: Any) -> Any:
        if isinstance(value, str) and name in _IDS and _MADE_ID.fullmatch(value):
            return self._ids.setdefault(value, f"id {len(self._ids) + 1}")
        if name in _TIMES and value is not None:
            return "a time"
        if name == "obfuscation" and isinstance(value, str):
            return f"{len(value)} characters"
        return self.of(value)
