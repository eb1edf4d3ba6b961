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


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Ask:
    by: "MemoryBus"
    name: str
    key: str
    epochs: Collection[Epoch]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Turn:
    by: "MemoryBus"
    begins: "asyncio.Future[None]"


class MemoryExchange:
    """What the replicas' buses share: where sidecars are connected, who asks for what, and whose turn it is."""

    def __init__(self) -> None:
        self.buses: list[MemoryBus] = []
        self.where: dict[Epoch, MemoryBus] = {}
        self.asks: list[_Ask] = []
        self.turns: dict[str, list[_Turn]] = {}
        self.asked = 0

    def bus(self) -> "MemoryBus":
        """The end of one more replica."""
        made = MemoryBus(self)
        self.buses.append(made)
        return made

    def begin_turn(self, key: str, turn: _Turn) -> None:
        """Have the turn of an account, or wait behind those who do."""
        self.turns.setdefault(key, []).append(turn)
        self._next_turn(key)

    def end_turn(self, key: str, turn: _Turn) -> None:
        """Do not have it, nor wait for it, any more."""
        waiting = self.turns.get(key, [])
        if turn in waiting:
            waiting.remove(turn)
            self._next_turn(key)

    def _next_turn(self, key: str) -> None:
        waiting = self.turns[key]
        if not waiting:
            del self.turns[key]
        elif not waiting[0].begins.done():
            waiting[0].begins.set_result(None)


class MemoryBus:
    """A `llmgov_hub.bus.Bus`; made by `MemoryExchange.bus`."""

    def __init__(self, exchange: MemoryExchange) -> None:
        self._exchange = exchange
        self._member: Member | None = None
        self._news = asyncio.Event()

    def join(self, member: Member) -> None:
        self._member = member

    def leave(self) -> None:
        """End as a replica does that the others know to be gone: nothing reaches it, nobody waits for it.

        One that is gone without anybody knowing is simply not used any more.
        """
        self._member = None
        exchange = self._exchange
        exchange.buses.remove(self)
        exchange.asks = [ask for ask in exchange.asks if ask.by is not self]
        for epoch in [epoch for epoch, bus in exchange.where.items() if bus is self]:
            del exchange.where[epoch]
        for key, turn in [(key, turn) for key, turns in exchange.turns.items() for turn in turns if turn.by is self]:
            exchange.end_turn(key, turn)

    def connect(self, epoch: Epoch) -> None:
        self._exchange.where[epoch] = self
        for ask in self._exchange.asks:
            if epoch in ask.epochs:
                self.hand_over(Recall(epoch, ask.key, ask.name))

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
        self._exchange.asked += 1
        ask = _Ask(self, f"bus/{self._exchange.asked}", key, asked.keys())
        self._exchange.asks.append(ask)
        try:
            for epoch, bus in asked.items():
                bus.hand_over(Recall(epoch, key, ask.name))
            yield asked.keys()
        finally:
            with contextlib.suppress(ValueError):  # this replica has left
                self._exchange.asks.remove(ask)

    def answer(self, message: Recalled) -> None:
        for ask in self._exchange.asks:
            if (ask.name, ask.key) == (message.ask, message.key) and message.epoch in ask.epochs:
                ask.by.tell(message)

    @contextlib.asynccontextmanager
    async def turn(self, key: str, seconds: float) -> AsyncIterator[None]:
        turn = _Turn(self, asyncio.get_running_loop().create_future())
        self._exchange.begin_turn(key, turn)
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await turn.begins
            yield
        finally:
            self._exchange.end_turn(key, turn)

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
