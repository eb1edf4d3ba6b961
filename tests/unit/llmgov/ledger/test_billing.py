"""Whatever a provider reports, an attempt can be put on record, and is never free for being unclear."""

import json
import sqlite3
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.audit import canonical, facts
from llmgov.ledger import billing
from llmgov.ledger.messages import Outcome, Settlement
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire import formats
from llmgov.wire.events import CostFacts, Format, Operation, Route, Usage

PRICE = ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 2_500_000, Dimension.OUTPUT: 10_000_000})
DEAR = ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 10**18, Dimension.OUTPUT: 10**18, Dimension.CACHED_INPUT: 1})
HOLD = 30_000
ROUTES = (
    Route(Format.OPENAI, Operation.CHAT_COMPLETIONS, "/chat/completions"),
    Route(Format.OPENAI, Operation.RESPONSES, "/responses"),
    Route(Format.OPENAI, Operation.EMBEDDINGS, "/embeddings"),
    Route(Format.ANTHROPIC, Operation.MESSAGES, "/v1/messages"),
)
NAMES = st.sampled_from(
    ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "cache_creation_input_tokens", "video\0\n")
)
SECTIONS = st.sampled_from(
    ("prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "cache_creation", "server_tool_use")
)
DETAILS = st.sampled_from(("cached_tokens", "audio_tokens", "ephemeral_1h_input_tokens", "web_search_requests", "new"))
COUNTS: st.SearchStrategy[Any] = st.one_of(
    st.integers(0, 100),
    st.sampled_from((10**9, 10**9 + 1, 2**31, 2**63 - 1, 2**63, 2**64, 9 * 10**18, 10**40)),
    st.sampled_from((None, -1, "3", 1.5, 1e30, True, [1])),
)
REPORTS: st.SearchStrategy[Any] = st.one_of(
    COUNTS,
    st.builds(
        lambda plain, nested: {**plain, **nested},
        st.dictionaries(NAMES, COUNTS),
        st.dictionaries(SECTIONS, st.one_of(COUNTS, st.dictionaries(DETAILS, COUNTS))),
    ),
)


CHAT, RESPONSES, _, MESSAGES = ROUTES
UNLIKELY: dict[str, tuple[Route, dict[str, Any]]] = {
    "nothing at all": (CHAT, {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}),
    "no output": (CHAT, {"prompt_tokens": 9, "completion_tokens": 0}),
    "no input": (CHAT, {"prompt_tokens": 0, "completion_tokens": 9}),
    "more cached than sent": (
        CHAT,
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}},
    ),
    "more reasoning than output": (
        CHAT,
        {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 50}},
    ),
    "a response of nothing": (RESPONSES, {"input_tokens": 0, "output_tokens": 0}),
    "more cached than sent in a response": (
        RESPONSES,
        {"input_tokens": 10, "output_tokens": 5, "input_tokens_details": {"cached_tokens": 11}},
    ),
    "more reasoning than a response": (
        RESPONSES,
        {"input_tokens": 10, "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 6}},
    ),
    "a message of nothing": (MESSAGES, {"input_tokens": 0, "output_tokens": 0}),
    "more thinking than output": (
        MESSAGES,
        {"input_tokens": 9, "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 6}},
    ),
}
HONEST: dict[str, tuple[Route, dict[str, Any], dict[Dimension, int]]] = {
    "all of the input cached": (
        CHAT,
        {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10}},
        {Dimension.CACHED_INPUT: 10, Dimension.OUTPUT: 5},
    ),
    "audio that was cached": (
        CHAT,
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 4},
        },
        {Dimension.CACHED_INPUT: 10, Dimension.INPUT_AUDIO: 4, Dimension.OUTPUT: 5},
    ),
    "reasoning beside the output": (
        CHAT,
        {
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "total_tokens": 65,
            "completion_tokens_details": {"reasoning_tokens": 50},
        },
        {Dimension.INPUT: 10, Dimension.OUTPUT: 55},
    ),
    "a message wholly from the cache": (
        MESSAGES,
        {"input_tokens": 0, "cache_read_input_tokens": 9, "output_tokens": 5},
        {Dimension.CACHED_INPUT: 9, Dimension.OUTPUT: 5},
    ),
}
ALL_PRICED = ModelPrice("openai", "gpt-4o", dict.fromkeys(Dimension, 1_000_000))


def reported(route: Route, report: dict[str, Any]) -> Usage:
    usage = formats.parse_answer(route, 200, json.dumps({"usage": report}).encode()).usage
    assert usage is not None
    return usage


@pytest.mark.parametrize(("route", "report"), UNLIKELY.values(), ids=UNLIKELY.keys())
def test_a_report_that_no_answer_can_have_is_charged_the_hold_and_told(route: Route, report: dict[str, Any]) -> None:
    bill = billing.bill(reported(route, report), ALL_PRICED, HOLD, CostFacts(9), produced=True)
    assert (bill.outcome, bill.cost) == (Outcome.UNKNOWN, HOLD)
    assert bill.doubt is not None
    assert not bill.doubt.stops


@pytest.mark.parametrize(("route", "report", "counts"), HONEST.values(), ids=HONEST.keys())
def test_a_strange_report_of_an_honest_provider_is_believed(
    route: Route, report: dict[str, Any], counts: dict[Dimension, int]
) -> None:
    bill = billing.bill(reported(route, report), ALL_PRICED, HOLD, CostFacts(9), produced=True)
    assert (bill.outcome, bill.usage, bill.doubt) == (Outcome.SETTLED, counts, None)


