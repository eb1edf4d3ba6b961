"""What an attempt is charged for what its answer reported, and what is to be said of a report that is not believed.

A provider can report anything. Whatever it is, what comes out of here can be put on record: a cost that fits the
ledger's columns, counts that do, and words of bounded length. What is not believed is charged the hold, never $0.
"""

import msgspec

from llmgov import money, prices
from llmgov.ledger.messages import Outcome
from llmgov.money import MicroUsd
from llmgov.snapshot import Dimension, ModelPrice
from llmgov.wire.events import CostFacts, Usage

MAX_COST: MicroUsd = 10**6 * money.MICRO_PER_USD
"""A million dollars for one attempt: what costs more, and more than was held, is a fault and not a bill."""

_MAX_NAMES = 200
"""Characters of a provider's own words that a sentence repeats."""


class Doubt(msgspec.Struct, frozen=True):
    """Why a report is not what the attempt is charged by. `reason` is the violation's word, `what` follows the model's
    name in a sentence; `stops` says that the model waits for an administrator under cost limits, `counts` that the
    numbers are believed all the same."""

    reason: str
    what: str
    stops: bool
    counts: bool = False


UNREPORTED = Doubt("usage_missing", "reported no usage and was charged its hold", stops=False)
"""Of a whole answer without a word about its usage: nobody would see otherwise why it costs so much."""


class Bill(msgspec.Struct, frozen=True):
    """An attempt's end in money. `usage` are the counts that are believed."""

    outcome: Outcome
    cost: MicroUsd
    usage: dict[Dimension, int]
    doubt: Doubt | None = None


def bill(
    usage: Usage, price: ModelPrice | None, hold: MicroUsd, facts: CostFacts | None = None, *, produced: bool = False
) -> Bill:
    """What an attempt costs that reported `usage`; `price` is `None` where its model costs nothing here.

    `facts` are the request's: with them more than the model can read or write is not believed (`prices.excess`), unless
    it costs no more than was held. Without them, and where the price does not say what its model can, the bound is a
    million dollars. `produced` says that the answer has something of the model's, which no provider makes of nothing.
    """
    doubt = _unbelieved(usage)
    if doubt is not None:
        return Bill(Outcome.UNKNOWN, hold, usage.counts, doubt)
    if price is None:
        return Bill(Outcome.SETTLED, 0, usage.counts)
    lacks = prices.missing(usage, answered=facts is None or facts.produces_output) if produced else ()
    if lacks:
        what = f"reported an answer without {' and '.join(lacks)} and was charged its hold"
        return Bill(Outcome.UNKNOWN, hold, usage.counts, Doubt("usage_implausible", what, stops=False))
    try:
        cost = prices.cost(usage, price)
    except prices.UnpricedError as error:
        what = f"reported usage that has no price ({_names(error.what)}) and was charged its hold"
        return Bill(Outcome.UNKNOWN, hold, usage.counts, Doubt("usage_unpriced", what, stops=True, counts=True))
    excess = prices.excess(usage, facts, price) if facts is not None and cost > hold else ()
    if excess:
        what = f"reported more than it can use ({_names(excess)}) and was charged its hold"
        return Bill(Outcome.UNKNOWN, hold, usage.counts, Doubt("usage_implausible", what, stops=True))
    if cost > max(hold, MAX_COST):
        what = "reported usage that would cost over a million dollars and was charged its hold"
        return Bill(Outcome.UNKNOWN, hold, usage.counts, Doubt("usage_implausible", what, stops=True))
    return Bill(Outcome.SETTLED, cost, usage.counts)


def _unbelieved(usage: Usage) -> Doubt | None:
    if usage.implausible:
        what = f"reported more than any request can use ({_names(usage.implausible)}) and was charged its hold"
        return Doubt("usage_implausible", what, stops=True)
    if usage.unreadable:
        what = f"reported usage that cannot be read ({_names(usage.unreadable)}) and was charged its hold"
        return Doubt("usage_unreadable", what, stops=False)
    return None


def _names(names: tuple[str, ...]) -> str:
    """Field names of a provider's choosing, fit for a line of text."""
    joined = ", ".join(names)
    shown = joined if len(joined) <= _MAX_NAMES else f"{joined[:_MAX_NAMES]}…"
    return "".join(character if character.isprintable() else "?" for character in shown)
