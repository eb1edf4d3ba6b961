"""A property that holds is green however busy the machine is."""

import time

import hypothesis
from hypothesis import strategies as st


@hypothesis.settings(max_examples=2, database=None)
@hypothesis.given(st.booleans())
def test_an_example_may_take_longer_than_a_deadline_lets_it(drawn: bool) -> None:
    time.sleep(0.25)


def test_what_goes_by_the_wall_clock_fails_no_property() -> None:
    used = hypothesis.settings(max_examples=7)
    assert used.deadline is None
    assert hypothesis.HealthCheck.too_slow in used.suppress_health_check
    assert hypothesis.HealthCheck.filter_too_much not in used.suppress_health_check, "that is no matter of time"
