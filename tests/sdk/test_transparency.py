"""What no policy touches is the same as without us: for the SDKs object by object, on the wire byte by byte."""

from typing import Any

import pytest

from tests.sdk import cases
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call
from tests.support.tap import Exchange

PLACES = ["plain", "held"]
"""Where nothing is governed, and where money is held and filters run but find nothing."""


def _named(calls: dict[str, Call]) -> list[Any]:
    return [pytest.param(call, id=name) for name, call in calls.items()]


@pytest.mark.parametrize("call", _named(cases.SAME | cases.UNASKED_USAGE))
def test_an_application_gets_what_it_would_get_directly(system: System, call: Call) -> None:
    direct = sdks.perform(system.client(call.sdk), call)
    assert "raised" not in direct[-1], "the case must be good by itself"
    for place in PLACES:
        assert sdks.perform(system.client(call.sdk, place), call) == direct
        assert sdks.perform_async(system.async_client(call.sdk, place), call) == direct


@pytest.mark.parametrize("call", _named(cases.SAME))
@pytest.mark.parametrize("place", PLACES)
def test_bodies_are_passed_on_byte_by_byte(system: System, place: str, call: Call) -> None:
    sdks.perform(system.client(call.sdk, place), call)
    before, behind = _both_sides(system, place)
    assert behind.sent == before.sent
    assert before.got == behind.got
    assert before.status == behind.status == 200


@pytest.mark.parametrize("call", _named(cases.UNASKED_USAGE))
@pytest.mark.parametrize("place", PLACES)
def test_usage_that_was_not_asked_for_is_asked_for_and_hidden(system: System, place: str, call: Call) -> None:
    sdks.perform(system.client(call.sdk, place), call)
    before, behind = _both_sides(system, place)
    options = behind.document().pop("stream_options")
    assert options == (before.document().get("stream_options") or {}) | {"include_usage": True}
    assert _without_options(behind) == _without_options(before)
    usages = [event for event in behind.events() if b'"usage":{' in event]
    assert len(usages) == 1
    assert before.events() == [event for event in behind.events() if event not in usages]


def _without_options(exchange: Exchange) -> dict[str, Any]:
    return {name: value for name, value in exchange.document().items() if name != "stream_options"}


@pytest.mark.parametrize("call", _named(cases.ERRORS))
@pytest.mark.parametrize("place", PLACES)
def test_the_providers_errors_are_the_sdks_own_exceptions(system: System, place: str, call: Call) -> None:
    (direct,) = sdks.perform(system.client(call.sdk), call)
    assert direct["raised"], "the case must be an error by itself"
    assert sdks.perform(system.client(call.sdk, place), call) == [direct]
    before, behind = _both_sides(system, place)
    assert before.got == behind.got
    assert before.answer_headers.get("retry-after") == behind.answer_headers.get("retry-after")


@pytest.mark.parametrize("call", _named(cases.BREAKS))
@pytest.mark.parametrize("place", PLACES)
def test_a_stream_breaks_as_it_would_break_directly(system: System, place: str, call: Call) -> None:
    direct = sdks.perform(system.client(call.sdk), call)
    assert len(direct) > 2
    assert "raised" in direct[-1] or direct[-1]["type"] == "error", "the case must break by itself"
    assert sdks.perform(system.client(call.sdk, place), call) == direct


def test_the_application_keeps_the_placeholder_and_the_provider_gets_the_key(system: System) -> None:
    for call in (cases.chat("hello"), cases.response("hello"), cases.message("hello")):
        system.forget()
        sdks.perform(system.client(call.sdk, "plain"), call)
        before, behind = _both_sides(system, "plain")
        assert sdks.PLACEHOLDER in str(before.headers)
        assert sdks.PLACEHOLDER not in str(behind)
        assert "mock-openai-key" not in str(before)
        assert "mock-anthropic-key" not in str(before)


def test_the_providers_headers_reach_the_application(system: System) -> None:
    call = cases.chat("hello")
    sdks.perform(system.client(call.sdk, "plain"), call)
    before, behind = _both_sides(system, "plain")
    ours = {"x-request-id", "content-length"}
    for name, value in behind.answer_headers.items():
        assert name in ours or before.answer_headers[name] == value
    assert before.answer_headers["x-llmgov-upstream-request-id"] == behind.answer_headers["x-request-id"]


def test_an_answer_names_our_request_to_both_sdks(system: System) -> None:
    for call in (cases.chat("hello"), cases.message("hello")):
        client = system.client(call.sdk, "plain")
        answer = sdks.method(client, call.path)(**call.arguments)
        assert answer._request_id == system.tap("plain").only().answer_headers["x-request-id"]


def _both_sides(system: System, place: str) -> tuple[Exchange, Exchange]:
    return system.tap(place).only(), system.upstream.only()
