"""Faults that come and go while it storms, as the world's shape has them; afterwards everything heals."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from llmgov import instants
from llmgov.instants import Duration
from tests.simulator.failover import Failover

if TYPE_CHECKING:
    from tests.simulator.world import World


class Weather:
    """What happens to the world from outside."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        faults = world.shape.faults
        kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "restarts": self._crash,
            "power": self._power,
            "partitions": self._partition,
            "pauses": self._pause,
            "clocks": self._clock,
            "replicas": self._replica,
            "database": self._away,
            "lost": self._lose,
            "failover": Failover(world, chance).happen,
        }
        self._kinds = [work for fault, work in kinds.items() if fault in faults]

    async def blow(self) -> None:
        """One fault after the other, with pauses, until the storm is over."""
        while self._world.stormy:
            await asyncio.sleep(self._chance.uniform(1, 15))
            if self._kinds and self._world.stormy:
                await self._chance.choice(self._kinds)()

    def _some_time(self, most: Duration = 20 * instants.SECOND) -> float:
        return self._chance.choice([0.05, 1.0, 5.0, most / 1e6]) * self._chance.random()

    async def _crash(self) -> None:
        pod = self._chance.choice(self._world.pods)
        if pod.process.alive:
            if self._chance.random() < 0.4:
                await self._world.stop_pod(pod)
            else:
                self._world.crash_pod(pod, "killed")

    async def _power(self) -> None:
        pod = self._chance.choice(self._world.pods)
        if not pod.gone:
            self._world.crash_pod(pod, "loses power", power=True)

    async def _partition(self) -> None:
        world = self._world
        pairs = {
            (min(pod.name, replica.name), max(pod.name, replica.name))
            for pod in self._chance.sample(world.pods, self._chance.randint(1, len(world.pods)))
            for replica in self._chance.sample(world.replicas, self._chance.randint(1, len(world.replicas)))
        }
        world.network.cut |= pairs
        apart = {name for pair in pairs for name in pair} & {pod.name for pod in world.pods}
        world.trouble(*sorted(apart))
        world.note("world", "partition", *(f"{one}|{other}" for one, other in sorted(pairs)))
        await asyncio.sleep(self._some_time(40 * instants.SECOND))
        world.network.cut.clear()
        world.trouble(*sorted(apart))
        world.note("world", "partition heals")

    async def _pause(self) -> None:
        chosen = self._chance.choice([*self._world.pods, *self._world.replicas])
        await self._world.pause(chosen.process, self._some_time(30 * instants.SECOND))

    async def _clock(self) -> None:
        pod = self._chance.choice(self._world.pods)
        pod.step_clock()
        self._world.trouble(pod.name)
        self._world.note(pod.name, "clock is set")

    async def _replica(self) -> None:
        world = self._world
        replica = self._chance.choice(world.replicas)
        if replica.process.alive:
            world.crash_replica(replica)

    async def _away(self) -> None:
        world = self._world
        world.trouble()
        world.database.away = True
        world.note("database", "away")
        await asyncio.sleep(self._some_time())
        world.database.away = False
        world.trouble()
        world.note("database", "back")

    async def _lose(self) -> None:
        world = self._world
        left = [pod for pod in world.pods if not pod.gone]
        if len(left) > 1:
            await world.lose(self._chance.choice(left))
