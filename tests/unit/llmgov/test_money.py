"""Money: exact both ways, bounded, never a float."""

import decimal

import hypothesis
import pytest
from hypothesis import strategies as st

from llmgov import money


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        pytest.param("5000", 5_000_000_000, id="whole"),
        pytest.param("0.25", 250_000, id="with decimals"),
        pytest.param("0.000001", 1, id="the smallest"),
        pytest.param("0", 0, id="nothing"),
        pytest.param("1000000000000", money.MAX_AMOUNT, id="the largest"),
    ],
)
def test_amounts_are_exact(text: str, micros: int) -> None:
    assert money.parse_amount(text) == micros


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "1e3", "01", ".5", "5.", "1,000", "0.0000001", "٣", " 1", "1\n", "1000000000000.000001", "NaN"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(money.MoneyError):
        money.parse_amount(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(5_000_000_000, "5000.00"), (250_000, "0.25"), (125, "0.000125"), (-3_100_000, "-3.10"), (0, "0.00")],
)
def test_amounts_are_shown_with_two_decimals_or_as_many_as_they_have(micros: int, text: str) -> None:
    assert money.format_amount(micros) == text


@hypothesis.given(st.integers(0, money.MAX_AMOUNT))
def test_what_is_shown_is_read_back(micros: int) -> None:
    shown = money.format_amount(micros)
    assert money.parse_amount(shown) == micros
    assert decimal.Decimal(shown) * 10**6 == micros


@hypothesis.given(st.integers(0, 10**30))
def test_a_sum_of_prices_is_rounded_up_and_only_once(pico: int) -> None:
    micro = money.round_up(pico)
    assert (micro - 1) * 10**6 < pico <= micro * 10**6


@hypothesis.given(st.integers(0, money.MAX_AMOUNT), st.integers(1, 100))
def test_a_threshold_is_never_reached_late(amount: int, percent: int) -> None:
    exact = decimal.Decimal(amount) * percent / 100
    assert exact - 1 < money.share(amount, percent) <= exact


@hypothesis.given(st.integers(0, money.MAX_AMOUNT), st.integers(1, 10**12))
def test_neither_way_between_currencies_makes_money(amount: int, nano_usd: int) -> None:
    exact = decimal.Decimal(amount) * nano_usd / 10**9
    assert exact - 1 < money.in_usd(amount, nano_usd) <= exact
    assert money.in_usd(money.in_currency(amount, nano_usd), nano_usd) <= amount
