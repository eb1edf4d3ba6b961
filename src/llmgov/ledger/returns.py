"""How lent money comes back, or does not: returns, an epoch's inventory, a lost holder. Expiry is not among them.

A deadline that passed stops new holds at the sidecar and returns nothing: whoever is late may already have dispatched.
"""

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import epochs, grants, lives, moves
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.errors import BadInputError, Fault, require_amount
from llmgov.ledger.messages import Inventory, LeaseReturn
from llmgov.ledger.rows import LeaseRow, LeaseState
from llmgov.money import MicroUsd

MAX_SERIAL = 2**53
"""Returns of one lease: what every reader of JSON holds exactly."""


def return_lock(message: LeaseReturn) -> Lock:
    """What `give_back` needs of the store.

    Raises:
        BadInputError: the serial is none. Below 0 is only that of a lease that a boot cannot account for.
    """
    least = -MAX_SERIAL if message.unaccounted else 0
    if not least <= message.serial <= MAX_SERIAL:
        fault = Fault.NEGATIVE if message.serial < 0 else Fault.RANGE
        raise BadInputError(fault, "serial", f"{message.serial} is no number of a return")
    return Lock(
        leases=(message.lease,), returns=((message.lease, message.serial),), events=(ended_unknown(message.lease),)
    )


def ended_unknown(lease: str) -> str:
    """The mark of a lease that ended while the ledger, in a failover, had lost it: kept among the ids of its holder's
    events, so that a report of it which arrives late does not bring it back."""
    return f"{lease}/ended"


def give_back(book: Book, message: LeaseReturn, now: Instant) -> MicroUsd:
    """Take a return; how much became free. A repeated one changes nothing, nor does one of a lease that is not known
    any more.

    Older epochs may still return (their money was never freed), but only the holder of a lease may, and never more
    than is outstanding. Of a lease that the ledger lost, and whose size it does not know yet, nothing comes back: its
    holder's report will say; where it ends before that, what attempts held and did not spend of it is lost with it. A
    lost lease stays lost: a return of its own epoch lessens what is unknown; what a later epoch concludes from its
    spool does not, since it knows no more than the one that gave the lease up. Nothing comes back of a strict lease
    that is lost: what attempts on record do not claim is back already.

    Raises:
        BadInputError: no amount of money, more than was lent, or somebody else's lease.
    """
    require_amount(message.amount, "amount")
    lease = book.leases.get(message.lease)
    if lease is None:
        _mark_ended(book, message)
        return 0
    _check(lease, message)
    if (message.lease, message.serial) in book.returns:
        return 0
    book.put_return(message.lease, message.serial)
    amount = 0 if _says_nothing(lease, message) else min(message.amount, lease.outstanding)
    after = msgspec.structs.replace(lease, returned=lease.returned + amount)
    ends = message.final and lease.state is LeaseState.OPEN
    if message.unaccounted or (ends and not lease.deadline):
        after = lost_whole(after)
    elif ends:
        after = msgspec.structs.replace(after, state=LeaseState.FINAL)
    if not lease.deadline:
        _mark_ended(book, message)
    moves.change_lease(book, after, now)
    return amount


def lost_whole(lease: LeaseRow) -> LeaseRow:
    """The lease lost with all that is outstanding; one that is lost already stays as it is."""
    if lease.state is LeaseState.LOST:
        return lease
    return msgspec.structs.replace(lease, state=LeaseState.LOST, strict_in=0, claimed=0)


def _mark_ended(book: Book, message: LeaseReturn) -> None:
    """What its holder accounts for to the end is over; what it cannot account for may still be spent."""
    mark = ended_unknown(message.lease)
    own = message.lease.startswith(f"{message.epoch.holder}:")
    if own and message.final and not message.unaccounted and mark not in book.events:
        book.put_event(mark)


