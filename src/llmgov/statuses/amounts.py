"""An account's window as a status shows it: in the limit's currency, with what is left and where it is heading."""

from typing import Any

from llmgov import instants, money, snapshot
from llmgov.instants import Instant
from llmgov.ledger import ceilings, rows, windows
from llmgov.money import MicroUsd
from llmgov.resources import status


def of_window(
    account: snapshot.Account, window: rows.Window, opened: frozenset[int], now: Instant, *, refused: bool = False
) -> dict[str, Any]:
    """All that is an account's of `AccountStatus`: the limit in force, what is spent and held of it, and its state.

    HELD is what is lent to sidecars and what a lost sidecar could not account for; both cannot be lent again. `opened`
    are the thresholds of this window that an approval opened; `refused` says that a request was refused in it because
    less was left than it needed.
    """
    held = window.leased + window.unknown
    limit = ceilings.limit(account, window.nano_usd)
    percent = min(window.spent * 100 // limit, status.PERCENT) if limit else 100
    return {
        "target": _target(account, window),
        "limit": money.format_amount(account.limit),
        "currency": account.currency,
        "period": account.period.value,
        "spent": _shown(window.spent, window),
        "held": _shown(held, window),
        "remaining": _shown(max(0, limit - window.spent - held), window),
        "percent": percent,
        "used": f"{percent}%",
        "forecast": _shown(_forecast(window, now), window),
        "window": {"start": instants.to_rfc3339(window.start), "end": instants.to_rfc3339(window.end)},
        "state": state(account, window, opened, refused=refused),
    }


def untouched(account: snapshot.Account, now: Instant) -> dict[str, Any]:
    """The same for a window in which nothing was spent or lent yet."""
    span = windows.current(account.period, account.time_zone, now)
    return of_window(account, rows.Window(account.key, "", span.start, span.end, account.nano_usd), frozenset(), now)


def state(account: snapshot.Account, window: rows.Window, opened: frozenset[int], *, refused: bool = False) -> str:
    """`Exhausted` or `ApprovalRequired` where nothing more is lent, `Short` where too little was left for a request.

    Else `Notified` once a threshold is reached.
    """
    gone = window.spent + window.unknown
    limit = ceilings.limit(account, window.nano_usd)
    if gone >= ceilings.utmost(account, window).amount:
        return "Exhausted"
    if gone >= ceilings.ceiling(account, window, opened).amount:
        return "ApprovalRequired"
    if refused:
        return "Short"
    reached = any(gone >= money.share(limit, threshold.percent) for threshold in account.thresholds)
    return "Notified" if reached else "Open"


def user_of(account: snapshot.Account, window: rows.Window) -> str:
    """Whose window it is, of an account of each user; empty of any other."""
    return window.account.removeprefix(account.key).removeprefix("|")


def _target(account: snapshot.Account, window: rows.Window) -> str:
    """What is counted; of an account of each user, whose window this is."""
    user = user_of(account, window)
    return f"{account.target}/{user}" if user else str(account.target)


def _forecast(window: rows.Window, now: Instant) -> MicroUsd:
    """What will be spent at the window's end if it goes on as it did so far; no more than any limit could be."""
    elapsed = min(max(now - window.start, 1), window.end - window.start)
    expected = window.spent * (window.end - window.start) // elapsed
    return max(window.spent, min(expected, money.MAX_AMOUNT))


def _shown(amount: MicroUsd, window: rows.Window) -> str:
    """Micro-USD in the account's currency, at the rate that the window began with."""
    return money.format_amount(money.in_currency(amount, window.nano_usd))
