"""What attempts need that arrive first of all that the ledger lost in a failover: windows that they held from, opened
again, the marks of leases that have ended meanwhile, and whether their pods were written off.

Without its window the lease that such an attempt names could not come back with it (`settling`): the attempt would
count for its path alone, and a second time in the lease that its holder reports later. Without its mark or
its holder's row it would come back as one that somebody may still return.
"""

from collections.abc import Iterable, Iterator, Sequence

from llmgov.instants import Instant
from llmgov.ledger import candidates, epochs, returns
from llmgov.ledger.book import Book, WindowLock
from llmgov.ledger.definitions import Definitions, user_of
from llmgov.ledger.messages import Event, Intent, Need
from llmgov.snapshot import Account


def lost(book: Book, events: Sequence[Event], definitions: Definitions, now: Instant) -> tuple[WindowLock, ...]:
    """The windows that contain `now`, are not open, and that intents among `events` held from by leases that they
    bring back; of accounts that it knows, or that are in force: a user's own account begins with its first window.

    A window that has ended is none of them: it may be missing since it was pruned.
    """
    return tuple(dict.fromkeys(_lost(book, events, definitions, now)))


def _lost(book: Book, events: Iterable[Event], definitions: Definitions, now: Instant) -> Iterator[WindowLock]:
    for intent in events:
        for part in intent.charged if isinstance(intent, Intent) else ():
            account = _account(book, part.key, definitions)
            is_lost = part.lease not in book.leases and epochs.is_brought_back(book, part.lease, now)
            if account is None or part.held <= 0 or not is_lost:
                continue
            wanted = candidates.lock(_need(part.key, account), {}, now)
            if intent.at in wanted.span and (part.key, wanted.span.start) not in book.windows:
                yield wanted


def marks(book: Book, events: Iterable[Event]) -> tuple[str, ...]:
    """The marks of ended leases to be looked for (`returns.ended_unknown`): of those that intents held from and that
    the ledger may have lost."""
    return tuple(dict.fromkeys(map(returns.ended_unknown, _lost_leases(book, events))))


def holders(book: Book, events: Iterable[Event]) -> tuple[str, ...]:
    """Whose leases those are: it matters whether their pods were written off."""
    return tuple(dict.fromkeys(map(epochs.holder_of, _lost_leases(book, events))))


def _lost_leases(book: Book, events: Iterable[Event]) -> Iterator[str]:
    parts = (part for event in events if isinstance(event, Intent) for part in event.charged)
    return (part.lease for part in parts if part.lease not in book.leases and epochs.may_have_lent(book, part.lease))


def has_read(book: Book, wanted: Iterable[WindowLock]) -> bool:
    """Whether the book has what the windows' scopes spent already: else they are to be added to the `Lock`."""
    return all((one.account, one.span.start) in book.backfill for one in wanted)


def open_again(book: Book, wanted: Iterable[WindowLock], definitions: Definitions, now: Instant) -> None:
    """Open windows; before any of the events is taken, since their past was read without these."""
    for one in wanted:
        account = _account(book, one.account, definitions)
        if account is not None:
            candidates.window_of(book, _need(one.account, account), account, one.span, now)


def _account(book: Book, key: str, definitions: Definitions) -> Account | None:
    """What defines the account of that key, which may be one user's."""
    row = book.accounts.get(key)
    if row is not None:
        return row.account
    found = definitions.get(key.rpartition("|")[0])
    return definitions.get(key) if found is None or user_of(found, key) is None else found


def _need(key: str, account: Account) -> Need:
    return Need(key, account, 0, 0)
