"""Points in time as integers: microseconds since the Unix epoch, in UTC.

The core takes the clock as an argument, persists what it was told and compares it later; an integer neither drifts nor
rounds on the way through JSON, SQLite and PostgreSQL.
"""

import datetime
from typing import TypeAlias

Instant: TypeAlias = int
"""Microseconds since 1970-01-01T00:00:00Z."""

Duration: TypeAlias = int
"""Microseconds."""

MILLISECOND: Duration = 1_000
SECOND: Duration = 1_000_000
MINUTE: Duration = 60 * SECOND
HOUR: Duration = 60 * MINUTE
DAY: Duration = 24 * HOUR

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


def from_datetime(moment: datetime.datetime) -> Instant:
    """The instant of an aware `datetime`; exact to the microsecond."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone is no instant")
    return (moment - _EPOCH) // datetime.timedelta(microseconds=1)


def to_datetime(instant: Instant) -> datetime.datetime:
    """The same moment as an aware `datetime` in UTC."""
    return _EPOCH + datetime.timedelta(microseconds=instant)


def to_rfc3339(instant: Instant) -> str:
    """RFC 3339 in UTC with a `Z`, seconds only where the instant has no fraction: `2026-11-24T08:00:00Z`."""
    return to_datetime(instant).isoformat().replace("+00:00", "Z")


def from_rfc3339(text: str) -> Instant:
    """Parse RFC 3339 (`2026-11-24T08:00:00Z`, any offset).

    Raises:
        ValueError: `text` is no date and time, or has no offset.
    """
    return from_datetime(datetime.datetime.fromisoformat(text))
