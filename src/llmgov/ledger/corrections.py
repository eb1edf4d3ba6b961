"""Corrections: an administrator puts what the provider's bill says in the place of what the ledger had to assume.

The settlement and the leases' own books stay as they were; what changes is what counts: an attempt's cost in every
window and sum that it is in, or what the outstanding rest of a lost lease cost. Each is one row with its reason, known
by an id that whoever corrects chooses, so that it is made once however often it is sent.
"""

from collections.abc import Sequence

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import billing, bounds, moves, settling
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.errors import BadInputError, Fault, require_amount, require_words
from llmgov.ledger.rows import Correction, CorrectionKind, LeaseRow, LeaseState
from llmgov.money import MicroUsd

MAX_WORDS = 1000
"""Characters of a reason."""

MAX_NAME = 200
"""Characters of an id, and of who corrects."""


class Order(msgspec.Struct, frozen=True):
    """What is to be corrected, and to what.

    `subject` is an attempt's or a lease's id, or a holder; a holder's lost leases are corrected in one window of one
    `account`, and `amount` is what they cost together. `amount` is in micro-USD: the ledger has no other `currency`.
    """

    id: str
    kind: CorrectionKind
    subject: str
    amount: MicroUsd
    actor: str
    reason: str
    account: str = ""
    window_start: Instant = 0
    currency: str = "USD"


def lock(order: Order) -> Lock:
    """What `correct` needs of the store.

    Raises:
        BadInputError: the order is malformed: nothing can be looked up by it.
    """
    _check(order)
    return Lock(
        attempts=(order.subject,) if order.kind is CorrectionKind.ATTEMPT else (),
        leases=(order.subject,) if order.kind is CorrectionKind.LEASE else (),
        leases_of=(order.subject,) if order.kind is CorrectionKind.HOLDER else (),
        corrections=(order.id,),
    )


def known(book: Book, order: Order) -> Correction | None:
    """The correction of this id, where it has been made.

    Raises:
        BadInputError: `REPEATED`: something else was corrected under it.
    """
    row = book.corrections.get(order.id)
    if row is not None and not _is_same(row, order):
        where = f" on account {row.account}" if row.kind is CorrectionKind.HOLDER else ""
        wrong = f"{order.id} has corrected {row.kind.value} {row.subject}{where} already"
        raise BadInputError(Fault.REPEATED, "id", wrong)
    return row


def _is_same(row: Correction, order: Order) -> bool:
    """Whether the row is what the order asks for; only a holder's names an account and window of its own."""
    if order.kind is CorrectionKind.HOLDER and (row.account, row.window_start) != (order.account, order.window_start):
        return False
    return (row.kind, row.subject, row.after) == (order.kind, order.subject, order.amount)


def correct(book: Book, order: Order, now: Instant) -> Correction:
    """Make a correction that is not `known` yet.

    Raises:
        BadInputError: the order is malformed or out of bounds, what it names is unknown, or it is still open.
    """
    _check(order)
    match order.kind:
        case CorrectionKind.ATTEMPT:
            row = _correct_attempt(book, order, now)
        case CorrectionKind.LEASE:
            row = _correct_lease(book, order, now)
        case CorrectionKind.HOLDER:
            row = _correct_holder(book, order, now)
    book.put_correction(row)
    return row


def _check(order: Order) -> None:
    require_words(order.id, "id", MAX_NAME)
    require_words(order.actor, "actor", MAX_NAME)
    require_words(order.reason, "reason", MAX_WORDS)
    bounds.require_name(order.subject, "subject")
    bounds.require_name(order.account, "account", empty=True)
    bounds.require_count(order.window_start, "window_start")
    require_amount(order.amount, "amount")
    if order.currency != "USD":
        raise BadInputError(Fault.CURRENCY, "currency", f"the ledger counts USD, not {order.currency}")


