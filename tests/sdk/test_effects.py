"""What policies do to traffic, as an application and its provider see it: in every place of every operation."""

import json
import re
from typing import Any

import pytest

from tests.sdk import cases, places
from tests.sdk.places import CODE, Place
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call

PLACES = [pytest.param(place, id=name) for name, place in places.all_().items()]
REDACTED = "[REDACTED:code]"
ANSWER = "mock: say Mind CODE-1234; then CODE-5678 – and CODE-12 is none."
TOLD = f"Mind {REDACTED}; then {REDACTED} – and CODE-12 is none."
CALLING = 'mock: call weather {"city": "CODE-1234", "days": [1, 2]}'

TEXTS = {
    "chat": cases.chat(ANSWER),
    "two choices of chat": cases.chat(ANSWER, n=2),
    "responses": cases.response(ANSWER),
    "messages": cases.message(ANSWER),
}
CALLS = {
    "a tool call of chat": cases.chat(CALLING),
    "a tool call of responses": cases.response(CALLING),
    "a tool call of messages": cases.message(CALLING),
}
STREAMED = [pytest.param(call, id=name) for name, call in (TEXTS | CALLS).items()]


@pytest.mark.parametrize("place", PLACES)
def test_a_redaction_replaces_what_was_found_and_no_other_byte(system: System, place: Place) -> None:
    sdks.perform(system.client(place.call.sdk, "redacted"), place.call)
    before, behind = system.tap("redacted").only(), system.upstream.only()
    assert before.sent.count(CODE.encode()) == 1
    assert behind.sent == before.sent.replace(CODE.encode(), REDACTED.encode())
    assert before.answer_headers["x-llmgov-decision"] == "redact"
    assert before.answer_headers["x-llmgov-policy"] == "redacted/codes"


@pytest.mark.parametrize("place", PLACES)
def test_a_blocked_request_never_leaves_and_is_told_where_but_not_what(system: System, place: Place) -> None:
    (refused,) = sdks.perform(system.client(place.call.sdk, "guarded"), place.call)
    assert refused["raised"] == "BadRequestError"
    assert refused["status"] == 400
    told = json.dumps(refused["body"])
    assert f"policy guarded/codes found code in {place.path}," in told
    assert CODE not in told
    assert system.upstream.take() == []


@pytest.mark.parametrize("call", STREAMED)
def test_a_whole_answer_is_redacted_in_its_texts_alone(system: System, call: Call) -> None:
    (found,) = sdks.perform(system.client(call.sdk, "answers"), call)
    before, behind = system.tap("answers").only(), system.upstream.only()
    assert json.loads(before.got) == json.loads(_redacted(behind.got.decode()))
    assert REDACTED in json.dumps(found)


@pytest.mark.parametrize("call", STREAMED)
def test_a_stream_adds_up_to_the_redacted_answer(system: System, call: Call) -> None:
    streaming = _streaming(call)
    *_, direct = sdks.perform(system.client(call.sdk), streaming)
    *_, final = sdks.perform(system.client(call.sdk, "answers"), streaming)
    assert _without_usage(final) == json.loads(_redacted(json.dumps(_without_usage(direct))))
    assert re.search(rb"CODE-\d{4}", system.tap("answers").only().got) is None


@pytest.mark.parametrize("call", STREAMED)
def test_a_stream_keeps_the_order_of_its_events(system: System, call: Call) -> None:
    streaming = _streaming(call)
    for name in ("", "answers"):
        sdks.perform(system.client(call.sdk, name), streaming)
    direct, filtered = (_kinds(system.tap(name).only().events()) for name in ("", "answers"))
    assert filtered == direct


@pytest.mark.parametrize("call", STREAMED)
def test_a_whole_answer_is_withheld(system: System, call: Call) -> None:
    (refused,) = sdks.perform(system.client(call.sdk, "withheld"), call)
    assert (refused["raised"], refused["status"]) == ("BadRequestError", 400)
    assert "policy withheld/codes found code in the answer" in json.dumps(refused["body"])
    assert b"CODE" not in system.tap("withheld").only().got


@pytest.mark.parametrize("call", STREAMED)
def test_a_stream_is_cut_before_what_it_must_not_say(system: System, call: Call) -> None:
    call = Call(call.sdk, call.path, call.arguments | {"stream": True})
    *events, last = sdks.perform(system.client(call.sdk, "withheld"), call)
    assert last["raised"] in ("APIError", "APIStatusError", "BadRequestError")
    assert "policy withheld/codes found code in the answer" in json.dumps(last["body"])
    assert b"CODE" not in system.tap("withheld").only().got
    said = "".join(_said(events))
    assert said.startswith("Mind ") or said.lstrip().startswith('{"city": "')


def _streaming(call: Call) -> Call:
    usage = {"stream_options": {"include_usage": True}} if call.path.startswith("chat") else {}
    path = call.path.replace("create", "stream")
    return Call(call.sdk, path, call.arguments | usage, helper=True)


def _redacted(text: str) -> str:
    return re.sub(r"CODE-\d{4}", REDACTED, text)


