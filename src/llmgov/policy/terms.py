"""What cost limits have in common for all requests of a plan."""

import dataclasses
from collections.abc import Sequence

from llmgov.policy.decision import Charge
from llmgov.policy.rules import Rule
from llmgov.snapshot import CostLimit, ModelPrice

LEAST_OUTPUT = 64
"""The smallest output maximum that the proxy sets where no policy has a `minOutputTokens`: an answer worth paying."""

LEAST_REASONING_OUTPUT = 2048
"""The same for reasoning models, whose hidden tokens come first: less buys an empty answer."""


@dataclasses.dataclass(slots=True, frozen=True)
class Terms:
    """`limiting` names what limits costs, for messages: an enforced account, or else a policy that acts.

    `concerned` is the same or, where nothing acts, what would limit costs if it were enforced. `narrowest` is the rule
    that acts with the lowest output maximum, `stated` the highest of their output minima.
    """

    limiting: str | None
    concerned: str | None
    narrowest: Rule[CostLimit] | None
    stated: int | None

    def least_output(self, price: ModelPrice) -> int:
        """The smallest output maximum that the proxy may set for a model, in tokens."""
        if self.stated is not None:
            return self.stated
        return LEAST_REASONING_OUTPUT if price.reasoning else LEAST_OUTPUT


def of(charges: Sequence[Charge], rules: Sequence[Rule[CostLimit]]) -> Terms:
    """The terms of the accounts and rules that apply."""
    acting = [rule for rule in rules if rule.acts]
    bounding = [rule for rule in acting if rule.body.max_output_tokens is not None]
    minima = [rule.body.min_output_tokens for rule in acting if rule.body.min_output_tokens is not None]
    limiting = _first([charge for charge in charges if charge.enforced], acting)
    return Terms(
        limiting,
        limiting or _first(charges, rules),
        min(bounding, key=lambda rule: rule.body.max_output_tokens or 0, default=None),
        max(minima, default=None),
    )


def _first(charges: Sequence[Charge], rules: Sequence[Rule[CostLimit]]) -> str | None:
    sources = [*(charge.account.source for charge in charges), *(rule.id for rule in rules)]
    return sources[0] if sources else None
