"""Request lines: what is governed, what is refused in whose shape, and nothing in between."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.wire import route
from llmgov.wire.events import Format, Operation, Reason, Route

ANTHROPIC = [("anthropic-version", "2023-06-01"), ("X-Api-Key", "k")]

KNOWN = {
    "chat": ("POST", "/v1/chat/completions", [], Operation.CHAT_COMPLETIONS, "/chat/completions"),
    "chat without /v1": ("POST", "/chat/completions", [], Operation.CHAT_COMPLETIONS, "/chat/completions"),
    "chat with a key in the other's header": (
        "POST",
        "/v1/chat/completions",
        ANTHROPIC,
        Operation.CHAT_COMPLETIONS,
        "/chat/completions",
    ),
    "chat with a query": ("POST", "/v1/chat/completions?x=1", [], Operation.CHAT_COMPLETIONS, "/chat/completions?x=1"),
    "responses": ("POST", "/v1/responses", [], Operation.RESPONSES, "/responses"),
    "embeddings": ("POST", "/v1/embeddings", [], Operation.EMBEDDINGS, "/embeddings"),
    "models of OpenAI": ("GET", "/v1/models", [], Operation.OPENAI_MODELS, "/models"),
    "one model of OpenAI": ("GET", "/v1/models/ft:gpt-4o:x:y", [], Operation.OPENAI_MODELS, "/models/ft:gpt-4o:x:y"),
    "messages": ("POST", "/v1/messages", [], Operation.MESSAGES, "/v1/messages"),
    "messages without /v1": ("POST", "/messages", [], Operation.MESSAGES, "/v1/messages"),
    "messages of the beta": ("POST", "/v1/messages?beta=true", ANTHROPIC, Operation.MESSAGES, "/v1/messages?beta=true"),
    "counting tokens": ("POST", "/v1/messages/count_tokens", [], Operation.COUNT_TOKENS, "/v1/messages/count_tokens"),
    "models of Anthropic": ("GET", "/v1/models?limit=5", ANTHROPIC, Operation.ANTHROPIC_MODELS, "/v1/models?limit=5"),
    "one model of Anthropic": ("GET", "/v1/models/c", ANTHROPIC, Operation.ANTHROPIC_MODELS, "/v1/models/c"),
}


@pytest.mark.parametrize(("method", "target", "headers", "operation", "upstream"), KNOWN.values(), ids=KNOWN.keys())
def test_a_governed_route(
    method: str, target: str, headers: list[tuple[str, str]], operation: Operation, upstream: str
) -> None:
    found = route.resolve(method, target, headers)
    shape = Format.ANTHROPIC if upstream.startswith("/v1") else Format.OPENAI
    assert found == Route(shape, operation, upstream)


REFUSED = {
    "realtime": ("GET", "/v1/realtime?model=x", [], "the Realtime API", Format.OPENAI),
    "batches of OpenAI": ("POST", "/v1/batches", [], "batches", Format.OPENAI),
    "batches of Anthropic": ("POST", "/v1/messages/batches", ANTHROPIC, "batches", Format.ANTHROPIC),
    "files": ("POST", "/v1/files", [], "files", Format.OPENAI),
    "files of Anthropic": ("POST", "/v1/files", ANTHROPIC, "files", Format.ANTHROPIC),
    "speech": ("POST", "/v1/audio/speech", [], "audio", Format.OPENAI),
    "images": ("POST", "/v1/images/generations", [], "images and videos", Format.OPENAI),
    "Azure OpenAI": ("POST", "/openai/deployments/x/chat/completions", [], "Azure OpenAI", Format.OPENAI),
    "Gemini": ("POST", "/v1beta/models/gemini-2.5-pro:generateContent", [], "Gemini", Format.OPENAI),
    "Gemini v1": ("POST", "/v1/models/gemini-2.5-pro:generateContent", [], "Gemini", Format.OPENAI),
    "fine-tuning": ("POST", "/v1/fine_tuning/jobs", [], "fine-tuning", Format.OPENAI),
    "a stored response": ("GET", "/v1/responses/resp_1", [], "stored responses", Format.OPENAI),
    "legacy completions": ("POST", "/v1/completions", [], "legacy completions", Format.OPENAI),
    "something new": ("POST", "/v1/whatever", [], "this route", Format.OPENAI),
    "the wrong method": ("GET", "/v1/embeddings", [], "this route", Format.OPENAI),
    "deleting a model": ("DELETE", "/v1/models/x", [], "this route", Format.OPENAI),
    "chat behind a prefix": ("POST", "/x/v1/chat/completions", [], "this route", Format.OPENAI),
    "nobody's path with a header of Anthropic": ("POST", "/v1/whatever", ANTHROPIC, "this route", Format.ANTHROPIC),
}


@pytest.mark.parametrize(("method", "target", "headers", "what", "shape"), REFUSED.values(), ids=REFUSED.keys())
def test_a_route_that_is_not_governed_is_a_typed_refusal(
    method: str, target: str, headers: list[tuple[str, str]], what: str, shape: Format
) -> None:
    found = route.resolve(method, target, headers)
    assert isinstance(found, route.Unrouted)
    assert found.format is shape
    assert found.refusal.reason is Reason.DENIED
    assert what in found.refusal.message


TRICKS = [
    "/v1//chat/completions",
    "/v1/../v1/chat/completions",
    "/v1/chat/completions/..",
    "/v1/chat%2Fcompletions",
    "/v1/%2e%2e/x",
    "/v1/chat/completions#x",
    "/v1\\chat\\completions",
    "http://other/v1/chat/completions",
    "v1/chat/completions",
    "/v1/chat/completions x",
    "/v1/chat/completions\r\nx: y",
    "/v1/chät",
    "",
    "*",
]


@pytest.mark.parametrize("target", TRICKS)
def test_a_target_that_others_could_read_differently_is_malformed(target: str) -> None:
    found = route.resolve("POST", target)
    assert isinstance(found, route.Unrouted)
    assert found.refusal.reason is Reason.MALFORMED


@given(method=st.sampled_from(["GET", "POST", "PUT"]), target=st.text(max_size=40))
def test_every_request_line_has_an_answer(method: str, target: str) -> None:
    assert isinstance(route.resolve(method, target), Route | route.Unrouted)