def _without_usage(final: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in final.items() if name not in ("usage", "output_text")}


def _kinds(events: list[bytes]) -> list[str]:
    """The events' types in order, repeated ones once: a redaction may make more or fewer deltas of a text."""
    kinds = [_kind(event) for event in events]
    return [kind for at, kind in enumerate(kinds) if at == 0 or kinds[at - 1] != kind]


def _kind(event: bytes) -> str:
    data = event.partition(b"data: ")[2].strip()
    if data == b"[DONE]":
        return "done"
    document = json.loads(data)
    if "type" in document:
        return str(document["type"])
    return " ".join(f"{choice['index']} {choice['finish_reason']}" for choice in document["choices"]) or "usage"


def _said(events: list[Any]) -> list[str]:
    found = []
    for event in events:
        for choice in event.get("choices") or ():
            delta = choice["delta"]
            found.append(delta["content"] or "")
            found += [call["function"]["arguments"] or "" for call in delta["tool_calls"] or ()]
        delta = event.get("delta")
        if isinstance(delta, str):
            found.append(delta)
        elif isinstance(delta, dict):
            found.append(delta.get("text") or delta.get("partial_json") or "")
    return found


_HIGH, _LOW = 4000, 60
_CLAMPED = {
    "chat without a maximum": (cases.chat("hi"), None, "max_completion_tokens"),
    "chat of a reasoning model without a maximum": (
        cases.chat("hi", model=cases.THINKER),
        None,
        "max_completion_tokens",
    ),
    "chat by its new field": (cases.chat("hi"), "max_completion_tokens", "max_completion_tokens"),
    "chat by its old field": (cases.chat("hi"), "max_tokens", "max_tokens"),
    "responses without a maximum": (cases.response("hi"), None, "max_output_tokens"),
    "responses": (cases.response("hi"), "max_output_tokens", "max_output_tokens"),
    "messages": (cases.message("hi"), "max_tokens", "max_tokens"),
}


@pytest.mark.parametrize("name", _CLAMPED)
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_an_output_maximum_is_lowered_in_the_field_that_the_model_takes(
    system: System, name: str, streamed: bool
) -> None:
    call, given, field = _CLAMPED[name]
    sdks.perform(system.client(call.sdk, "capped"), _with_maximum(call, given, _HIGH, streamed=streamed))
    before, behind = system.tap("capped").only(), system.upstream.only()
    asked, sent = before.document(), behind.document()
    assert sent.pop(field) == 64
    assert asked.pop(field, None) == (_HIGH if given else None)
    sent.pop("stream_options", None)
    assert sent == asked
    assert before.status == 200
    assert before.answer_headers["x-llmgov-clamped"] == f"{field}=64"
    assert before.answer_headers["x-llmgov-decision"] == "clamp"
    assert before.answer_headers["x-llmgov-policy"] == "capped/outputs"


@pytest.mark.parametrize("name", [name for name, (_, given, _) in _CLAMPED.items() if given])
def test_a_maximum_below_the_policys_stands(system: System, name: str) -> None:
    call, given, _ = _CLAMPED[name]
    sdks.perform(system.client(call.sdk, "capped"), _with_maximum(call, given, _LOW, streamed=False))
    before, behind = system.tap("capped").only(), system.upstream.only()
    assert behind.sent == before.sent
    assert "x-llmgov-clamped" not in before.answer_headers


def _with_maximum(call: Call, field: str | None, value: int, *, streamed: bool) -> Call:
    fields = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    arguments = {name: given for name, given in call.arguments.items() if name not in fields}
    more: dict[str, Any] = {field: value} if field else {}
    return Call(call.sdk, call.path, arguments | more | ({"stream": True} if streamed else {}))


@pytest.mark.parametrize("call", [cases.chat("hi"), cases.response("hi"), cases.message("hi")], ids=lambda c: c.path)
def test_limits_that_apply_are_the_only_ones_that_an_answer_shows(system: System, call: Call) -> None:
    rows = [_raw(system, "limited", call) for _ in range(2)]
    for headers in rows:
        assert headers.get_list("x-ratelimit-limit-requests") == ["50"]
        assert headers.get_list("x-ratelimit-limit-tokens") == ["100000"]
        (reset,) = headers.get_list("x-ratelimit-reset-requests")
        assert re.fullmatch(r"(\d+m)?\d+(\.\d+)?m?s", reset)
    requests, tokens = (
        [int(only) for headers in rows for only in headers.get_list(f"x-ratelimit-remaining-{unit}")]
        for unit in ("requests", "tokens")
    )
    assert requests[0] - requests[1] == 1
    assert tokens[1] < tokens[0] < 100000


def test_where_no_limit_applies_an_answer_shows_the_providers(system: System) -> None:
    assert _raw(system, "plain", cases.chat("hi")).get_list("x-ratelimit-limit-requests") == ["5000"]


def _raw(system: System, place: str, call: Call) -> Any:
    method = sdks.method(system.client(call.sdk, place), call.path.replace("create", "with_raw_response.create"))
    return method(**call.arguments).headers