def test_where_nothing_was_made_nothing_need_be_reported() -> None:
    nothing = reported(CHAT, {"prompt_tokens": 0, "completion_tokens": 0})
    assert billing.bill(nothing, ALL_PRICED, HOLD, CostFacts(9)).cost == 0
    assert billing.bill(nothing, None, HOLD, CostFacts(9), produced=True).doubt is None
    embedded = reported(ROUTES[2], {"prompt_tokens": 3, "total_tokens": 3})
    facts = CostFacts(9, produces_output=False)
    assert billing.bill(embedded, ALL_PRICED, HOLD, facts, produced=True).doubt is None


def settled(bill: billing.Bill) -> Settlement:
    stop = bill.doubt.what if bill.doubt is not None else ""
    return Settlement("a/1", 1, bill.outcome, bill.cost, bill.usage, 200, "gpt-4o", 1, bill.cost > HOLD, stop)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ROUTES), REPORTS, st.sampled_from((PRICE, DEAR, None)), st.sampled_from((None, "flex", "\x1b")))
def test_every_report_that_can_be_read_can_be_put_on_record(
    route: Route, report: Any, price: ModelPrice | None, tier: str | None
) -> None:
    body = json.dumps({"usage": report, "service_tier": tier}).encode()
    usage = formats.parse_answer(route, 200, body).usage
    if usage is None:
        return
    bill = billing.bill(usage, price, HOLD)
    settlement = settled(bill)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(settlement), type=Settlement) == settlement
    assert canonical.encode(cast("canonical.Json", facts.of(settlement)))
    with sqlite3.connect(":memory:") as connection:
        values = (1000 * bill.cost, *(1000 * count for count in bill.usage.values()))
        for value in values:
            assert connection.execute("SELECT ? + 0", (value,)).fetchone() == (value,)
    connection.close()
    assert settlement.stop.isprintable()
    assert len(settlement.stop) < 400
    if bill.outcome is not Outcome.SETTLED:
        assert (bill.cost, bill.doubt is not None) == (HOLD, True)


DOUBTS: dict[str, tuple[Usage, tuple[str, bool]]] = {
    "a count is missing": (Usage({}, unreadable=("prompt_tokens",)), ("usage_unreadable", False)),
    "a count is beyond belief": (Usage({}, implausible=("prompt_tokens",)), ("usage_implausible", True)),
    "both": (Usage({}, unreadable=("a",), implausible=("b",)), ("usage_implausible", True)),
    "a dimension has no price": (Usage({Dimension.INPUT_AUDIO: 1}), ("usage_unpriced", True)),
    "a field is not known": (Usage({Dimension.INPUT: 1}, unpriced=("video_tokens",)), ("usage_unpriced", True)),
    "a tier has no price": (Usage({Dimension.INPUT: 1}, service_tier="gold"), ("usage_unpriced", True)),
}


@pytest.mark.parametrize(("usage", "expected"), DOUBTS.values(), ids=DOUBTS.keys())
def test_what_is_not_believed_costs_the_hold(usage: Usage, expected: tuple[str, bool]) -> None:
    bill = billing.bill(usage, PRICE, HOLD)
    assert (bill.outcome, bill.cost) == (Outcome.UNKNOWN, HOLD)
    assert bill.doubt is not None
    assert (bill.doubt.reason, bill.doubt.stops) == expected


def test_a_cost_beyond_belief_is_the_hold_and_stops_the_model() -> None:
    usage = Usage({Dimension.INPUT: 10**9})
    bill = billing.bill(usage, DEAR, HOLD)
    assert (bill.outcome, bill.cost) == (Outcome.UNKNOWN, HOLD)
    assert bill.doubt is not None
    assert bill.doubt.stops


def test_a_cost_within_its_hold_is_believed_however_large() -> None:
    usage = Usage({Dimension.INPUT: 10**6})
    assert billing.bill(usage, DEAR, 10**18).cost == 10**18


def test_an_overrun_is_recorded_whole() -> None:
    bill = billing.bill(Usage({Dimension.INPUT: 10**6}), PRICE, HOLD)
    assert (bill.outcome, bill.cost, bill.doubt) == (Outcome.SETTLED, 2_500_000, None)


MINI = ModelPrice(
    "openai",
    "gpt-4o-mini",
    {Dimension.INPUT: 150_000, Dimension.OUTPUT: 600_000},
    context_window=128_000,
    max_output_tokens=16_384,
)


@pytest.mark.parametrize(
    ("tokens", "outcome", "cost"),
    [(128_000, Outcome.SETTLED, 19_200), (128_001, Outcome.UNKNOWN, HOLD // 10), (10**9, Outcome.UNKNOWN, HOLD // 10)],
    ids=["an overrun up to the window counts", "a token beyond it is a fault", "and so is a thousand million"],
)
def test_no_more_is_believed_than_the_model_can_read(tokens: int, outcome: Outcome, cost: int) -> None:
    bill = billing.bill(Usage({Dimension.INPUT: tokens}), MINI, HOLD // 10, CostFacts(text_bytes=80))
    assert (bill.outcome, bill.cost) == (outcome, cost)
    if outcome is Outcome.UNKNOWN:
        assert bill.doubt is not None
        assert (bill.doubt.reason, bill.doubt.stops, bill.doubt.counts) == ("usage_implausible", True, False)
        assert f"{tokens} input tokens where 128000 are possible" in bill.doubt.what


def test_what_costs_no_more_than_its_hold_is_believed_whatever_the_window() -> None:
    usage = Usage({Dimension.INPUT: 200_000})
    assert billing.bill(usage, MINI, 30_000, CostFacts(text_bytes=80)).cost == 30_000


def test_names_of_a_providers_choosing_are_cut_and_printable() -> None:
    bill = billing.bill(Usage({}, unpriced=("\x1b[31m" + "x" * 5000,)), PRICE, HOLD)
    assert bill.doubt is not None
    assert bill.doubt.what.isprintable()
    assert len(bill.doubt.what) < 300
