"""What joins the replicas: the memory bus, of which messages get lost and late on their way to another replica."""

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

from llmgov.ledger.messages import Recall, Recalled
from llmgov_hub.bus import Member
from llmgov_hub.memory_bus import MemoryBus, MemoryExchange
from tests.simulator.loop import Process

if TYPE_CHECKING:
    from tests.simulator.world import World


class LossyMember:
    """A replica behind the way to it (a `llmgov_hub.bus.Member`)."""

    def __init__(self, member: Member, process: Process, world: "World", chance: random.Random) -> None:
        self._member = member
        self._process = process
        self._world = world
        self._chance = chance

    def asked(self, recall: Recall) -> None:
        self._carry(lambda: self._member.asked(recall), recall)

    def told(self, message: Recalled) -> None:
        self._carry(lambda: self._member.told(message), message)

    def _carry(self, arrive: Callable[[], None], message: object) -> None:
        world = self._world
        if world.stormy and self._chance.random() < world.shape.drop_rate:
            world.trouble(*(replica.name for replica in world.replicas))
            world.note(self._process.name, "bus loses", message)
            return
        world.loop.after(self._chance.randint(200, 8000), self._arrive, arrive)

    def _arrive(self, arrive: Callable[[], None]) -> None:
        if self._process.alive:
            arrive()


class LossyBus(MemoryBus):
    """One replica's end."""

    def __init__(self, exchange: MemoryExchange, process: Process, world: "World", chance: random.Random) -> None:
        super().__init__(exchange)
        exchange.buses.append(self)
        self._process = process
        self._world = world
        self._chance = chance

    def join(self, member: Member) -> None:
        super().join(LossyMember(member, self._process, self._world, self._chance))

    def wake(self) -> None:
        """Another replica has announced; some never hear of it."""
        if not (self._world.stormy and self._chance.random() < self._world.shape.drop_rate):
            super().wake()
