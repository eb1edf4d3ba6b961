"""Calendar windows: tables around clock changes, and that windows tile time whatever the zone."""

import datetime
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import windows
from llmgov.snapshot import Period

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]

MOMENTS = st.integers(
    instants.from_rfc3339("1985-01-01T00:00:00Z"),
    instants.from_rfc3339("2040-01-01T00:00:00Z"),
)

TABLE = [
    ("a day in UTC", "Day", "UTC", "2026-11-24T08:00:00Z", "2026-11-24T00:00:00Z", "2026-11-25T00:00:00Z"),
    (
        "a day's first microsecond belongs to it",
        "Day",
        "UTC",
        "2026-11-24T00:00:00Z",
        "2026-11-24T00:00:00Z",
        "2026-11-25T00:00:00Z",
    ),
    (
        "Berlin's day of 23 hours",
        "Day",
        "Europe/Berlin",
        "2026-03-29T12:00:00+02:00",
        "2026-03-29T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    ),
    (
        "Berlin's day of 25 hours",
        "Day",
        "Europe/Berlin",
        "2026-10-25T12:00:00+01:00",
        "2026-10-25T00:00:00+02:00",
        "2026-10-26T00:00:00+01:00",
    ),
    (
        "the first of Berlin's two hours from two to three",
        "Hour",
        "Europe/Berlin",
        "2026-10-25T02:30:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
    ),
    (
        "the second of Berlin's two hours from two to three",
        "Hour",
        "Europe/Berlin",
        "2026-10-25T02:30:00+01:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ),
    (
        "an hour in a zone half an hour off",
        "Hour",
        "Asia/Kolkata",
        "2026-11-24T08:10:00Z",
        "2026-11-24T07:30:00Z",
        "2026-11-24T08:30:00Z",
    ),
    (
        "Lord Howe's hour and a half when clocks go back by thirty minutes",
        "Hour",
        "Australia/Lord_Howe",
        "2026-04-05T01:45:00+10:30",
        "2026-04-05T01:00:00+11:00",
        "2026-04-05T02:00:00+10:30",
    ),
    (
        "a day whose midnight is skipped begins at the change",
        "Day",
        "America/Sao_Paulo",
        "2018-11-04T12:00:00-02:00",
        "2018-11-04T03:00:00Z",
        "2018-11-05T00:00:00-02:00",
    ),
    (
        "a day whose midnight comes twice begins at the first",
        "Day",
        "America/Havana",
        "2026-11-01T00:30:00-05:00",
        "2026-11-01T00:00:00-04:00",
        "2026-11-02T00:00:00-05:00",
    ),
    (
        "clocks going back over midnight do not reopen the day before",
        "Day",
        "America/St_Johns",
        "2010-11-06T23:30:00-03:30",
        "2010-11-07T00:00:00-02:30",
        "2010-11-08T00:00:00-03:30",
    ),
    (
        "the day after the one that Samoa skipped",
        "Day",
        "Pacific/Apia",
        "2011-12-30T10:00:00Z",
        "2011-12-30T10:00:00Z",
        "2012-01-01T00:00:00+14:00",
    ),
    (
        "a week begins on Monday",
        "Week",
        "Europe/Berlin",
        "2026-03-29T23:59:59+02:00",
        "2026-03-23T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    ),
    (
        "a week over the turn of the year",
        "Week",
        "UTC",
        "2027-01-01T00:00:00Z",
        "2026-12-28T00:00:00Z",
        "2027-01-04T00:00:00Z",
    ),
    (
        "February of a leap year",
        "Month",
        "UTC",
        "2028-02-29T23:00:00Z",
        "2028-02-01T00:00:00Z",
        "2028-03-01T00:00:00Z",
    ),
    (
        "a month with a clock change",
        "Month",
        "Europe/Berlin",
        "2026-03-15T00:00:00Z",
        "2026-03-01T00:00:00+01:00",
        "2026-04-01T00:00:00+02:00",
    ),
    (
        "December ends with the year",
        "Month",
        "UTC",
        "2026-12-31T23:59:59Z",
        "2026-12-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    (
        "the last quarter",
        "Quarter",
        "UTC",
        "2026-11-24T00:00:00Z",
        "2026-10-01T00:00:00Z",
        "2027-01-01T00:00:00Z",
    ),
    (
        "a year in the south",
        "Year",
        "America/Sao_Paulo",
        "2026-01-01T02:59:59Z",
        "2025-01-01T00:00:00-03:00",
        "2026-01-01T00:00:00-03:00",
    ),
]


@pytest.mark.parametrize(
    ("period", "zone", "now", "start", "end"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_window_of_a_moment(period: str, zone: str, now: str, start: str, end: str) -> None:
    span = windows.current(Period(period), zone, instants.from_rfc3339(now))
    assert [instants.to_rfc3339(moment) for moment in span] == [
        instants.to_rfc3339(instants.from_rfc3339(moment)) for moment in (start, end)
    ]


@given(period=st.sampled_from(Period), zone=st.sampled_from(ZONES), now=MOMENTS)
@settings(max_examples=300)
def test_windows_contain_now_and_tile_time(period: Period, zone: str, now: int) -> None:
    span = windows.current(period, zone, now)
    assert now in span
    assert windows.current(period, zone, span.start) == span
    assert windows.current(period, zone, span.end - 1) == span
    assert windows.current(period, zone, span.end).start == span.end
    assert windows.current(period, zone, span.start - 1).end == span.start


@given(zone=st.sampled_from(ZONES), now=MOMENTS)
@settings(max_examples=100)
def test_a_month_begins_when_the_wall_shows_its_first_day(zone: str, now: int) -> None:
    span = windows.current(Period.MONTH, zone, now)
    first = instants.to_datetime(span.start).astimezone(zoneinfo.ZoneInfo(zone))
    before = instants.to_datetime(span.start - 1).astimezone(zoneinfo.ZoneInfo(zone))
    assert first.day == 1
    assert before.date() == first.date() - datetime.timedelta(days=1)


def test_an_unknown_zone_is_named() -> None:
    with pytest.raises(ValueError, match="Europe/Atlantis"):
        windows.current(Period.DAY, "Europe/Atlantis", 0)


@given(st.lists(MOMENTS, min_size=2, max_size=5), st.sampled_from(ZONES), st.sampled_from(Period))
@settings(deadline=None)
def test_what_was_asked_for_before_changes_no_answer(moments: list[int], zone: str, period: Period) -> None:
    spans = [windows.current(period, zone, moment) for moment in moments]
    windows._recent.clear()
    assert windows.current(period, zone, moments[0]) == spans[0]
    for moment, span in zip(reversed(moments), reversed(spans), strict=True):
        assert moment in span
        assert windows.current(period, zone, moment) == span
