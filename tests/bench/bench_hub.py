"""A hub that lends whatever is asked and forgets it, so that a measured sidecar pays for its own end alone."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

from llmgov import instants
from llmgov.ledger.messages import (
    Epoch,
    Event,
    Inventory,
    Lease,
    LeaseGrant,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
)
from llmgov_sidecar.sidecar import system_clock


class BenchHub:
    """Lends a thousand dollars at a time."""

    def __init__(self) -> None:
        self._serial = itertools.count()

    async def register(self, holder: str) -> Epoch:
        return Epoch(holder, 1)

    async def inventory(self, message: Inventory) -> None:
        del message

    async def lease(self, request: LeaseRequest) -> LeaseGrant:
        now = system_clock()
        end = now + instants.DAY
        leases = [
            Lease(str(next(self._serial)), need.key, now, end, 1_000_000_000, now + 10 * instants.MINUTE)
            for need in request.needs
        ]
        return LeaseGrant(request.request, tuple(leases), now)

    async def give_back(self, message: LeaseReturn) -> None:
        del message

    async def recalled(self, message: Recalled) -> None:
        del message

    async def deliver(self, events: Sequence[Event]) -> None:
        del events

    async def recalls(self, epoch: Epoch) -> AsyncIterator[Recall]:
        await asyncio.Event().wait()
        yield Recall(epoch, "")
