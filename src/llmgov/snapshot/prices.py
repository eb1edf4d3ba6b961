"""What models cost and can take."""

import enum

from llmgov.money import PicoUsd
from llmgov.snapshot.base import Struct


class Dimension(enum.Enum):
    """What providers bill. Every number in a usage report belongs to one; one without a price is an error."""

    __hash__ = object.__hash__  # members are single; enum's own hash is Python code, and these are keys of hot tables

    INPUT = "input"
    CACHED_INPUT = "cachedInput"
    CACHE_WRITE_5M = "cacheWrite5m"
    CACHE_WRITE_30M = "cacheWrite30m"
    CACHE_WRITE_1H = "cacheWrite1h"
    CACHE_WRITE_12H = "cacheWriteHalfDay"
    OUTPUT = "output"
    INPUT_AUDIO = "inputAudio"
    CACHED_INPUT_AUDIO = "cachedInputAudio"
    OUTPUT_AUDIO = "outputAudio"
    WEB_SEARCH_CALL = "webSearchCall"
    FILE_SEARCH_CALL = "fileSearchCall"


class ContextTier(Struct, frozen=True):
    """Prices for requests whose input exceeds `above` tokens (long-context surcharge)."""

    above: int
    rates: dict[Dimension, PicoUsd]


class ModelPrice(Struct, frozen=True):
    """What one model costs and can take.

    `rates` are pico-USD a unit; `service_tiers` multiply the rates of tokens (not of calls) in parts per million
    (`priority: 2_000_000`), as does `regions`; `provider/model` is the exact name, `aliases` further exact names (dated
    versions). `image_tokens` is the most that one image can be billed as; `None` means that no rule bounds it, so that
    the context window has to.
    """

    provider: str
    model: str
    rates: dict[Dimension, PicoUsd]
    context_window: int | None = None
    max_output_tokens: int | None = None
    context_tiers: tuple[ContextTier, ...] = ()
    service_tiers: dict[str, int] = {}
    regions: dict[str, int] = {}
    aliases: tuple[str, ...] = ()
    reasoning: bool = False
    image_tokens: int | None = None
    source: str = ""
    as_of: str = ""
