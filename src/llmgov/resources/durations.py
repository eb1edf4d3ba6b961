"""Durations as Kubernetes writes them (`500ms`, `5s`, `1h30m`), as microseconds."""

import re

from llmgov import instants
from llmgov.instants import Duration

PATTERN = "([0-9]{1,9}(ms|s|m|h))+"
"""RE2 of the whole text."""

_PART = re.compile("([0-9]{1,9})(ms|s|m|h)", re.ASCII)
_UNITS: dict[str, Duration] = {
    "ms": instants.MILLISECOND,
    "s": instants.SECOND,
    "m": instants.MINUTE,
    "h": instants.HOUR,
}


def parse(text: str) -> Duration:
    """The sum of the text's parts.

    Raises:
        ValueError: `text` does not match `PATTERN`.
    """
    if not re.fullmatch(PATTERN, text, re.ASCII):
        raise ValueError("a duration is written such as 500ms, 5s or 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))
