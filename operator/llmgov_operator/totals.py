"""Violations summed up since ever, of which each look at the ledger reads the last minutes alone.

An edge over the ledger's reads. Events arrive after their time: a sidecar may have been cut off from the hub. So the
sums of what is older than `LATE` are kept, and read whole once in a while, for what came later still.
"""

from collections.abc import Mapping
from typing import Final

from llmgov import instants
from llmgov.instants import Instant
from llmgov.ledger import violated
from llmgov.ledger.store import Reader
from llmgov.ledger.violated import Violated
from llmgov_store.observing import ALL_TIME

LATE: Final = 10 * instants.MINUTE
"""How much later than its time a violation may arrive and be counted at the next look."""

STEP: Final = instants.MINUTE
"""How far the kept sums are moved on at a time: what a look reads is at most this longer than `LATE`."""

WHOLE: Final = instants.HOUR
"""Between two readings of everything: what arrived later than `LATE` is counted by then."""


class Totals:
    """The sums of one ledger."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._kept: Mapping[str, Violated] = {}
        self._until: Instant = 0
        self._whole: Instant | None = None

    async def read(self, now: Instant) -> Mapping[str, Violated]:
        """What every policy brought about until now. What did not change is the object that was returned before.

        Raises:
            StoreError: the ledger does not answer; ask again.
        """
        if self._whole is None or now - self._whole >= WHOLE:
            self._kept, self._until = await self._reader.violated(0, now - LATE), now - LATE
            self._whole = now
        elif now - LATE - self._until >= STEP:
            step = await self._reader.violated(self._until, now - LATE)
            self._kept, self._until = violated.merged(self._kept, step), now - LATE
        return violated.merged(self._kept, await self._reader.violated(self._until, ALL_TIME))
