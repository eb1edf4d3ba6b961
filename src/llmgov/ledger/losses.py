"""What lost pods cost: money that a bill told of leases, and so of no attempt; and how much of it is still unknown.

A loss is held in every account that the pod was lent from, and corrected in each by itself, so a report counts it in
one of them: in the account of the organization whose windows the reported time is made of. With that the report's total
is what this account has spent in these windows.
"""

import collections
from collections.abc import Iterable, Sequence

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import windows
from llmgov.ledger.rows import AccountRow, LeaseRow, LeaseState
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov.snapshot import Period, Target, TargetKind

_ORGANIZATION = str(Target(TargetKind.ORGANIZATION))

_PERIODS = tuple(Period)
"""From the shortest to the longest."""

_NEVER: Instant = 2**57
"""An end that is none: it lies beyond all calendars (some 4,500 years from now)."""


class Losses(msgspec.Struct, frozen=True):
    """What lost leases were `billed`, and what of them is still `unknown` and held, each loss once.

    `account` is the key of the organization's account that both are counted in; it is empty where there is none, and
    each pod's loss is counted in the account that was billed the most. `beyond` is the money of both kinds in windows
    that lie only partly in the time that was asked for: nobody knows which part of it belongs there.
    """

    account: str = ""
    billed: MicroUsd = 0
    unknown: MicroUsd = 0
    beyond: MicroUsd = 0


def losses(leases: Iterable[LeaseRow], accounts: Iterable[AccountRow], time: Span) -> Losses:
    """The losses of `time`, among the store's unaccounted `leases`; `accounts` are those in force."""
    concerned = [row for row in leases if row.window_start < time.end and row.window_end > time.start]
    whole = _organization(accounts, time)
    if whole is not None:
        return _sum([row for row in concerned if row.account == whole.key], time, whole.key)
    parts: dict[str, list[Losses]] = collections.defaultdict(list)
    for (holder, _), rows in _grouped(concerned).items():
        parts[holder].append(_sum(rows, time))
    dearest = [max(each, key=lambda one: (one.billed, one.unknown, one.beyond)) for each in parts.values()]
    return Losses(
        "",
        sum(one.billed for one in dearest),
        sum(one.unknown for one in dearest),
        sum(one.beyond for one in dearest),
    )


def _organization(accounts: Iterable[AccountRow], time: Span) -> AccountRow | None:
    """The account whose windows make up `time`, the one with the fewest of them; else that with the shortest ones."""
    candidates = [row for row in accounts if row.scope == _ORGANIZATION]
    fitting = [row for row in candidates if _begins(row, time.start) and _begins(row, time.end)]
    if fitting:
        return min(fitting, key=lambda row: (-_PERIODS.index(row.account.period), row.account.dry_run, row.key))
    return min(
        candidates,
        key=lambda row: (_PERIODS.index(row.account.period), row.account.dry_run, row.key),
        default=None,
    )


def _begins(row: AccountRow, at: Instant) -> bool:
    """Whether one of its windows begins then, or there is no bound."""
    return not 0 < at < _NEVER or windows.current(row.account.period, row.account.time_zone, at).start == at


def _grouped(leases: Iterable[LeaseRow]) -> dict[tuple[str, str], list[LeaseRow]]:
    found: dict[tuple[str, str], list[LeaseRow]] = collections.defaultdict(list)
    for row in leases:
        found[row.holder, row.account].append(row)
    return found


def _sum(leases: Sequence[LeaseRow], time: Span, account: str = "") -> Losses:
    within = [row for row in leases if row.window_start >= time.start and row.window_end <= time.end]
    billed, unknown = sum(row.billed for row in within), sum(map(_unknown, within))
    everything = sum(row.billed + _unknown(row) for row in leases)
    return Losses(account, billed, unknown, everything - billed - unknown)


def _unknown(row: LeaseRow) -> MicroUsd:
    return row.outstanding if row.state is LeaseState.LOST else 0
