"""The official SDKs against the mock on a real port: answers, typed errors, and everything that goes wrong."""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from llmgov_cli.mock_provider import script, server
from tests.unit.llmgov_cli.mock_provider.serving import Served, anthropic_client, openai_client, serving


def _user(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


async def _chat(client: openai.AsyncOpenAI, text: str, **more: Any) -> Any:
    return await client.chat.completions.create(model="gpt-4o", messages=_user(text), **more)


async def _message(client: anthropic.AsyncAnthropic, text: str, **more: Any) -> Any:
    return await client.messages.create(model="claude-haiku-5-5", max_tokens=90, messages=_user(text), **more)


async def _openai_text(client: openai.AsyncOpenAI, text: str) -> str:
    stream = await _chat(client, text, stream=True)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])


async def _anthropic_text(client: anthropic.AsyncAnthropic, text: str) -> str:
    stream = client.messages.stream(model="claude-haiku-5-5", max_tokens=90, messages=_user(text))
    async with stream as events:
        return "".join([piece async for piece in events.text_stream])


def _with(scenario: Callable[[Served], Awaitable[None]]) -> None:
    async def run() -> None:
        async with serving() as served:
            await scenario(served)

    asyncio.run(run())


def test_openais_sdk_reads_every_kind_of_answer() -> None:
    async def scenario(served: Served) -> None:
        async with openai_client(served) as client:
            assert (await _chat(client, "hi")).choices[0].message.content == "You said: hi"
            assert await _openai_text(client, "hi") == "You said: hi"
            assert (await client.responses.create(model="gpt-4o", input="hi")).output_text == "You said: hi"
            async with client.responses.stream(model="gpt-4o", input='mock: call f {"a":1}') as events:
                final = await events.get_final_response()
            assert final.output[0].arguments == '{"a":1}'
            vectors = await client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
            assert [len(one.embedding) for one in vectors.data] == [1536, 1536]
            assert "gpt-4o" in [model.id async for model in client.models.list()]
            assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"

    _with(scenario)


def test_anthropics_sdk_reads_every_kind_of_answer() -> None:
    async def scenario(served: Served) -> None:
        async with anthropic_client(served) as client:
            assert (await _message(client, "hi")).content[0].text == "You said: hi"
            assert await _anthropic_text(client, "mock: say streamed") == "streamed"
            called = await _message(client, 'mock: call f {"a": 1}')
            assert (called.stop_reason, called.content[0].input) == ("tool_use", {"a": 1})
            count = await client.messages.count_tokens(model="claude-haiku-5-5", messages=_user("abcd"))
            assert count.input_tokens == 7
            assert "claude-haiku-5-5" in [model.id async for model in client.models.list()]
            assert (await client.models.retrieve("claude-haiku-5-5")).display_name == "Claude Haiku 5.5"

    _with(scenario)


@pytest.mark.parametrize(
    ("status", "of_openai", "of_anthropic"),
    [
        (400, openai.BadRequestError, anthropic.BadRequestError),
        (401, openai.AuthenticationError, anthropic.AuthenticationError),
        (403, openai.PermissionDeniedError, anthropic.PermissionDeniedError),
        (404, openai.NotFoundError, anthropic.NotFoundError),
        (429, openai.RateLimitError, anthropic.RateLimitError),
        (500, openai.InternalServerError, anthropic.InternalServerError),
        (529, openai.InternalServerError, anthropic.InternalServerError),
    ],
)
def test_errors_are_typed_by_the_sdks_and_carry_their_request(
    status: int, of_openai: type[openai.APIStatusError], of_anthropic: type[anthropic.APIStatusError]
) -> None:
    async def scenario(served: Served) -> None:
        async with openai_client(served) as client:
            with pytest.raises(of_openai) as openais:
                await _chat(client, f"mock: status {status}")
            assert openais.value.request_id.startswith("req_")
            assert openais.value.body.keys() == {"message", "type", "param", "code"}
        async with anthropic_client(served) as client:
            with pytest.raises(of_anthropic) as anthropics:
                await _message(client, f"mock: status {status}")
            assert anthropics.value.request_id.startswith("req_")
            assert anthropics.value.body["request_id"] == anthropics.value.request_id

    _with(scenario)


