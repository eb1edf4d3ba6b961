"""Service tiers and regions: what multiplies the rates of tokens, in parts per million."""

from llmgov.prices.document import PARTS_PER_MILLION
from llmgov.snapshot import ModelPrice

ONE = PARTS_PER_MILLION

STANDARD_TIERS = frozenset({"default", "standard"})
"""The provider's words for its list price, asked for and echoed."""

UNASKED = ("priority", "flex")
"""The tiers that a project or account can be set to; `fast` and others come by request only. `flex` is below the list
price today, and counts all the same: a bound must not rest on that."""


def of_tier(price: ModelPrice, tier: str | None) -> int | None:
    """What an echoed service tier multiplies by; `None` where this model has no price for it."""
    if tier is None or tier in STANDARD_TIERS:
        return ONE
    return price.service_tiers.get(tier)


def of_region(price: ModelPrice, region: str | None) -> int:
    """What an echoed region multiplies by; regions without an entry are at the list price."""
    return price.regions.get(region, ONE) if region is not None else ONE


def dearest_tier(price: ModelPrice, asked: str | None) -> int | None:
    """The dearest tier that a request can get that asked for `asked`; `None` where that has no price.

    `auto`, or nothing, gets what the project or account is set to, which nobody can see here. A tier that is short of
    capacity may be served as the standard one, so no request is bounded below the list price.
    """
    if asked in (None, "auto"):
        return max(ONE, *(price.service_tiers.get(tier, ONE) for tier in UNASKED))
    multiplier = of_tier(price, asked)
    return None if multiplier is None else max(ONE, multiplier)


def assumes_tier(price: ModelPrice, asked: str | None) -> bool:
    """Whether a request is bounded above the list price for a tier that it did not ask for."""
    return asked in (None, "auto") and (dearest_tier(price, asked) or ONE) > ONE


def dearest_region(price: ModelPrice) -> int:
    """A request without a region gets the workspace's, which nobody can see here: the dearest."""
    return max((ONE, *price.regions.values()))
