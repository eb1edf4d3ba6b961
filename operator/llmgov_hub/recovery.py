"""After a failover or a restored backup: nobody is lent to until it is known what is lent already.

Each replica asks the sidecars that listen to it; whoever is not connected is asked once it is. The rules are
`llmgov.ledger.lives` and `llmgov.ledger.recovery`.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Never

from llmgov.audit.events import LedgerBegun, LossAccepted
from llmgov.instants import Instant
from llmgov.ledger import errors, lives
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Holdings
from llmgov.ledger.rows import LedgerEpoch
from llmgov.ledger.store import Store, StoreError
from llmgov_hub.leases import Leases
from llmgov_hub.recalls import Recalls
from llmgov_store.recorder import Recorder

DEFAULT_LOOK_SECONDS = 1.0
"""How often a replica looks whether the database began another life, and who has not reported yet."""

ASK_AGAIN: Instant = 5_000_000
"""A sidecar that was asked and has not reported is asked again after so many microseconds."""

MAX_REASON = 1000
"""Characters of why somebody accepts a loss, or says that there is one."""

_LOCK = Lock(ledger_epoch=True)


class Recovery:
    """The ledger's epoch in a store; `clock` is the ledger's."""

    def __init__(
        self, store: Store, leases: Leases, recalls: Recalls, recorder: Recorder, clock: Callable[[], Instant]
    ) -> None:
        self._store = store
        self._leases = leases
        self._recalls = recalls
        self._recorder = recorder
        self._clock = clock
        self._asked: dict[tuple[str, str], Instant] = {}

    async def look(self) -> bool:
        """Note whether the database began another life, ask who is connected here, and lend again when all that held
        open leases have reported; whether the ledger lends.

        Raises:
            StoreError: nothing was changed; look again.
        """
        known = await self._store.ledger_epoch()
        if known is None or known.id != await self._store.database():
            known = await self._notice()
        if known is None or known.open:
            self._asked.clear()
            return True
        unreported = await self._store.unreported(known.name)
        self._ask(known)
        now = self._clock()
        return await self._store.transact(_LOCK, lambda book: lives.reopen(book, unreported, now))

    async def run(self, look_seconds: float = DEFAULT_LOOK_SECONDS) -> Never:
        """Look, for ever."""
        while True:
            with contextlib.suppress(StoreError):
                await self.look()
            await asyncio.sleep(look_seconds)

    async def report(self, message: Holdings) -> None:
        """Take what a sidecar holds.

        Raises:
            BadInputError: nothing was taken up.
            StoreError: it may be reported again.
        """
        await self._leases.holdings(message)

    async def begin(self, actor: str, reason: str) -> LedgerEpoch:
        """An administrator restored a backup where the database cannot tell.

        Raises:
            BadInputError: no reason is given.
        """
        _check(actor, reason)
        now = self._clock()

        def step(book: Book) -> LedgerEpoch:
            row = lives.begin(book, now)
            self._recorder.append(book, LedgerBegun(now, row.id, row.generation, actor, reason), now)
            return row

        shape = LedgerBegun(now, "", 0, actor, reason)
        return await self._store.transact(self._recorder.lock(_LOCK, [shape]), step)

    async def accept_loss(self, actor: str, reason: str) -> LedgerEpoch:
        """Lend again though not everybody has reported; that, and how many have not, goes on record.

        Raises:
            BadInputError: no reason is given, or the ledger lends already.
        """
        _check(actor, reason)
        now, known = self._clock(), await self._store.ledger_epoch()
        waiting = 0 if known is None else len(await self._store.unreported(known.name))

        def step(book: Book) -> LedgerEpoch:
            row = lives.accept_loss(book)
            self._recorder.append(book, LossAccepted(now, row.id, row.generation, actor, reason, waiting), now)
            return row

        shape = LossAccepted(now, "", 0, actor, reason, 0)
        return await self._store.transact(self._recorder.lock(_LOCK, [shape]), step)

    async def _notice(self) -> LedgerEpoch | None:
        """The epoch in force; one that begins is put on record by whoever sees it first."""
        now = self._clock()

        def step(book: Book) -> LedgerEpoch | None:
            lives.is_open(book, now)
            begun = lives.notice(book, now)
            if begun is not None:
                self._recorder.append(book, LedgerBegun(now, begun.id, begun.generation), now)
            return book.ledger_epoch

        return await self._store.transact(self._recorder.lock(_LOCK, [LedgerBegun(now, "", 0)]), step)

    def _ask(self, known: LedgerEpoch) -> None:
        """Ask everybody who is connected here, also who has no open leases as far as the ledger knows."""
        now = self._clock()
        due = [holder for holder in self._recalls.holders if self._is_due(known.name, holder, now)]
        self._asked.update(((known.name, holder), now) for holder in due)
        self._recalls.recount(known.name, due)

    def _is_due(self, name: str, holder: str, now: Instant) -> bool:
        asked = self._asked.get((name, holder))
        return asked is None or now >= asked + ASK_AGAIN


def _check(actor: str, reason: str) -> None:
    errors.require_words(actor, "actor", MAX_REASON)
    errors.require_words(reason, "reason", MAX_REASON)