def test_only_the_mocks_own_keys_open_it() -> None:
    async def scenario(served: Served) -> None:
        async with openai_client(served, key="sk-placeholder") as client:
            with pytest.raises(openai.AuthenticationError, match="Incorrect API key provided: sk-p"):
                await _chat(client, "hi")
        async with anthropic_client(served, key="placeholder") as client:
            with pytest.raises(anthropic.AuthenticationError, match="invalid x-api-key"):
                await _message(client, "hi")
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{served.base}/v1/chat/completions", json={}) as answer:
                assert answer.status == 401
            async with session.post(f"{served.base}/v1/messages", json={}) as answer:
                assert (await answer.json())["error"]["message"] == "x-api-key header is required"
            headers = {"x-api-key": server.ANTHROPIC_KEY}
            async with session.post(f"{served.base}/v1/messages", json={}, headers=headers) as answer:
                assert (await answer.json())["error"]["message"] == "anthropic-version: header is required"

    _with(scenario)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("chat/completions", b"{", 400, "The request is not valid"),
        ("chat/completions", b"[]", 400, "the body must be a JSON object"),
        ("chat/completions", b"[" * 100_000, 400, "The request is not valid"),
        ("chat/completions", b'{"model":"gpt-4o"}', 400, "Missing required parameter: 'messages'."),
        ("chat/completions", b'{"model":"llama","messages":[]}', 404, "The model `llama` does not exist"),
        (
            "chat/completions",
            b'{"model":"o3","messages":[],"max_tokens":1}',
            400,
            "Unsupported parameter: 'max_tokens'",
        ),
        ("responses", b'{"model":"gpt-4o"}', 400, "Missing required parameter: 'input'."),
        ("responses", b'{"model":"llama","input":"x"}', 404, "The model `llama` does not exist"),
        ("responses", b'{"model":"gpt-4o","input":"mock: dance"}', 400, "the mock does not know `mock: dance "),
        ("embeddings", b'{"model":"gpt-4o","input":"x"}', 404, "The model `gpt-4o` does not exist"),
        ("files", b"{}", 404, "Invalid URL (/v1/files)"),
        ("messages", b'{"model":"claude-haiku-5-5","messages":[]}', 400, "max_tokens: Field required"),
        ("messages", b'{"model":"gpt-4o","messages":[],"max_tokens":1}', 404, "model: gpt-4o"),
        ("messages/count_tokens", b'{"model":"claude-haiku-5-5"}', 400, "messages: Field required"),
    ],
)
def test_what_is_not_a_request_is_answered_as_the_provider_would(
    path: str, body: bytes, status: int, message: str
) -> None:
    async def scenario(served: Served) -> None:
        headers = {"authorization": f"Bearer {server.OPENAI_KEY}"}
        if path.startswith("messages"):
            headers = {"x-api-key": server.ANTHROPIC_KEY, "anthropic-version": "2023-06-01"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{served.base}/v1/{path}", data=body, headers=headers) as answer,
        ):
            assert answer.status == status
            assert message in (await answer.json())["error"]["message"]

    _with(scenario)


def test_answers_carry_the_providers_headers() -> None:
    async def scenario(served: Served) -> None:
        async with openai_client(served) as client:
            raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=_user("hi"))
            assert raw.headers["x-ratelimit-remaining-requests"] == "4999"
            assert raw.headers["openai-version"] == "2020-10-01"
        async with anthropic_client(served) as client:
            message = await client.messages.with_raw_response.create(
                model="claude-haiku-5-5", max_tokens=9, messages=_user("hi")
            )
            assert message.headers["anthropic-ratelimit-requests-remaining"] == "4999"
            assert message.headers["anthropic-ratelimit-requests-reset"].endswith("Z")

    _with(scenario)


# Faults


