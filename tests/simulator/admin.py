"""People and the operator: they change limits, decide approvals, write off lost pods. They try until it is done."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from llmgov import instants
from llmgov.ledger.approvals import ApprovalError
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState
from llmgov.snapshot import OrganizationPart, Target, TargetKind
from llmgov_hub.hub import Hub
from tests.simulator import shape as shapes

if TYPE_CHECKING:
    from tests.simulator.world import World


class Admin:
    """What is done to the system through its hub."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.idle = True

    async def through(self, call: Callable[[Hub], Awaitable[Any]], what: str) -> Any:
        """Call a replica, and another one where it dies or cannot, until one has answered."""
        world = self._world
        while True:
            up = [replica for replica in world.replicas if replica.process.alive and replica.ready]
            if up:
                replica = self._chance.choice(up)
                task = world.loop.spawn(replica.process, _outcome(call(replica.hub)), what)
                await asyncio.wait({task}, timeout=15)
                if task.done() and task.exception() is None:
                    reply, error = task.result()
                    if error is None:
                        return reply
                    if not isinstance(error, OSError):
                        raise error
            await asyncio.sleep(0.3)

    async def publish(self) -> None:
        """Put the world's accounts in force, and tell the pods once that is done."""
        world = self._world
        definitions = dict(world.definitions)
        part = OrganizationPart("sim", accounts=tuple(definitions.values()))
        await self.through(lambda hub: hub.configuration.publish({"organization": part}), "publish")
        world.truth.limits.published(world.now)
        world.note("admin", "published", *(f"{each.target}={each.limit}" for each in definitions.values()))
        for pod in world.pods:
            world.loop.after(self._chance.randint(0, 10 * instants.SECOND), pod.learn, definitions)

    async def change_limits(self) -> None:
        """Now and then somebody changes what is limited, and how."""
        world = self._world
        for _ in range(world.shape.changes):
            await asyncio.sleep(self._chance.uniform(1, world.shape.duration / 1e6 / world.shape.changes))
            self.idle = False
            self._change()
            await self.publish()
            self.idle = True

    def _change(self) -> None:
        world = self._world
        if self._chance.random() < 0.25:
            target = self._chance.choice([Target(TargetKind.NAMESPACE, "payments"), Target(TargetKind.USER)])
            made = shapes.account(target, world.shape.largest * self._chance.choice([4, 20]), world.shape.calendar)
            if made.key not in world.definitions:
                world.define(made)
                return
        key = self._chance.choice(sorted(world.definitions))
        old = world.definitions[key]
        percent = self._chance.choice([1, 30, 60, 150, 300])
        world.define(msgspec.structs.replace(old, limit=max(1, old.limit * percent // 100)))

    async def decide(self) -> None:
        """Look at what waits for a decision, for ever; seldom once no more requests come."""
        world = self._world
        while True:
            await asyncio.sleep(self._chance.uniform(1, 6) if world.loop.now < world.shape.duration else 120)
            self.idle = False
            for row in await self.through(lambda hub: hub.approvals.list(), "list approvals"):
                if row.state is ApprovalState.PENDING and self._chance.random() < 0.7:
                    await self._decide(row)
            directory = await self.through(lambda hub: hub.approvals.directory(), "directory")
            world.directory = {approval.id for approval in directory.approvals}
            self.idle = True

    async def _decide(self, row: ApprovalRow) -> None:
        world, approve = self._world, self._chance.random() < 0.7
        if approve and row.kind is ApprovalKind.THRESHOLD:
            world.truth.limits.open(row.account, row.window_start, row.threshold, world.now)
        world.note("admin", "approves" if approve else "denies", row.id, row.summary)
        try:
            if approve:
                await self.through(lambda hub: self._approve(hub, row.id), "approve")
            else:
                await self.through(lambda hub: hub.approvals.deny(row.id, "ann"), "deny")
        except ApprovalError as error:
            world.note("admin", "is told", error)

    async def _approve(self, hub: Hub, id_: str) -> None:
        self._world.approved[id_] += 1
        await hub.approvals.approve(id_, "ann")

    async def accept_loss(self) -> None:
        """Somebody does not wait for those who have not reported since a failover."""
        self._world.invariants.accepts_loss()
        self._world.note("admin", "accepts the loss")
        with contextlib.suppress(BadInputError):  # the ledger lends already
            await self.through(lambda hub: hub.recovery.accept_loss("ann", "it is small"), "accept loss")

    async def write_off(self, holder: str) -> None:
        """A pod is gone for good."""
        await self.through(lambda hub: hub.leases.lose(holder), "lose")
        self._world.note("admin", "wrote off", holder)


async def _outcome(call: Awaitable[Any]) -> tuple[Any, Exception | None]:
    """The result, or why there is none: to be told in another process."""
    try:
        return await call, None
    except Exception as error:  # noqa: BLE001 - told to whoever asked
        return None, error
