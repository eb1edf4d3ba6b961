"""Times on the command line."""

import pytest

from llmgov import instants
from llmgov_cli import errors, moments

NOW = instants.from_rfc3339("2026-11-24T12:00:00Z")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        pytest.param(None, 7, id="none given"),
        pytest.param("2026-11-01T00:00:00Z", instants.from_rfc3339("2026-11-01T00:00:00Z"), id="a time"),
        pytest.param("2026-11-01T01:00:00+01:00", instants.from_rfc3339("2026-11-01T00:00:00Z"), id="of a zone"),
        pytest.param("1h30m", NOW - 90 * instants.MINUTE, id="so long ago"),
    ],
)
def test_a_time_is_read(text: str | None, instant: int) -> None:
    assert moments.parse("--since", text, NOW, 7) == instant


@pytest.mark.parametrize("text", ["2026-11-24T12:00:00Z", "0s", "1h"])
def test_a_time_in_the_past_may_be_now(text: str) -> None:
    assert moments.past("--at", text, NOW) <= NOW


def test_what_will_be_in_force_is_not_known() -> None:
    with pytest.raises(errors.CommandError) as raised:
        moments.past("--at", "2026-11-24T12:00:01Z", NOW)
    assert str(raised.value) == (
        "--at 2026-11-24T12:00:01Z is in the future: it is 2026-11-24T12:00:00Z now, and nobody knows yet what will be"
        " in force then"
    )


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-01", "5", "-1h"])
def test_what_is_no_time_is_said_with_the_option(text: str) -> None:
    with pytest.raises(errors.CommandError, match=f"--until {text}: write a time with its zone such as"):
        moments.parse("--until", text, NOW, 7)
