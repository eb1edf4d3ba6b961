"""Events from the spool to the hub, in order, until they are acknowledged; and who waits for that.

The spool is the queue: nothing is kept in memory, and what was not acknowledged before a crash is delivered again,
which the hub recognises by the events' ids.
"""

import asyncio
import functools

from llmgov_sidecar.calls import Calls
from llmgov_sidecar.hub import Hub
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.spool import Position

_BATCH = 256 * 1024


class Delivery:
    """The delivery loop of one boot."""

    def __init__(self, hub: Hub, journal: Journal, calls: Calls) -> None:
        self._hub = hub
        self._journal = journal
        self._calls = calls
        self._position: Position | None = None
        self._progress: asyncio.Future[None] | None = None
        self._urgent = asyncio.Event()
        self._awaited: set[str] = set()
        self._put_aside: set[str] = set()
        self.delivered = Position(0, 0)
        self.recovered = False

    async def run(self) -> None:
        """Deliver for ever, from where an earlier run got to.

        Raises:
            OSError: the spool cannot be read or trimmed.
        """
        while True:
            events, behind = self._journal.events(self._position, _BATCH)
            if events:
                aside = await self._calls.until_answered(functools.partial(self._hub.deliver, events))
                self._put_aside.update(self._awaited.intersection(aside))
            if behind != self._position:
                self._position = behind
                self._advance(behind)
            if not events and self._journal.end == behind:
                await self._wait_for_more()

    async def wait(self, position: Position, seconds: float) -> bool:
        """Wait until everything up to `position` is on record at the hub; whether it is within `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self.delivered < position:
                    self._urgent.set()
                    if self._progress is None:
                        self._progress = asyncio.get_running_loop().create_future()
                    await asyncio.shield(self._progress)
        except TimeoutError:
            return False
        return True

    async def taken(self, intent: str, position: Position, seconds: float) -> bool:
        """Wait until the intent that was just appended, up to `position`, is on record at the hub; false where it is
        not within `seconds`, or the ledger does not take it."""
        self._awaited.add(intent)
        try:
            return await self.wait(position, seconds) and intent not in self._put_aside
        finally:
            self._awaited.discard(intent)
            self._put_aside.discard(intent)

    def _advance(self, position: Position) -> None:
        self.delivered = position
        if self._progress is not None:
            self._progress.set_result(None)
            self._progress = None
        self._journal.trim(position, recovered=self.recovered)

    async def _wait_for_more(self) -> None:
        """Wait for the next record, and a moment more so that events travel in company; not where somebody waits."""
        self._journal.wake.clear()
        if self._journal.end == self.delivered:
            await self._journal.wake.wait()
        if not self._urgent.is_set():
            try:
                async with asyncio.timeout(self._calls.waits.gather):
                    await self._urgent.wait()
            except TimeoutError:
                pass
        self._urgent.clear()
