"""Idle money in other sidecars: asked back before the hub says no, for a bounded time.

A sidecar listens to one replica of the hub; those that listen elsewhere are asked over the bus. Whoever asks for the
money of one account takes turns, so that two that are short do not take each other's remainders: within a process
always, between replicas for as long as the bus has turns. No money hangs on it.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping

from llmgov.ledger.messages import Epoch, Recall, Recalled, Recount
from llmgov.money import MicroUsd
from llmgov_hub.bus import Bus
from llmgov_hub.memory_bus import MemoryExchange
from llmgov_hub.turns import Turns

DEFAULT_WAIT_SECONDS = 0.5
"""How long one request for money may be delayed by asking sidecars that are connected here: they answer from memory,
within a few milliseconds, unless their node is gone."""

DEFAULT_WAIT_ELSEWHERE_SECONDS = 1.0
"""The same where sidecars of other replicas are asked: also when the notification got lost, so that the other replica
finds the recall only when it looks (every 0.5 s), and the sidecar's answer has to come back (0.1 s)."""

SILENT_PART = 10
"""Who did not answer the last time is waited for one part in so many: long enough for who can answer at all, and many
that are short one after the other do not wait in vain for a node that is gone."""


class Recalls:
    """The sidecars that are connected to this replica, and what was asked for. A `llmgov_hub.bus.Member`."""

    def __init__(
        self,
        wait_seconds: float = DEFAULT_WAIT_SECONDS,
        wait_elsewhere_seconds: float = DEFAULT_WAIT_ELSEWHERE_SECONDS,
        bus: Bus | None = None,
    ) -> None:
        self._wait_seconds = wait_seconds
        self._wait_elsewhere_seconds = wait_elsewhere_seconds
        self._bus: Bus = MemoryExchange().bus() if bus is None else bus
        self._connected: dict[Epoch, asyncio.Queue[Recall | Recount]] = {}
        self._answers: dict[tuple[Epoch, str], list[asyncio.Future[MicroUsd]]] = {}
        self._asks: dict[str, str] = {}
        self._asked = 0
        self._silent: dict[str, frozenset[Epoch]] = {}
        self._turns = Turns()
        self._bus.join(self)

    async def stream(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """What a sidecar is asked for, for as long as it listens; while it does not, it is not asked."""
        waiting: asyncio.Queue[Recall | Recount] = asyncio.Queue()
        self._connected[epoch] = waiting
        self._bus.connect(epoch)
        try:
            while True:
                yield await waiting.get()
        finally:
            if self._connected.get(epoch) is waiting:
                del self._connected[epoch]
                self._bus.disconnect(epoch)

    def answered(self, message: Recalled) -> None:
        """A sidecar has returned what was idle. What this replica does not wait for any more counts for nothing."""
        if self._asks.get(message.key) == message.ask:
            self.told(message)
        self._bus.answer(message)

    def told(self, message: Recalled) -> None:
        """A sidecar has returned what was idle, and is waited for."""
        for answer in self._answers.get((message.epoch, message.key), ()):
            if not answer.done():
                answer.set_result(message.amount)

    def asked(self, recall: Recall) -> None:
        """Ask a sidecar, where it is connected here, and wait for nobody."""
        if recall.epoch in self._connected:
            self._connected[recall.epoch].put_nowait(recall)

    def recount(self, ledger: str, holders: Collection[str]) -> None:
        """Ask the sidecars that are connected here, those of `holders`, for what they hold."""
        for epoch, waiting in self._connected.items():
            if epoch.holder in holders:
                waiting.put_nowait(Recount(epoch, ledger))

    @property
    def holders(self) -> frozenset[str]:
        """Whose sidecars are connected here."""
        return frozenset(epoch.holder for epoch in self._connected)

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """One at a time for each account."""
        async with self._turns.turn(key), self._bus.turn(key, self._wait_elsewhere_seconds):
            yield

    async def collect(self, key: str, epochs: Iterable[Epoch]) -> MicroUsd:
        """Ask those of `epochs` that are connected, here or elsewhere, for idle money of `key`; how much they said that
        they returned.

        To be called in the account's `turn`. Whoever does not answer in time is not waited for.
        """
        epochs = tuple(epochs)
        began = asyncio.get_running_loop().time()
        here = [epoch for epoch in epochs if epoch in self._connected]
        others = [epoch for epoch in epochs if epoch not in self._connected]
        with self._asking(key) as ask, self._expecting(key, epochs) as answers:
            self.send(key, here, ask)
            async with self._bus.asking(key, others, self._wait_elsewhere_seconds) as elsewhere:
                bound = self._wait_elsewhere_seconds if elsewhere else self._wait_seconds
                return await self._sum(key, {epoch: answers[epoch] for epoch in (*here, *elsewhere)}, began, bound)

    def send(self, key: str, epochs: Iterable[Epoch], ask: str = "") -> None:
        """Ask those of `epochs` that are connected here for idle money of `key`, and wait for nobody."""
        for epoch in epochs:
            self.asked(Recall(epoch, key, ask))

    @contextlib.contextmanager
    def _asking(self, key: str) -> Iterator[str]:
        """A name for asking those that are connected here; those of buses begin otherwise."""
        self._asked += 1
        self._asks[key] = ask = f"/{self._asked}"
        try:
            yield ask
        finally:
            del self._asks[key]

    @contextlib.contextmanager
    def _expecting(self, key: str, epochs: Collection[Epoch]) -> Iterator[dict[Epoch, "asyncio.Future[MicroUsd]"]]:
        """Futures of what each epoch answers; before it is asked, since an answer may be quick."""
        loop = asyncio.get_running_loop()
        answers: dict[Epoch, asyncio.Future[MicroUsd]] = {epoch: loop.create_future() for epoch in epochs}
        for epoch, answer in answers.items():
            self._answers.setdefault((epoch, key), []).append(answer)
        try:
            yield answers
        finally:
            for epoch, answer in answers.items():
                waiting = self._answers[epoch, key]
                waiting.remove(answer)
                if not waiting:
                    del self._answers[epoch, key]
                answer.cancel()

    async def _sum(
        self, key: str, answers: Mapping[Epoch, "asyncio.Future[MicroUsd]"], began: float, bound: float
    ) -> MicroUsd:
        """What those say that answer within `bound` seconds from `began` on, by the event loop's clock."""
        silent = self._silent.pop(key, frozenset())
        await _until([answer for epoch, answer in answers.items() if epoch not in silent], began + bound)
        await _until(answers.values(), began + bound / SILENT_PART)
        missing = frozenset(epoch for epoch, answer in answers.items() if not answer.done())
        if missing:
            self._silent[key] = missing
        return sum(answer.result() for answer in answers.values() if answer.done())


async def _until(answers: Collection["asyncio.Future[MicroUsd]"], moment: float) -> None:
    """Wait until all are there, or until that moment."""
    if answers:
        await asyncio.wait(answers, timeout=max(0.0, moment - asyncio.get_running_loop().time()))
