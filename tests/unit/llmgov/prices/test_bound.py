"""The bound holds: whatever a provider reports within the facts, it costs no more than was held."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import money, prices
from llmgov.prices import bound
from llmgov.snapshot import ContextTier, Dimension, ModelPrice
from llmgov.wire.events import CostFacts, Usage

IN, CACHED, OUT = Dimension.INPUT, Dimension.CACHED_INPUT, Dimension.OUTPUT
WRITES = (Dimension.CACHE_WRITE_5M, Dimension.CACHE_WRITE_1H, Dimension.CACHE_WRITE_12H)
RATE = st.integers(0, 10**8)
PRICE = ModelPrice("p", "m", {IN: 10, CACHED: 1, OUT: 100}, context_window=1000)


def facts(**fields: Any) -> CostFacts:
    return CostFacts(**({"text_bytes": 50} | fields))


BASES = {
    "text": (facts(), PRICE, 500),
    "overhead": (facts(overhead_tokens=5), PRICE, 550),
    "opaque context": (facts(opaque_context=True), PRICE, 10_000),
    "opaque context below what is sent": (facts(text_bytes=2000, opaque_context=True), PRICE, 20_000),
    "iterations": (facts(opaque_context=True, iterations=3), PRICE, 30_000),
    "an image by the model's rule": (facts(images=2), msgspec.structs.replace(PRICE, image_tokens=7), 640),
    "an image without a rule": (facts(images=1), PRICE, 10_000),
    "a model that takes no images": (facts(images=1), msgspec.structs.replace(PRICE, image_tokens=0), 500),
    "a rejected prediction": (facts(extra_output_tokens=3), PRICE, 800),
}


@pytest.mark.parametrize(("given", "price", "pico"), BASES.values(), ids=BASES.keys())
def test_the_base_is(given: CostFacts, price: ModelPrice, pico: int) -> None:
    assert prices.base(given, price) == pico


def with_rates(**rates: int) -> ModelPrice:
    return msgspec.structs.replace(PRICE, rates=PRICE.rates | {Dimension(name): rate for name, rate in rates.items()})


def test_cache_writes_are_bounded_by_the_dearest_that_is_asked_for() -> None:
    price = with_rates(cacheWrite5m=12, cacheWrite1h=20)
    assert prices.base(facts(), price) == 500
    assert prices.base(facts(cache_writes=frozenset({Dimension.CACHE_WRITE_5M})), price) == 600
    assert prices.base(facts(cache_writes=frozenset({Dimension.CACHE_WRITE_1H})), price) == 1000


def test_writes_that_a_model_makes_unasked_are_always_in_the_bound() -> None:
    assert prices.base(facts(), with_rates(cacheWrite30m=12)) == 600


def test_sound_has_its_own_rate_and_unseen_context_may_be_sound() -> None:
    price = with_rates(inputAudio=30)
    assert prices.base(facts(audio_tokens=10), price) == 800
    assert prices.base(facts(opaque_context=True), price) == 30_000


TIERED = msgspec.structs.replace(
    PRICE,
    service_tiers={"flex": 500_000, "priority": 2_000_000, "fast": 6_000_000},
    regions={"us": 1_100_000},
)
TIERS = {
    "nothing asked: the dearest that a project can be set to": (None, 1100),
    "auto": ("auto", 1100),
    "default": ("default", 550),
    "flex, which may be served as default": ("flex", 550),
    "priority": ("priority", 1100),
    "fast": ("fast", 3300),
}


@pytest.mark.parametrize(("tier", "pico"), TIERS.values(), ids=TIERS.keys())
def test_the_dearest_tier_and_region_that_can_be_got(tier: str | None, pico: int) -> None:
    assert prices.base(facts(service_tier=tier), TIERED) == pico
    assert prices.per_output_token(facts(service_tier=tier), TIERED) * 5 == pico


def test_a_flex_tier_above_the_list_price_is_bounded_too() -> None:
    dear = msgspec.structs.replace(PRICE, service_tiers={"flex": 3_000_000})
    assert prices.base(facts(), dear) == 3 * prices.base(facts(), PRICE)


def test_a_context_tier_counts_as_soon_as_it_can_be_reached() -> None:
    tiered = msgspec.structs.replace(PRICE, context_tiers=(ContextTier(100, {IN: 20, OUT: 300}),))
    assert prices.base(facts(text_bytes=100), tiered) == 1000
    assert prices.base(facts(text_bytes=101), tiered) == 2020
    assert prices.base(facts(text_bytes=51, iterations=2), tiered) == 2040
    assert prices.per_output_token(facts(text_bytes=100), tiered) == 100
    assert prices.per_output_token(facts(text_bytes=101), tiered) == 300
    assert prices.per_output_token(facts(text_bytes=51, iterations=2), tiered) == 300


def test_choices_multiply_the_output_and_embeddings_have_none() -> None:
    assert prices.per_output_token(facts(choices=3), PRICE) == 300
    assert prices.per_output_token(facts(), with_rates(outputAudio=900)) == 900
    assert prices.per_output_token(facts(produces_output=False), ModelPrice("p", "e", {IN: 1})) == 0


def without(dimension: Dimension) -> ModelPrice:
    return msgspec.structs.replace(
        PRICE, rates={key: rate for key, rate in PRICE.rates.items() if key is not dimension}
    )


UNBOUNDED = {
    "no price for input": (facts(), without(IN), "input"),
    "no price for a write": (facts(cache_writes=frozenset({Dimension.CACHE_WRITE_1H})), PRICE, "cacheWrite1h"),
    "no price for sound": (facts(audio_tokens=1), PRICE, "inputAudio"),
    "no price for a call": (facts(calls={Dimension.WEB_SEARCH_CALL: 1}), PRICE, "webSearchCall"),
    "no price for the tier": (facts(service_tier="ultrafast"), PRICE, "ultrafast"),
    "no context window": (facts(opaque_context=True), msgspec.structs.replace(PRICE, context_window=None), "window"),
    "no context window for an image": (facts(images=1), msgspec.structs.replace(PRICE, context_window=None), "window"),
}


@pytest.mark.parametrize(("given", "price", "what"), UNBOUNDED.values(), ids=UNBOUNDED.keys())
def test_what_nothing_bounds_is_an_error(given: CostFacts, price: ModelPrice, what: str) -> None:
    with pytest.raises(prices.BoundError, match=what):
        prices.base(given, price)


def test_output_without_a_price_is_an_error() -> None:
    with pytest.raises(prices.BoundError, match="output"):
        prices.per_output_token(facts(), without(OUT))


@st.composite
def priced(draw: st.DrawFn) -> ModelPrice:
    dimensions = [IN, CACHED, OUT, *WRITES, Dimension.CACHE_WRITE_30M, Dimension.WEB_SEARCH_CALL]
    sound = [Dimension.INPUT_AUDIO, Dimension.CACHED_INPUT_AUDIO, Dimension.OUTPUT_AUDIO]
    bounds = sorted(draw(st.sets(st.integers(1, 3000), max_size=2)))
    return ModelPrice(
        "p",
        "m",
        {dimension: draw(RATE) for dimension in dimensions + sound},
        context_window=draw(st.integers(1, 3000)),
        image_tokens=draw(st.none() | st.integers(0, 300)),
        context_tiers=tuple(
            ContextTier(above, draw(st.dictionaries(st.sampled_from(dimensions[:6] + sound), RATE))) for above in bounds
        ),
        service_tiers={tier: draw(st.integers(0, 7_000_000)) for tier in ("flex", "priority", "fast")},
        regions={"us": draw(st.integers(0, 2_000_000))},
    )


FACTS = st.builds(
    CostFacts,
    text_bytes=st.integers(0, 2000),
    overhead_tokens=st.integers(0, 50),
    images=st.integers(0, 3),
    image_tokens=st.integers(0, 50),
    audio_tokens=st.integers(0, 200),
    extra_output_tokens=st.integers(0, 50),
    choices=st.integers(1, 4),
    opaque_context=st.booleans(),
    iterations=st.integers(1, 4),
    calls=st.dictionaries(st.just(Dimension.WEB_SEARCH_CALL), st.integers(0, 5)),
    cache_writes=st.frozensets(st.sampled_from(WRITES)),
    service_tier=st.sampled_from([None, "auto", "default", "flex", "priority", "fast"]),
    produces_output=st.booleans(),
)


def split(draw: st.DrawFn, most: int, dimensions: list[Dimension]) -> dict[Dimension, int]:
    counts: dict[Dimension, int] = {}
    for dimension in draw(st.permutations(dimensions)):
        counts[dimension] = draw(st.integers(0, most) | st.just(most))
        most -= counts[dimension]
    return counts


@st.composite
def attempts(draw: st.DrawFn) -> tuple[CostFacts, ModelPrice, int, Usage]:
    """A request's facts, a price, an output maximum, and usage that a provider could report for it."""
    price, given_facts = draw(priced()), draw(FACTS)
    maximum = draw(st.integers(0, 500))
    images = given_facts.images * (price.image_tokens or 0)
    text = given_facts.text_bytes + given_facts.overhead_tokens + images + given_facts.image_tokens
    unseen = given_facts.opaque_context or (given_facts.images and price.image_tokens is None)
    text = max(text, price.context_window or 0) if unseen else text
    reads = [IN, CACHED, Dimension.CACHE_WRITE_30M, *sorted(given_facts.cache_writes, key=str)]
    counts = split(draw, text * given_facts.iterations, reads)
    sounds = split(draw, given_facts.audio_tokens * given_facts.iterations, [Dimension.INPUT_AUDIO])
    if given_facts.audio_tokens:
        sounds = split(
            draw,
            given_facts.audio_tokens * given_facts.iterations,
            [Dimension.INPUT_AUDIO, Dimension.CACHED_INPUT_AUDIO],
        )
    out = (maximum if given_facts.produces_output else 0) + given_facts.extra_output_tokens
    counts |= sounds | split(draw, out * given_facts.choices, [OUT, Dimension.OUTPUT_AUDIO])
    counts |= {call: draw(st.integers(0, most)) for call, most in given_facts.calls.items()}
    asked = given_facts.service_tier
    echoes = [None, "default", "flex", "priority"] if asked in (None, "auto") else [None, "default", asked]
    usage = Usage(counts, service_tier=draw(st.sampled_from(echoes)), region=draw(st.sampled_from([None, "us", "eu"])))
    return given_facts, price, maximum, usage


