"""What two outputs of kubectl have in common where nothing but the time and the cluster is another. Pure.

Hidden are, each by its exact form and only where it stands: UIDs, resource versions, ages in the columns for ages,
times, which process of a replica leads, and the names and times of `kubectl diff`'s temporary files. A window's bounds
are compared by their month and time zone, columns by their order and not by their width, events by what they say and
not by their order, which is that of their generated names.
"""

import datetime
import itertools
import re
import zoneinfo
from collections.abc import Iterator

_UUID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_HIDDEN = [
    (re.compile(rf"^( +UID:) +{_UUID}$"), r"\1 <uid>"),
    (re.compile(rf"^( +uid:) {_UUID}$"), r"\1 <uid>"),
    (re.compile(r"^( +Resource Version:) +[0-9]+$"), r"\1 <version>"),
    (re.compile(r'^( +resourceVersion:) "[0-9]+"$'), r"\1 <version>"),
    (re.compile(r"^(llmgov-operator +operator)_[0-9a-f]{8}(?= )"), r"\1_<process>"),
    (re.compile(r"(?<= /tmp/)(LIVE|MERGED)-[0-9]+(?=/llmgov)"), r"\1"),
    (re.compile(r"\t[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{9} \+0000$"), " <time>"),
]
_AGES = re.compile(r"(?:^|(?<=  ))(?:AGE|Age|LAST SEEN)(?=  |$)")
_AGE = re.compile(r"[0-9]+[smhd](?:[0-9]+[smhd])?(?= |$)")
_INSTANT = re.compile(r"(?<![^ \"])[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z(?![^ \"])")
_ZONES = [zoneinfo.ZoneInfo(name) for name in ("UTC", "Europe/Berlin")]
"""Those of the Budgets that pages show."""

_EVENTS = re.compile(r" +Type +Reason +Age +From +Message")
_GAP = re.compile(r"(?<=\S) {2,}")


def same(one: str, other: str) -> bool:
    """Whether two outputs say the same."""
    return lines(one) == lines(other)


def lines(text: str) -> list[str]:
    """What an output says, by line."""
    hidden = [_hidden(line) for line in _without_ages(tidy(text).splitlines())]
    return list(_with_sorted_events(_with_months(_GAP.sub("  ", line) for line in hidden)))


def tidy(text: str) -> str:
    """An output without blanks at the ends of its lines, and without empty lines at its end."""
    return "".join(f"{line.rstrip()}\n" for line in text.rstrip().splitlines())


def _hidden(line: str) -> str:
    for pattern, instead in _HIDDEN:
        line = pattern.sub(instead, line)
    return line


def _without_ages(given: list[str]) -> Iterator[str]:
    """In a table that has a column for ages, which begin below its heading."""
    column: int | None = None
    for line in given:
        heading = _AGES.search(line)
        if heading is not None:
            column = heading.start()
        elif not line:
            column = None
        age = _AGE.match(line, column) if column is not None else None
        yield line if age is None else f"{line[: age.start()]}<age>{line[age.end() :]}"


def _with_months(given: Iterator[str]) -> list[str]:
    """With `<month 0 UTC>` for the first begin of a month in UTC that an output has, `<month 1 UTC>` for the next."""
    whole = list(given)
    begins = [begin for line in whole for begin in map(_begin, _INSTANT.findall(line)) if begin is not None]
    first = min((month for _, month in begins), default=0)

    def name(match: re.Match[str]) -> str:
        begin = _begin(match[0])
        return "<time>" if begin is None else f"<month {begin[1] - first} {begin[0]}>"

    return [_INSTANT.sub(name, line) for line in whole]


def _begin(instant: str) -> tuple[str, int] | None:
    """The time zone in which a month begins then, and which one of all months that is."""
    for zone in _ZONES:
        local = datetime.datetime.fromisoformat(instant).astimezone(zone)
        if (local.day, local.time()) == (1, datetime.time()):
            return str(zone), local.year * 12 + local.month
    return None


def _with_sorted_events(given: list[str]) -> list[str]:
    before = list(itertools.takewhile(lambda line: not _EVENTS.fullmatch(line), given))
    rest = given[len(before) :]
    return [*before, *rest[:2], *sorted(rest[2:])]
