"""Limits that meet on one account: the lower limit and the thresholds of all of them are in force.

An account is known by cluster, target, period and time zone alone (`llmgov.snapshot.account_key`), so two Budgets on
one team and month, or a Budget and a `costLimit`, limit the same account. Both stay in force: the account stops where
the first of them would.
"""

import collections
from collections.abc import Iterable, Sequence

import msgspec

from llmgov import snapshot

DEFAULT_THRESHOLDS = (snapshot.Threshold(100, (snapshot.ThresholdAction.BLOCK,)),)
"""What an absent list of thresholds means."""


def thresholds(given: Iterable[snapshot.Threshold]) -> tuple[snapshot.Threshold, ...]:
    """The thresholds in ascending order, one a percentage; 100 % always blocks, whatever else is listed.

    A list without `Block` would make a limit that limits nothing, and no budget grants more than its limit.
    """
    actions: dict[int, dict[snapshot.ThresholdAction, None]] = collections.defaultdict(dict)
    for threshold in (*given, *DEFAULT_THRESHOLDS):
        actions[threshold.percent].update(dict.fromkeys(threshold.actions))
    return tuple(snapshot.Threshold(percent, _ordered(actions[percent])) for percent in sorted(actions))


def _ordered(actions: Iterable[snapshot.ThresholdAction]) -> tuple[snapshot.ThresholdAction, ...]:
    wanted = set(actions)
    return tuple(action for action in snapshot.ThresholdAction if action in wanted)


def micro_usd(account: snapshot.Account) -> int:
    """What the account's limit is worth in millionths of a micro-USD's thousandth: exact, for comparing only."""
    return account.limit * account.nano_usd


def meet(accounts: Sequence[snapshot.Account]) -> snapshot.Account:
    """The account that holds all these limits, which share one key: the lowest, with everybody's thresholds."""
    lowest = min(accounts, key=lambda account: (micro_usd(account), account.source))
    if len(accounts) == 1:
        return lowest
    return msgspec.structs.replace(
        lowest, thresholds=thresholds(threshold for account in accounts for threshold in account.thresholds)
    )
