"""Quarters of an hour: any time is taken apart into whole ones and the rest, and today's windows are of whole ones."""

import zoneinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import sums, windows
from llmgov.ledger.rows import Spend
from llmgov.ledger.sums import QUARTER, Parts
from llmgov.ledger.windows import Span
from llmgov.snapshot import Period

ZONES = sorted(zoneinfo.available_timezones())


@pytest.mark.parametrize(
    ("span", "parts"),
    [
        (Span(0, QUARTER), Parts(Span(0, QUARTER), ())),
        (Span(QUARTER, 9 * QUARTER), Parts(Span(QUARTER, 9 * QUARTER), ())),
        (
            Span(1, 2 * QUARTER + 1),
            Parts(Span(QUARTER, 2 * QUARTER), (Span(1, QUARTER), Span(2 * QUARTER, 2 * QUARTER + 1))),
        ),
        (Span(1, QUARTER + 1), Parts(Span(QUARTER, QUARTER), (Span(1, QUARTER + 1),))),
        (Span(1, 2), Parts(Span(QUARTER, QUARTER), (Span(1, 2),))),
        (Span(5, 5), Parts(Span(QUARTER, QUARTER), ())),
    ],
    ids=["one quarter", "several", "more on both sides", "parts of two", "a part of one", "no time"],
)
def test_a_time_is_taken_apart(span: Span, parts: Parts) -> None:
    assert sums.parts(span) == parts


_INSTANTS = st.integers(0, 5 * QUARTER) | st.sampled_from([n * QUARTER + more for n in range(5) for more in (0, 1)])


@given(_INSTANTS, _INSTANTS, _INSTANTS)
def test_a_moment_of_a_time_is_in_one_part_and_no_other_moment_is_in_any(start: int, end: int, moment: int) -> None:
    quarters, rest = sums.parts(Span(start, end))
    assert quarters.start % QUARTER == quarters.end % QUARTER == 0
    assert sum(moment in part for part in (quarters, *rest)) == (moment in Span(start, end))
    assert all(part.start < part.end for part in rest)


@given(st.lists(st.tuples(st.sets(st.sampled_from("abc")), _INSTANTS, st.integers(-9, 9))))
def test_changes_are_added_up_by_scope_and_quarter(given_: list[tuple[set[str], int, int]]) -> None:
    changes = sums.changes(Spend(tuple(sorted(scopes)), at, cost) for scopes, at, cost in given_)
    for scope in "abc":
        for number in range(7):
            start = number * QUARTER
            costs = [cost for scopes, at, cost in given_ if scope in scopes and start <= at < start + QUARTER]
            assert changes.get((scope, start), 0) == sum(costs)


@pytest.mark.parametrize("period", Period)
def test_the_windows_of_every_time_zone_are_of_whole_quarters(period: Period) -> None:
    """Over four years, at moments of all seasons and times of day."""
    first = instants.from_rfc3339("2024-01-01T00:00:00Z")
    moments = [first + number * (33 * instants.DAY + 7 * instants.HOUR) for number in range(44)]
    for zone in ZONES:
        for moment in moments:
            assert sums.parts(windows.current(period, zone, moment)).rest == (), (zone, moment)


def test_windows_of_other_boundaries_are_taken_apart_as_well() -> None:
    """Monrovia was 44 minutes and 30 seconds behind until 1972."""
    span = windows.current(Period.MONTH, "Africa/Monrovia", instants.from_rfc3339("1971-06-15T00:00:00Z"))
    quarters, rest = sums.parts(span)
    assert [part.end - part.start for part in rest] == [
        instants.MINUTE // 2,
        14 * instants.MINUTE + instants.MINUTE // 2,
    ]
    assert (rest[0].end, rest[1].start) == quarters
