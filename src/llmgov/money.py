"""Exact money: an integer of micro-USD everywhere, an integer of pico-USD for prices; a float never holds money.

A price of $0.075 for a million tokens is 75,000 pico-USD a token, so that sums of prices below a micro-USD stay exact
and are rounded once per attempt, up, to whole micro-USD (design section 3).
"""

import re
from typing import TypeAlias

MicroUsd: TypeAlias = int
"""Millionths of a US dollar."""

PicoUsd: TypeAlias = int
"""Millionths of a micro-USD: the unit of prices per token, character, image or call."""

MICRO_PER_USD: MicroUsd = 1_000_000
PICO_PER_MICRO: PicoUsd = 1_000_000
NANO_PER_UNIT = 1_000_000_000
"""A rate of one USD, as exchange rates are written: in billionths of a USD for one unit of the currency."""

MAX_AMOUNT: MicroUsd = 10**12 * MICRO_PER_USD
"""A trillion dollars: whatever is larger is a mistake, and 64-bit columns hold sums of it."""

_DECIMAL = re.compile(r"(0|[1-9][0-9]*)(?:\.([0-9]{1,6}))?", re.ASCII)


class MoneyError(ValueError):
    """A text that is no amount of money; its message says what is wrong."""


def parse_amount(text: str) -> MicroUsd:
    """Parse a decimal string (`"5000"`, `"0.25"`) of at most six decimals into millionths of its currency.

    Raises:
        MoneyError: not a plain decimal, too many decimals, or beyond `MAX_AMOUNT`.
    """
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise MoneyError('must be a decimal string such as "5000" or "0.25", with at most 6 decimals')
    amount = int(match[1]) * MICRO_PER_USD + int((match[2] or "").ljust(6, "0"))
    if amount > MAX_AMOUNT:
        raise MoneyError("must be at most 1000000000000")
    return amount


def format_amount(amount: MicroUsd) -> str:
    """The amount with at least two decimals and no useless further ones: `5000.00`, `0.25`, `0.000125`, `-3.10`."""
    sign = "-" if amount < 0 else ""
    units, micros = divmod(abs(amount), MICRO_PER_USD)
    decimals = f"{micros:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{units}.{decimals}"


def in_usd(units: int, nano_usd: int) -> MicroUsd:
    """Millionths of a currency in micro-USD, rounded down, so that a limit never grows on the way."""
    return units * nano_usd // NANO_PER_UNIT


def in_currency(amount: MicroUsd, nano_usd: int) -> int:
    """Micro-USD in millionths of a currency, rounded down."""
    return amount * NANO_PER_UNIT // nano_usd


def show(amount: MicroUsd, currency: str = "USD", nano_usd: int = NANO_PER_UNIT, *, up: bool = False) -> str:
    """Micro-USD as people read it: `$5.00`, `4.60 EUR`; `nano_usd` is what one unit of the currency is worth in
    billionths of a USD. Rounded down to millionths, or `up`, as a cost is."""
    if currency == "USD":
        return f"${format_amount(amount)}"
    return show_units(-in_currency(-amount, nano_usd) if up else in_currency(amount, nano_usd), currency)


def show_units(units: int, currency: str) -> str:
    """Millionths of a currency in the same way, as a limit was written."""
    return f"${format_amount(units)}" if currency == "USD" else f"{format_amount(units)} {currency}"


def round_up(amount: PicoUsd) -> MicroUsd:
    """Whole micro-USD, rounded up: what a sum of exact prices costs."""
    return -(-amount // PICO_PER_MICRO)


def share(amount: MicroUsd, percent: int) -> MicroUsd:
    """`percent` of an amount, rounded down, so that a threshold is never reached late."""
    return amount * percent // 100
