"""Prices: pinned data with sources; usage times rates is money, and facts about a request bound what it can cost."""

from llmgov.prices.bound import BoundError, base, per_output_token
from llmgov.prices.cost import UnpricedError, cost
from llmgov.prices.document import PriceDataError, parse, render
from llmgov.prices.lookup import find
from llmgov.prices.plausible import excess, missing

__all__ = [
    "BoundError",
    "PriceDataError",
    "UnpricedError",
    "base",
    "cost",
    "excess",
    "find",
    "missing",
    "parse",
    "per_output_token",
    "render",
]
