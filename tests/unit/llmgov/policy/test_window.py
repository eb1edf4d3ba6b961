"""The sliding window against a brute force that keeps every admission for ever."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.policy.window import EXACT, Window

LENGTH = 60_000_000

arrivals = st.lists(st.tuples(st.integers(0, LENGTH // 2), st.integers(1, 300)), min_size=1, max_size=60)


def admitted_within(log: list[tuple[int, int]], until: int) -> int:
    return sum(amount for at, amount in log if until - LENGTH < at <= until)


def play(limit: int, gaps: list[tuple[int, int]], patience: int) -> list[tuple[int, int]]:
    """Admit what may go within `patience`, as the engine does; returns (instant, amount) of all admissions."""
    window, log, now = Window(), [], 1_000_000_000
    for gap, amount in gaps:
        now += gap
        slot = window.slot(amount, limit, LENGTH, now)
        if slot is not None and slot - now <= patience:
            window.add(amount, slot, limit, LENGTH)
            log.append((slot, amount))
    return log


@settings(max_examples=80)
@given(
    limit=st.integers(1, 8), gaps=st.lists(st.integers(0, LENGTH // 3), max_size=60), patience=st.integers(0, LENGTH)
)
def test_no_window_ever_holds_more_requests_than_the_limit(limit: int, gaps: list[int], patience: int) -> None:
    log = play(limit, [(gap, 1) for gap in gaps], patience)
    # A sum over half-open windows can only peak at the instant of an admission.
    assert all(admitted_within(log, at) <= limit for at, _ in log)


@settings(max_examples=80)
@given(limit=st.integers(EXACT + 1, 5000), gaps=arrivals, patience=st.integers(0, LENGTH))
def test_no_window_ever_holds_more_tokens_than_a_large_limit(
    limit: int, gaps: list[tuple[int, int]], patience: int
) -> None:
    log = play(limit, gaps, patience)
    assert all(admitted_within(log, at) <= limit for at, _ in log)


@settings(max_examples=80)
@given(limit=st.integers(1, 6), gaps=st.lists(st.integers(0, LENGTH // 3), max_size=40))
def test_a_request_that_need_not_wait_never_waits(limit: int, gaps: list[int]) -> None:
    window, log, now = Window(), [], 0
    for gap in gaps:
        now += gap
        free = admitted_within(log, now) < limit
        slot = window.slot(1, limit, LENGTH, now)
        assert (slot == now) is free
        if free:
            window.add(1, now, limit, LENGTH)
            log.append((now, 1))


@settings(max_examples=40)
@given(limit=st.integers(EXACT + 1, 3000), gaps=arrivals)
def test_a_coarse_window_holds_back_at_most_a_thousandth_too_long(limit: int, gaps: list[tuple[int, int]]) -> None:
    window, log, now = Window(), [], 0
    for gap, amount in gaps:
        now += gap
        slot = window.slot(amount, limit, LENGTH, now)
        assert slot is not None
        exact = min(t for t in [now, *(at + LENGTH for at, _ in log)] if t >= now and fits(log, t, amount, limit))
        assert exact <= slot <= exact + LENGTH // 1000
        if slot == now:
            window.add(amount, now, limit, LENGTH)
            log.append((now, amount))


def fits(log: list[tuple[int, int]], at: int, amount: int, limit: int) -> bool:
    return admitted_within(log, at) + amount <= limit


def test_throttled_requests_queue_up_in_slots_behind_each_other() -> None:
    window = Window()
    slots = []
    for _ in range(6):
        slot = window.slot(1, 2, LENGTH, 0)
        assert slot is not None
        window.add(1, slot, 2, LENGTH)
        slots.append(slot)
    assert slots == [0, 0, LENGTH, LENGTH, 2 * LENGTH, 2 * LENGTH]


def test_more_than_the_limit_at_once_never_fits() -> None:
    assert Window().slot(11, 10, LENGTH, 0) is None


def test_what_is_given_back_has_room_at_once() -> None:
    window = Window()
    kept = window.add(8, 0, 10, LENGTH)
    assert window.slot(5, 10, LENGTH, 1) == LENGTH
    window.take(6, kept)
    assert window.slot(5, 10, LENGTH, 1) == 1


def test_giving_back_what_was_forgotten_long_ago_changes_nothing() -> None:
    window = Window()
    kept = window.add(8, 0, 10, LENGTH)
    window.slot(1, 10, LENGTH, 2 * LENGTH)
    window.take(8, kept)
    assert (window.total, len(window)) == (0, 0)


@pytest.mark.parametrize("limit", [pytest.param(1_000_000, id="a large limit")])
def test_memory_is_bounded_however_much_is_admitted(limit: int) -> None:
    window = Window()
    for at in range(0, 3 * LENGTH, LENGTH // 5000):
        window.slot(1, limit, LENGTH, at)
        window.add(1, at, limit, LENGTH)
    assert len(window) <= 1001
