"""Calendar windows: which span of time an account counts at an instant, in its own time zone.

Windows of one period and zone tile time: each ends where the next begins. A day is from local midnight to local
midnight and so has 23 or 25 hours where clocks change; where midnight comes twice the first counts, where it is skipped
the moment of the change does. An hour lies between two moments at which the zone's clocks show a full hour, so that a
change by whole hours leaves every window one hour long.
"""

import datetime
import functools
import zoneinfo
from collections.abc import Callable
from typing import NamedTuple, assert_never

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.snapshot import Period


class Span(NamedTuple):
    """`[start, end)`."""

    start: Instant
    end: Instant

    def __contains__(self, instant: object) -> bool:
        return isinstance(instant, int) and self.start <= instant < self.end


def current(period: Period, time_zone: str, now: Instant) -> Span:
    """The window that contains `now`.

    Raises:
        ValueError: `time_zone` is no name of the IANA database.
    """
    recent = _recent.get((period, time_zone))
    if recent is None or now not in recent:
        recent = _recent[period, time_zone] = _window(period, zone_named(time_zone), now)
    return recent


_recent: dict[tuple[Period, str], Span] = {}
"""The window that was asked for last, of each kind: windows tile time, so what lies in it is asked for by one look."""


def _window(period: Period, zone: zoneinfo.ZoneInfo, now: Instant) -> Span:
    match period:
        case Period.HOUR:
            return _hour(zone, now)
        case Period.DAY:
            return _days(zone, now, _same_day, _next_day)
        case Period.WEEK:
            return _days(zone, now, _monday, _next_week)
        case Period.MONTH:
            return _days(zone, now, _first_of_month, functools.partial(_add_months, months=1))
        case Period.QUARTER:
            return _days(zone, now, _first_of_quarter, functools.partial(_add_months, months=3))
        case Period.YEAR:
            return _days(zone, now, _first_of_year, functools.partial(_add_months, months=12))
        case _:
            assert_never(period)


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """A time zone.

    Raises:
        ValueError: `name` is none of the IANA database.
    """
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, OSError) as error:
        raise ValueError(f"no time zone of the IANA database: {name!r}") from error


def _days(
    zone: zoneinfo.ZoneInfo,
    now: Instant,
    first: Callable[[datetime.date], datetime.date],
    following: Callable[[datetime.date], datetime.date],
) -> Span:
    """The window of whole days around `now`; `first` and `following` name its first day and that of the next one."""
    day = first(instants.to_datetime(now).astimezone(zone).date())
    if now < _midnight(zone, day):
        day = first(day - datetime.timedelta(days=1))
    elif now >= _midnight(zone, following(day)):  # clocks went back over midnight: the day had already begun
        day = following(day)
    return Span(_midnight(zone, day), _midnight(zone, following(day)))


def _midnight(zone: zoneinfo.ZoneInfo, day: datetime.date) -> Instant:
    return instants.from_datetime(datetime.datetime.combine(day, datetime.time(), zone))


def _same_day(day: datetime.date) -> datetime.date:
    return day


def _next_day(day: datetime.date) -> datetime.date:
    return day + datetime.timedelta(days=1)


def _monday(day: datetime.date) -> datetime.date:
    return day - datetime.timedelta(days=day.weekday())


def _next_week(day: datetime.date) -> datetime.date:
    return day + datetime.timedelta(days=7)


def _first_of_month(day: datetime.date) -> datetime.date:
    return day.replace(day=1)


def _first_of_quarter(day: datetime.date) -> datetime.date:
    return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)


def _first_of_year(day: datetime.date) -> datetime.date:
    return day.replace(month=1, day=1)


def _add_months(day: datetime.date, months: int) -> datetime.date:
    years, month = divmod(day.month - 1 + months, 12)
    return day.replace(year=day.year + years, month=month + 1)


def _hour(zone: zoneinfo.ZoneInfo, now: Instant) -> Span:
    """Between two consecutive full hours of the zone's clocks: 90 minutes apart where they change by half an hour."""
    offsets = {_offset(zone, now + hours * instants.HOUR) for hours in (-2, -1, 0, 1, 2)}
    full = {
        now - (now + offset) % instants.HOUR + hours * instants.HOUR for offset in offsets for hours in range(-2, 4)
    }
    boundaries = [moment for moment in full if (moment + _offset(zone, moment)) % instants.HOUR == 0]
    start = max(moment for moment in boundaries if moment <= now)
    return Span(start, min(moment for moment in boundaries if moment > now))


def _offset(zone: zoneinfo.ZoneInfo, moment: Instant) -> Duration:
    offset = instants.to_datetime(moment).astimezone(zone).utcoffset()
    return 0 if offset is None else offset // datetime.timedelta(microseconds=1)
