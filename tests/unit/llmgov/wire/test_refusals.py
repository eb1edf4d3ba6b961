"""Refusals as the official SDKs see them: which exception, with what in it, and after how many attempts."""

import json
from typing import Any, NamedTuple

import anthropic
import httpx2
import msgspec
import openai
import pytest

from llmgov.wire import refusals
from llmgov.wire.events import Format, Operation, Reason, Refusal, Response


class Seen(NamedTuple):
    error: Any
    attempts: int


def answer(response: Response) -> httpx2.Response:
    return httpx2.Response(response.status, headers=list(response.headers), content=response.body)


def transport(answers: Any) -> tuple[httpx2.MockTransport, list[httpx2.Request]]:
    requests: list[httpx2.Request] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        return answers()

    return httpx2.MockTransport(handle), requests


def through_openai(make: Any, *, stream: bool = False, responses: bool = False) -> Seen:
    def talk(http: httpx2.Client) -> None:
        client = openai.OpenAI(api_key="k", base_url="http://proxy/v1", http_client=http, max_retries=2)
        if responses:
            list(client.responses.create(model="m", input="x", stream=stream))
        else:
            list(client.chat.completions.create(model="m", messages=[], stream=stream))

    return watch(talk, make, openai.APIError)


def through_anthropic(make: Any, *, stream: bool = False) -> Seen:
    def talk(http: httpx2.Client) -> None:
        client = anthropic.Anthropic(api_key="k", base_url="http://proxy", http_client=http, max_retries=2)
        list(client.messages.create(model="m", max_tokens=1, messages=[], stream=stream))

    return watch(talk, make, anthropic.APIError)


