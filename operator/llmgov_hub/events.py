"""What sidecars report: each event, its settlement and its audit record in one transaction, each event once."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from llmgov.audit import facts
from llmgov.instants import Instant
from llmgov.ledger import approvals, checks, recording, reopening
from llmgov.ledger.book import Book, Lock, WindowLock
from llmgov.ledger.definitions import Definitions
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Event, Settlement, Subject, Violated
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience
from llmgov_hub import pieces
from llmgov_store.recorder import Recorder

MAX_SHOWN = 800
"""Bytes of an event's id, or of what is wrong with it, that administrators are told: the id is looked up by."""

_NOBODY = Subject("", "", None, (), (), "", "", "")


class _Unread(NamedTuple):
    """What else is to be read before events can be taken, where the ledger has lost what they name."""

    windows: tuple[WindowLock, ...]
    marks: tuple[str, ...]
    holders: tuple[str, ...]

    def is_read(self, book: Book, lock: Lock) -> bool:
        """Whether a book that was loaded by `lock` has all of it; with a mark its holder was read."""
        return set(self.marks) <= set(lock.events) and reopening.has_read(book, self.windows)

    def added_to(self, lock: Lock) -> Lock:
        """The same rows and these."""
        return dataclasses.replace(
            lock,
            windows=(*lock.windows, *self.windows),
            events=(*lock.events, *self.marks),
            holders=(*lock.holders, *self.holders),
        )


class Events:
    """Takes events in; `clock` is the ledger's, `definitions` gives the accounts in force."""

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        clock: Callable[[], Instant],
        definitions: Callable[[], Definitions] = dict,
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._definitions = definitions

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Take events, in their order; durable when this returns. Repeating it changes nothing.

        The ids of those that were put aside are returned: they are not on record as what they are.

        Raises:
            StoreError: some may not have been taken; deliver all of them again.
        """
        aside: list[str] = []
        for piece in pieces.cut(events):
            aside += await self._take(piece)
        return tuple(aside)

    async def _take(self, events: Sequence[Event]) -> list[str]:
        """Take them together; where one cannot be taken for what it says, that one is put aside and the rest taken."""
        try:
            await self._put(events)
        except OSError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever the store makes of its content
            if len(events) > 1:
                middle = len(events) // 2
                return [*await self._take(events[:middle]), *await self._take(events[middle:])]
            await self._put_aside(events[0], error)
            return [events[0].id]
        return []

    async def _put_aside(self, event: Event, error: Exception) -> None:
        """Put on record that an event could not be, and tell the administrators. Its money stays lent, unless that came
        back when its pod was written off.

        Raises:
            Exception: `error`, where not even that can be recorded: then it is not the event's fault.
        """
        why = _shown(str(error)) if isinstance(error, BadInputError) else type(error).__name__
        id_ = _shown(event.id)
        back = isinstance(error, BadInputError) and error.fault is Fault.WRITTEN_OFF
        money = "its money came back already" if back else "its money stays held"
        message = f"llmgov: {facts.kind(event)} {id_} could not be put on record ({why}); {money}"
        violation = Violation("", Action.FLAG, "event_refused", message, notify=(Audience.ADMINS,))
        for subject in dict.fromkeys((_subject(event), _NOBODY)):
            told = Violated(f"{id_}/refused", self._clock(), "", id_, subject, (violation,))
            try:
                return await self._put([told])
            except OSError:
                raise
            except Exception:  # noqa: BLE001, S112 - the first error says more
                continue
        raise error

    async def _put(self, events: Sequence[Event]) -> None:
        now, definitions = self._clock(), self._definitions()
        digests = recording.digests_of(events)
        asked = approvals.askings(await self._store.approvals_of(digests)) if digests else {}
        prepared = [self._recorder.prepare(event) for event in events]  # while others have the locks

        def step(book: Book) -> _Unread | None:
            lost = reopening.lost(book, events, definitions, now)
            unread = _Unread(lost, reopening.marks(book, events), reopening.holders(book, events))
            if not unread.is_read(book, lock):
                return unread
            reopening.open_again(book, lost, definitions, now)
            for event, each in zip(events, prepared, strict=True):
                if recording.record(book, event, now):
                    self._recorder.put(book, each, now)
            return None

        lock = self._recorder.lock(recording.lock(events, now, asked), events)
        while unread := await self._store.transact(lock, step):  # nothing was taken yet
            lock = unread.added_to(lock)


def _shown(text: str) -> str:
    """A text of which anything may be wrong, as one that can be told: a long one by its beginning and a digest."""
    shown = "".join(character if character.isprintable() else "?" for character in text[:MAX_SHOWN])
    shown = shown.encode()[:MAX_SHOWN].decode(errors="ignore")
    if shown == text and shown.strip():
        return shown
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{shown}…{digest[:16]}"


def _subject(event: Event) -> Subject:
    """Whom it was for; nobody where it does not say, or where that is what is wrong with it."""
    if isinstance(event, Settlement):
        return _NOBODY
    try:
        checks.check_subject(event.subject)
    except BadInputError:
        return _NOBODY
    return event.subject