def _correct_attempt(book: Book, order: Order, now: Instant) -> Correction:
    attempt = book.attempts.get(order.subject)
    if attempt is None or attempt.intent is None:
        raise BadInputError(Fault.UNKNOWN, "subject", f"the ledger has no attempt {order.subject}")
    if attempt.settlement is None:
        raise BadInputError(Fault.STATE, "subject", f"attempt {order.subject} has not ended yet")
    intent, before = attempt.intent, attempt.cost
    require_amount(order.amount, "amount", most=max(billing.MAX_COST, intent.hold, before))
    old, new = settling.shares(book, attempt, before), settling.shares(book, attempt, order.amount)
    for key, amount in new.items():
        window = book.windows[key]
        moves.put_window(book, msgspec.structs.replace(window, spent=window.spent + amount - old[key]), now)
    attempt = msgspec.structs.replace(attempt, corrected=order.amount)
    book.put_attempt(attempt)
    settling.spend(book, attempt, order.amount - before)
    return _row(order, before, now, path=intent.subject.path)


def _correct_lease(book: Book, order: Order, now: Instant) -> Correction:
    lease = book.leases.get(order.subject)
    if lease is None:
        raise BadInputError(Fault.UNKNOWN, "subject", f"the ledger has no lease {order.subject}")
    if lease.state is LeaseState.OPEN:
        raise BadInputError(Fault.STATE, "subject", f"lease {order.subject} may still be spent from")
    before = lease.outstanding + lease.billed
    if not before and (lease.state is not LeaseState.LOST or (lease.strict and not lease.claimed)):
        raise BadInputError(Fault.STATE, "subject", f"all of lease {order.subject} is accounted for: nothing was lost")
    _bill([lease], book, order.amount, now)
    return _row(order, before, now, lease=lease)


def _correct_holder(book: Book, order: Order, now: Instant) -> Correction:
    lost = [row for row in book.leases.values() if _is_lost(row, order)]
    if not lost:
        wrong = (
            f"{order.subject} has lost no money of {order.account} in that window that was not corrected yet; "
            "what was is corrected again lease by lease"
        )
        raise BadInputError(Fault.UNKNOWN, "subject", wrong)
    lost.sort(key=lambda row: row.id)
    before = sum(row.outstanding + row.billed for row in lost)
    _bill(lost, book, order.amount, now)
    return _row(order, before, now, lease=lost[0])


def _is_lost(row: LeaseRow, order: Order) -> bool:
    names = (row.holder, row.account, row.window_start) == (order.subject, order.account, order.window_start)
    return names and row.state is LeaseState.LOST and row.outstanding > 0


def _bill(leases: Sequence[LeaseRow], book: Book, amount: MicroUsd, now: Instant) -> None:
    """End the leases: nothing of them is outstanding any more, and in all they cost `amount` beyond what is settled.

    No more than was lent and is not settled, or than attempts on record hold, where that is more: whatever is above is
    a slip. First each pays up to what is unknown of it; the rest is of what came back of them, as it was believed.
    """
    require_amount(amount, "amount", most=sum(map(_most, leases)))
    unknown = [lease.outstanding + lease.billed for lease in leases]
    parts = _filled(amount, unknown)
    room = [_most(lease) - part for lease, part in zip(leases, parts, strict=True)]
    rest = _filled(amount - sum(parts), room)
    for lease, part, beyond in zip(leases, parts, rest, strict=True):
        returned = max(lease.returned, lease.amount - lease.spent)
        after = msgspec.structs.replace(lease, returned=returned, billed=part + beyond)
        moves.change_lease(book, after, now, spent=after.billed - lease.billed)


def _most(lease: LeaseRow) -> MicroUsd:
    """What a lease can have cost beyond what is settled."""
    return max(lease.amount - lease.spent, lease.claimed, 0)


def _filled(amount: MicroUsd, rooms: Sequence[MicroUsd]) -> list[MicroUsd]:
    """As much of `amount` as there is room for, in order."""
    parts = []
    for room in rooms:
        parts.append(min(amount, room))
        amount -= parts[-1]
    return parts


def _row(
    order: Order, before: MicroUsd, now: Instant, *, lease: LeaseRow | None = None, path: tuple[str, ...] = ()
) -> Correction:
    return Correction(
        id=order.id,
        at=now,
        actor=order.actor,
        reason=order.reason.strip(),
        kind=order.kind,
        subject=order.subject,
        before=before,
        after=order.amount,
        account=lease.account if lease is not None else "",
        window_start=lease.window_start if lease is not None else 0,
        path=path,
    )
