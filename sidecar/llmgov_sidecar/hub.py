"""What a sidecar needs of the hub: the hub's services implement it in one process; a stream will over the network.

Every call may be repeated without harm, and raises `OSError` (which `ConnectionError` and `TimeoutError` are) while the
hub or its database is out of reach: the sidecar then tries again.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from llmgov.ledger.messages import (
    Epoch,
    Event,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Recount,
)


class Hub(Protocol):
    """The hub as one sidecar sees it."""

    async def register(self, holder: str) -> Epoch:
        """A new epoch of this holder; it fences the earlier ones."""
        ...

    async def inventory(self, message: Inventory) -> None:
        """What the new epoch found in its spool of earlier epochs' leases."""
        ...

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """Lend money from all accounts that the request names, or say which cannot."""
        ...

    async def give_back(self, message: LeaseReturn) -> None:
        """Take money back; durable when it returns."""
        ...

    async def recalled(self, message: Recalled) -> None:
        """A recall has been answered."""
        ...

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Put events on record, in order; durable when it returns. The ids of those that the ledger did not take for
        what they are: an attempt whose intent is among them must not be dispatched where its audit is strict."""
        ...

    async def holdings(self, message: Holdings) -> None:
        """What this epoch holds, after the hub asked for it; durable when it returns."""
        ...

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """What this epoch is asked for, as it comes; ends when the hub wants to be asked again."""
        ...
