"""Usage that no provider should report: it is never taken for $0, and never for more than can be."""

import json
from typing import Any

import pytest

from llmgov.snapshot import Dimension
from llmgov.wire import formats, reports
from llmgov.wire.anthropic.stream import MessageReader
from llmgov.wire.events import Format, Operation, Route, Usage

CHAT = Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions")
RESPONSES = Route(Format.OPENAI, Operation.RESPONSES, "/responses")
EMBEDDINGS = Route(Format.OPENAI, Operation.EMBEDDINGS, "/embeddings")
MESSAGES = Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages")

NAMES = {
    CHAT: ("prompt_tokens", "completion_tokens"),
    RESPONSES: ("input_tokens", "output_tokens"),
    MESSAGES: ("input_tokens", "output_tokens"),
}
DETAILS = {
    CHAT: ("prompt_tokens_details", "cached_tokens"),
    RESPONSES: ("input_tokens_details", "cached_tokens"),
    MESSAGES: ("server_tool_use", "web_search_requests"),
}
NO_COUNTS: list[Any] = [-1, "12", 1.5, 1e30, True, [], {}]


def used(route: Route, report: Any) -> Usage:
    found = formats.parse_answer(route, 200, json.dumps({"usage": report}).encode()).usage
    assert found is not None
    return found


@pytest.mark.parametrize("route", NAMES)
@pytest.mark.parametrize("missing", [0, 1])
@pytest.mark.parametrize("value", [..., None, *NO_COUNTS], ids=str)
def test_a_main_count_that_is_missing_or_no_count_makes_the_usage_unknown(
    route: Route, missing: int, value: Any
) -> None:
    report: dict[str, Any] = dict.fromkeys(NAMES[route], 7)
    name = NAMES[route][missing]
    if value is ...:
        del report[name]
    else:
        report[name] = value
    assert used(route, report).unreadable == (name,)


@pytest.mark.parametrize("route", DETAILS)
@pytest.mark.parametrize("value", NO_COUNTS, ids=str)
def test_a_detail_that_is_no_count_makes_the_usage_unknown(route: Route, value: Any) -> None:
    section, name = DETAILS[route]
    assert used(route, {**dict.fromkeys(NAMES[route], 7), section: {name: value}}).unreadable == (name,)
    assert used(route, {**dict.fromkeys(NAMES[route], 7), section: "many"}).unreadable == (section,)


@pytest.mark.parametrize("route", DETAILS)
def test_a_detail_may_be_missing_or_null(route: Route) -> None:
    section, name = DETAILS[route]
    details: list[dict[str, Any]] = [{}, {section: None}, {section: {}}, {section: {name: None}}]
    for detail in details:
        found = used(route, {**dict.fromkeys(NAMES[route], 7), **detail})
        assert found.unreadable == ()
        assert found.counts == {Dimension.INPUT: 7, Dimension.OUTPUT: 7}


@pytest.mark.parametrize("route", NAMES)
@pytest.mark.parametrize("value", [10**9 + 1, 9 * 10**18, 10**30])
def test_a_count_that_no_request_can_reach_is_not_believed(route: Route, value: int) -> None:
    sent, made = NAMES[route]
    found = used(route, {sent: 7, made: value})
    assert found.unreadable or found.implausible == (made,)
    assert found.counts == {Dimension.INPUT: 7}
    assert used(route, {sent: 7, made: reports.MAX_COUNT}).counts[Dimension.OUTPUT] == 10**9


@pytest.mark.parametrize("route", [*NAMES, EMBEDDINGS])
@pytest.mark.parametrize("report", [[], "none", 3, False], ids=str)
def test_a_report_that_is_no_object_is_a_usage_that_is_unknown(route: Route, report: Any) -> None:
    assert used(route, report).unreadable == ("usage",)


def test_embeddings_have_no_output_to_miss() -> None:
    assert used(EMBEDDINGS, {"prompt_tokens": 8}).unreadable == ()
    assert used(EMBEDDINGS, {"total_tokens": 8}).unreadable == ("prompt_tokens",)


def streamed(start: Any, *deltas: Any) -> Usage:
    events = [{"type": "message_start", "message": {"usage": start}}]
    events += [{"type": "message_delta", **({} if delta is ... else {"usage": delta})} for delta in deltas]
    raw = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
    return [frame.usage for frame in MessageReader().feed(raw) if frame.usage is not None][-1]


BEGUN = {"input_tokens": 5, "output_tokens": 1}
UNTOLD: dict[str, list[Any]] = {
    "no end": [],
    "an end without a report": [...],
    "an end with an empty report": [{}],
    "an end whose report leaves the output out": [{"input_tokens": 5}],
    "an end whose output is null": [{"output_tokens": None}],
    "an end whose output is a word": [{"output_tokens": "9"}],
}


@pytest.mark.parametrize("deltas", UNTOLD.values(), ids=UNTOLD.keys())
def test_what_a_message_begins_with_is_not_what_it_cost(deltas: list[Any]) -> None:
    assert streamed(BEGUN, *deltas).unreadable == ("output_tokens",)


def test_an_end_whose_report_is_no_object_is_unknown() -> None:
    assert streamed(BEGUN, {"output_tokens": 3}, "much").unreadable == ("usage",)


def test_counts_of_a_stream_only_grow() -> None:
    begun = {"input_tokens": 50, "output_tokens": 1, "server_tool_use": {"web_search_requests": 3}}
    shrunk = {"input_tokens": 0, "output_tokens": 4, "server_tool_use": {"web_search_requests": 1}}
    found = streamed(begun, shrunk, {"output_tokens": 2})
    assert found.unreadable == ()
    assert found.counts == {Dimension.INPUT: 50, Dimension.OUTPUT: 4, Dimension.WEB_SEARCH_CALL: 3}
