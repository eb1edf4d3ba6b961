"""A hub replica: the hub's real services in a process, over a connection to the database."""

import asyncio
import random
from typing import TYPE_CHECKING

from llmgov.ledger.store import StoreError
from llmgov_hub.hub import Hub
from tests.simulator.bus import LossyBus
from tests.simulator.database import Connection
from tests.simulator.loop import Process
from tests.simulator.network import Stream

if TYPE_CHECKING:
    from tests.simulator.world import World

LOOK_SECONDS = 10.0
"""How often a replica looks for what nobody announced: seldom, since worlds last long and a look costs time."""


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
        self.bus = LossyBus(world.exchange, process, world, self._chance)
        self.hub = Hub(
            connection,  # type: ignore[arg-type]
            lambda: world.database.clock() + error,
            writer=self.name,
            bus=self.bus,
            entropy=self._chance.randbytes,
        )
        world.note(self.name, "starts")
        world.loop.spawn(process, self._resume(), "resume")

    async def _resume(self) -> None:
        while not self.ready:
            try:
                await self.hub.configuration.resume()
                self.ready = True
            except StoreError:
                await asyncio.sleep(0.5)
        self._world.loop.spawn(self.process, self.hub.recovery.run(LOOK_SECONDS), "recovery")
        await self.hub.configuration.follow(LOOK_SECONDS)

    def kill(self) -> None:
        """End it; those who listened notice in a while."""
        self.process.kill()
        for stream in self.streams:
            self._world.loop.after(self._chance.randint(1000, 5_000_000), stream.broken)
        self.streams.clear()
        self._world.loop.after(self._chance.randint(1000, 5_000_000), self.bus.leave)

    def forget(self, listener: Process) -> None:
        """A process that listened is dead: its connection is found broken in a while."""
        for stream in self.streams:
            if stream.listener is listener:
                self._world.loop.after(self._chance.randint(1000, 2_000_000), stream.pump.cancel)
        self.streams = [stream for stream in self.streams if stream.listener is not listener]
