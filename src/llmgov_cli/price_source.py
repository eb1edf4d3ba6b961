"""Reading published prices from genai-prices, where it is installed, into entries of our price file."""

import datetime
import importlib
import math
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from llmgov.prices.document import Entry, Tier
from llmgov.snapshot import Dimension

_RATES = {
    "input_mtok": Dimension.INPUT,
    "cache_read_mtok": Dimension.CACHED_INPUT,
    "output_mtok": Dimension.OUTPUT,
    "input_audio_mtok": Dimension.INPUT_AUDIO,
    "cache_audio_read_mtok": Dimension.CACHED_INPUT_AUDIO,
    "output_audio_mtok": Dimension.OUTPUT_AUDIO,
    "web_searches_kcount": Dimension.WEB_SEARCH_CALL,
    "storage_searches_kcount": Dimension.FILE_SEARCH_CALL,
}
_CACHE_WRITES = {
    "anthropic": {"cache_write_mtok": Dimension.CACHE_WRITE_5M, "cache_write_1h_mtok": Dimension.CACHE_WRITE_1H},
    "openai": {"cache_write_mtok": Dimension.CACHE_WRITE_30M},
}
_TIER_KEYS = ("service_tier", "speed", "processing")


class SourceError(ValueError):
    """The published data cannot be had, or lacks what the overlay asks for."""


class Wish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """One model of the overlay: its name upstream, and what the published data lacks.

    `bounds_source` and `bounds_as_of` say where and when its window and maxima were read, `note` what nothing supports.
    """

    provider: str
    model: str
    upstream: str
    source: str
    aliases: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    image_tokens: int | None = None
    reasoning: bool = False
    rates: dict[Dimension, str] = {}
    service_tiers: dict[str, str] = {}
    regions: dict[str, str] = {}
    bounds_source: str = ""
    bounds_as_of: str = ""
    note: str = ""


class Overlay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The overlay file."""

    about: str
    models: tuple[Wish, ...]


def entry(wish: Wish, today: datetime.date) -> Entry:
    """The entry for one model, at the prices that are in force on this day.

    Raises:
        SourceError: genai-prices is not installed, or does not have the model.
    """
    model = _model(wish)
    published = _in_force(model.prices, today)
    names = _RATES | _CACHE_WRITES[wish.provider]
    base = {dimension: figure for name, dimension in names.items() if (figure := _base(published, name)) is not None}
    return Entry(
        provider=wish.provider,
        model=wish.model,
        rates={dimension: _plain(figure) for dimension, figure in base.items()} | wish.rates,
        source=wish.source,
        as_of=today.isoformat(),
        aliases=wish.aliases,
        context_window=wish.context_window or model.context_window,
        max_output_tokens=wish.max_output_tokens,
        context_tiers=tuple(_added(tier, base, wish.rates) for tier in _context_tiers(published, names)),
        service_tiers=_service_tiers(model, base, names, today) | wish.service_tiers,
        regions=wish.regions,
        reasoning=wish.reasoning,
        image_tokens=wish.image_tokens,
    )


def _model(wish: Wish) -> Any:
    try:
        providers = importlib.import_module("genai_prices.data").providers
    except ImportError as error:
        raise SourceError("genai-prices is not installed; it is needed for an update only") from error
    for provider in providers:
        for model in provider.models:
            if (provider.id, model.id) == (wish.provider, wish.upstream):
                return model
    raise SourceError(f"genai-prices has no {wish.provider}/{wish.upstream}")


def _in_force(prices: Any, today: datetime.date) -> Any:
    if not isinstance(prices, list):
        return prices
    return next(price.prices for price in reversed(prices) if _applies(price.constraint, today))


def _applies(constraint: Any, today: datetime.date) -> bool:
    if constraint is None:
        return True
    start = getattr(constraint, "start_date", None)
    if start is None:
        raise SourceError("a price that changes within the day cannot be pinned")
    return bool(start <= today)


def _base(published: Any, name: str) -> Decimal | None:
    figure = getattr(published, name, None)
    return getattr(figure, "base", figure)


def _context_tiers(published: Any, names: dict[str, Dimension]) -> tuple[Tier, ...]:
    starts = sorted({tier.start for name in names for tier in _tiers(published, name)})
    return tuple(Tier(above=start, rates=dict(_rates_above(published, names, start))) for start in starts)


def _added(tier: Tier, base: dict[Dimension, Decimal], rates: dict[Dimension, str]) -> Tier:
    """A tier with the overlay's rates as well, each as many times its base rate as input is there.

    Providers raise what goes in by one factor; a rate that a tier lacks would be billed above what was held for it.
    """
    if not rates or Dimension.INPUT not in tier.rates:
        return tier
    factor = Fraction(tier.rates[Dimension.INPUT]) / Fraction(base[Dimension.INPUT])
    missing = {dimension: rate for dimension, rate in rates.items() if dimension not in tier.rates}
    return Tier(tier.above, tier.rates | {name: _times(rate, factor) for name, rate in missing.items()})


def _times(rate: str, factor: Fraction) -> str:
    """Exact, or rounded up to a millionth."""
    return _plain(Decimal(math.ceil(Fraction(rate) * factor * 1_000_000)) / 1_000_000)


def _rates_above(published: Any, names: dict[str, Dimension], start: int) -> Iterator[tuple[Dimension, str]]:
    for name, dimension in names.items():
        reached = [tier for tier in _tiers(published, name) if tier.start <= start]
        if reached:
            yield dimension, _plain(max(reached, key=lambda tier: tier.start).price)


def _tiers(published: Any, name: str) -> list[Any]:
    return list(getattr(getattr(published, name, None), "tiers", ()))


def _service_tiers(
    model: Any, base: dict[Dimension, Decimal], names: dict[str, Dimension], today: datetime.date
) -> dict[str, str]:
    """Each tier as one factor: the largest that any of its rates is of the base rate, since published rates are rounded
    and a factor must not count less than is billed."""
    factors: dict[str, str] = {}
    for variant in getattr(model, "price_variants", None) or ():
        word = next((variant.when[key] for key in _TIER_KEYS if key in variant.when), None)
        rates = {names[name]: figure for name in names if (figure := _base(variant.prices, name)) is not None}
        if word is None or not rates or not _applies(variant.constraint, today):
            continue
        most = max(Fraction(figure) / Fraction(base[dimension]) for dimension, figure in rates.items())
        factors[word] = _plain(Decimal(math.ceil(most * 1_000_000)) / 1_000_000)
    return factors


def _plain(figure: Decimal) -> str:
    text = f"{figure:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
