"""Idle money in other sidecars: asked back before the hub says no, for a bounded time.

Whoever asks for the money of one account takes turns, so that two that are short do not take each other's remainders.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from llmgov.ledger.messages import Epoch, Recall, Recalled
from llmgov.money import MicroUsd

DEFAULT_WAIT_SECONDS = 0.5
"""How long one request for money may be delayed by asking others."""


class Recalls:
    """The sidecars that are connected to this hub, and what they were asked for."""

    def __init__(self, wait_seconds: float = DEFAULT_WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._connected: dict[Epoch, asyncio.Queue[Recall]] = {}
        self._answers: dict[tuple[Epoch, str], asyncio.Future[MicroUsd]] = {}
        self._turns: dict[str, _Turn] = {}

    async def stream(self, epoch: Epoch) -> AsyncIterator[Recall]:
        """Recalls for a sidecar, for as long as it listens; while it does not, it is not asked."""
        waiting: asyncio.Queue[Recall] = asyncio.Queue()
        self._connected[epoch] = waiting
        try:
            while True:
                yield await waiting.get()
        finally:
            if self._connected.get(epoch) is waiting:
                del self._connected[epoch]

    def answered(self, message: Recalled) -> None:
        """A sidecar has returned what was idle."""
        answer = self._answers.get((message.epoch, message.key))
        if answer is not None and not answer.done():
            answer.set_result(message.amount)

    @contextlib.asynccontextmanager
    async def turn(self, key: str) -> AsyncIterator[None]:
        """One at a time for each account."""
        turn = self._turns.setdefault(key, _Turn())
        turn.users += 1
        try:
            async with turn.lock:
                yield
        finally:
            turn.users -= 1
            if not turn.users:
                del self._turns[key]

    async def collect(self, key: str, epochs: Iterable[Epoch]) -> MicroUsd:
        """Ask those of `epochs` that are connected for idle money of `key`; how much they said that they returned.

        To be called in the account's `turn`. Whoever does not answer in time is not waited for.
        """
        asked = [epoch for epoch in epochs if epoch in self._connected]
        answers = [self._ask(epoch, key) for epoch in asked]
        try:
            if not answers:
                return 0
            done, _ = await asyncio.wait(answers, timeout=self._wait_seconds)
            return sum(answer.result() for answer in done)
        finally:
            for epoch in asked:
                self._answers.pop((epoch, key)).cancel()

    def send(self, key: str, epochs: Iterable[Epoch]) -> None:
        """Ask those of `epochs` that are connected for idle money of `key`, and wait for nobody."""
        for epoch in epochs:
            if epoch in self._connected:
                self._connected[epoch].put_nowait(Recall(epoch, key))

    def _ask(self, epoch: Epoch, key: str) -> "asyncio.Future[MicroUsd]":
        answer: asyncio.Future[MicroUsd] = asyncio.get_running_loop().create_future()
        self._answers[epoch, key] = answer
        self._connected[epoch].put_nowait(Recall(epoch, key))
        return answer


class _Turn:
    """A lock, and how many want it: without any it is forgotten."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.users = 0
