"""The ledger's epoch: which life of the database it is in, and when it may lend again after another one began.

A failover or a restored backup may have lost the latest transactions: leases that sidecars spend from and the ledger
does not know. So nothing is lent until every holder of open leases has told what it holds (`llmgov.ledger.recovery`),
or an administrator accepts what that may cost.
"""

from collections.abc import Collection

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.book import Book
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.rows import LedgerEpoch

RECOVERY_AT_LEAST: Duration = 30 * instants.SECOND
"""How long nothing is lent at least: holders that the ledger has lost all knowledge of need to reach it, too."""


def is_open(book: Book, now: Instant) -> bool:
    """Whether anything may be lent. The first that asks an empty ledger names its first epoch."""
    known = book.ledger_epoch
    if known is None and book.database:
        book.put_ledger_epoch(LedgerEpoch(book.database, 1, now))
    return known is None or (known.open and known.id == book.database)


def generation(book: Book) -> int:
    """The number of the life that the database is in, whether that was noted already or not."""
    known = book.ledger_epoch
    return 1 if known is None else known.generation + (known.id != book.database)


def is_of_this_life(book: Book, at: Instant) -> bool:
    """Whether nothing that was committed since `at` can have been lost by another life of the database.

    This life's clock may be behind that of the one before, by no more than `RECOVERY_AT_LEAST`.
    """
    known = book.ledger_epoch
    if known is None or known.id != book.database:
        return known is None
    return known.generation == 1 or at >= known.since + RECOVERY_AT_LEAST


def notice(book: Book, now: Instant) -> LedgerEpoch | None:
    """Note that the database lives another life than it did; the epoch that begins with that, if so."""
    known = book.ledger_epoch
    if known is None or known.id == book.database:
        return None
    row = _next(known, book.database, now)
    book.put_ledger_epoch(row)
    return row


def begin(book: Book, now: Instant) -> LedgerEpoch:
    """Somebody who restored a backup says so: another epoch, also where the database cannot tell."""
    known = book.ledger_epoch
    row = _next(known or LedgerEpoch(book.database, 0, now), book.database, now)
    book.put_ledger_epoch(row)
    return row


def reopen(book: Book, unreported: Collection[str], now: Instant) -> bool:
    """Lend again, once nobody is left who has not reported, and not before `RECOVERY_AT_LEAST`; whether it does.

    `unreported` may have been read before: while nothing is lent nobody joins them.
    """
    known = book.ledger_epoch
    if known is None or known.open:
        return True
    if unreported or now < known.since + RECOVERY_AT_LEAST:
        return False
    book.put_ledger_epoch(msgspec.structs.replace(known, open=True))
    return True


def accept_loss(book: Book) -> LedgerEpoch:
    """Lend again all the same: what holders have not reported may be spent beyond limits.

    Raises:
        BadInputError: `STATE`: the ledger lends already.
    """
    known = book.ledger_epoch
    if known is None or known.open:
        raise BadInputError(Fault.STATE, "epoch", "the ledger lends: there is no loss to accept")
    row = msgspec.structs.replace(known, open=True)
    book.put_ledger_epoch(row)
    return row


def _next(known: LedgerEpoch, id_: str, now: Instant) -> LedgerEpoch:
    return LedgerEpoch(id_, known.generation + 1, now, open=False)
