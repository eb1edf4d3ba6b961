"""What an event must be for the ledger to take it: bounded, not from the future, and of its sender's own attempts."""

from typing import assert_never

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.book import Book
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_time
from llmgov.ledger.messages import Charged, Event, Intent, Refused, Settlement, Violated
from llmgov.ledger.rows import LeaseRow
from llmgov.money import MicroUsd

CLOCK_AHEAD: Duration = instants.HOUR
"""How far ahead of the ledger's a sidecar's clock may be: minutes happen. What is dated less far ahead counts at the
ledger's time, so no attempt falls into a window that has not begun."""

MAX_COUNT = 2**63 - 1
"""What the columns of every store hold."""

MAX_PLAIN = 2**53 - 1
"""What a record's numbers may be: every reader of JSON holds that exactly."""

MAX_STATUS = 999
"""The largest number with three digits: what an answer's status has."""


def check(book: Book, event: Event, now: Instant) -> None:
    """Refuse what cannot be taken.

    Raises:
        BadInputError: an amount or count out of range, a time beyond `CLOCK_AHEAD`, a lease of another epoch.
    """
    require_time(event.at, now, CLOCK_AHEAD, "at")
    match event:
        case Intent():
            _check_intent(book, event)
        case Settlement():
            _check_settlement(event)
        case Refused():
            _require_count(event.count, "count", least=1, most=MAX_PLAIN)
            _require_count(event.status, "status", most=MAX_STATUS)
        case Violated():
            pass
        case _:
            assert_never(event)


def _check_intent(book: Book, intent: Intent) -> None:
    require_amount(intent.hold, "hold")
    held: dict[str, MicroUsd] = {}
    for index, part in enumerate(intent.charged):
        field = f"charged[{index}]"
        require_amount(part.held, f"{field}.held")
        _require_own(book, intent, part, field)
        held[part.key] = held.get(part.key, 0) + part.held
    _require_one_time(book, intent)
    for key, amount in held.items():
        if amount != intent.hold:
            wrong = f"{amount} micro-USD of {key} are set aside for a hold of {intent.hold}"
            raise BadInputError(Fault.RANGE, "charged", wrong)


def _require_own(book: Book, intent: Intent, part: Charged, field: str) -> None:
    """An attempt holds from leases of its own epoch only: a fenced one's too, but no newer or other one's."""
    epoch = intent.id.rpartition("/")[0]
    lease = book.leases.get(part.lease)
    owner = str(lease.epoch) if lease is not None else "/".join(part.lease.split("/")[:-2])
    if owner != epoch:
        raise BadInputError(Fault.FOREIGN, f"{field}.lease", f"{part.lease} is no lease of {epoch or intent.id}")
    if lease is not None and lease.account != part.key:
        raise BadInputError(Fault.FOREIGN, f"{field}.key", f"{part.lease} was lent from {lease.account}")


def _require_one_time(book: Book, intent: Intent) -> None:
    """Each lease once, and windows that share a moment: else no time is right for what the attempt cost.

    A lease that the ledger made anew after a failover has no deadline, and a window that is only supposed.
    """
    named = [part.lease for part in intent.charged]
    if len(set(named)) < len(named):
        raise BadInputError(Fault.REPEATED, "charged", "one lease is named twice")
    leases = [lease for lease in map(book.leases.get, named) if lease is not None and lease.deadline]
    first, last = max(leases, key=_start, default=None), min(leases, key=_end, default=None)
    if first is not None and last is not None and last.window_end <= first.window_start:
        raise BadInputError(Fault.RANGE, "charged", f"{last.id} is of a window that ended before that of {first.id}")


def _check_settlement(settlement: Settlement) -> None:
    require_amount(settlement.cost, "cost")
    _require_count(settlement.duration, "duration", most=MAX_PLAIN)
    _require_count(settlement.status, "status", most=MAX_STATUS)
    for dimension, count in settlement.usage.items():
        _require_count(count, f"usage.{dimension.value}")


def _start(lease: LeaseRow) -> Instant:
    return lease.window_start


def _end(lease: LeaseRow) -> Instant:
    return lease.window_end


def _require_count(count: int, field: str, least: int = 0, most: int = MAX_COUNT) -> None:
    if not least <= count <= most:
        fault = Fault.NEGATIVE if count < 0 else Fault.RANGE
        raise BadInputError(fault, field, f"{count} is not between {least} and {most}")
