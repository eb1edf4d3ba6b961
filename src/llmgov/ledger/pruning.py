"""What the ledger may forget: windows that ended long ago with their leases, holders that are gone, old questions.

A window goes as a whole, with every lease on it and their returns, and only when nothing of it is lent or unknown: so
no money that anybody may still ask about is forgotten. What the leases' ids protect against, a repeated request or
return, is over by then: a lease cannot be held from beyond its window, and a sidecar that was away for `KEEP` finds
that its return changes nothing any more. A settlement that comes later still is recorded, and counts for reports and
for windows that are open.

The row of a holder goes when its pod has been gone for `KEEP` and it has no unfinished lease, with the ids that kept
its repeated events from counting twice: nobody is left who could repeat them.

A request's approval goes `KEEP` after it expired where nobody decided it, such a one of a threshold with its window,
and a notice `KEEP` after it was made. Those that somebody decided stay: `llmgov audit verify` compares them with the
decisions on record, and nobody decides without end.

Attempts, sums, corrections and audit records stay: they are what reports and `llmgov audit verify` add up, and go
with the records' retention, not here. So do violations, of which statuses and `llmgov get violations` are made.
"""

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.book import Book, Ended, Lock
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, EpochRow, LeaseRow, LeaseState, Window

KEEP: Duration = 35 * instants.DAY
"""How long after its end a window is kept: a month's bill comes within the next month, and may need corrections."""

BATCH = 500
"""Of each kind one transaction removes so many at most: others wait for it."""


def lock(now: Instant) -> Lock:
    """What `prune` needs of the store."""
    return Lock(ended=Ended(now - KEEP, BATCH))


def prune(book: Book, now: Instant) -> int:
    """Remove what may go; how much that was. Where it is `BATCH` or more, there may be more."""
    before = now - KEEP
    windows = [window for window in book.windows.values() if _is_over(book, window, before)]
    holders = [row for row in book.epochs.values() if _is_gone(book, row, before)]
    book.put.removed_windows.update((window.account, window.start) for window in windows)
    book.put.removed_holders.update(row.holder for row in holders)
    asked = [row.id for row in book.approvals.values() if _has_expired(row, before)]
    book.put.removed_approvals.update(asked)
    book.put.removed_notices.update(book.notices)
    return len(windows) + len(holders) + len(asked) + len(book.notices)


def _has_expired(row: ApprovalRow, before: Instant) -> bool:
    return row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.PENDING and row.expires < before


def _is_over(book: Book, window: Window, before: Instant) -> bool:
    leases = (row for row in book.leases.values() if (row.account, row.window_start) == (window.account, window.start))
    return window.end < before and window.leased == window.unknown == 0 and not any(map(_is_unfinished, leases))


def _is_gone(book: Book, row: EpochRow, before: Instant) -> bool:
    leases = (lease for lease in book.leases.values() if lease.holder == row.holder)
    return row.gone is not None and row.gone < before and not any(map(_is_unfinished, leases))


def _is_unfinished(lease: LeaseRow) -> bool:
    return lease.outstanding > 0 or lease.state is LeaseState.OPEN
