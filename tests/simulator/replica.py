"""A hub replica: the hub's real services in a process, over a connection to the database."""

import asyncio
import random
from typing import TYPE_CHECKING

from llmgov.ledger.store import StoreError
from llmgov_hub.hub import Hub
from tests.simulator.database import Connection
from tests.simulator.loop import Process
from tests.simulator.network import Stream

if TYPE_CHECKING:
    from tests.simulator.world import World


class Replica:
    """One replica, dead or alive; a start makes a new process of the same name."""

    def __init__(self, world: "World", name: str, chance: random.Random) -> None:
        self.name = name
        self.process = Process(name)
        self.process.alive = False
        self.ready = False
        self.streams: list[Stream] = []
        self._world = world
        self._chance = chance

    def start(self) -> None:
        """A new process, which serves once it knows what is in force."""
        world = self._world
        self.ready = False
        self.process = process = Process(self.name)
        error = self._chance.randint(-20_000, 20_000)
        connection = Connection(world.database, process, world)
        self.hub = Hub(
            connection,  # type: ignore[arg-type]
            lambda: world.database.clock() + error,
            writer=self.name,
            entropy=self._chance.randbytes,
        )
        world.note(self.name, "starts")
        world.loop.spawn(process, self._resume(), "resume")

    async def _resume(self) -> None:
        while True:
            try:
                await self.hub.configuration.resume()
            except StoreError:
                await asyncio.sleep(0.5)
            else:
                self.ready = True
                return

    def kill(self) -> None:
        """End it; those who listened notice in a while."""
        self.process.kill()
        for stream in self.streams:
            self._world.loop.after(self._chance.randint(1000, 5_000_000), stream.broken)
        self.streams.clear()

    def forget(self, listener: Process) -> None:
        """A process that listened is dead: its connection is found broken in a while."""
        for stream in self.streams:
            if stream.listener is listener:
                self._world.loop.after(self._chance.randint(1000, 2_000_000), stream.pump.cancel)
        self.streams = [stream for stream in self.streams if stream.listener is not listener]
