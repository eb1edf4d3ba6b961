"""Buses between hub replicas for tests: within the process, or over a PostgreSQL database of the test's own."""

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llmgov.ledger.messages import Epoch, Recall, Recalled
from llmgov_hub.bus import Bus
from llmgov_hub.memory_bus import MemoryBus, MemoryExchange
from llmgov_store.postgres import connecting, notify
from llmgov_store.postgres.notify import PostgresBus
from tests.support import machine, postgres
from tests.support.postgres import Database

KINDS = ("memory", pytest.param("postgres", marks=machine.requires("postgres")))
SOON = 5.0
"""Seconds within which something has to happen that takes milliseconds, on a machine that is busy."""


class Heard:
    """A member that writes down what it hears, and answers recalls where it is told to."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self.recalls: list[Recall] = []
        self.answers: list[Recalled] = []
        self.idle: int | None = None
        bus.join(self)

    def asked(self, recall: Recall) -> None:
        self.recalls.append(recall)
        if self.idle is not None:
            self.bus.answer(Recalled(recall.epoch, recall.key, self.idle, recall.ask))

    def told(self, message: Recalled) -> None:
        self.answers.append(message)

    @property
    def asked_for(self) -> list[tuple[Epoch, str]]:
        """Whom it was to ask, for which account."""
        return [(recall.epoch, recall.key) for recall in self.recalls]

    @property
    def told_of(self) -> list[tuple[Epoch, str, int]]:
        """Who answered, about which account, what."""
        return [(answer.epoch, answer.key, answer.amount) for answer in self.answers]

    def answer(self, amount: int, number: int = -1) -> None:
        """Answer one of its recalls, the latest where nothing else is said."""
        recall = self.recalls[number]
        self.bus.answer(Recalled(recall.epoch, recall.key, amount, recall.ask))


async def until(condition: Callable[[], bool], seconds: float = SOON) -> None:
    """Let others run until it holds."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for may be in another process
            await asyncio.sleep(0.002)


class Exchange:
    """Makes buses that reach each other, and ends them: as one does that says so, or as one that is killed."""

    async def bus(self) -> Bus:
        """One more replica's, that works."""
        raise NotImplementedError

    async def leave(self, bus: Bus) -> None:
        """Let a replica end in good order."""
        raise NotImplementedError


class InProcess(Exchange):
    """Of `MemoryBus`es."""

    def __init__(self) -> None:
        self._exchange = MemoryExchange()

    async def bus(self) -> MemoryBus:
        return self._exchange.bus()

    async def leave(self, bus: Bus) -> None:
        assert isinstance(bus, MemoryBus)
        bus.leave()


class OverPostgres(Exchange):
    """Of `PostgresBus`es over a database; those that are made know of each other."""

    def __init__(self, url: str, group: asyncio.TaskGroup) -> None:
        self.url = url
        self.broken: list[BaseException] = []
        self._group = group
        self._running: dict[PostgresBus, asyncio.Task[None]] = {}

    async def bus(self, times: notify.Times | None = None) -> PostgresBus:
        name = f"hub-{len(self._running)}"
        quick = times or notify.Times(beat=0.05)
        made = PostgresBus(name, self.connect, times=quick, report=self.broken.append)
        self._running[made] = self._group.create_task(made.run())
        live = [bus for bus, task in self._running.items() if not task.done()]
        await until(lambda: all(bus.others == len(live) - 1 for bus in live))
        return made

    async def connect(self) -> connecting.Connection:
        """A connection as the hub's role has it."""
        return await connecting.connect(self.url, application_name="llmgov bus")

    async def leave(self, bus: Bus) -> None:
        assert isinstance(bus, PostgresBus)
        self._running[bus].cancel()
        await asyncio.wait([self._running[bus]])

    def close(self) -> None:
        """End all."""
        for task in self._running.values():
            task.cancel()


@contextlib.asynccontextmanager
async def exchange(kind: str) -> AsyncIterator[Exchange]:
    """One of `KINDS`."""
    if kind == "memory":
        yield InProcess()
        return
    async with postgres.database() as database, over_postgres(database) as made:
        yield made


@contextlib.asynccontextmanager
async def over_postgres(database: Database) -> AsyncIterator[OverPostgres]:
    """An exchange over a database."""
    async with asyncio.TaskGroup() as group:
        made = OverPostgres(database.hub, group)
        try:
            yield made
        finally:
            made.close()


def on_every_bus(test: Callable[[Exchange], Awaitable[None]]) -> Callable[..., None]:
    """Run an async test once for each kind of bus."""

    @pytest.mark.parametrize("kind", KINDS)
    @functools.wraps(test)
    def run(kind: str) -> None:
        async def with_exchange() -> None:
            async with exchange(kind) as made:
                await test(made)

        asyncio.run(with_exchange())

    del run.__wrapped__  # type: ignore[attr-defined]  # pytest is to see `kind`
    return run