def _check(lease: LeaseRow, message: LeaseReturn) -> None:
    if lease.holder != message.epoch.holder:
        raise BadInputError(Fault.FOREIGN, "lease", f"{lease.id} was not lent to {message.epoch.holder}")
    if message.epoch.number < lease.number:
        raise BadInputError(Fault.FOREIGN, "epoch", f"{lease.id} was lent to a later epoch than {message.epoch}")
    if lease.deadline and message.amount > lease.amount:
        wrong = f"{message.amount} micro-USD come back of {lease.amount}"
        raise BadInputError(Fault.RANGE, "amount", wrong)


def _says_nothing(lease: LeaseRow, message: LeaseReturn) -> bool:
    if not lease.deadline:
        return True
    return lease.state is LeaseState.LOST and (lease.strict or message.epoch.number != lease.number)


def holder_lock(holder: str) -> Lock:
    """What `take_inventory` and `lose` need of the store."""
    return Lock(holders=(holder,), leases_of=(holder,), ledger_epoch=True)


def take_inventory(book: Book, message: Inventory, now: Instant) -> MicroUsd:
    """Free the leases of older epochs that were never spent from (they are not named); how much became free.

    What was given up as lost is not among them: a spool names no more what it was trimmed of, once its epoch had told
    that it cannot account for that. Nor is what came back for the last time: what is left of it was spent. What may
    have been lent in an earlier life of the database is lost, not freed: its holder may have spent and ended it,
    which the ledger was told and has lost, and no spool names it any more. What an older epoch asked for and what
    arrives only now is lent nothing any more. Ignored where a newer epoch has acted: that one may be spending.

    Raises:
        BadInputError: `FOREIGN`: it names what was not lent to this holder; `UNKNOWN`: nobody was given its epoch.
    """
    for lease_id in message.leases:
        if not lease_id.startswith(f"{message.epoch.holder}:"):
            raise BadInputError(Fault.FOREIGN, "leases", f"{lease_id} was not lent to {message.epoch.holder}")
    epochs.require_given(book, message.epoch)
    if not epochs.admit(book, message.epoch):
        return 0
    freed, named = 0, frozenset(message.leases)
    for lease in list(book.leases.values()):
        older = lease.holder == message.epoch.holder and lease.number < message.epoch.number
        if not older or lease.id in named or lease.state is not LeaseState.OPEN:
            continue
        if not lives.is_of_this_life(book, lease.deadline - grants.LEASE_LIFE):
            moves.change_lease(book, lost_whole(lease), now)
        elif lease.spent == 0:
            returned = lease.returned + lease.outstanding
            freed += lease.outstanding
            moves.change_lease(book, msgspec.structs.replace(lease, returned=returned, state=LeaseState.FINAL), now)
    return freed


def lose(book: Book, holder: str, now: Instant) -> MicroUsd:
    """The holder's pod is gone for good: what its leases have outstanding is charged as unknown; how much that is.

    Of a strict lease that is only what attempts on record claim; the rest comes back at once. Nothing else can have
    been dispatched from it, and from now on nothing will be: an intent that comes later is refused (`checks`). Not so
    of one that was lent in an earlier life of the database: the ledger may have lost what was on record.

    Its epoch is fenced: a request of its that is still on its way is lent nothing, which nobody would give back. In the
    end its row may be removed with what protects from repeated messages of its own. So is that of a holder which the
    ledger may have lost: what arrives late of it is not waited for.

    Settlements that arrive later are still accepted, and take their cost out of what is unknown.
    """
    known = epochs.remembered(book, holder)
    if known is not None and known.gone is None:
        book.put_epoch(msgspec.structs.replace(known, number=known.highest + 1, gone=now))
    lost = 0
    for lease in list(book.leases.values()):
        if lease.holder == holder and lease.state is not LeaseState.LOST:
            after = _written_off(book, lease)
            lost += after.outstanding
            moves.change_lease(book, after, now)
    return lost


def _written_off(book: Book, lease: LeaseRow) -> LeaseRow:
    if _tells_all(lease, lives.generation(book)):
        return moves.unclaimed_returned(msgspec.structs.replace(lease, state=LeaseState.LOST))
    return lost_whole(lease)


def _tells_all(lease: LeaseRow, life: int) -> bool:
    """Whether all that may have been dispatched from it is on record, in this life of the database."""
    return lease.strict_in == life
