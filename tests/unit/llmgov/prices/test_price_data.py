"""The pinned data: whole, plausible, sourced; and the commands that check and renew it."""

import datetime
import json
import sys
import types
from decimal import Decimal
from typing import Any

import pytest

from llmgov import prices
from llmgov.snapshot import Dimension
from llmgov_cli import price_source
from llmgov_cli import prices as commands

NEEDED = [
    ("openai", "gpt-4o"),
    ("openai", "gpt-4o-2024-08-06"),
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4.1"),
    ("openai", "gpt-5"),
    ("openai", "gpt-6-sol"),
    ("openai", "o3"),
    ("openai", "o4-mini"),
    ("openai", "text-embedding-3-small"),
    ("openai", "text-embedding-3-large"),
    ("anthropic", "claude-3-5-haiku-latest"),
    ("anthropic", "claude-sonnet-4-5"),
    ("anthropic", "claude-opus-4-6"),
    ("anthropic", "claude-haiku-5-5"),
]


@pytest.mark.parametrize(("provider", "model"), NEEDED)
def test_a_model_that_people_use_has_a_price(provider: str, model: str) -> None:
    assert prices.find(commands.prices(), provider, model) is not None


def test_the_pinned_data_passes_its_own_check() -> None:
    assert commands.check(commands.load()) == []


def test_figures_are_those_that_are_published() -> None:
    part = commands.prices()
    mini = prices.find(part, "openai", "gpt-4o-mini")
    assert mini is not None
    assert mini.rates[Dimension.CACHED_INPUT] == 75_000
    assert (mini.context_window, mini.max_output_tokens) == (128_000, 16_384)
    sonnet = prices.find(part, "anthropic", "claude-sonnet-4-5-20250929")
    assert sonnet is not None
    assert (sonnet.rates[Dimension.INPUT], sonnet.rates[Dimension.CACHE_WRITE_1H]) == (3_000_000, 6_000_000)
    assert [(tier.above, tier.rates[Dimension.OUTPUT]) for tier in sonnet.context_tiers] == [(200_000, 22_500_000)]


def test_every_model_of_the_overlay_is_pinned() -> None:
    names = {(entry["provider"], entry["model"]) for entry in json.loads(commands.load_overlay())["models"]}
    assert names == {(price.provider, price.model) for price in commands.prices().models}


OVERLAY: list[dict[str, Any]] = json.loads(commands.load_overlay())["models"]


@pytest.mark.parametrize("wish", OVERLAY, ids=[wish["model"] for wish in OVERLAY])
def test_the_overlay_says_where_and_when_a_bound_was_read_or_that_nothing_supports_it(wish: dict[str, Any]) -> None:
    if "boundsSource" in wish:
        assert wish["boundsSource"].startswith("https://")
        assert datetime.date.fromisoformat(wish["boundsAsOf"]) <= datetime.date.fromisoformat(_pinned(wish)["asOf"])
    else:
        assert wish["note"].startswith("No source: ")


@pytest.mark.parametrize("wish", OVERLAY, ids=[wish["model"] for wish in OVERLAY])
def test_what_the_overlay_says_is_pinned(wish: dict[str, Any]) -> None:
    pinned = _pinned(wish)
    said = ("contextWindow", "maxOutputTokens", "imageTokens", "regions", "aliases")
    assert {name: wish[name] for name in said if name in wish} == {name: pinned[name] for name in said if name in wish}
    assert wish.get("rates", {}).items() <= pinned["rates"].items()


def _pinned(wish: dict[str, Any]) -> dict[str, Any]:
    return next(entry for entry in json.loads(commands.load())["models"] if entry["model"] == wish["model"])


def test_no_rate_falls_behind_above_a_context_tier() -> None:
    """What is billed by the token and dearer there is all in the tier: a rate left out would be held too low."""
    for price in commands.prices().models:
        for tier in price.context_tiers:
            for_tokens = {each for each in price.rates if not each.value.endswith("Call")}
            assert for_tokens <= tier.rates.keys(), price.model


def damaged(change: Any) -> bytes:
    data = json.loads(commands.load())
    change(data["models"])
    return (json.dumps(data, indent=2, sort_keys=True) + "\n").encode()


