"""An attempt's two halves, intent and settlement, and the charge that they make together.

Either may come first and each may come twice. When both are there, once, every account that the attempt held from is
charged the cost through its leases. So is every other open window on its charging path, since its target did spend
the money: an account that the sidecar did not know yet, or one that began while the attempt was on its way.
"""

import collections

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import ceilings, charging, epochs, moves, returns, timing
from llmgov.ledger.book import Book, WindowId
from llmgov.ledger.messages import Charged, Intent, Settlement
from llmgov.ledger.rows import Attempt, LeaseRow, Spend
from llmgov.money import MicroUsd


def record(book: Book, half: Intent | Settlement, now: Instant) -> bool:
    """Store one half, and charge the attempt if the other is there; false where this half was known already."""
    attempt = book.attempts.get(half.id, Attempt(half.id))
    match half:
        case Intent():
            if attempt.intent is not None:
                return False
            (bounded,) = timing.believed([half], now)
            _bring_back(book, bounded, now)
            attempt = msgspec.structs.replace(attempt, intent=half, counted=timing.counted(bounded, book.leases))
            _claim(book, half, now)
        case Settlement():
            if attempt.settlement is not None:
                return False
            attempt = msgspec.structs.replace(attempt, settlement=half)
    if attempt.intent is not None and attempt.settlement is not None:
        _charge(book, attempt, attempt.intent, now)
    else:
        book.put_attempt(attempt)
    return True


def shares(book: Book, attempt: Attempt, cost: MicroUsd) -> dict[WindowId, MicroUsd]:
    """What each window is charged for an attempt that has been charged, if it costs `cost`."""
    assert attempt.intent is not None
    found: dict[WindowId, MicroUsd] = collections.defaultdict(int)
    for lease_id, paid in charging.distribute(attempt.intent.charged, cost).items():
        lease = book.leases.get(lease_id)
        if lease is not None:
            found[lease.account, lease.window_start] += paid
    found.update((window, cost) for window in _unheld(book, attempt, attempt.intent))
    return found


def spend(book: Book, attempt: Attempt, cost: MicroUsd) -> None:
    """Put among the sums of all that a charged attempt counts for that it costs `cost` more than they have of it."""
    assert attempt.time is not None
    if cost:
        book.put.spends.append(Spend(attempt.scopes, attempt.time, cost))


def _claim(book: Book, intent: Intent, now: Instant) -> None:
    for part in intent.charged:
        lease = book.leases.get(part.lease)
        if lease is not None:
            moves.claim(book, lease, part.held, now)


def _charge(book: Book, attempt: Attempt, intent: Intent, now: Instant) -> None:
    beside = _beside(book, intent)
    if beside:
        attempt = msgspec.structs.replace(attempt, beside=beside)
    book.put_attempt(attempt)
    cost = attempt.cost
    held = {part.lease: part.held for part in intent.charged}
    unheld = _unheld(book, attempt, intent)
    for lease_id, paid in charging.distribute(intent.charged, cost).items():
        lease = book.leases.get(lease_id)
        if lease is not None:
            moves.pay(book, lease, held[lease_id], paid, now)
    for key in unheld:
        window = book.windows[key]
        moves.put_window(book, msgspec.structs.replace(window, spent=window.spent + cost), now)
    spend(book, attempt, cost)


def _beside(book: Book, intent: Intent) -> tuple[str, ...]:
    """The scopes of what an attempt held from that are not on its path: of its accounts, and of its leases' windows,
    which keep the one that they were opened with."""
    scopes = [book.accounts[part.key].scope for part in intent.charged if part.key in book.accounts]
    leases = (book.leases[part.lease] for part in intent.charged if part.lease in book.leases)
    scopes += (book.windows[lease.account, lease.window_start].scope for lease in leases)
    path = frozenset(intent.subject.path)
    return tuple(dict.fromkeys(scope for scope in scopes if scope not in path))


def _unheld(book: Book, attempt: Attempt, intent: Intent) -> list[WindowId]:
    """The windows on the path, at the time that counts, of accounts that the attempt held nothing from."""
    scopes = frozenset(attempt.scopes)
    held = {part.key for part in intent.charged if part.lease in book.leases}
    return [
        key
        for key, window in book.windows.items()
        if window.account not in held and window.scope in scopes and attempt.time in window.span
    ]


def _bring_back(book: Book, intent: Intent, now: Instant) -> None:
    """Make the leases anew that the ledger lost in a failover and that the intent held from: as large as all that is
    known to have been held from them, until their holder reports them.

    No more of one is outstanding than its account's limit (`ceilings.believed`).
    """
    for part in intent.charged:
        lease = book.leases.get(part.lease)
        if lease is None and part.held > 0 and epochs.is_brought_back(book, part.lease, now):
            _bring_one_back(book, part, intent, now)
        elif lease is not None and not lease.deadline:
            larger = msgspec.structs.replace(lease, amount=lease.amount + part.held)
            most = ceilings.believed(book, lease.account, lease.window_start)
            moves.change_lease(book, moves.no_more_outstanding(larger, max(most, lease.outstanding)), now)


def _bring_one_back(book: Book, part: Charged, intent: Intent, now: Instant) -> None:
    """Where its window is not there any more, the attempt counts for its path alone.

    One that ended before its attempts arrived comes back as lost, as it would be had they come first: nobody returns
    what they held and did not spend, so it must not count as lent. So does one of a pod that was written off: nobody
    reports it, and the ledger must not wait for that.
    """
    holder, _, number = intent.id.rpartition("/")[0].rpartition(":")
    is_over = returns.ended_unknown(part.lease) in book.events or epochs.is_gone(book, holder)
    for window in list(book.windows.values()):
        if window.account == part.key and intent.at in window.span and number.isdecimal():
            row = LeaseRow(part.lease, part.key, window.start, window.end, holder, int(number), part.held, 0)
            row = moves.no_more_outstanding(row, ceilings.believed(book, window.account, window.start))
            moves.take_in(book, returns.lost_whole(row) if is_over else row, now)
            return
