"""docs/refusals.md: what application developers should catch, by what was seen. Pure.

The table in the page is written between two marks; the text around it is its author's.
"""

from collections.abc import Callable, Iterable, Sequence

from llmgov.wire.events import Reason
from tests.refusals import table
from tests.refusals.calls import ANTHROPIC, OPENAI
from tests.refusals.observing import Seen

BEGIN = "<!-- written by tests/refusals from what the SDKs raised -->\n\n"
END = "\n<!-- end -->"

HEADINGS = ("why", "status", "OpenAI SDK raises", "`code`", "Anthropic SDK raises", "`error.type`", "tries again")
_BROKEN = ("why, mid-stream", "OpenAI SDK raises", "`code`", "Anthropic SDK raises", "`error.type`")

_WORDS = {
    Reason.RATE: "too many requests or tokens",
    Reason.BUDGET: "the budget is exhausted",
    Reason.CONTENT: "content that may not be sent or received",
    Reason.DENIED: "a model, route or provider that is not allowed",
    Reason.APPROVAL: "somebody must approve it first",
    Reason.UNAVAILABLE: "no configuration, or ledger or audit out of reach",
    Reason.TOO_LARGE: "too large, or nested too deeply",
    Reason.MALFORMED: "not understood",
    Reason.TIMEOUT: "the request did not arrive in time",
    Reason.AUTHENTICATION: "a token or platform key that proves nobody",
    Reason.UPSTREAM: "the provider did not answer",
}


def tables(seen: Iterable[Seen]) -> str:
    """Both tables: refusals before an answer has begun, and those in the middle of a stream."""
    rows = [one for one in seen if one.scenario.reason is not None]
    before = [_before(reason, [one for one in rows if one.scenario.reason is reason]) for reason in Reason]
    midstream = [one for one in rows if one.midstream]
    reasons = [reason for reason in Reason if any(one.scenario.reason is reason for one in midstream)]
    broken = [_midstream(reason, [one for one in midstream if one.scenario.reason is reason]) for reason in reasons]
    return f"{table.markdown(HEADINGS, before)}\n{table.markdown(_BROKEN, broken)}"


def written(page: str, seen: Iterable[Seen]) -> str:
    """The page with the tables in their place."""
    head, rest = page.split(BEGIN)
    return head + BEGIN + tables(seen) + END + rest.split(END)[1]


def _before(reason: Reason, seen: Sequence[Seen]) -> list[str]:
    rows = [one for one in seen if not one.midstream]
    status = _each(rows, lambda one: str(one.last.status))
    return [_WORDS[reason], status, *_raised(rows), _tries(rows)]


def _midstream(reason: Reason, seen: Sequence[Seen]) -> list[str]:
    return [_WORDS[reason], *_raised(seen)]


def _raised(rows: Sequence[Seen]) -> list[str]:
    found = []
    for sdk in (OPENAI, ANTHROPIC):
        own = [one for one in rows if one.call.sdk == sdk]
        found += [_each(own, lambda one: f"`{type(one.error).__name__}`"), _each(own, lambda one: f"`{one.code}`")]
    return found


def _tries(rows: Sequence[Seen]) -> str:
    told = {table.retry(one) != "no" for one in rows}
    return "where that can help" if len(told) == 2 else "yes" if told == {True} else "no"


def _each(rows: Sequence[Seen], of: Callable[[Seen], str]) -> str:
    """All that is said in these rows, what is said most often first."""
    said = [of(one) for one in rows]
    return " or ".join(sorted(set(said), key=lambda word: (-said.count(word), word)))
