"""Keeps the ledger's tables from growing for ever; the rule of what may go is `llmgov.ledger.pruning`'s."""

from collections.abc import Callable

from llmgov.instants import Instant
from llmgov.ledger import pruning
from llmgov.ledger.store import Store


class Upkeep:
    """What is done to a store once in a while, by any replica; `clock` is the ledger's."""

    def __init__(self, store: Store, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._clock = clock

    async def prune(self) -> int:
        """Remove what nobody can ask for any more, some at a time so that others get their turns; how much it was.

        Raises:
            StoreError: some may have been removed; the rest waits for the next call.
        """
        removed = 0
        while True:
            now = self._clock()
            count = await self._store.transact(pruning.lock(now), lambda book, now=now: pruning.prune(book, now))  # type: ignore[misc]
            removed += count
            if count < pruning.BATCH:
                return removed
