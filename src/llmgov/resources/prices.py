"""Prices in YAML: USD for a million tokens, or for one call, as decimal strings."""

from pydantic import Field

from llmgov import money
from llmgov.money import PicoUsd
from llmgov.prices.document import CALLS
from llmgov.resources import scalars
from llmgov.resources.base import Model
from llmgov.snapshot import Dimension


class Rates(Model):
    """What each billed dimension costs. A dimension that is used but has no price stops requests: never $0."""

    input: scalars.Amount
    """USD for a million input tokens."""
    output: scalars.Amount
    """USD for a million output tokens."""
    cached_input: scalars.Amount | None = None
    """USD for a million input tokens read from the prompt cache."""
    cache_write_5m: scalars.Amount | None = Field(default=None, alias="cacheWrite5m")
    """USD for a million input tokens written to the five-minute cache."""
    cache_write_30m: scalars.Amount | None = Field(default=None, alias="cacheWrite30m")
    """USD for a million input tokens written to the half-hour cache."""
    cache_write_1h: scalars.Amount | None = Field(default=None, alias="cacheWrite1h")
    """USD for a million input tokens written to the one-hour cache."""
    # kubectl sorts by 12h < 1h < 5m < 12h: with that name it printed, and so compared, the three in an order of chance.
    cache_write_12h: scalars.Amount | None = Field(default=None, alias="cacheWriteHalfDay")
    """USD for a million input tokens written to the twelve-hour cache."""
    input_audio: scalars.Amount | None = None
    """USD for a million tokens of audio input."""
    cached_input_audio: scalars.Amount | None = None
    """USD for a million tokens of audio input read from the prompt cache."""
    output_audio: scalars.Amount | None = None
    """USD for a million tokens of audio output."""
    web_search_call: scalars.Amount | None = None
    """USD for one call of the provider's web search."""
    file_search_call: scalars.Amount | None = None
    """USD for one call of the provider's file search."""

    def in_pico(self) -> dict[Dimension, PicoUsd]:
        """The rates as the data plane counts: pico-USD a token, or a call."""
        written = self.model_dump(by_alias=True, exclude_none=True)
        return {Dimension(name): _pico(Dimension(name), amount) for name, amount in written.items()}


def _pico(dimension: Dimension, amount: str) -> PicoUsd:
    """Micro-USD for a million tokens are pico-USD for one."""
    micro = money.parse_amount(amount)
    return micro * money.PICO_PER_MICRO if dimension in CALLS else micro


class Tier(Model):
    """Prices of requests with a long input."""

    above: scalars.Count
    """The tier is for inputs of more tokens than this."""
    rates: Rates
    """What such a request costs, all of it."""


class FallbackPrice(Model):
    """The price of models that nobody knows the price of: as dear as you fear."""

    rates: Rates
    """What such a model costs at most."""
    context_window: scalars.Count | None = None
    """How many tokens such a model takes at most."""
    max_output_tokens: scalars.Count | None = None
    """How many tokens such a model writes at most."""


class Price(Model):
    """The price of one model of this provider."""

    model: scalars.ModelName
    """The model's exact name."""
    rates: Rates
    """What it costs."""
    context_window: scalars.Count | None = None
    """How many tokens it takes."""
    max_output_tokens: scalars.Count | None = None
    """How many tokens it writes."""
    context_tiers: tuple[Tier, ...] | None = Field(default=None, max_length=8)
    """Dearer rates of long inputs."""
    reasoning: bool | None = None
    """Whether it bills hidden tokens of thinking as output."""
