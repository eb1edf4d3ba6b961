"""What sidecars report: each event, its settlement and its audit record in one transaction, each event once."""

import dataclasses
from collections.abc import Callable, Sequence

from llmgov.audit import facts
from llmgov.instants import Instant
from llmgov.ledger import approvals, recording, reopening
from llmgov.ledger.book import Book, WindowLock
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import Event, Settlement, Subject, Violated
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience
from llmgov_hub.recorder import Recorder

MAX_BATCH = 256
"""Events that share a transaction at most: it bounds how long others wait for their turn."""

_NOBODY = Subject("", "", None, (), (), "", "", "")


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
        """Take them together; where one cannot be taken for what it says, that one is put aside and the rest taken."""
        try:
            await self._put(events)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the store makes of its content
            if len(events) > 1:
                for event in events:
                    await self._take([event])
            else:
                await self._put_aside(events[0], error)

    async def _put_aside(self, event: Event, error: Exception) -> None:
        """Put on record that an event could not be, and tell the administrators. Its money stays lent.

        Raises:
            Exception: `error`, where not even that can be recorded: then it is not the event's fault.
        """
        kind = facts.kind(event)
        why = str(error) if isinstance(error, BadInputError) else type(error).__name__
        message = f"llmgov: {kind} {event.id} could not be put on record ({why}); its money stays held"
        violation = Violation("", Action.FLAG, "event_refused", message, notify=(Audience.ADMINS,))
        subject = _NOBODY if isinstance(event, Settlement) else event.subject
        told = Violated(f"{event.id}/refused", self._clock(), "", event.id, subject, (violation,))
        try:
            await self._put([told])
        except OSError:
            raise
        except Exception:  # noqa: BLE001 - the first error says more
            raise error from None

    async def _put(self, events: Sequence[Event]) -> None:
        now = self._clock()
        asked = approvals.askings(await self._store.approvals()) if recording.needs_askings(events) else {}
        prepared = [self._recorder.prepare(event) for event in events]  # while others have the locks

        def step(book: Book) -> tuple[WindowLock, ...]:
            lost = reopening.lost(book, events, now)
            if not reopening.has_read(book, lost):
                return lost
            reopening.open_again(book, lost, now)
            for event, each in zip(events, prepared, strict=True):
                if recording.record(book, event, now):
                    self._recorder.put(book, each, now)
            return ()

        lock = self._recorder.lock(recording.lock(events, now, asked), events)
        while lost := await self._store.transact(lock, step):  # nothing was taken yet
            lock = dataclasses.replace(lock, windows=(*lock.windows, *lost))
