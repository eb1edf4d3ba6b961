"""What an attempt cost: usage times rates, exact, rounded up once."""

from llmgov import money
from llmgov.money import MicroUsd, PicoUsd
from llmgov.prices import multiplier
from llmgov.prices.document import CALLS
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire.events import Usage

INPUTS = frozenset(Dimension) - CALLS - {Dimension.OUTPUT, Dimension.OUTPUT_AUDIO}
"""What counts towards the length of the context: all that was read, cached or not."""


class UnpricedError(ValueError):
    """Usage that has no price, which is never $0: `what` are dimensions, usage fields or a tier of that kind."""

    def __init__(self, price: ModelPrice, what: tuple[str, ...]) -> None:
        super().__init__(f"{price.provider}/{price.model} has no price for {', '.join(what)}")
        self.what = what


def cost(usage: Usage, price: ModelPrice) -> MicroUsd:
    """What the provider bills for this usage.

    Raises:
        UnpricedError: it reports something that this price does not cover.
    """
    rates = rates_for(price, _read(usage)) if price.context_tiers else price.rates
    tier = multiplier.of_tier(price, usage.service_tier)
    missing = [dimension.value for dimension, count in usage.counts.items() if count and dimension not in rates]
    if tier is None:
        missing.append(f"the service tier {usage.service_tier}")
    if tier is None or missing or usage.unpriced:
        raise UnpricedError(price, (*missing, *usage.unpriced))
    tokens = calls = 0
    for dimension, count in usage.counts.items():
        amount = count * rates.get(dimension, 0)
        calls, tokens = (calls + amount, tokens) if dimension in CALLS else (calls, tokens + amount)
    factor = tier * multiplier.of_region(price, usage.region)
    return -(-(tokens * factor + calls * multiplier.ONE**2) // (multiplier.ONE**2 * money.PICO_PER_MICRO))


def _read(usage: Usage) -> int:
    return sum(count for dimension, count in usage.counts.items() if dimension in INPUTS)


def rates_for(price: ModelPrice, input_tokens: int) -> dict[Dimension, PicoUsd]:
    """The rates of a request with so much input: a context tier's, whole, where it exceeds that tier's bound."""
    rates = price.rates
    for tier in price.context_tiers:
        if input_tokens > tier.above:
            rates = price.rates | tier.rates
    return rates
