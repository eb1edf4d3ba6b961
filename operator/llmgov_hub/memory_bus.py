"""A bus within one process: for a hub without others, for tests with several, and for the protocol's simulator.

Messages arrive at once and in order, and nothing depends on a clock but the bounds of waiting. Whoever wants messages
to be lost or late wraps a `MemoryBus`, and the member that joins it.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Collection, Sequence

from llmgov.ledger.messages import Epoch, Recall, Recalled
from llmgov_hub.bus import Member
from llmgov_hub.turns import Turns


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    by: "MemoryBus"
    key: str
    epochs: Collection[Epoch]


class MemoryExchange:
    """What the replicas' buses share: where sidecars are connected, who asks for what, and whose turn it is."""

    def __init__(self) -> None:
        self.buses: list[MemoryBus] = []
        self.where: dict[Epoch, MemoryBus] = {}
        self.asks: list[_Ask] = []
        self.turns = Turns()

    def bus(self) -> "MemoryBus":
        """The end of one more replica."""
        made = MemoryBus(self)
        self.buses.append(made)
        return made


class MemoryBus:
    """A `llmgov_hub.bus.Bus`; made by `MemoryExchange.bus`."""

    def __init__(self, exchange: MemoryExchange) -> None:
        self._exchange = exchange
        self._member: Member | None = None
        self._news = asyncio.Event()

    def join(self, member: Member) -> None:
        self._member = member

    def leave(self) -> None:
        """End as a replica does that is known to be gone: its sidecars are connected nowhere, and nothing reaches it.

        One that is gone without anybody knowing is simply not used any more.
        """
        self._member = None
        self._exchange.buses.remove(self)
        for epoch in [epoch for epoch, bus in self._exchange.where.items() if bus is self]:
            del self._exchange.where[epoch]

    def connect(self, epoch: Epoch) -> None:
        self._exchange.where[epoch] = self
        for ask in self._exchange.asks:
            if epoch in ask.epochs:
                self.hand_over(Recall(epoch, ask.key))

    def disconnect(self, epoch: Epoch) -> None:
        if self._exchange.where.get(epoch) is self:
            del self._exchange.where[epoch]

    @contextlib.asynccontextmanager
    async def asking(
        self,
        key: str,
        epochs: Sequence[Epoch],
        seconds: float,  # noqa: ARG002 - bounds how long messages may take, and here they take no time
    ) -> AsyncIterator[Collection[Epoch]]:
        where = self._exchange.where
        asked = {epoch: where[epoch] for epoch in epochs if where.get(epoch, self) is not self}
        ask = _Ask(self, key, asked.keys())
        self._exchange.asks.append(ask)
        try:
            for epoch, bus in asked.items():
                bus.hand_over(Recall(epoch, key))
            yield asked.keys()
        finally:
            self._exchange.asks.remove(ask)

    def answer(self, message: Recalled) -> None:
        for ask in self._exchange.asks:
            if ask.key == message.key and message.epoch in ask.epochs:
                ask.by.tell(message)

    def turn(self, key: str, seconds: float) -> contextlib.AbstractAsyncContextManager[None]:
        return self._exchange.turns.turn(key, seconds)

    def announce(self) -> None:
        for bus in self._exchange.buses:
            if bus is not self:
                bus.wake()

    async def changed(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    def hand_over(self, recall: Recall) -> None:
        """Another replica asks a sidecar that is connected here."""
        if self._member is not None:
            self._member.asked(recall)

    def tell(self, message: Recalled) -> None:
        """A sidecar has answered this replica."""
        if self._member is not None:
            self._member.told(message)

    def wake(self) -> None:
        """Another replica has announced."""
        self._news.set()
