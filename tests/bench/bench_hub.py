"""A hub that lends whatever is asked and forgets it, so that a measured sidecar pays for its own end alone."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence

from llmgov import instants
from llmgov.ledger import definitions
from llmgov.ledger.messages import (
    Epoch,
    Event,
    Holdings,
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
            Lease(
                id=str(next(self._serial)),
                key=need.key,
                window_start=now,
                window_end=end,
                amount=1_000_000_000,
                deadline=now + 10 * instants.MINUTE,
                definition=definitions.fingerprint(need.account),
            )
            for need in request.needs
        ]
        return LeaseGrant(request.request, tuple(leases), now)

    async def give_back(self, message: LeaseReturn) -> None:
        del message

    async def recalled(self, message: Recalled) -> None:
        del message

    async def holdings(self, message: Holdings) -> None:
        del message

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        del events
        return ()

    async def recalls(self, epoch: Epoch) -> AsyncIterator[Recall]:
        await asyncio.Event().wait()
        yield Recall(epoch, "")
