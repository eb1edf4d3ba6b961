"""The most that a request can cost: what is held before it is dispatched (design section 5, step 4).

`base + n * per_output_token` pico-USD bounds the cost of an attempt whose answer is at most `n` tokens long (a choice).
"""

from collections.abc import Collection

import msgspec

from llmgov.money import PicoUsd
from llmgov.prices import cost, multiplier
from llmgov.prices.document import CALLS
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire.events import CostFacts

_READ = (Dimension.CACHED_INPUT, Dimension.CACHE_WRITE_30M)
"""What any input may be billed as, too: cached, or (where the model's price has it) written to the cache unasked."""

_UNSEEN = (*_READ, Dimension.INPUT_AUDIO, Dimension.CACHED_INPUT_AUDIO)
"""The same for context that nobody can see here, which may be sound."""

_ONES = multiplier.ONE**2

_Rates = dict[Dimension, PicoUsd]


class BoundError(ValueError):
    """Nothing bounds the request's cost at this price; the message says what is missing."""


class Plain(msgspec.Struct, frozen=True):
    """What a price says of all plain requests (`is_plain`): pico-USD for a token of the body and of the answer, before
    the factor, in `multiplier.ONE` squared, of the dearest tier and region that they can get."""

    text: PicoUsd
    output: PicoUsd
    factor: int


def plain(price: ModelPrice) -> Plain | None:
    """The price's terms for plain requests, `None` where it has none: where rates are missing, or vary with length."""
    if price.context_tiers or Dimension.INPUT not in price.rates or Dimension.OUTPUT not in price.rates:
        return None
    rates = [price.rates]
    tier = multiplier.dearest_tier(price, None)
    assert tier is not None, "what asks for no tier gets one"
    text = _dearest(rates, (Dimension.INPUT,), _READ)
    return Plain(text, _output_rate(rates), tier * multiplier.dearest_region(price))


def is_plain(facts: CostFacts) -> bool:
    """Whether text is all that is sent, in one run of the model, and no service tier is asked for."""
    return not (
        facts.service_tier is not None
        or facts.images
        or facts.opaque_context
        or facts.iterations != 1
        or facts.calls
        or facts.cache_writes
        or facts.image_tokens
        or facts.audio_tokens
        or facts.extra_output_tokens
    )


def of_plain(facts: CostFacts, terms: Plain) -> tuple[PicoUsd, PicoUsd]:
    """`both` for plain facts."""
    text = (facts.text_bytes + facts.overhead_tokens) * terms.text
    each = facts.choices * terms.output if facts.produces_output else 0
    return -(-text * terms.factor // _ONES), -(-each * terms.factor // _ONES)


def base(facts: CostFacts, price: ModelPrice) -> PicoUsd:
    """The most that all but the answer's own tokens can cost: input, server tools' calls, output beyond the maximum.

    Raises:
        BoundError: the price lacks a rate, a context window or a tier that the facts ask for.
    """
    text = _text(facts, price)
    return _base(facts, price, text, _reachable(price, (text + facts.audio_tokens) * facts.iterations))


def per_output_token(facts: CostFacts, price: ModelPrice) -> PicoUsd:
    """The most that one more token of the answer can cost, in all its choices.

    Raises:
        BoundError: as `base`.
    """
    if not facts.produces_output:
        return 0
    reachable = _reachable(price, (_text(facts, price) + facts.audio_tokens) * facts.iterations)
    return _per_output_token(facts, price, reachable)


def both(facts: CostFacts, price: ModelPrice) -> tuple[PicoUsd, PicoUsd]:
    """`base` and `per_output_token`, for the work of little more than one of them."""
    text = _text(facts, price)
    reachable = _reachable(price, (text + facts.audio_tokens) * facts.iterations)
    each = _per_output_token(facts, price, reachable) if facts.produces_output else 0
    return _base(facts, price, text, reachable), each


def _base(facts: CostFacts, price: ModelPrice, text: int, reachable: list[_Rates]) -> PicoUsd:
    sound, possible = facts.audio_tokens, _UNSEEN if facts.opaque_context else _READ
    inputs = text * _dearest(reachable, (Dimension.INPUT, *facts.cache_writes), possible)
    if sound:
        inputs += sound * _dearest(reachable, (Dimension.INPUT_AUDIO,), (Dimension.CACHED_INPUT_AUDIO,))
    extra = facts.extra_output_tokens * _output_rate(reachable) * facts.choices if facts.extra_output_tokens else 0
    return _multiplied(inputs * facts.iterations + extra, facts, price) + _calls(facts, price)


def _per_output_token(facts: CostFacts, price: ModelPrice, reachable: list[_Rates]) -> PicoUsd:
    return _multiplied(_output_rate(reachable) * facts.choices, facts, price)


def _text(facts: CostFacts, price: ModelPrice) -> int:
    """Tokens of one run's input, sound apart: no text has more tokens than bytes, no input more than the window.

    Where no rule bounds an image (some models count every pixel of any size), the window does.
    """
    seen = facts.text_bytes + facts.overhead_tokens + facts.images * (price.image_tokens or 0) + facts.image_tokens
    unseen = facts.opaque_context or (facts.images and price.image_tokens is None)
    return max(seen, _window(price)) if unseen else seen


def _window(price: ModelPrice) -> int:
    if price.context_window is None:
        raise BoundError("the model's context window is not known, and nothing else bounds what the provider will read")
    return price.context_window


def _reachable(price: ModelPrice, most_input: int) -> list[_Rates]:
    """The rates that may apply, however much of the bound is used: the base rates, and each tier's it can reach."""
    if not price.context_tiers:
        return [price.rates]
    tiers = (tier for tier in price.context_tiers if most_input > tier.above)
    return [price.rates, *(cost.rates_for(price, tier.above + 1) for tier in tiers)]


def _dearest(reachable: list[_Rates], needed: Collection[Dimension], possible: Collection[Dimension]) -> PicoUsd:
    missing = [dimension.value for dimension in needed if dimension not in reachable[0]]
    if missing:
        raise BoundError(f"the model has no price for {', '.join(sorted(missing))}")
    return max(rates[dimension] for rates in reachable for dimension in (*needed, *possible) if dimension in rates)


def _output_rate(reachable: list[_Rates]) -> PicoUsd:
    return _dearest(reachable, (Dimension.OUTPUT,), (Dimension.OUTPUT_AUDIO,))


def _calls(facts: CostFacts, price: ModelPrice) -> PicoUsd:
    if not facts.calls:
        return 0
    missing = [dimension.value for dimension in facts.calls if dimension in CALLS and dimension not in price.rates]
    if missing:
        raise BoundError(f"the model has no price for {', '.join(missing)}")
    return sum(count * price.rates[dimension] for dimension, count in facts.calls.items())


def _multiplied(amount: PicoUsd, facts: CostFacts, price: ModelPrice) -> PicoUsd:
    tier = multiplier.dearest_tier(price, facts.service_tier)
    if tier is None:
        raise BoundError(f"the model has no price for the service tier {facts.service_tier}")
    return -(-amount * tier * multiplier.dearest_region(price) // _ONES)
