"""The one way in which money moves between a window's columns: a lease changes, and its window follows.

What a lease has outstanding counts in its window as leased, or as unknown once the lease is lost. So every rule only
says what becomes of the lease, and the sums cannot drift apart.
"""

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import ceilings
from llmgov.ledger.book import Book
from llmgov.ledger.rows import LeaseRow, LeaseState, Window
from llmgov.money import MicroUsd


def change_lease(book: Book, after: LeaseRow, now: Instant, *, spent: MicroUsd = 0) -> None:
    """Put `after` in place of the lease of its id, and on its window the difference, with `spent` newly spent."""
    before = book.leases[after.id]
    window = book.windows[after.account, after.window_start]
    book.put_lease(after)
    put_window(
        book,
        msgspec.structs.replace(
            window,
            spent=window.spent + spent,
            leased=window.leased + _as_leased(after) - _as_leased(before),
            unknown=window.unknown + _as_unknown(after) - _as_unknown(before),
        ),
        now,
    )


def take_in(book: Book, lease: LeaseRow, now: Instant) -> None:
    """Put a lease that is not known yet, and on its window what it has outstanding."""
    window = book.windows[lease.account, lease.window_start]
    leased, unknown = window.leased + _as_leased(lease), window.unknown + _as_unknown(lease)
    book.put_lease(lease)
    put_window(book, msgspec.structs.replace(window, leased=leased, unknown=unknown), now)


def claim(book: Book, lease: LeaseRow, held: MicroUsd, now: Instant) -> None:
    """An attempt that has not ended is on record with what it holds of a lease."""
    if lease.strict:
        change_lease(book, msgspec.structs.replace(lease, claimed=lease.claimed + held), now)


def pay(book: Book, lease: LeaseRow, held: MicroUsd, paid: MicroUsd, now: Instant) -> None:
    """Settle `paid` from a lease for an attempt that held `held` of it. What was billed for it already, as cost of
    attempts that nobody knew, pays first.

    Of a strict lease that is lost, what the attempt held and did not spend comes back: nobody else can spend it.
    """
    known = min(lease.billed, paid)
    after = msgspec.structs.replace(lease, spent=lease.spent + paid, billed=lease.billed - known)
    if lease.strict:
        after = msgspec.structs.replace(after, claimed=max(0, lease.claimed - held))
        after = unclaimed_returned(after) if lease.state is LeaseState.LOST else after
    change_lease(book, after, now, spent=paid - known)


def unclaimed_returned(lease: LeaseRow) -> LeaseRow:
    """The lease with all of it returned that attempts on record do not claim."""
    return msgspec.structs.replace(lease, returned=lease.returned + max(0, lease.outstanding - lease.claimed))


def no_more_outstanding(lease: LeaseRow, most: MicroUsd) -> LeaseRow:
    """The lease with all of it returned that is outstanding beyond `most`."""
    return msgspec.structs.replace(lease, returned=lease.returned + max(0, lease.outstanding - most))


def put_window(book: Book, window: Window, now: Instant) -> None:
    """Put a window whose sums changed, and tell whom its thresholds name."""
    ceilings.put_and_notify(book, book.accounts[window.account].account, window, now)


def _as_leased(row: LeaseRow) -> MicroUsd:
    return 0 if row.state is LeaseState.LOST else row.outstanding


def _as_unknown(row: LeaseRow) -> MicroUsd:
    return row.outstanding if row.state is LeaseState.LOST else 0
