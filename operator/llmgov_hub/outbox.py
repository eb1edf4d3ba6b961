"""Notices that wait to be delivered: written with what caused them, so that none is lost and none is sent for nothing.

Delivery (mail, webhooks) reads `pending` and marks what it sent; sent twice after a crash is possible, never is not,
unless nobody delivers anything for as long as notices are kept (`llmgov.ledger.pruning`).
"""

from collections.abc import Callable, Sequence

from llmgov.instants import Instant
from llmgov.ledger.rows import OutboxEntry
from llmgov.ledger.store import Store


class Outbox:
    """The notices in a store; `clock` is the ledger's."""

    def __init__(self, store: Store, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._clock = clock

    async def pending(self) -> list[OutboxEntry]:
        """What was not delivered yet, oldest first."""
        return await self._store.undelivered()

    async def delivered(self, entries: Sequence[OutboxEntry]) -> None:
        """Mark entries as delivered now."""
        await self._store.delivered([entry.id for entry in entries], self._clock())