def watch(talk: Any, make: Any, error: type[Exception]) -> Seen:
    mock, requests = transport(make)
    with httpx2.Client(transport=mock) as http, pytest.raises(error) as caught:
        talk(http)
    return Seen(caught.value, len(requests))


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDKs sleep before a retry; how often they try is what matters here."""
    monkeypatch.setattr("time.sleep", lambda _: None)


def refusal(reason: Reason, retry_after: int | None = None) -> Refusal:
    return Refusal(reason, "llmgov: refused by policy a/b; do something", "a/b", retry_after, "messages[0].content")


OPENAI = {
    Reason.RATE: (429, openai.RateLimitError, "rate_limit_exceeded"),
    Reason.BUDGET: (402, openai.APIStatusError, "budget_exceeded"),
    Reason.CONTENT: (400, openai.BadRequestError, "content_policy_violation"),
    Reason.DENIED: (403, openai.PermissionDeniedError, "policy_denied"),
    Reason.APPROVAL: (403, openai.PermissionDeniedError, "approval_required"),
    Reason.UNAVAILABLE: (503, openai.InternalServerError, "governance_unavailable"),
    Reason.TOO_LARGE: (413, openai.APIStatusError, "request_too_large"),
    Reason.MALFORMED: (400, openai.BadRequestError, "invalid_request"),
    Reason.TIMEOUT: (408, openai.APIStatusError, "request_timeout"),
    Reason.AUTHENTICATION: (401, openai.AuthenticationError, "invalid_token"),
    Reason.UPSTREAM: (502, openai.InternalServerError, "upstream_error"),
}


@pytest.mark.parametrize("reason", Reason)
def test_the_openai_sdk_raises_its_typed_error_once(reason: Reason) -> None:
    status, error, code = OPENAI[reason]
    seen = through_openai(lambda: answer(refusals.render(Format.OPENAI, refusal(reason), "req_1")))
    assert type(seen.error) is error
    assert (seen.error.status_code, seen.error.code, seen.error.request_id) == (status, code, "req_1")
    assert seen.error.param == "messages[0].content"
    assert "llmgov: refused by policy a/b" in str(seen.error)
    assert seen.attempts == 1


ANTHROPIC = {
    Reason.RATE: (429, anthropic.RateLimitError, "rate_limit_error"),
    Reason.BUDGET: (402, anthropic.PaymentRequiredError, "billing_error"),
    Reason.CONTENT: (400, anthropic.BadRequestError, "invalid_request_error"),
    Reason.DENIED: (403, anthropic.PermissionDeniedError, "permission_error"),
    Reason.APPROVAL: (403, anthropic.PermissionDeniedError, "permission_error"),
    Reason.UNAVAILABLE: (503, anthropic.ServiceUnavailableError, "api_error"),
    Reason.TOO_LARGE: (413, anthropic.RequestTooLargeError, "request_too_large"),
    Reason.MALFORMED: (400, anthropic.BadRequestError, "invalid_request_error"),
    Reason.TIMEOUT: (408, anthropic.APIStatusError, "timeout_error"),
    Reason.AUTHENTICATION: (401, anthropic.AuthenticationError, "authentication_error"),
    Reason.UPSTREAM: (502, anthropic.InternalServerError, "api_error"),
}


@pytest.mark.parametrize("reason", Reason)
def test_the_anthropic_sdk_raises_its_typed_error_once(reason: Reason) -> None:
    status, error, type_ = ANTHROPIC[reason]
    seen = through_anthropic(lambda: answer(refusals.render(Format.ANTHROPIC, refusal(reason), "req_1")))
    assert isinstance(seen.error, error)
    assert (seen.error.status_code, seen.error.request_id) == (status, "req_1")
    assert seen.error.body["error"]["type"] == type_
    assert seen.error.body["request_id"] == "req_1"
    assert "llmgov: refused by policy a/b" in str(seen.error)
    assert seen.attempts == 1


@pytest.mark.parametrize(
    ("retry_after", "attempts"), [(1, 3), (60, 3), (61, 1), (None, 1)], ids=["soon", "in a minute", "later", "never"]
)
@pytest.mark.parametrize("reason", [Reason.RATE, Reason.UNAVAILABLE])
def test_sdks_try_again_only_where_that_can_help(reason: Reason, retry_after: int | None, attempts: int) -> None:
    refused = refusal(reason, retry_after)
    assert through_openai(lambda: answer(refusals.render(Format.OPENAI, refused, "r"))).attempts == attempts
    assert through_anthropic(lambda: answer(refusals.render(Format.ANTHROPIC, refused, "r"))).attempts == attempts


@pytest.mark.parametrize(
    ("floor", "offered"),
    [(1, {1, 2, 3, 4, 5}), (58, {58, 59, 60}), (60, {60}), (61, {61})],
    ids=["a second", "nearly a minute", "a minute", "more than SDKs wait for"],
)
def test_clients_are_not_sent_back_all_at_once(floor: int, offered: set[int]) -> None:
    refused = refusal(Reason.RATE, floor)
    seen = {
        int(dict(refusals.render(Format.OPENAI, refused, f"req_{number}").headers)["retry-after"])
        for number in range(100)
    }
    assert seen == offered


@pytest.mark.parametrize("shape", Format)
@pytest.mark.parametrize("floor", [1, 30, 59, 60, None])
def test_words_and_header_name_one_number(shape: Format, floor: int | None) -> None:
    said = "try again when a running request has ended" if floor is None else f"try again in {floor} s"
    refused = Refusal(Reason.RATE, f"llmgov: policy a/1 limits user {floor} to {floor} requests per minute; {said}")
    refused = msgspec.structs.replace(refused, retry_after=floor)
    for number in range(20):
        rendered = refusals.render(shape, refused, f"req_{number}")
        after = dict(rendered.headers).get("retry-after")
        message = json.loads(rendered.body)["error"]["message"]
        begin, words = message.split("; ")
        assert begin == refused.message.split("; ")[0]
        assert words == (said if after is None else f"try again in {after} s")


def test_an_exhausted_budget_is_429_where_the_setting_says_so_and_is_still_not_retried() -> None:
    refused = refusal(Reason.BUDGET)
    for seen, error in (
        (through_openai(lambda: answer(refusals.render(Format.OPENAI, refused, "r", 429))), openai.RateLimitError),
        (
            through_anthropic(lambda: answer(refusals.render(Format.ANTHROPIC, refused, "r", 429))),
            anthropic.RateLimitError,
        ),
    ):
        assert isinstance(seen.error, error)
        assert seen.attempts == 1


def stream(body: bytes) -> Any:
    return lambda: httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=body)


@pytest.mark.parametrize("reason", Reason)
def test_in_a_chat_stream_the_sdk_raises_instead_of_ending(reason: Reason) -> None:
    chunk = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[]}\n\n'
    event = refusals.render_in_stream(Format.OPENAI, Operation.CHAT_COMPLETIONS, refusal(reason), "r")
    seen = through_openai(stream(chunk + event), stream=True)
    assert type(seen.error) is openai.APIError
    assert seen.error.code == OPENAI[reason][2]
    assert str(seen.error) == "llmgov: refused by policy a/b; do something"


@pytest.mark.parametrize("reason", Reason)
def test_in_a_responses_stream_the_sdk_raises(reason: Reason) -> None:
    event = refusals.render_in_stream(Format.OPENAI, Operation.RESPONSES, refusal(reason), "r")
    assert event.startswith(b"event: error\n")
    assert json.loads(event.split(b"data: ")[1])["type"] == "error"
    seen = through_openai(stream(event), stream=True, responses=True)
    assert type(seen.error) is openai.APIError
    assert seen.error.code == OPENAI[reason][2]


@pytest.mark.parametrize("reason", Reason)
def test_in_a_message_stream_the_sdk_raises_with_the_type(reason: Reason) -> None:
    event = refusals.render_in_stream(Format.ANTHROPIC, Operation.MESSAGES, refusal(reason), "req_1")
    seen = through_anthropic(stream(event), stream=True)
    assert isinstance(seen.error, anthropic.APIStatusError)
    assert seen.error.status_code == 200
    assert seen.error.body["error"]["type"] == ANTHROPIC[reason][2]


def test_headers_say_what_was_decided_and_by_which_policy() -> None:
    headers = dict(refusals.render(Format.ANTHROPIC, refusal(Reason.APPROVAL), "req_1").headers)
    assert headers["x-llmgov-decision"] == "require approval"
    assert headers["x-llmgov-policy"] == "a/b"
    assert headers["x-request-id"] == headers["request-id"] == "req_1"
    assert "request-id" not in dict(refusals.render(Format.OPENAI, refusal(Reason.RATE), "r").headers)


def test_a_policy_cannot_write_headers() -> None:
    refused = Refusal(Reason.DENIED, "llmgov: no", "a\r\nset-cookie: x")
    assert dict(refusals.render(Format.OPENAI, refused, "r").headers)["x-llmgov-policy"] == "a??set-cookie: x"


def test_details_are_in_the_error() -> None:
    refused = Refusal(Reason.BUDGET, "llmgov: no", details={"remaining": "0.10"})
    for shape in Format:
        assert json.loads(refusals.render(shape, refused, "r").body)["error"]["details"] == {"remaining": "0.10"}
