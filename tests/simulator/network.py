"""Messages between pods and hub replicas: lost, repeated, late, in any order; and who cannot reach whom."""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from llmgov import instants
from llmgov.instants import Duration
from llmgov.ledger.messages import (
    Epoch,
    Event,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Recount,
)
from tests.simulator.loop import Process
from tests.simulator.violation import Invariant

if TYPE_CHECKING:
    from tests.simulator.replica import Replica
    from tests.simulator.world import World


KEEP_ALIVE_SECONDS = 10.0
"""How long a broken stream may look whole to its listener."""


class Stream(NamedTuple):
    """Recalls on their way from a replica: who listens, the replica's task, and what to call when it breaks."""

    listener: Process
    pump: "asyncio.Task[None]"
    broken: Callable[[], None]


class Network:
    """Carries messages. A message of a pair that is cut is lost, also where that happens while it is on its way."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.cut: set[tuple[str, str]] = set()
        self.in_flight = 0
        self.reports: collections.Counter[str] = collections.Counter()

    def reaches(self, one: str, other: str) -> bool:
        """Whether messages pass between the two."""
        return (min(one, other), max(one, other)) not in self.cut

    def send(
        self, source: str, target: str, what: object, arrive: Callable[[], None], lost: Callable[[], None] | None = None
    ) -> None:
        """Carry a message: `arrive` is called for each copy that gets there, `lost` where its sender can tell."""
        world, shape = self._world, self._world.shape
        self.reports[source] += what == "holdings"
        copies = 1
        if world.stormy:
            if self._chance.random() < shape.drop_rate:
                copies = 0
            elif self._chance.random() < shape.repeat_rate:
                copies = self._chance.choice([2, 2, 3])
        if copies == 0:
            self._trouble(source, target)
        if copies != 1:
            world.note(source, "lost" if copies == 0 else "repeated", f"-> {target}", what)
        if copies == 0 and lost is not None and self._chance.random() < 0.5:
            world.loop.after(self._latency(), lost)
        for copy in range(copies):
            self.in_flight += 1
            latency = self._latency(late=copy > 0 or (what == "holdings" and self._is_late_report()))
            if copy == 0 and latency >= instants.SECOND:
                self._trouble(source, target)
            world.loop.after(latency, self._arrive, source, target, what, arrive, lost)

    def _arrive(
        self, source: str, target: str, what: object, arrive: Callable[[], None], lost: Callable[[], None] | None
    ) -> None:
        self.in_flight -= 1
        if self.reaches(source, target):
            arrive()
            return
        self._trouble(source, target)
        self._world.note(source, "cut off", f"-> {target}", what)
        if lost is not None and self._chance.random() < 0.3:
            lost()

    def _is_late_report(self) -> bool:
        return self._world.shape.late_reports and self._chance.random() < 0.7

    def _trouble(self, *ends: str) -> None:
        """A message is lost or late: that concerns the pod, and no replica, which serves others all the same."""
        self._world.trouble(*(pod.name for pod in self._world.pods if pod.name in ends))

    def _latency(self, *, late: bool = False) -> Duration:
        if self._world.stormy and self._world.shape.slow_rate and (late or self._chance.random() < self._slow):
            return self._chance.choice([instants.SECOND, 20 * instants.SECOND, 3 * instants.MINUTE]) + self._latency()
        return self._chance.randint(100, 3000)

    @property
    def _slow(self) -> float:
        return self._world.shape.slow_rate


class Line:
    """The hub as one boot of a sidecar reaches it: a `llmgov_sidecar.hub.Hub` over the network, to any replica."""

    def __init__(self, world: "World", pod: str, process: Process, chance: random.Random) -> None:
        self._world = world
        self._pod = pod
        self._process = process
        self._chance = chance
        self._favourite: Replica | None = None

    async def register(self, holder: str) -> Epoch:
        epoch: Epoch = await self.call("register", holder)
        return epoch

    async def inventory(self, message: Inventory) -> None:
        await self.call("inventory", message)

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        truth = self._world.truth
        truth.asked(request, self._world.now)
        reply: LeaseGrant | LeaseRefusal = await self.call("lease", request)
        if isinstance(reply, LeaseGrant):
            truth.arrived(request, reply, self._world.now)
        return reply

    async def give_back(self, message: LeaseReturn) -> None:
        await self.call("give_back", message)

    async def recalled(self, message: Recalled) -> None:
        await self.call("recalled", message)

    async def holdings(self, message: Holdings) -> None:
        await self.call("holdings", message)

    async def deliver(self, events: Sequence[Event]) -> tuple[str, ...]:
        return await self.call("deliver", tuple(events))  # type: ignore[no-any-return]

    async def call(self, method: str, *arguments: Any) -> Any:
        """Ask a replica, and wait for what may never come.

        Raises:
            ConnectionError: there is none, it does not answer, or its store does not.
        """
        world, loop = self._world, self._world.loop
        replica = self._route()
        world.step(self._process, f"send {method}")
        answer: asyncio.Future[Any] = loop.create_future()

        def arrive() -> None:
            if replica.process.alive:
                loop.spawn(replica.process, serve(), method)
            else:
                lost()

        async def serve() -> None:
            world.note(replica.name, "takes", f"<- {self._pod}", method, *arguments)
            try:
                result, error = await getattr(replica.hub, method)(*arguments), None
            except OSError as failure:
                result, error = None, ConnectionError(str(failure))
            except Exception as failure:
                world.fail(Invariant.ERROR, f"{replica.name} broke on {method}: {failure!r}")
                raise
            if error is None and method in ("inventory", "holdings"):
                world.invariants.reported(arguments[0])
            if error is None and method == "give_back":
                world.invariants.returned(arguments[0])
            world.step(replica.process, f"answer {method}")
            world.note(replica.name, "answers", f"-> {self._pod}", method, error or result)
            world.network.send(replica.name, self._pod, f"answer {method}", lambda: tell(result, error), lost)

        def tell(result: Any, error: BaseException | None) -> None:
            if answer.done():
                return
            if error is not None:
                answer.set_exception(error)
            else:
                answer.set_result(result)

        def lost() -> None:
            tell(None, ConnectionResetError("the connection broke"))

        world.network.send(self._pod, replica.name, method, arrive, lost)
        try:
            found = await answer
        except OSError:
            self._favourite = None
            raise
        finally:
            answer.cancel()
        world.step(self._process, f"receive {method}")
        return found

    async def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """A stream: what is lost in it breaks it, at both ends and at different times."""
        world, loop = self._world, self._world.loop
        replica = self._route()
        arrived: asyncio.Queue[Recall | Recount | None] = asyncio.Queue()
        pumps: list[asyncio.Task[None]] = []
        listening = True

        def broken() -> None:
            arrived.put_nowait(None)

        def begin() -> None:
            if pumps or not listening:
                return  # a connection is opened once, and not by whoever has given it up
            if replica.process.alive:
                pump = loop.spawn(replica.process, self._pump(replica, epoch, arrived), "recalls")
                replica.streams.append(Stream(self._process, pump, broken))
                pumps.append(pump)
            else:
                broken()

        world.network.send(self._pod, replica.name, "listen for recalls", begin, broken)
        try:
            while True:
                recall = await self._next(replica, arrived, pumps)
                if recall is None:
                    raise ConnectionResetError("the stream of recalls broke")
                yield recall
        finally:
            listening = False
            for pump in pumps:
                loop.after(self._chance.randint(1000, 2 * instants.SECOND), pump.cancel)

    async def _next(
        self, replica: "Replica", arrived: "asyncio.Queue[Recall | Recount | None]", pumps: "list[asyncio.Task[None]]"
    ) -> Recall | Recount | None:
        """The next recall; `None` where the stream is broken, which is noticed when a keep-alive is missing at last."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    return await arrived.get()
            except TimeoutError:
                pumping = replica.process.alive and any(not pump.done() for pump in pumps)
                if not (pumping and self._world.network.reaches(self._pod, replica.name)):
                    return None

    async def _pump(self, replica: "Replica", epoch: Epoch, arrived: "asyncio.Queue[Recall | Recount | None]") -> None:
        network = self._world.network
        async for recall in replica.hub.recalls(epoch):
            if not self._process.alive:
                return

            def arrive(recall: Recall | Recount = recall) -> None:
                arrived.put_nowait(recall)

            network.send(replica.name, self._pod, recall, arrive, lambda: arrived.put_nowait(None))

    def _route(self) -> "Replica":
        """Mostly the replica of last time."""
        up = [replica for replica in self._world.replicas if replica.process.alive and replica.ready]
        if not up:
            raise ConnectionRefusedError("no replica is up")
        if self._favourite not in up or self._chance.random() < 0.15:
            self._favourite = self._chance.choice(up)
        assert self._favourite is not None
        return self._favourite
