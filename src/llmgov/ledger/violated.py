"""Violations summed up: what a status shows of perhaps millions of rows, by policy or account. Pure."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Final

from llmgov.instants import Instant
from llmgov.ledger.rows import ViolationRow
from llmgov.policy.decision import Action

RECENT: Final = 10
"""How many of the newest violations are shown one by one."""

REFUSED: Final = "budget_exhausted"
"""The reason of a violation that says that an account had less left than a request needed."""


@dataclasses.dataclass(frozen=True, slots=True)
class Violated:
    """What one policy, or one resource that limits an account, brought about in some time.

    `recent` are the newest rows, oldest first. `refused` says by user (`""`: nobody's) when an account had too little
    left for a request for the last time.
    """

    counts: Mapping[Action, int] = dataclasses.field(default_factory=dict)
    recent: tuple[ViolationRow, ...] = ()
    refused: Mapping[str, Instant] = dataclasses.field(default_factory=dict)


def of(rows: Iterable[ViolationRow]) -> dict[str, Violated]:
    """These rows summed up, by policy."""
    rows = list(rows)
    return assembled(
        ((row.policy, row.action, row.count) for row in rows),
        rows,
        ((row.policy, row.user, row.at) for row in rows if row.reason == REFUSED),
    )


def assembled(
    counts: Iterable[tuple[str, Action, int]],
    recent: Iterable[ViolationRow],
    refused: Iterable[tuple[str, str | None, Instant]],
) -> dict[str, Violated]:
    """The sums of three readings: (policy, action, count), rows, and (policy, user, time); by policy, in order."""
    summed: dict[str, dict[Action, int]] = {}
    for policy, action, count in counts:
        of_policy = summed.setdefault(policy, {})
        of_policy[action] = of_policy.get(action, 0) + count
    newest: dict[str, list[ViolationRow]] = {}
    for row in recent:
        newest.setdefault(row.policy, []).append(row)
    latest: dict[str, dict[str, Instant]] = {}
    for policy, user, at in refused:
        of_users = latest.setdefault(policy, {})
        of_users[user or ""] = max(at, of_users.get(user or "", at))
    return {
        policy: Violated(summed.get(policy, {}), _newest(newest.get(policy, ())), latest.get(policy, {}))
        for policy in sorted({*summed, *newest, *latest})
    }


def merged(one: Mapping[str, Violated], other: Mapping[str, Violated]) -> dict[str, Violated]:
    """The sums of two times that have no moment in common. What only one of them has is that very object."""
    both = one.keys() & other.keys()
    return {**one, **other, **{policy: _added(one[policy], other[policy]) for policy in both}}


def _added(one: Violated, other: Violated) -> Violated:
    counts = {
        action: one.counts.get(action, 0) + other.counts.get(action, 0) for action in {*one.counts, *other.counts}
    }
    refused = {
        user: max(each.refused[user] for each in (one, other) if user in each.refused)
        for user in {*one.refused, *other.refused}
    }
    return Violated(counts, _newest((*one.recent, *other.recent)), refused)


def _newest(rows: Iterable[ViolationRow]) -> tuple[ViolationRow, ...]:
    return tuple(sorted(rows, key=lambda row: (row.at, row.event, row.index))[-RECENT:])
