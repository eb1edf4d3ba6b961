"""Durations as Kubernetes writes them."""

import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.resources import durations

_STEPS = {"h": "hours", "m": "minutes", "s": "seconds", "ms": "milliseconds"}


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [("0s", 0), ("500ms", 500_000), ("5s", 5_000_000), ("1h30m", 5_400_000_000), ("1m1ms", 60_001_000)],
)
def test_the_parts_add_up(text: str, microseconds: int) -> None:
    assert durations.parse(text) == microseconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "1.5s", "5d", "5s\n", "٥s"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a duration is written such as"):
        durations.parse(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(sorted(_STEPS))), min_size=1, max_size=4))
def test_a_sum_is_that_of_the_standard_library(parts: list[tuple[int, str]]) -> None:
    expected = sum((datetime.timedelta(**{_STEPS[unit]: count}) for count, unit in parts), datetime.timedelta())
    text = "".join(f"{count}{unit}" for count, unit in parts)
    assert durations.parse(text) == expected // datetime.timedelta(microseconds=1)