@settings(max_examples=150)
@given(attempts())
def test_no_usage_within_the_facts_costs_more_than_the_bound(
    attempt: tuple[CostFacts, ModelPrice, int, Usage],
) -> None:
    given_facts, price, maximum, usage = attempt
    held = prices.base(given_facts, price) + maximum * prices.per_output_token(given_facts, price)
    assert prices.cost(usage, price) <= money.round_up(held)


PLAIN_FACTS = st.builds(
    CostFacts,
    text_bytes=st.integers(0, 2000),
    overhead_tokens=st.integers(0, 50),
    choices=st.integers(1, 4),
    produces_output=st.booleans(),
)


@given(PLAIN_FACTS | FACTS, priced(), st.booleans())
def test_the_terms_of_a_price_bound_plain_requests_as_the_price_does(
    given_facts: CostFacts, price: ModelPrice, flat: bool
) -> None:
    price = msgspec.structs.replace(price, context_tiers=()) if flat else price
    terms = bound.plain(price)
    assert (terms is None) == bool(price.context_tiers)
    if terms is not None and bound.is_plain(given_facts):
        exact = prices.base(given_facts, price), prices.per_output_token(given_facts, price)
        assert bound.of_plain(given_facts, terms) == exact


NOT_PLAIN: dict[str, Any] = {
    "overhead_tokens": None,
    "choices": None,
    "produces_output": None,
    "refused": None,
    "text_bytes": None,
    "images": 1,
    "image_tokens": 1,
    "audio_tokens": 1,
    "extra_output_tokens": 1,
    "opaque_context": True,
    "iterations": 2,
    "calls": {Dimension.WEB_SEARCH_CALL: 1},
    "cache_writes": frozenset({Dimension.CACHE_WRITE_1H}),
    "service_tier": "",
}


@pytest.mark.parametrize("field", CostFacts.__struct_fields__)
def test_every_fact_is_a_part_of_the_terms_or_not_plain(field: str) -> None:
    value = NOT_PLAIN[field]
    assert value is None or not bound.is_plain(facts(**{field: value}))


@pytest.mark.parametrize("dimension", [IN, OUT])
def test_a_price_without_a_rate_has_no_terms(dimension: Dimension) -> None:
    assert bound.plain(without(dimension)) is None
