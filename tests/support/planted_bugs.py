"""Bugs that somebody might write one day, planted by hand into a process that crashes: the crash runs must find each.

Every one is small, plausible, and silent as long as nothing crashes (but for those about concurrency).
"""

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from llmgov.ledger import epochs, replay, settling
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Epoch, Intent, Settlement
from llmgov.ledger.rows import EpochRow, Window
from llmgov_sidecar import attempt, entry, journal


def plant(name: str) -> None:
    """Plant the bug of that name into this process; the empty name plants none."""
    if name:
        BUGS[name]()


def _replace(owner: object, name: str, value: object) -> None:
    """Put another in place of a class's or module's own."""
    setattr(owner, name, value)


def _intent_after_dispatch() -> None:
    """The intent is written when the answer begins, since 'that is early enough'."""
    begin, intend = attempt.Attempt.__init__, entry.Entry.begin

    async def later(self: entry.Entry) -> None:
        pass

    def begun(self: attempt.Attempt, *arguments: Any, **named: Any) -> None:
        begin(self, *arguments, **named)
        step = self._step

        def late(name: str) -> None:
            if name == "first_byte":
                with contextlib.suppress(StopIteration):
                    intend(self._entry).send(None)
            step(name)

        self._step = late

    _replace(entry.Entry, "begin", later)
    _replace(attempt.Attempt, "__init__", begun)


def _lease_never_synced() -> None:
    """A lease is written to the spool, and nobody waits until it is on the disk."""

    async def sync(self: journal.Journal) -> None:
        pass

    _replace(journal.Journal, "sync", sync)


def _lease_not_in_the_spool() -> None:
    """A lease is spent from before it is written down, and so never is."""

    def take(self: journal.Journal, leased: Any) -> None:
        pass

    _replace(journal.Journal, "take", take)


def _open_intents_ignored() -> None:
    """A restart settles nothing for attempts that it finds without an end."""
    _replace(replay._Spool, "open_intents", lambda self: [])


def _open_intents_free() -> None:
    """A restart believes that what has no answer cost nothing."""
    unknown = replay._unknown

    def free(intent: Intent, now: int) -> Settlement:
        return msgspec.structs.replace(unknown(intent, now), cost=0)

    _replace(replay, "_unknown", free)


def _settlement_counted_twice() -> None:
    """A settlement that is delivered again is charged again."""
    record = settling.record

    def again(book: Book, half: Intent | Settlement, now: int) -> bool:
        known = book.attempts.get(half.id)
        if isinstance(half, Settlement) and known is not None:
            book.attempts[half.id] = msgspec.structs.replace(known, settlement=None)
        return record(book, half, now)

    _replace(settling, "record", again)


def _epoch_reused() -> None:
    """A restarted sidecar gets the epoch that it had, so that its attempts' ids begin again."""

    def register(book: Book, holder: str) -> Epoch:
        known = book.epochs.get(holder)
        if known is None:
            book.put_epoch(EpochRow(holder, 1))
        return Epoch(holder, 1)

    _replace(epochs, "register", register)


def _leased_money_lent_again() -> None:
    """What is lent does not count until it is spent."""
    _replace(Window, "used", property(lambda self: self.spent))


BUGS: dict[str, Callable[[], None]] = {
    "intent after dispatch": _intent_after_dispatch,
    "lease never synced": _lease_never_synced,
    "lease not in the spool": _lease_not_in_the_spool,
    "open intents ignored": _open_intents_ignored,
    "open intents free": _open_intents_free,
    "settlement counted twice": _settlement_counted_twice,
    "epoch reused": _epoch_reused,
    "leased money lent again": _leased_money_lent_again,
}
