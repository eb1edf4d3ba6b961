"""Limits and thresholds: up to where an account may be lent from, and who is to be told how far it got."""

import functools
import itertools
from typing import NamedTuple

import msgspec

from llmgov import money
from llmgov.instants import Instant
from llmgov.ledger.book import Book
from llmgov.ledger.rows import OutboxEntry, Window
from llmgov.money import MicroUsd
from llmgov.snapshot import ACTING, Account, Audience, Threshold, ThresholdAction

_AUDIENCES = {ThresholdAction.NOTIFY_USERS: Audience.USERS, ThresholdAction.NOTIFY_ADMINS: Audience.ADMINS}


class Ceiling(NamedTuple):
    """The amount that nothing lent may pass, the percentage it stands at, and whether an approval would raise it."""

    amount: MicroUsd
    percent: int
    approvable: bool


def limit(account: Account, nano_usd: int) -> MicroUsd:
    """The account's limit in micro-USD at a window's rate, rounded down."""
    return money.in_usd(account.limit, nano_usd)


def believed(book: Book, account: str, start: Instant) -> MicroUsd:
    """How much of one lease may be outstanding that the ledger lost and has by its holder's word: the account's limit.

    Whatever was lent beyond it, under a limit that was lowered since or while nothing was refused, counts when its
    attempts end: above its limit an account lends nothing anyway.
    """
    return limit(book.accounts[account].account, book.windows[account, start].nano_usd)


def ceiling(account: Account, window: Window, opened: frozenset[int]) -> Ceiling:
    """The first acting threshold that no approval of this window opened.

    That is the limit at the latest, whatever the thresholds say (design section 7: no budget grants more than its
    limit); an approval at 100 % would open nothing, so none is asked for.
    """
    whole = limit(account, window.nano_usd)
    for percent, blocks in _acting(account.thresholds):
        if blocks or percent not in opened:
            return Ceiling(money.share(whole, percent), percent, not blocks)
    return Ceiling(whole, 100, False)


@functools.lru_cache(maxsize=1024)
def _acting(thresholds: tuple[Threshold, ...]) -> tuple[tuple[int, bool], ...]:
    """The percentages below the limit that stop requests, the lowest first, and whether each blocks.

    Looked up since every grant asks for each of its accounts, and few definitions differ in their thresholds.
    """
    return tuple(
        (threshold.percent, ThresholdAction.BLOCK in threshold.actions)
        for threshold in sorted(thresholds, key=lambda threshold: threshold.percent)
        if threshold.percent < 100 and ACTING.intersection(threshold.actions)
    )


def utmost(account: Account, window: Window) -> Ceiling:
    """The ceiling that no approval opens: beyond it nobody can help, so nobody is asked."""
    return ceiling(account, window, frozenset(threshold.percent for threshold in account.thresholds))


def asks(account: Account, percent: int) -> bool:
    """Whether what stops the account at `percent` of its limit is that an approval is asked for."""
    there = [threshold.actions for threshold in account.thresholds if threshold.percent == percent]
    acting = ACTING.intersection(itertools.chain.from_iterable(there))
    return percent < 100 and acting == {ThresholdAction.REQUIRE_APPROVAL}


def put_and_notify(book: Book, account: Account, window: Window, now: Instant) -> None:
    """Put `window`, and an outbox entry for each audience of each threshold that it has newly reached."""
    reached = _newly_reached(account, window)
    for threshold in reached:
        for action in threshold.actions:
            if action in _AUDIENCES:
                _tell(book, account, window, threshold, _AUDIENCES[action], now)
    if reached:
        told = {*window.told, *(threshold.percent for threshold in reached)}
        window = msgspec.structs.replace(window, told=tuple(sorted(told)))
    book.put_window(window)


def _newly_reached(account: Account, window: Window) -> list[Threshold]:
    whole, used = limit(account, window.nano_usd), window.spent + window.unknown
    return [
        threshold
        for threshold in account.thresholds
        if money.share(whole, threshold.percent) <= used and threshold.percent not in window.told
    ]


def _tell(book: Book, account: Account, window: Window, threshold: Threshold, audience: Audience, now: Instant) -> None:
    spent = money.show(window.spent + window.unknown, account.currency, window.nano_usd)
    whole = money.show_units(account.limit, account.currency)
    entry = OutboxEntry(
        id=f"threshold/{window.account}/{window.start}/{threshold.percent}/{audience.value}",
        at=now,
        audience=audience.value,
        about=window.account,
        fact=f"threshold:{threshold.percent}",
        message=f"{account.source} has spent {spent} of {whole}, {threshold.percent} % or more of its limit",
    )
    book.put.outbox.setdefault(entry.id, entry)
