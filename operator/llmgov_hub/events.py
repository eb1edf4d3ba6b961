"""What sidecars report: each event, its settlement and its audit record in one transaction, each event once."""

from collections.abc import Callable, Sequence

from llmgov.instants import Instant
from llmgov.ledger import recording
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Event
from llmgov.ledger.store import Store
from llmgov_hub.recorder import Recorder

MAX_BATCH = 256
"""Events that share a transaction at most: it bounds how long others wait for their turn."""


class Events:
    """Takes events in; `clock` is the ledger's."""

    def __init__(self, store: Store, recorder: Recorder, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock

    async def deliver(self, events: Sequence[Event]) -> None:
        """Take events, in their order; durable when this returns. Repeating it changes nothing.

        Raises:
            StoreError: some may not have been taken; deliver all of them again.
        """
        for start in range(0, len(events), MAX_BATCH):
            await self._take(events[start : start + MAX_BATCH])

    async def _take(self, events: Sequence[Event]) -> None:
        now = self._clock()

        def step(book: Book) -> None:
            for event in events:
                if recording.record(book, event, now):
                    self._recorder.append(book, event, now)

        await self._store.transact(self._recorder.lock(recording.lock(events), events), step)
