"""What scopes spent, summed by quarters of an hour: accounts that begin in the middle of their windows start with it.

A quarter is the largest time of which all windows are made: every offset from UTC that any time zone has today is a
multiple of it, and so is every boundary of a period. Where a window has another boundary all the same (zones had such
offsets until 1972, and may have them again), what lies beyond its whole quarters is summed by attempts.
"""

import collections
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.rows import Spend
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd

QUARTER: Duration = 15 * instants.MINUTE


class Parts(NamedTuple):
    """A time as the quarters that lie in it, an empty one where none does, and what is left of it at its ends."""

    quarters: Span
    rest: tuple[Span, ...]


def quarter(at: Instant) -> Instant:
    """When the quarter of an hour began that `at` lies in."""
    return at - at % QUARTER


def parts(span: Span) -> Parts:
    """`span`, taken apart."""
    first, last = quarter(span.start + QUARTER - 1), quarter(span.end)
    if first >= last:
        return Parts(Span(first, first), (span,) if span.start < span.end else ())
    rest = (Span(span.start, first), Span(last, span.end))
    return Parts(Span(first, last), tuple(part for part in rest if part.start < part.end))


def changes(spends: Iterable[Spend]) -> Mapping[tuple[str, Instant], MicroUsd]:
    """By how much `spends` change which sums; negative where less was spent."""
    found: dict[tuple[str, Instant], MicroUsd] = collections.defaultdict(int)
    for spend in spends:
        start = quarter(spend.at)
        for scope in spend.scopes:
            found[scope, start] += spend.cost
    return found
