"""People and the operator: they change limits, decide approvals, write off lost pods. They try until it is done."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from llmgov import instants
from llmgov.ledger.approvals import ApprovalError
from llmgov.ledger.corrections import Order
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, CorrectionKind
from llmgov.money import MicroUsd
from llmgov.snapshot import OrganizationPart, Settings, Target, TargetKind
from llmgov_hub.hub import Hub
from tests.simulator import shape as shapes
from tests.simulator.truth import State

if TYPE_CHECKING:
    from tests.simulator.world import World


class Admin:
    """What is done to the system through its hub."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.idle = True
        self.correcting = False
        self._corrections = 0

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
        settings = Settings(max_users=world.shape.max_users, kill_switch=world.shape.observes)
        part = OrganizationPart("sim", accounts=tuple(definitions.values()), settings=settings)
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
            made = shapes.account(target, world.shape.largest * self._chance.choice([1, 4, 20]), world.shape.calendar)
            if made.key not in world.definitions:
                world.define(made)
                return
        key = self._chance.choice(sorted(world.definitions))
        old = world.definitions[key]
        percent = self._chance.choice([1, 30, 60, 150, 300])
        world.define(msgspec.structs.replace(old, limit=max(1, old.limit * percent // 100)))

    async def change_rate(self) -> None:
        """A unit of the limits' currency is worth something else from now on; windows that are open keep theirs."""
        world = self._world
        if not world.shape.rates:
            return
        await asyncio.sleep(self._chance.uniform(1, world.shape.duration / 1e6))
        for old in list(world.definitions.values()):
            rate = old.nano_usd * self._chance.choice([50, 90, 120, 200]) // 100
            world.define(msgspec.structs.replace(old, nano_usd=rate))
        await self.publish()

    async def correct(self) -> None:
        """Now and then the provider's bill tells more: of attempts, and of leases of pods that are gone."""
        world = self._world
        while world.shape.corrects and world.loop.now < world.shape.duration:
            await asyncio.sleep(self._chance.uniform(2, 20))
            self.correcting = True
            await (self._correct_attempt() if self._chance.random() < 0.6 else self._correct_lease())
            self.correcting = False

    async def _correct_attempt(self) -> None:
        truth = self._world.truth
        known = self._world.database.store._rows.attempts
        ended = [
            attempt
            for attempt in truth.attempts.values()
            if attempt.id in known and known[attempt.id].intent and known[attempt.id].settlement
            and attempt.state is not State.FLYING and not attempt.billed
        ]  # fmt: skip
        if ended:
            attempt = self._chance.choice(ended)
            truth.corrects_attempt(attempt, self._world.now)
            await self._order(CorrectionKind.ATTEMPT, attempt.id, attempt.cost)
            truth.corrected[attempt.id] = attempt.cost

    async def _correct_lease(self) -> None:
        world, truth = self._world, self._world.truth
        gone = {pod.name for pod in world.pods if pod.gone}
        rows = [row for row in await world.database.store.unaccounted() if row.holder in gone and not row.billed]
        if rows:
            row = self._chance.choice(rows)
            known = world.database.store._rows.attempts
            bill = truth.bill(row.id, {id_ for id_, each in known.items() if each.intent and each.settlement})
            truth.corrects_lease(row.id, world.now)
            await self._order(CorrectionKind.LEASE, row.id, bill)

    async def _order(self, kind: CorrectionKind, subject: str, amount: MicroUsd) -> None:
        """The same order until somebody has answered: it may be made twice, and count once."""
        self._corrections += 1
        self._world.note("admin", "corrects", kind.value, subject, amount)
        order = Order(f"bill-{self._corrections}", kind, subject, amount, "ann", "the provider's bill")
        for _ in range(2):
            await self.through(lambda hub: hub.corrections.correct(order), "correct")
        self._world.truth.has_corrected(self._world.now)

    async def prune(self) -> None:
        """What ended long ago is forgotten now and then."""
        while self._world.shape.prunes:
            await asyncio.sleep(self._chance.uniform(20, 90))
            await self.through(lambda hub: hub.upkeep.prune(), "prune")

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
