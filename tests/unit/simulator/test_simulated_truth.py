"""The oracle's books and calendars, by examples small enough to do by hand."""

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import windows
from llmgov.ledger.messages import Charged, Lease, LeaseGrant
from llmgov.snapshot import Target, TargetKind, Threshold, ThresholdAction
from tests.simulator import shape
from tests.simulator.truth import Attempt, Limits, Truth

START = instants.from_rfc3339("2026-11-24T08:00:00Z")
END = START + instants.HOUR
WINDOW = ("k", START)


def truth(*leases: tuple[str, int]) -> Truth:
    made = Truth()
    grant = LeaseGrant(1, tuple(Lease(id_, "k", START, END, amount, END) for id_, amount in leases), START)
    made.lent(grant, [id_ for id_, _ in leases], START)
    return made


def attempt(hold: int, told: int, *charged: tuple[str, int]) -> Attempt:
    parts = tuple(Charged(lease, "k", held) for lease, held in charged)
    return Attempt("a", "pod-0", hold, parts, (), START, told, told, None)


def test_an_attempt_exposes_its_hold_until_its_end_is_known() -> None:
    books, one = truth(("L", 100)), attempt(60, 20, ("L", 60))
    books.held(one, 1)
    books.dispatched(one)
    assert books.exposed[WINDOW] == 60
    books.ended(one, 5)
    assert books.exposed[WINDOW] == 20
    assert books.most_exposed(WINDOW, 5) == 60
    assert books.most_exposed(WINDOW, 6) == 20


def test_what_dies_in_flight_costs_its_hold_and_what_was_not_dispatched_nothing() -> None:
    books, flying, waiting = truth(("L", 100)), attempt(60, 20, ("L", 60)), attempt(40, 40, ("L", 40))
    waiting.id = "b"
    for one in (flying, waiting):
        books.held(one, 1)
    books.dispatched(flying)
    books.died("pod-0", 2)
    assert books.exposed[WINDOW] == 60
    assert books.doubt[WINDOW] == 40
    assert flying.recordable == {60}


def test_an_end_that_was_being_written_may_be_there_or_not() -> None:
    books, one = truth(("L", 100)), attempt(60, 20, ("L", 60))
    books.held(one, 1)
    books.dispatched(one)
    one.either = True
    books.died("pod-0", 2)
    assert one.recordable == {20, 60}
    assert books.exposed[WINDOW] == 20


def test_an_overrun_exposes_its_hold_and_is_counted_beside() -> None:
    books, one = truth(("L", 100)), attempt(60, 90, ("L", 60))
    books.held(one, 1)
    books.dispatched(one)
    books.ended(one, 2)
    assert (books.exposed[WINDOW], books.overrun[WINDOW]) == (60, 30)


def test_the_costs_of_one_account_fall_on_its_leases_in_order() -> None:
    books, one = truth(("L", 50), ("M", 50)), attempt(60, 55, ("L", 50), ("M", 10))
    books.held(one, 1)
    books.dispatched(one)
    books.ended(one, 2)
    assert dict(books.owed(one)) == {"L": 50, "M": 5}


def test_a_version_is_in_force_until_the_next_one_is_published() -> None:
    high = shape.account(Target(TargetKind.ORGANIZATION), 100, shape.HOURS)
    low = msgspec.structs.replace(high, limit=10)
    limits = Limits()
    limits.change(high, 0)
    limits.published(1)
    limits.change(low, 10)
    assert limits.highest(high.key, START, since=20) == 100
    limits.published(15)
    assert limits.highest(high.key, START, since=14) == 100
    assert limits.highest(high.key, START, since=16) == 10


@pytest.mark.parametrize(
    ("thresholds", "opened", "ceiling"),
    [
        ((), (), 100),
        (((50, ThresholdAction.REQUIRE_APPROVAL),), (), 50),
        (((50, ThresholdAction.REQUIRE_APPROVAL),), (50,), 100),
        (((50, ThresholdAction.REQUIRE_APPROVAL), (90, ThresholdAction.BLOCK)), (50,), 90),
        (((90, ThresholdAction.BLOCK),), (90,), 90),
        (((20, ThresholdAction.NOTIFY_ADMINS),), (), 100),
    ],
    ids=[
        "the limit where there is no threshold",
        "the first threshold that asks",
        "the limit once that is open",
        "the one that blocks behind it",
        "nothing opens one that blocks",
        "one that only tells does not act",
    ],
)
def test_a_ceiling(thresholds: tuple[tuple[int, ThresholdAction], ...], opened: tuple[int, ...], ceiling: int) -> None:
    made = tuple(Threshold(percent, (action,)) for percent, action in thresholds)
    account = shape.account(Target(TargetKind.ORGANIZATION), 100, shape.HOURS, made)
    limits = Limits()
    limits.change(account, 0)
    for percent in opened:
        limits.open(account.key, START, percent, 1)
    assert limits.ceiling(account.key, START) == ceiling


@pytest.mark.parametrize(
    "calendar", [shape.MONTH, shape.AUTUMN_DAYS, shape.SPRING_DAYS, shape.HALF_HOURS], ids=lambda one: one.zone
)
def test_what_is_written_down_by_hand_is_what_the_ledger_reckons(calendar: shape.Calendar) -> None:
    for start, end in zip(calendar.bounds, calendar.bounds[1:], strict=False):
        for at in (start, end - 1):
            assert windows.current(calendar.period, calendar.zone, at) == (start, end) == calendar.window(at)


def test_every_few_seeds_have_every_kind_of_world() -> None:
    assert {shape.draw(seed).kind for seed in range(100, 100 + len(shape.KINDS))} == set(shape.KINDS)
