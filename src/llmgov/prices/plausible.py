"""The most that a provider can honestly report of one attempt: what the model can take and make (design section 5,
step 8).

Far above what is held (the request's own bytes and maximum), and far below what only a fault reports: usage in between
is an overrun, which counts; beyond it the report says nothing of what was billed.
"""

from collections.abc import Iterator
from typing import Final

from llmgov.prices.document import CALLS
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire.events import CostFacts, Usage

MAX_CALLS: Final = 1000
"""No provider states a maximum of a server tool's calls in one answer; none makes nearly so many unasked."""

_OUTPUT = frozenset({Dimension.OUTPUT, Dimension.OUTPUT_AUDIO})


def excess(usage: Usage, facts: CostFacts, price: ModelPrice) -> tuple[str, ...]:
    """What of a report cannot be, each as `1000 input tokens where 100 are possible`; nothing where all can.

    Input, cached or not, is the context window for each run of the model (or what was sent, if that is more: a list of
    texts to embed); output the model's maximum for each choice. What the price does not know is not bounded here.
    """
    return tuple(_excess(usage, facts, price))


def _excess(usage: Usage, facts: CostFacts, price: ModelPrice) -> Iterator[str]:
    tokens = {dimension: count for dimension, count in usage.counts.items() if dimension not in CALLS}
    made = sum(count for dimension, count in tokens.items() if dimension in _OUTPUT)
    read = sum(tokens.values()) - made
    if price.context_window is not None:
        yield from _beyond(read, max(price.context_window, _sent(facts)) * facts.iterations, "input tokens")
    if price.max_output_tokens is not None:
        each = price.max_output_tokens + facts.extra_output_tokens
        yield from _beyond(made, each * facts.choices, "output tokens")
    for dimension in sorted(CALLS & usage.counts.keys(), key=lambda each: each.value):
        possible = max(facts.calls.get(dimension, 0), MAX_CALLS)
        yield from _beyond(usage.counts[dimension], possible, f"{dimension.value}s")


def missing(usage: Usage, *, answered: bool) -> tuple[str, ...]:
    """What a report of work that was done lacks: whoever was billed has sent something, and, where `answered` says that
    the model wrote, got something. All of the input may have come from a cache."""
    tokens = {dimension for dimension, count in usage.counts.items() if count and dimension not in CALLS}
    lacks = [] if tokens - _OUTPUT else ["input tokens"]
    if answered and not tokens & _OUTPUT:
        lacks.append("output tokens")
    return tuple(lacks)


def _sent(facts: CostFacts) -> int:
    return facts.text_bytes + facts.overhead_tokens + facts.image_tokens + facts.audio_tokens


def _beyond(count: int, possible: int, what: str) -> Iterator[str]:
    if count > possible:
        yield f"{count} {what} where {possible} are possible"