@pytest.mark.parametrize("fault", ["reset", "hang", "bad-gateway", "redirect", "malformed", "cut"])
@pytest.mark.parametrize("sdk", ["openai", "anthropic"])
def test_every_fault_of_a_whole_answer_is_an_error_of_the_sdk(fault: str, sdk: str) -> None:
    async def scenario(served: Served) -> None:
        text = f"mock: fault {fault}"
        if sdk == "openai":
            async with openai_client(served) as client:
                # The SDKs let the JSON decoder's own exception through.
                with pytest.raises((openai.APIError, json.JSONDecodeError)):
                    await _chat(client.with_options(timeout=0.3), text)
        else:
            async with anthropic_client(served) as claude:
                with pytest.raises((anthropic.APIError, json.JSONDecodeError)):
                    await _message(claude.with_options(timeout=0.3), text)

    _with(scenario)


async def _raw(served: Served, text: str) -> tuple[int, bytes, bool]:
    """Status, body as far as it came, and whether it came whole."""
    headers = {"authorization": f"Bearer {server.OPENAI_KEY}"}
    body = {"model": "gpt-4o", "messages": _user(text), "stream": True}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{served.base}/v1/chat/completions", json=body, headers=headers) as answer,
    ):
        received = b""
        try:
            async for chunk in answer.content.iter_any():
                received += chunk
        except aiohttp.ClientPayloadError:
            return answer.status, received, False
        return answer.status, received, True


def test_streams_break_as_they_are_told() -> None:
    async def scenario(served: Served) -> None:
        _, whole, complete = await _raw(served, "mock: say " + "abcd" * 20)
        assert complete
        assert whole.endswith(b"data: [DONE]\n\n")
        _, slow, complete = await _raw(served, "mock: pace 1ms\nmock: fault slow\nmock: say ab")
        assert complete
        assert slow.endswith(b"data: [DONE]\n\n")
        _, cut, complete = await _raw(served, "mock: fault cut\nmock: say " + "abcd" * 20)
        assert not complete
        assert 0 < cut.count(b"\n\n") < whole.count(b"\n\n")
        _, malformed, complete = await _raw(served, "mock: fault malformed\nmock: say " + "abcd" * 20)
        assert complete
        assert b"data: {nonsense\n\n" in malformed
        _, ended, complete = await _raw(served, "mock: fault error-event")
        assert complete
        assert json.loads(ended.split(b"\n\n")[-2].removeprefix(b"data: "))["error"]["type"] == "server_error"

    _with(scenario)


def test_an_error_in_a_stream_reaches_the_callers_of_both_sdks() -> None:
    async def scenario(served: Served) -> None:
        text = "mock: fault error-event\nmock: say " + "abcd" * 9
        async with openai_client(served) as client:
            with pytest.raises(openai.APIError, match="The server had an error"):
                await _openai_text(client, text)
            # The reference's error event is flat; the SDK hands it on and raises nothing.
            events = [event async for event in await client.responses.create(model="gpt-4o", input=text, stream=True)]
            assert (events[-1].type, events[-1].code) == ("error", "server_error")
        async with anthropic_client(served) as claude:
            with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
                await _anthropic_text(claude, text)

    _with(scenario)


# Steering


def test_the_next_request_can_be_told_from_outside_and_what_came_in_be_seen() -> None:
    async def scenario(served: Served) -> None:
        async with aiohttp.ClientSession(served.base) as session, openai_client(served) as client:
            await session.post("/mock/next", data="status 429")
            assert (await session.post("/mock/next", data="dance")).status == 400
            with pytest.raises(openai.RateLimitError):
                await _chat(client, "hi")
            await _chat(client, "hi again")
            async with session.get("/mock/requests") as answer:
                seen = await answer.json()
            assert [json.loads(one["body"])["messages"][0]["content"] for one in seen] == ["hi", "hi again"]
            assert seen[0]["headers"]["authorization"] == f"Bearer {server.OPENAI_KEY}"
            await session.delete("/mock/requests")
            assert not served.mock.received

    _with(scenario)


def test_the_same_seed_gives_the_same_ids() -> None:
    async def ids(seed: int) -> str:
        async with serving(seed) as served, openai_client(served) as client:
            return str((await _chat(client, "hi")).id)

    first, again, other = (asyncio.run(ids(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_every_fault_is_tried_here() -> None:
    tried = itertools.chain(["reset", "hang", "bad-gateway", "redirect", "malformed", "cut"], ["slow", "error-event"])
    assert set(tried) == {fault.value for fault in script.Fault}
