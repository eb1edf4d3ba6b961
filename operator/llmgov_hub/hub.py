"""The hub, as sidecars see it and as whoever composes a process builds it: its services over one store."""

import secrets
from collections.abc import AsyncIterator, Callable, Sequence

from llmgov.audit import chain
from llmgov.instants import Instant
from llmgov.ledger.candidates import MAX_USERS
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
    Why,
)
from llmgov.ledger.store import Store
from llmgov_hub.approvals import Approvals
from llmgov_hub.bus import Bus
from llmgov_hub.configuration import Configuration
from llmgov_hub.corrections import Corrections
from llmgov_hub.events import Events
from llmgov_hub.leases import Leases
from llmgov_hub.memory_bus import MemoryExchange
from llmgov_hub.outbox import Outbox
from llmgov_hub.recalls import DEFAULT_WAIT_ELSEWHERE_SECONDS, DEFAULT_WAIT_SECONDS, Recalls
from llmgov_hub.recovery import Recovery
from llmgov_hub.upkeep import Upkeep
from llmgov_store.recorder import Recorder


class Hub:
    """All services over `store`. `clock` is the ledger's; `writer` names the audit chain that its records join.

    Processes that share a chain wait for each other's transactions, so replicas have one each. `bus` joins the
    replicas over one store; who has one runs `configuration.follow`, too. Who serves sidecars is not `trusting`: then
    nothing is lent, and no report taken, before a configuration is in force (`Leases`).
    """

    def __init__(
        self,
        store: Store,
        clock: Callable[[], Instant],
        *,
        writer: str = "hub",
        bus: Bus | None = None,
        recall_wait_seconds: float = DEFAULT_WAIT_SECONDS,
        recall_wait_elsewhere_seconds: float = DEFAULT_WAIT_ELSEWHERE_SECONDS,
        max_users: int = MAX_USERS,
        trusting: bool = True,
        retention_days: int = chain.DEFAULT_RETENTION_DAYS,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        recorder = Recorder(writer, retention_days=retention_days, entropy=entropy)
        bus = MemoryExchange().bus() if bus is None else bus
        recalls = Recalls(recall_wait_seconds, recall_wait_elsewhere_seconds, bus)
        self.leases = Leases(store, recalls, clock, max_users=max_users, trusting=trusting)
        self.recovery = Recovery(store, self.leases, recalls, recorder, clock)
        self.events = Events(store, recorder, clock, lambda: self.leases.definitions)
        self.approvals = Approvals(store, recorder, clock)
        self.corrections = Corrections(store, recorder, clock)
        self.configuration = Configuration(store, self.leases, recorder, clock, bus)
        self.outbox = Outbox(store, clock)
        self.upkeep = Upkeep(store, clock)

    async def register(self, holder: str) -> Epoch:
        """A sidecar has started: its epoch."""
        return await self.leases.register(holder)

    async def inventory(self, message: Inventory) -> None:
        """What a new epoch found in its spool."""
        await self.leases.inventory(message)

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """Lend, or refuse."""
        reply = await self.leases.lease(request)
        if isinstance(reply, LeaseRefusal) and reply.why is Why.RECOVERING:
            await self.recovery.look()
        return reply

    async def give_back(self, message: LeaseReturn) -> None:
        """Take a return."""
        await self.leases.give_back(message)

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Take events; durable when this returns. The ids of those that could not be taken for what they say."""
        return await self.events.deliver(events)

    async def holdings(self, message: Holdings) -> None:
        """What a sidecar holds, after it was asked for that."""
        await self.recovery.report(message)

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """What a sidecar is asked back for, for as long as it listens."""
        return self.leases.recalls(epoch)

    async def recalled(self, message: Recalled) -> None:
        """A sidecar's answer to a recall."""
        await self.leases.recalled(message)
