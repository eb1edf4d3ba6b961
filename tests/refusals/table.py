"""What was seen as text: the golden table, and the page for application developers that rests on it. Pure."""

import re
from collections.abc import Iterable, Sequence

from llmgov.wire import refusals
from tests.refusals.observing import Seen
from tests.refusals.scenarios import A_MINUTE, SCENARIOS, Scenario

HEADINGS = ("sdk", "call", "when", "exception", "status", "code", "attempts", "retry", "decision", "policy", "str(e)")

_VOLATILE = (
    (re.compile(r"req_[0-9A-Za-z]+"), "<request id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z"), "<time>"),
    (re.compile(r"again in \d+ s"), "again in <n> s"),
    (re.compile(r"\bapr-[0-9a-f]+"), "<approval>"),
    (re.compile(r"(127\.0\.0\.1):\d+"), r"\1:<port>"),
)

_INTRODUCTION = """\
# What the SDKs raise

Written by tests/refusals (`LLMGOV_GOLDEN=write pytest tests/refusals`): every situation, met through the official SDKs
against the running system. *When* is `mid-stream` where an answer had begun; *attempts* is how many requests reached
the proxy, with the SDKs' own retries; *retry* is what the last answer said of it; `str(e)` is what ends in a log.
"""


def golden(seen: Iterable[Seen]) -> str:
    """The table of all calls, a section a scenario."""
    rows = list(seen)
    return _INTRODUCTION + "".join(_section(scenario, rows) for scenario in SCENARIOS)


def words(text: str) -> str:
    """A text with what differs from run to run replaced by its name."""
    for pattern, name in _VOLATILE:
        text = pattern.sub(name, text)
    return text


def retry(one: Seen) -> str:
    """What the last answer says of another try, jitter taken out."""
    headers = one.last.headers
    if one.midstream:
        return "–"
    if headers.get("x-should-retry") == "false":
        return "no"
    after = headers.get("retry-after")
    if after is None:
        return "unsaid"
    floor = one.scenario.floor
    if floor is None:
        return f"after {after} s"
    if floor == A_MINUTE:
        return "within a minute"
    return f"after {floor} to {latest(floor)} s"


def latest(floor: int) -> int:
    """The latest `retry-after`, in seconds, that jitter makes of `floor`."""
    return min(floor + refusals.JITTER, refusals.MAX_RETRY_AFTER)


def _section(scenario: Scenario, seen: Sequence[Seen]) -> str:
    rows = [_row(one) for one in seen if one.scenario is scenario]
    why = f"`{scenario.reason.value}`" if scenario.reason else "the provider's own answer, passed on"
    return f"\n## {scenario.title}\n{why}; {scenario.place.value}; {scenario.workload}\n\n{markdown(HEADINGS, rows)}"


def markdown(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns are aligned, but for the last, which is as long as it is."""
    lines = [list(headings), *map(list, rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(headings) - 1)]
    lines.insert(1, ["-" * width for width in widths] + ["-" * len(headings[-1])])
    return "".join(
        f"| {' | '.join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[-1]])} |\n"
        for line in lines
    )


def _row(one: Seen) -> list[str]:
    headers = one.last.headers
    return [
        one.call.sdk,
        one.call.name,
        "mid-stream" if one.midstream else "before",
        type(one.error).__name__ if one.error else "–",
        str(one.status or "–"),
        one.code or "–",
        str(one.attempts),
        retry(one),
        headers.get("x-llmgov-decision", "–"),
        headers.get("x-llmgov-policy", "–"),
        words(str(one.error or "–")).replace("|", "\\|").replace("\r", "").replace("\n", "⏎"),
    ]