def model(models: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(entry for entry in models if entry["model"] == name)


DAMAGE: dict[str, tuple[Any, str]] = {
    "two models in the wrong order": (lambda models: models.reverse(), "canonical"),
    "a model twice": (lambda models: models.append(model(models, "o3")), "openai/o3 is there twice."),
    "an alias of another model": (
        lambda models: model(models, "o3").update(aliases=["gpt-4o"]),
        "openai/gpt-4o is there twice.",
    ),
    "output cheaper than input": (lambda models: model(models, "o3")["rates"].update(output="1"), "output price"),
    "a slipped decimal point": (lambda models: model(models, "o3")["rates"].update(output="800"), "output price"),
    "free input": (lambda models: model(models, "o3")["rates"].update(input="0"), "no price for input"),
    "a dear cache": (lambda models: model(models, "o3")["rates"].update(cachedInput="3"), "cached price"),
    "a dear cache write": (
        lambda models: model(models, "claude-opus-5")["rates"].update(cacheWrite1h="100"),
        "cache write price",
    ),
    "a window below a tier": (lambda models: model(models, "gpt-6-sol").update(contextWindow=1000), "context window"),
    "a cheap tier": (
        lambda models: model(models, "gpt-6-sol")["contextTiers"][0]["rates"].update(input="0.1"),
        "cheaper",
    ),
    "no source": (lambda models: model(models, "o3").update(source="a friend"), "no source"),
    "no date": (lambda models: model(models, "o3").update(asOf="lately"), "no date"),
    "a figure in words": (lambda models: model(models, "o3")["rates"].update(input="two"), "no decimal number"),
    "an unknown field": (lambda models: model(models, "o3").update(inputt="2"), "inputt"),
}


@pytest.mark.parametrize(("change", "says"), DAMAGE.values(), ids=DAMAGE.keys())
def test_the_check_finds(change: Any, says: str) -> None:
    problems = commands.check(damaged(change))
    assert any(says in problem for problem in problems), problems


class Source:
    """What genai-prices publishes, in its shape, for one model."""

    @staticmethod
    def module() -> types.ModuleType:
        today = types.SimpleNamespace(
            input_mtok=types.SimpleNamespace(
                base=Decimal("2.50"), tiers=[types.SimpleNamespace(start=200, price=Decimal(5))]
            ),
            output_mtok=Decimal(10),
            cache_write_mtok=Decimal("3.125"),
            web_searches_kcount=Decimal(10),
        )
        old = types.SimpleNamespace(input_mtok=Decimal(99), output_mtok=Decimal(99))
        start = types.SimpleNamespace(start_date=datetime.date(2026, 6, 1))
        later = types.SimpleNamespace(start_date=datetime.date(2027, 6, 1))
        variants = [
            types.SimpleNamespace(
                when={"service_tier": "priority"},
                constraint=None,
                prices=types.SimpleNamespace(input_mtok=Decimal(4), output_mtok=Decimal(20)),
            ),
            types.SimpleNamespace(
                when={"service_tier": "flex"}, constraint=later, prices=types.SimpleNamespace(input_mtok=Decimal(1))
            ),
        ]
        model = types.SimpleNamespace(
            id="up",
            context_window=1000,
            price_variants=variants,
            prices=[
                types.SimpleNamespace(constraint=None, prices=old),
                types.SimpleNamespace(constraint=start, prices=today),
                types.SimpleNamespace(constraint=later, prices=old),
            ],
        )
        module = types.ModuleType("genai_prices.data")
        module.providers = [types.SimpleNamespace(id="openai", models=[model])]  # type: ignore[attr-defined]
        return module


WISH = price_source.Wish("openai", "m", "up", "https://x", rates={Dimension.CACHE_WRITE_12H: "6"})
TODAY = datetime.date(2026, 11, 24)


@pytest.fixture
def _published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices", types.ModuleType("genai_prices"))
    monkeypatch.setitem(sys.modules, "genai_prices.data", Source.module())


@pytest.mark.usefixtures("_published")
def test_an_entry_has_what_is_in_force_today_and_what_the_overlay_adds() -> None:
    entry = price_source.entry(WISH, TODAY)
    assert entry.rates == {
        Dimension.INPUT: "2.5",
        Dimension.OUTPUT: "10",
        Dimension.CACHE_WRITE_30M: "3.125",
        Dimension.WEB_SEARCH_CALL: "10",
        Dimension.CACHE_WRITE_12H: "6",
    }
    assert [(tier.above, tier.rates) for tier in entry.context_tiers] == [
        (200, {Dimension.INPUT: "5", Dimension.CACHE_WRITE_12H: "12"})
    ]
    assert entry.service_tiers == {"priority": "2"}
    assert (entry.context_window, entry.as_of) == (1000, "2026-11-24")


@pytest.mark.usefixtures("_published")
def test_an_update_is_a_diff_for_review() -> None:
    overlay = json.dumps(
        {"about": "", "models": [{"provider": "openai", "model": "m", "upstream": "up", "source": "https://x"}]}
    ).encode()
    new = commands.update(overlay, TODAY)
    assert commands.check(new) == []
    assert commands.diff(new, new) == ""
    changed = commands.diff(new, new.replace(b'"2.5"', b'"2"'))
    assert '-        "input": "2.5"' in changed
    assert '+        "input": "2"' in changed


@pytest.mark.usefixtures("_published")
def test_a_model_that_is_not_published_is_an_error() -> None:
    wish = price_source.Wish("openai", "m", "elsewhere", "https://x")
    with pytest.raises(price_source.SourceError, match="openai/elsewhere"):
        price_source.entry(wish, TODAY)


def test_without_the_source_an_update_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "genai_prices.data", None)
    with pytest.raises(price_source.SourceError, match="not installed"):
        price_source.entry(WISH, TODAY)
