"""What usage costs: exact to the pico-dollar, rounded up once, and never $0 for what has no price."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import prices
from llmgov.prices import document
from llmgov.snapshot import ContextTier, Dimension, ModelPrice
from llmgov.wire.events import Usage

PRICE = ModelPrice(
    provider="openai",
    model="m",
    rates={
        Dimension.INPUT: 2_500_000,
        Dimension.CACHED_INPUT: 1_250_000,
        Dimension.OUTPUT: 10_000_000,
        Dimension.WEB_SEARCH_CALL: 10_000_000_000,
    },
    context_tiers=(ContextTier(1000, {Dimension.INPUT: 5_000_000, Dimension.OUTPUT: 15_000_000}),),
    service_tiers={"flex": 500_000, "priority": 1_700_000},
    regions={"us": 1_100_000},
)

IN, CACHED, OUT, SEARCH = Dimension.INPUT, Dimension.CACHED_INPUT, Dimension.OUTPUT, Dimension.WEB_SEARCH_CALL

COSTS = {
    "nothing": (Usage({}), 0),
    "a thousand tokens in": (Usage({IN: 1000}), 2500),
    "in, cached, out": (Usage({IN: 100, CACHED: 100, OUT: 100}), 250 + 125 + 1000),
    "one token is rounded up": (Usage({IN: 1}), 3),
    "rounded once, not by dimension": (Usage({IN: 1, CACHED: 2}), 5),
    "at the context tier's bound": (Usage({IN: 500, CACHED: 500}), 1250 + 625),
    "beyond it, with the cached rate that the tier leaves": (Usage({IN: 501, CACHED: 500, OUT: 1}), 2505 + 625 + 15),
    "output does not count towards the tier": (Usage({IN: 1000, OUT: 1000}), 2500 + 10_000),
    "flex": (Usage({IN: 1000}, service_tier="flex"), 1250),
    "priority": (Usage({IN: 1000}, service_tier="priority"), 4250),
    "the list price by name": (Usage({IN: 1000}, service_tier="default"), 2500),
    "a region": (Usage({IN: 1000}, region="us"), 2750),
    "a region at the list price": (Usage({IN: 1000}, region="global"), 2500),
    "tier and region multiply": (Usage({IN: 1000}, service_tier="flex", region="us"), 1375),
    "calls are not multiplied": (Usage({IN: 1000, SEARCH: 2}, service_tier="flex", region="us"), 1375 + 20_000),
}


@pytest.mark.parametrize(("usage", "micro"), COSTS.values(), ids=COSTS.keys())
def test_usage_costs(usage: Usage, micro: int) -> None:
    assert prices.cost(usage, PRICE) == micro


UNPRICED = {
    "a dimension": (Usage({Dimension.INPUT_AUDIO: 1}), "inputAudio"),
    "a tier": (Usage({IN: 1}, service_tier="ultrafast"), "the service tier ultrafast"),
    "a field of the report": (Usage({IN: 1}, unpriced=("video_tokens",)), "video_tokens"),
}


@pytest.mark.parametrize(("usage", "what"), UNPRICED.values(), ids=UNPRICED.keys())
def test_what_has_no_price_is_an_error(usage: Usage, what: str) -> None:
    with pytest.raises(prices.UnpricedError) as caught:
        prices.cost(usage, PRICE)
    assert caught.value.what == (what,)
    assert "openai/m has no price for" in str(caught.value)


def test_a_dimension_that_was_not_used_needs_no_price() -> None:
    assert prices.cost(Usage({Dimension.INPUT_AUDIO: 0, IN: 2}), PRICE) == 5


COUNTS = st.dictionaries(st.sampled_from([IN, CACHED, OUT, SEARCH]), st.integers(0, 3_000_000))


@settings(max_examples=200)
@given(counts=COUNTS, tier=st.sampled_from([None, "flex", "priority"]), region=st.sampled_from([None, "us"]))
def test_the_cost_is_the_exact_sum_rounded_up(
    counts: dict[Dimension, int], tier: str | None, region: str | None
) -> None:
    """Oracle: fractions of a dollar, from the prices as published."""
    beyond = counts.get(IN, 0) + counts.get(CACHED, 0) > 1000
    dollars = {
        IN: Fraction("5" if beyond else "2.5") / 10**6,
        CACHED: Fraction("1.25") / 10**6,
        OUT: Fraction("15" if beyond else "10") / 10**6,
    }
    factor = {None: Fraction(1), "flex": Fraction("0.5"), "priority": Fraction("1.7")}[tier]
    tokens = sum(
        (count * dollars[dimension] for dimension, count in counts.items() if dimension in dollars), Fraction(0)
    )
    exact = tokens * factor * (Fraction("1.1") if region else 1) + counts.get(SEARCH, 0) * Fraction(10, 1000)
    assert prices.cost(Usage(counts, service_tier=tier, region=region), PRICE) == -(-exact * 10**6 // 1)


FIGURES = {
    "words": "cheap",
    "a sign": "-1",
    "an exponent": "1e3",
    "finer than a pico-dollar": "0.0000001",
    "nothing": "",
    "digits of another script": "٣",
}


def file(figure: str) -> bytes:
    entry = document.Entry("openai", "m", {IN: figure}, "https://x", "2026-01-01")
    return document.render(document.File("", (entry,)))


@pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES.keys())
def test_a_figure_that_is_not_exact_is_refused(figure: str) -> None:
    with pytest.raises(prices.PriceDataError, match="openai/m"):
        prices.parse(file(figure))


@pytest.mark.parametrize(
    "data", [b"", b"{}", b'{"about":"","models":[{"model":"m"}]}', b'{"about":"","models":[],"x":1}']
)
def test_what_is_no_price_file_is_refused(data: bytes) -> None:
    with pytest.raises(prices.PriceDataError):
        prices.parse(data)


def test_a_published_figure_becomes_an_exact_rate() -> None:
    (price,) = prices.parse(file("0.075")).models
    assert price.rates == {IN: 75_000}


def test_a_model_is_found_by_exact_names_only() -> None:
    part = document.PricePart((ModelPrice("openai", "gpt-4o", {}, aliases=("gpt-4o-2024-08-06",)),))
    assert prices.find(part, "openai", "gpt-4o") is part.models[0]
    assert prices.find(part, "openai", "gpt-4o-2024-08-06") is part.models[0]
    for provider, model in (("openai", "gpt-4o-2099-01-01"), ("openai", "GPT-4o"), ("anthropic", "gpt-4o")):
        assert prices.find(part, provider, model) is None
