"""Windows that the ledger lost in a failover, opened again for attempts that held from them and arrive first.

Without its window the lease that such an attempt names could not come back with it (`settling`): the attempt would
count for its path alone, and a second time in the lease that its holder reports later.
"""

from collections.abc import Iterable, Iterator, Sequence

from llmgov.instants import Instant
from llmgov.ledger import candidates
from llmgov.ledger.book import Book, WindowLock
from llmgov.ledger.messages import Event, Intent, Need
from llmgov.snapshot import Account


def lost(book: Book, events: Sequence[Event], now: Instant) -> tuple[WindowLock, ...]:
    """The windows that contain `now`, are not open, and that intents among `events` held from by leases that the ledger
    does not have; of accounts that it knows.

    A window that has ended is none of them: it may be missing since it was pruned.
    """
    return tuple(dict.fromkeys(_lost(book, events, now)))


def _lost(book: Book, events: Iterable[Event], now: Instant) -> Iterator[WindowLock]:
    for intent in events:
        for part in intent.charged if isinstance(intent, Intent) else ():
            row = book.accounts.get(part.key)
            if row is None or part.held <= 0 or part.lease in book.leases:
                continue
            wanted = candidates.lock(_need(part.key, row.account), {}, now)
            if intent.at in wanted.span and (part.key, wanted.span.start) not in book.windows:
                yield wanted


def has_read(book: Book, wanted: Iterable[WindowLock]) -> bool:
    """Whether the book has what the windows' scopes spent already: else they are to be added to the `Lock`."""
    return all((one.account, one.span.start) in book.backfill for one in wanted)


def open_again(book: Book, wanted: Iterable[WindowLock], now: Instant) -> None:
    """Open windows; before any of the events is taken, since their past was read without these."""
    for one in wanted:
        account = book.accounts[one.account].account
        candidates.window_of(book, _need(one.account, account), account, one.span, now)


def _need(key: str, account: Account) -> Need:
    return Need(key, account, 0, 0)
