"""Ends of attempts on their way to the spool: the money of an attempt is let go once its end is on record, not before.

What the disk refuses is tried again until it takes it, in order. Meanwhile the purse counts the hold; and where the
process dies first, its successor finds the intent without an end, which costs the hold as well.
"""

import collections
from collections.abc import Callable
from typing import NamedTuple

from llmgov.ledger.messages import Settlement
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.tasks import Tasks


class _End(NamedTuple):
    settlement: Settlement
    recorded: Callable[[], None]


class Ends:
    """Those that are not on record yet. There are no more of them than attempts that had begun when the disk failed:
    it takes no intents either."""

    def __init__(self, journal: Journal, tasks: Tasks) -> None:
        self._journal = journal
        self._tasks = tasks
        self._waiting: collections.deque[_End] = collections.deque()

    @property
    def waiting(self) -> int:
        """How many wait for the disk."""
        return len(self._waiting)

    def put(self, settlement: Settlement, recorded: Callable[[], None]) -> None:
        """Append an end, and call `recorded`: at once, or as soon as the disk takes it."""
        self._waiting.append(_End(settlement, recorded))
        if len(self._waiting) > 1:
            return
        try:
            self._append_first()
        except OSError:
            self._tasks.keep("ends of attempts", self._append_all)  # which reports what it meets

    async def _append_all(self) -> None:
        while self._waiting:
            self._append_first()

    def _append_first(self) -> None:
        end = self._waiting[0]
        self._journal.end_attempt(end.settlement)
        self._waiting.popleft()
        end.recorded()
