"""An attempt's two halves, intent and settlement, and the charge that they make together.

Either may come first and each may come twice. When both are there, once, every account that the attempt held from is
charged the cost through its leases. So is every other open window on its charging path, since its target did spend
the money: an account that the sidecar did not know yet, or one that began while the attempt was on its way.
"""

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import charging, moves
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Intent, Settlement
from llmgov.ledger.rows import Attempt, Spend


def record(book: Book, half: Intent | Settlement, now: Instant) -> bool:
    """Store one half, and charge the attempt if the other is there; false where this half was known already."""
    attempt = book.attempts.get(half.id, Attempt(half.id))
    match half:
        case Intent():
            if attempt.intent is not None:
                return False
            attempt = msgspec.structs.replace(attempt, intent=half)
        case Settlement():
            if attempt.settlement is not None:
                return False
            attempt = msgspec.structs.replace(attempt, settlement=half)
    book.put_attempt(attempt)
    if attempt.intent is not None and attempt.settlement is not None:
        _charge(book, attempt.intent, attempt.settlement, now)
    return True


def _charge(book: Book, intent: Intent, settlement: Settlement, now: Instant) -> None:
    cost = settlement.cost
    for lease_id, paid in charging.distribute(intent.charged, cost).items():
        lease = book.leases.get(lease_id)
        if lease is not None:
            moves.change_lease(book, msgspec.structs.replace(lease, spent=lease.spent + paid), now, spent=paid)
    scopes = _scopes(book, intent)
    _charge_unheld(book, intent, scopes, cost, now)
    book.put.spends.extend(Spend(intent.id, scope, intent.at, cost) for scope in scopes)


def _scopes(book: Book, intent: Intent) -> tuple[str, ...]:
    """The targets on the path, and what else the accounts it was charged to are summed by."""
    charged = (book.accounts[part.key].scope for part in intent.charged if part.key in book.accounts)
    return tuple(dict.fromkeys((*intent.subject.path, *charged)))


def _charge_unheld(book: Book, intent: Intent, scopes: tuple[str, ...], cost: int, now: Instant) -> None:
    held = {part.key for part in intent.charged if part.lease in book.leases}
    for window in list(book.windows.values()):
        if window.account not in held and window.scope in scopes and intent.at in window.span:
            moves.put_window(book, msgspec.structs.replace(window, spent=window.spent + cost), now)
