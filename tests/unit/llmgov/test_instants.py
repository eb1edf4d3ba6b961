"""Instants: exact to the microsecond, and never without a zone."""

import datetime

import hypothesis
import pytest
from hypothesis import strategies as st

from llmgov import instants


@hypothesis.given(st.datetimes(min_value=datetime.datetime(1970, 1, 1), timezones=st.just(datetime.UTC)))  # noqa: DTZ001
def test_every_moment_survives_both_ways(moment: datetime.datetime) -> None:
    instant = instants.from_datetime(moment)
    assert instants.to_datetime(instant) == moment
    assert instants.from_rfc3339(instants.to_rfc3339(instant)) == instant


def test_offsets_are_understood_and_utc_is_written() -> None:
    instant = instants.from_rfc3339("2026-11-24T09:00:00.5+01:00")
    assert instants.to_rfc3339(instant) == "2026-11-24T08:00:00.500000Z"
    assert instants.to_rfc3339(instant - 500_000) == "2026-11-24T08:00:00Z"


def test_a_moment_without_a_zone_is_none() -> None:
    with pytest.raises(ValueError, match="no instant"):
        instants.from_rfc3339("2026-11-24T08:00:00")
