"""Which boot of a sidecar may ask, and which of its requests were answered: what makes late messages harmless."""

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger import lives
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.bounds import require_holder
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Epoch, LeaseRequest
from llmgov.ledger.rows import EpochRow

BOOTS = 1_000_000
"""Boots of one holder in one life of the database: the numbers of each life begin above those of the one before, which
the ledger may have lost."""

MAX_REFUSED = 100
"""Refused requests of one boot that are remembered each, in a row that every further one writes. A sidecar that works
closes them as it goes on: so many are there only while one that was asked for before them is not answered yet."""


class CrowdedError(Exception):
    """A request would be refused, and its boot has not closed `MAX_REFUSED` others that were: nothing was decided, so
    the same request may be sent again, and is decided once some of those are closed."""


BELIEVED: Duration = instants.HOUR
"""How long after a life of the database began, or a ledger that was empty, what it may have lost is taken up. Leases
that were lent before live for minutes; what one holds for longer than that is an attempt under way, which counts when
it ends, whoever knows its lease."""


def register_lock(holder: str) -> Lock:
    """What `register` needs of the store.

    Raises:
        BadInputError: `EMPTY`: the name is empty, too long, or no name.
    """
    require_holder(holder, "holder")
    return Lock(holders=(holder,), ledger_epoch=True)


def register(book: Book, holder: str) -> Epoch:
    """A number for a new boot of `holder`, above all earlier ones.

    Nobody is fenced by that: a call that its sidecar has given up on may be carried out late, after the sidecar has
    been told another number by which it works. The older boots are fenced by what the new one does (`admit`).
    """
    known = book.epochs.get(holder) or EpochRow(holder, 0)
    number = max(_lives_before(book), known.highest) + 1
    book.put_epoch(msgspec.structs.replace(known, given=number, gone=None))
    return Epoch(holder, number)


def require_given(book: Book, epoch: Epoch) -> None:
    """Refuse an epoch that nobody was given: its sender is broken, or says a number of its own making.

    A registration that the database lost in a failover is of an earlier life, and so are all numbers up to where those
    of this life begin: whoever has one may be alive. For what is lost without another life (a ledger that begins
    empty) the boot's own report of what it holds stands in for its registration (`recovery.report`).

    Raises:
        BadInputError: `UNKNOWN`: it has to register first.
    """
    known = book.epochs.get(epoch.holder)
    highest = max(_lives_before(book), 0 if known is None else known.highest)
    if epoch.number > highest:
        raise BadInputError(Fault.UNKNOWN, "epoch", f"{epoch} was never given out; register first")


def boot_of(lease: str) -> str:
    """The epoch that a lease's id begins with, `<holder>:<number>/<request>/<index>`; of another text some part of it,
    always the same."""
    return lease.rsplit("/", 2)[0]


def holder_of(lease: str) -> str:
    """The holder that a lease's id begins with."""
    return boot_of(lease).rpartition(":")[0]


def may_have_lent(book: Book, lease: str) -> bool:
    """Whether a lease that the ledger does not know, by its id, may be one that it lost: lent to a boot of an earlier
    life of the database, or, while it recovers, to any.

    That a boot of an earlier life has no row says nothing: its registration may be lost as well.
    """
    known = book.ledger_epoch
    number = boot_of(lease).rpartition(":")[2]
    is_earlier = number.isascii() and number.isdecimal() and int(number) <= _lives_before(book)
    return is_earlier or (known is not None and not known.open)


def is_believed(book: Book, now: Instant) -> bool:
    """Whether what may have been lost is taken up by its holder's word: while the ledger recovers, and for `BELIEVED`
    after that began.

    From then on such a lease lends nothing to anybody; it is passed over, and its attempts count for their paths.
    """
    known = book.ledger_epoch
    if known is None or not known.open or known.id != book.database:
        return True
    return now <= known.since + BELIEVED


def is_brought_back(book: Book, lease: str, now: Instant) -> bool:
    """Whether an attempt that held from a lease which the ledger does not know brings it back."""
    return may_have_lent(book, lease) and is_believed(book, now)


def is_gone(book: Book, holder: str) -> bool:
    """Whether its pod was lost for good, and none of its boots has registered since: nobody reports what it holds."""
    known = book.epochs.get(holder)
    return known is not None and known.gone is not None


def remembered(book: Book, holder: str) -> EpochRow | None:
    """What is known of a holder; where another life of the database may have lost its row, one in the place of that,
    with the highest number that a boot of it can have."""
    known, ledger = book.epochs.get(holder), book.ledger_epoch
    may_be_lost = _lives_before(book) > 0 or (ledger is not None and not ledger.open)
    return EpochRow(holder, max(_lives_before(book), BOOTS)) if known is None and may_be_lost else known


def begun_before(book: Book, epoch: Epoch, now: Instant) -> bool:
    """Whether a boot, of a holder that nobody ever heard of, may be older than the ledger, which began empty of late:
    then no life of the database says that anything was lost."""
    known = book.ledger_epoch
    is_new = known is None or known.generation == 1
    return is_new and is_believed(book, now) and epoch.holder not in book.epochs


def _lives_before(book: Book) -> int:
    """The highest number that any earlier life of the database may have given out."""
    return (lives.generation(book) - 1) * BOOTS


def admit(book: Book, epoch: Epoch) -> bool:
    """Whether no newer boot of its holder has acted; if so, `epoch` fences the older ones from here on."""
    known = book.epochs.get(epoch.holder) or EpochRow(epoch.holder, 0)
    if known.number > epoch.number:
        return False
    if known.number < epoch.number:
        given = known.given if known.given > epoch.number else 0
        book.put_epoch(EpochRow(epoch.holder, epoch.number, given=given))
    return True


def close(book: Book, epoch: Epoch, closed: int) -> None:
    """Note that an admitted boot repeats none of its requests below `closed`: they were answered, though the ledger
    may have lost that."""
    known = book.epochs[epoch.holder]
    if closed > known.closed:
        refused = tuple(number for number in known.refused if number >= closed)
        book.put_epoch(msgspec.structs.replace(known, closed=closed, refused=refused))


def is_answered(book: Book, request: LeaseRequest) -> bool:
    """Whether this is a late copy of a request that was answered with no: nobody waits for it any more."""
    known = book.epochs[request.epoch.holder]
    return request.request < known.closed or request.request in known.refused


def remember(book: Book, request: LeaseRequest, *, refused: bool) -> None:
    """Note the answer to an admitted request, and forget what can no longer arrive late: what its sender has closed,
    and nothing else, since below any number may be one that is being decided.

    Raises:
        CrowdedError: it cannot be refused now: nobody would know later that it was.
    """
    known = book.epochs[request.epoch.holder]
    closed = max(known.closed, request.closed)
    numbers = {*known.refused, request.request} if refused else set(known.refused)
    refused_since = tuple(sorted(n for n in numbers if n >= closed))
    if len(refused_since) > MAX_REFUSED:
        raise CrowdedError(f"{len(refused_since)} requests of {request.epoch} are refused and not closed: ask again")
    after = msgspec.structs.replace(known, closed=closed, refused=refused_since)
    if after != known:
        book.put_epoch(after)
