"""Currencies: what one unit is worth, and amounts turned into micro-USD."""

import decimal
from collections.abc import Mapping

from llmgov import money
from llmgov.resources import settings


def rates(given: tuple[settings.CurrencyRate, ...] | None) -> Mapping[str, int]:
    """What one unit of each currency is worth in billionths of a USD; USD is always among them."""
    return {rate.currency: int(decimal.Decimal(rate.usd).scaleb(9)) for rate in given or ()} | {
        "USD": money.NANO_PER_UNIT
    }


def micro_usd(amount: str, nano_usd: int) -> money.MicroUsd:
    """An amount of a currency in micro-USD, rounded down, so that a limit never grows on the way."""
    return money.in_usd(money.parse_amount(amount), nano_usd)
