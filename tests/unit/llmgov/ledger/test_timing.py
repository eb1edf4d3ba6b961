"""When an attempt counts, whatever the clock of its sidecar says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger import pruning, timing
from llmgov.ledger.messages import Charged
from llmgov.ledger.rows import Attempt, LeaseRow
from tests.support import ledgers
from tests.support.ledgers import NOW


def lease(id_: str, start: int, end: int) -> LeaseRow:
    return LeaseRow(id_, id_, start, end, "pod-1", 1, 5, end)


def counted(at: int, *leases: LeaseRow) -> int:
    charged = tuple(Charged(each.id, each.account, 5) for each in leases)
    return timing.counted(ledgers.intent("pod-1:1/1", 5, charged, at=at), {each.id: each for each in leases})


HOUR, DAY = lease("hour", 100, 200), lease("day", 0, 1000)


@pytest.mark.parametrize(
    ("at", "leases", "expected"),
    [
        (50, (), 50),
        (150, (HOUR,), 150),
        (50, (HOUR,), 100),
        (200, (HOUR,), 199),
        (205, (HOUR, DAY), 199),
        (-5, (DAY, HOUR), 100),
    ],
    ids=[
        "without leases at its own time",
        "within its window at its own time",
        "a clock that is behind: when the window began",
        "a clock that is ahead: before the window ended",
        "ahead of one window of two",
        "behind both",
    ],
)
def test_the_least_that_has_to_be_moved(at: int, leases: tuple[LeaseRow, ...], expected: int) -> None:
    assert counted(at, *leases) == expected


@given(
    st.integers(0, 10_000),
    st.integers(0, 10_000),
    st.lists(st.tuples(st.integers(0, 500), st.integers(1, 500)), max_size=4),
)
def test_it_lies_in_every_window_that_it_held_from(at: int, held: int, sides: list[tuple[int, int]]) -> None:
    """Windows that one attempt holds from all contain the moment at which it did."""
    leases = [lease(str(index), held - before, held + after) for index, (before, after) in enumerate(sides)]
    found = counted(at, *leases)
    assert all(found in range(each.window_start, each.window_end) for each in leases)
    if all(at in range(each.window_start, each.window_end) for each in leases):
        assert found == at


def test_once_stored_it_does_not_change() -> None:
    intent = ledgers.intent("pod-1:1/1", 5, (Charged("hour", "hour", 5),), at=250)
    assert timing.of(Attempt("pod-1:1/1", intent, counted=180), intent, {}) == 180
    assert timing.of(Attempt("pod-1:1/1", intent), intent, {"hour": HOUR}) == 199


def test_none_is_later_than_the_ledgers_clock() -> None:
    early, late = ledgers.intent("a/1", 5, at=9), ledgers.intent("a/2", 5, at=11)
    assert [intent.at for intent in timing.believed((early, late), 10)] == [9, 10]


def test_none_is_older_than_windows_are_kept() -> None:
    oldest = NOW - pruning.KEEP
    intents = [ledgers.intent(f"a/{at}", 5, at=at) for at in (0, oldest - 1, oldest)]
    assert [intent.at for intent in timing.believed(intents, NOW)] == [NOW, NOW, oldest]
