"""The price file, as people review it: `data.json`, in USD, read into the snapshot's exact integers.

Rates of tokens are decimal strings for a million, those of calls for a thousand, as the providers publish them; tiers
and regions are decimal factors. Nothing is a float.
"""

import re

import msgspec

from llmgov.money import MICRO_PER_USD, PICO_PER_MICRO, PicoUsd
from llmgov.snapshot import ContextTier, Dimension, ModelPrice, PricePart

CALLS = frozenset({Dimension.WEB_SEARCH_CALL, Dimension.FILE_SEARCH_CALL})
"""Dimensions that are billed by the call: priced for a thousand, and not multiplied by tiers and regions."""

PARTS_PER_MILLION = 1_000_000
_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)


class PriceDataError(ValueError):
    """Price data that cannot be read exactly; the message names the model and what is wrong with it."""


class Tier(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Rates that replace the base rates where the input exceeds `above` tokens."""

    above: int
    rates: dict[Dimension, str]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """One model of the file. `source` says where its figures are published, `as_of` when they were read there."""

    provider: str
    model: str
    rates: dict[Dimension, str]
    source: str
    as_of: str
    aliases: tuple[str, ...] = ()
    context_window: int | None = None
    max_output_tokens: int | None = None
    context_tiers: tuple[Tier, ...] = ()
    service_tiers: dict[str, str] = {}
    regions: dict[str, str] = {}
    reasoning: bool = False
    image_tokens: int | None = None


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    about: str
    models: tuple[Entry, ...]


def read(data: bytes) -> File:
    """The file as it is written.

    Raises:
        PriceDataError: not JSON of this shape.
    """
    try:
        return msgspec.json.decode(data, type=File)
    except msgspec.MsgspecError as error:
        raise PriceDataError(str(error)) from error


def parse(data: bytes) -> PricePart:
    """The snapshot's part of prices.

    Raises:
        PriceDataError: not JSON of this shape, or a figure that is no exact number of pico-USD.
    """
    return PricePart(tuple(price(entry) for entry in read(data).models))


def price(entry: Entry) -> ModelPrice:
    """An entry in exact integers.

    Raises:
        PriceDataError: a figure that is no decimal, or finer than a pico-USD or a millionth.
    """
    name = f"{entry.provider}/{entry.model}"
    return ModelPrice(
        provider=entry.provider,
        model=entry.model,
        rates=_rates(entry.rates, name),
        context_window=entry.context_window,
        max_output_tokens=entry.max_output_tokens,
        context_tiers=tuple(
            ContextTier(tier.above, _rates(tier.rates, name))
            for tier in sorted(entry.context_tiers, key=lambda tier: tier.above)
        ),
        service_tiers={tier: _exact(factor, PARTS_PER_MILLION, name) for tier, factor in entry.service_tiers.items()},
        regions={region: _exact(factor, PARTS_PER_MILLION, name) for region, factor in entry.regions.items()},
        aliases=entry.aliases,
        reasoning=entry.reasoning,
        image_tokens=entry.image_tokens,
        source=entry.source,
        as_of=entry.as_of,
    )


def render(file: File) -> bytes:
    """The file's canonical bytes: sorted by provider and model, two spaces, a line feed at the end."""
    models = tuple(sorted(file.models, key=lambda entry: (entry.provider, entry.model)))
    plain = msgspec.to_builtins(msgspec.structs.replace(file, models=models), str_keys=True)
    return msgspec.json.format(msgspec.json.encode(plain, order="sorted"), indent=2) + b"\n"


def _rates(rates: dict[Dimension, str], name: str) -> dict[Dimension, PicoUsd]:
    return {dimension: _rate(dimension, figure, name) for dimension, figure in rates.items()}


def _rate(dimension: Dimension, figure: str, name: str) -> PicoUsd:
    units = 1_000 if dimension in CALLS else 1_000_000
    return _exact(figure, MICRO_PER_USD * PICO_PER_MICRO // units, f"{name} {dimension.value}")


def _exact(figure: str, scale: int, name: str) -> int:
    if not _DECIMAL.fullmatch(figure):
        raise PriceDataError(f"{name}: {figure!r} is no decimal number")
    whole, _, decimals = figure.partition(".")
    divisor: int = 10 ** len(decimals)
    exact, rest = divmod(int(whole + decimals) * scale, divisor)
    if rest:
        raise PriceDataError(f"{name}: {figure} has too many decimals")
    return exact
