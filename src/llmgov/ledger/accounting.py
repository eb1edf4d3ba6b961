"""What a sidecar says of its leases (returns, inventories, reports, answers to recalls), before anything is looked up.

Whether a lease is the sender's, and how much it may return, is decided where the ledger's rows are known (`returns`,
`recovery`); here is refused what no ledger need be asked about.
"""

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger import asking, paths
from llmgov.ledger.bounds import (
    CLOCK_AHEAD,
    MAX_HOLDINGS,
    MAX_NUMBER,
    require_count,
    require_epoch,
    require_few,
    require_name,
    require_names,
)
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_time
from llmgov.ledger.messages import Holding, Holdings, Inventory, Lease, LeaseReturn, Recalled

MAX_WINDOW: Duration = 400 * instants.DAY
"""Longer than a leap year, the longest window."""

MAX_PERCENT = 100
"""Of a limit: no threshold lies above it."""


def check_return(message: LeaseReturn) -> None:
    """Refuse a return that no sidecar of ours makes.

    Raises:
        BadInputError: a name, number or amount out of range.
    """
    require_epoch(message.epoch)
    require_name(message.lease, "lease")
    require_count(message.serial, "serial", least=-MAX_NUMBER if message.unaccounted else 0)
    require_amount(message.amount, "amount")


def check_inventory(message: Inventory) -> None:
    """Refuse an inventory that cannot be meant.

    Raises:
        BadInputError: a name or number out of range, or too many.
    """
    require_epoch(message.epoch)
    require_names(message.leases, "leases")


def check_recalled(message: Recalled) -> None:
    """Refuse an answer to a recall that cannot be meant.

    Raises:
        BadInputError: a name, number or amount out of range.
    """
    require_epoch(message.epoch)
    require_name(message.key, "key")
    require_name(message.ask, "ask", empty=True)
    require_amount(message.amount, "amount")


def check_holdings(message: Holdings, now: Instant) -> None:
    """Refuse a report that cannot be meant; `now` is the ledger's clock.

    Raises:
        BadInputError: a name, number, amount or time out of range, or too many of them.
    """
    require_epoch(message.epoch)
    require_name(message.ledger, "ledger", empty=True)
    require_count(message.closed, "closed")
    require_few(message.holdings, "holdings", MAX_HOLDINGS)
    require_names(message.before, "before")
    for index, holding in enumerate(message.holdings):
        _check_holding(holding, f"holdings[{index}]", now)


def _check_holding(holding: Holding, field: str, now: Instant) -> None:
    _check_lease(holding.lease, f"{field}.lease", now)
    require_amount(holding.spent, f"{field}.spent")
    require_amount(holding.held, f"{field}.held")
    require_amount(holding.returned, f"{field}.returned", most=holding.lease.amount)
    require_count(holding.serial, f"{field}.serial")
    require_names(holding.path, f"{field}.path", asking.MAX_NEEDS)
    paths.require_consistent(holding.path, f"{field}.path")
    if holding.account is not None:
        asking.check_account(holding.account, f"{field}.account")
        asking.check_key(holding.account, holding.lease.key, f"{field}.lease.key")


def _check_lease(lease: Lease, field: str, now: Instant) -> None:
    require_name(lease.id, f"{field}.id")
    require_name(lease.key, f"{field}.key")
    require_amount(lease.amount, f"{field}.amount")
    require_name(lease.definition, f"{field}.definition", empty=True)
    require_time(lease.window_start, now, CLOCK_AHEAD, f"{field}.window_start")
    if not lease.window_start < lease.window_end <= lease.window_start + MAX_WINDOW:
        raise BadInputError(Fault.RANGE, f"{field}.window_end", "no window ends then that begins when this one does")
    require_count(lease.deadline, f"{field}.deadline", most=lease.window_end)
    if lease.over is not None:
        require_count(lease.over, f"{field}.over", most=MAX_PERCENT)
