"""An account's window as a status shows it: in the limit's currency, with what is left and where it is heading."""

from typing import Any

from llmgov import instants, money, snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.money import MicroUsd

_NANO = 1_000_000_000


def of_window(account: snapshot.Account, window: rows.Window, now: Instant) -> dict[str, Any]:
    """`spent`, `held`, `remaining`, `percent`, `forecast`, `window`, `state` and `target` of `AccountStatus`.

    HELD is what is lent to sidecars and what a lost sidecar could not account for; both cannot be lent again.
    """
    held = window.leased + window.unknown
    limit = account.limit * window.nano_usd // _NANO
    percent = window.spent * 100 // limit if limit else 100
    return {
        "target": str(account.target),
        "spent": _shown(window.spent, window),
        "held": _shown(held, window),
        "remaining": _shown(max(0, limit - window.spent - held), window),
        "percent": percent,
        "used": f"{percent}%",
        "forecast": _shown(_forecast(window, now), window),
        "window": {"start": instants.to_rfc3339(window.start), "end": instants.to_rfc3339(window.end)},
        "state": state(account, window.spent, limit),
    }


def untouched(account: snapshot.Account, start: Instant, end: Instant, now: Instant) -> dict[str, Any]:
    """The same for a window in which nothing was spent or lent yet."""
    window = rows.Window(account.key, "", start, end, account.nano_usd)
    return of_window(account, window, now)


def state(account: snapshot.Account, spent: MicroUsd, limit: MicroUsd) -> str:
    """`Exhausted`, `ApprovalRequired`, `Notified` or `Open`: the strictest action among the thresholds reached."""
    reached = {
        action
        for threshold in account.thresholds
        if spent >= money.share(limit, threshold.percent)
        for action in threshold.actions
    }
    if snapshot.ThresholdAction.BLOCK in reached or spent >= limit:
        return "Exhausted"
    if snapshot.ThresholdAction.REQUIRE_APPROVAL in reached:
        return "ApprovalRequired"
    return "Notified" if reached else "Open"


def _forecast(window: rows.Window, now: Instant) -> MicroUsd:
    """What will be spent at the window's end if it goes on as it did so far."""
    elapsed = min(max(now - window.start, 1), window.end - window.start)
    return window.spent * (window.end - window.start) // elapsed


def _shown(amount: MicroUsd, window: rows.Window) -> str:
    """Micro-USD in the account's currency, at the rate that the window began with."""
    return money.format_amount(amount * _NANO // window.nano_usd)
