"""Corrections by administrators: the money moves and the audit record is made in one transaction, once for each id."""

from collections.abc import Callable
from typing import NamedTuple

from llmgov.audit.events import Corrected
from llmgov.instants import Instant
from llmgov.ledger import corrections
from llmgov.ledger.book import Book
from llmgov.ledger.corrections import Order
from llmgov.ledger.rows import Correction, Window
from llmgov.ledger.store import Store
from llmgov_store.recorder import Recorder


class Made(NamedTuple):
    """A correction, and each window that it changed, before and after; none where it had been made before."""

    row: Correction
    windows: tuple[tuple[Window, Window], ...] = ()


class Corrections:
    """The corrections in a store; `clock` is the ledger's. Several processes may correct over one store."""

    def __init__(self, store: Store, recorder: Recorder, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock

    async def list(self, start: Instant, end: Instant) -> list[Correction]:
        """Those made in `[start, end)`, oldest first."""
        return await self._store.corrections(start, end)

    async def correct(self, order: Order) -> Correction:
        """The same as `make`, for who does not ask for the windows."""
        return (await self.make(order)).row

    async def make(self, order: Order) -> Made:
        """Correct, or give the correction that was made under this id before.

        Raises:
            BadInputError: nothing was changed; the message says what is wrong with the order.
            StoreError: nothing was changed, or the correction was made: send the same order again.
        """
        now = self._clock()
        # Who corrects is known before what was there; only the former decides which key the record needs.
        shape = Corrected(now, order.id, order.kind.value, order.subject, 0, order.amount, order.actor, order.reason)

        def step(book: Book) -> Made:
            known = corrections.known(book, order)
            if known is not None:
                return Made(known)
            before = dict(book.windows)
            row = corrections.correct(book, order, now)
            self._recorder.append(book, _event(row), now)
            return Made(row, tuple((before[key], after) for key, after in sorted(book.put.windows.items())))

        return await self._store.transact(self._recorder.lock(corrections.lock(order), [shape]), step)


def _event(row: Correction) -> Corrected:
    return Corrected(
        at=row.at,
        correction=row.id,
        what=row.kind.value,
        subject=row.subject,
        before=row.before,
        after=row.after,
        actor=row.actor,
        reason=row.reason,
        account=row.account,
        window_start=row.window_start,
        path=row.path,
    )
