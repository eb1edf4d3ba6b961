"""Times on the command line: RFC 3339, or a duration before now."""

from llmgov import instants
from llmgov.instants import Instant
from llmgov.resources import durations
from llmgov_cli import errors


def parse(option: str, text: str | None, now: Instant, absent: Instant) -> Instant:
    """The instant that `text` names: `2026-11-01T00:00:00Z`, or `90m` for as long before `now`; `absent` for `None`.

    Raises:
        CommandError: it is neither; the sentence names the `option`.
    """
    if text is None:
        return absent
    try:
        return instants.from_rfc3339(text)
    except ValueError:
        pass
    try:
        return now - durations.parse(text)
    except ValueError as error:
        raise errors.CommandError(
            f"{option} {text}: write a time with its zone such as 2026-11-01T00:00:00Z, or how long ago such as 1h30m"
        ) from error


def past(option: str, text: str, now: Instant) -> Instant:
    """The instant that `text` names, which is not after `now`: nobody knows what will be in force.

    Raises:
        CommandError: it is after `now`, or no time; the sentence names the `option`.
    """
    instant = parse(option, text, now, now)
    if instant > now:
        raise errors.CommandError(
            f"{option} {text} is in the future: it is {instants.to_rfc3339(now)} now, and nobody knows yet what will be"
            " in force then"
        )
    return instant
