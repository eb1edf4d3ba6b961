"""Limits that meet on one account."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.compiler import accounts
from llmgov.snapshot import Account, Period, Target, TargetKind, Threshold, ThresholdAction

BLOCK, ASK = ThresholdAction.BLOCK, ThresholdAction.REQUIRE_APPROVAL
USERS, ADMINS = ThresholdAction.NOTIFY_USERS, ThresholdAction.NOTIFY_ADMINS


def account(limit: int, *thresholds: Threshold, nano_usd: int = 10**9, source: str = "Budget/ns/a") -> Account:
    return Account(
        key="c|organization|Month|UTC",
        target=Target(TargetKind.ORGANIZATION),
        limit=limit,
        period=Period.MONTH,
        time_zone="UTC",
        source=source,
        nano_usd=nano_usd,
        thresholds=accounts.thresholds(thresholds),
    )


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        pytest.param((), (Threshold(100, (BLOCK,)),), id="none at all means block at 100 %"),
        pytest.param(
            (Threshold(50, (USERS,)),), (Threshold(50, (USERS,)), Threshold(100, (BLOCK,))), id="100 % blocks unasked"
        ),
        pytest.param((Threshold(100, (ADMINS,)),), (Threshold(100, (ADMINS, BLOCK)),), id="100 % blocks beside others"),
        pytest.param(
            (Threshold(90, (ASK,)), Threshold(50, (ADMINS,)), Threshold(50, (USERS, ADMINS))),
            (Threshold(50, (USERS, ADMINS)), Threshold(90, (ASK,)), Threshold(100, (BLOCK,))),
            id="one entry a percentage, in ascending order",
        ),
    ],
)
def test_thresholds(given_: tuple[Threshold, ...], expected: tuple[Threshold, ...]) -> None:
    assert accounts.thresholds(given_) == expected


def test_the_lower_limit_is_the_one_that_is_worth_less_whatever_its_number() -> None:
    dollars = account(105, source="Budget/ns/dollars")
    euros = account(100, nano_usd=1_100_000_000, source="Budget/ns/euros")
    assert accounts.meet([euros, dollars]).source == "Budget/ns/dollars"
    assert accounts.meet([dollars, euros]).limit == 105


def test_one_limit_alone_stays_as_it_is() -> None:
    alone = account(7, Threshold(30, (ASK,)))
    assert accounts.meet([alone]) is alone


THRESHOLDS = st.builds(
    Threshold, st.integers(1, 100), st.lists(st.sampled_from(ThresholdAction), min_size=1, max_size=2).map(tuple)
)
ACCOUNTS = st.builds(
    lambda limit, thresholds, rate: account(limit, *thresholds, nano_usd=rate),
    st.integers(0, 1000),
    st.lists(THRESHOLDS, max_size=3),
    st.integers(1, 3) | st.just(10**9),
)


def first(limit: Account, action: ThresholdAction) -> Fraction | None:
    """The exact spend from which an account does this."""
    marks = [threshold.percent for threshold in limit.thresholds if action in threshold.actions]
    return min((Fraction(limit.limit * limit.nano_usd * percent, 100) for percent in marks), default=None)


@given(st.lists(ACCOUNTS, min_size=1, max_size=4))
def test_nothing_that_any_limit_does_comes_later_where_they_meet(several: list[Account]) -> None:
    met = accounts.meet(several)
    for limit in several:
        for action in ThresholdAction:
            mark = first(limit, action)
            if mark is not None:
                meeting = first(met, action)
                assert meeting is not None
                assert meeting <= mark
