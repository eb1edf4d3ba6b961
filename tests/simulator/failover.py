"""Failovers as weather: what is answered in the moments that one loses, and who meets the ledger first after it.

What a failover can spoil takes more than bad luck: an attempt has to begin and end, and its sidecar to forget it, in
moments that are lost; then its pod has to be lost, or to start again, before it has reported. Left to chance, that is
one world in thousands.
"""

import asyncio
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulator.pod import Pod
    from tests.simulator.world import World


class Failover:
    """Begins other lives of the world's database; once commits were lost in one there are no more of them."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance

    async def happen(self) -> None:
        """Meanwhile a pod may be cut off, for longer than the ledger waits at least; somebody may not wait for it."""
        world = self._world
        if world.truth.forgetful:
            return
        apart = self._cut_off() if self._chance.random() < 0.4 else None
        losing = world.shape.losing
        if losing and self._chance.random() < 0.6:
            await self._until(lambda: any(pod.flying for pod in world.pods))
        world.trouble()
        await world.database.fail_over(self._lost_moments if losing else None)
        world.trouble()
        await self._meet()
        if apart is not None:
            await self._reconnect(apart)

    def _cut_off(self) -> "Pod":
        world, apart = self._world, self._chance.choice(self._world.pods)
        world.network.cut |= {(min(apart.name, each.name), max(apart.name, each.name)) for each in world.replicas}
        world.note("world", "cut off", apart.name)
        return apart

    async def _reconnect(self, apart: "Pod") -> None:
        world, chance = self._world, self._chance
        await asyncio.sleep(chance.uniform(5, 40))
        if chance.random() < 0.4:
            await world.admin.accept_loss()
        await asyncio.sleep(chance.uniform(10, 40))
        world.network.cut.clear()
        world.trouble(apart.name)
        world.note("world", "is back", apart.name)

    async def _lost_moments(self) -> None:
        """Attempts begin and end, and something is lent; a sidecar may start in between, or stop as the last thing that
        is answered."""
        world, chance = self._world, self._chance
        pod, what = chance.choice(world.pods), chance.random()
        if what < 0.2:
            self._crash(pod)
        await asyncio.sleep(chance.uniform(0.01, chance.choice([2, 10])))
        if what < 0.6:
            lent = len(world.truth.leases)
            await self._until(lambda: len(world.truth.leases) > lent)
            await asyncio.sleep(chance.uniform(0.01, 1))
        elif pod.process.alive:
            await self._until(lambda: not pod.flying)
            if what > 0.8:
                await world.stop_pod(pod)

    async def _meet(self) -> None:
        """A pod is lost, or starts again, before or after it has reported: one of which commits were lost, if there is
        one."""
        world, chance = self._world, self._chance
        there = [pod for pod in world.pods if not pod.gone]
        forgotten = self._forgotten(there)
        pod, what = chance.choice(forgotten or there), chance.random()
        if what < (0.5 if forgotten and world.shape.strict else 0.2) and len(there) > 1:
            await world.lose(pod)
        elif what < 0.6:
            await asyncio.sleep(chance.uniform(0, 6))
            self._crash(pod)
        elif what < 0.95:
            told = world.network.reports[pod.name]
            await self._until(lambda: world.network.reports[pod.name] > told)
            await asyncio.sleep(chance.uniform(0, 4))
            self._crash(pod)

    def _forgotten(self, pods: "list[Pod]") -> "list[Pod]":
        """Those of which the ledger has lost an attempt, or a lease that is on their disks."""
        world, rows = self._world, self._world.database.store._rows
        attempts = {each.pod for each in world.truth.attempts.values() if each.id not in rows.attempts}
        leases = [lease for lease in world.truth.leases if lease not in rows.leases]
        return [
            pod for pod in pods if pod.name in attempts or any(pod.disk.has_synced(each.encode()) for each in leases)
        ]

    def _crash(self, pod: "Pod") -> None:
        if pod.process.alive:
            self._world.crash_pod(pod, "killed")

    async def _until(self, holds: Callable[[], bool]) -> None:
        """Wait for a moment that is worth it, as long as it storms."""
        while not holds():
            await asyncio.sleep(0.2)
            if not self._world.stormy:
                return
