"""One world: put together from a seed, run through its storm and its calm, brought to rest, and checked."""

import asyncio
import collections
import random
from typing import NamedTuple

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.messages import Outcome
from llmgov.snapshot import Account
from llmgov_hub.memory_bus import MemoryExchange
from tests.simulator import quiescence
from tests.simulator import shape as shapes
from tests.simulator.admin import Admin
from tests.simulator.database import Database
from tests.simulator.invariants import CALM, Invariants
from tests.simulator.loop import WORLD, KilledError, Loop, Process, current
from tests.simulator.network import Network
from tests.simulator.pod import Pod, Request
from tests.simulator.replica import Replica
from tests.simulator.sidecar import installed
from tests.simulator.trace import Trace
from tests.simulator.truth import Truth
from tests.simulator.violation import Invariant, Violation
from tests.simulator.weather import Weather

USERS = ("jane", "omar")


class Result(NamedTuple):
    """How a run ended: `violation` is what was found, `None` where everything held."""

    seed: int
    kind: str
    violation: Violation | None
    trace: Trace
    attempts: int
    steps: int
    refusals: int
    refusals_checked: int


class World:
    """Everything there is in one run. `now` is the true time, which nobody in it knows."""

    def __init__(self, shape: shapes.Shape, trace: Trace) -> None:
        self.shape = shape
        self.trace = trace
        self.loop = Loop()
        self.truth = Truth()
        self.invariants = Invariants(self)
        self.network = Network(self, self.chance("network"))
        self.database = Database(self, self.chance("database"))
        self.exchange = MemoryExchange()
        self.definitions: dict[str, Account] = {}
        self.directory: set[str] = set()
        self.approved: collections.Counter[str] = collections.Counter()
        self.violation: Violation | None = None
        self.stormy = bool(shape.faults)
        self.paused_for: Duration = 0
        self._troubled: dict[str, Instant] = {}
        self._kills = self.chance("kills")
        self.loop.failed = lambda what: self.fail(Invariant.ERROR, what)
        delays = self.chance("threads")
        self.loop.io_delay = lambda: delays.randint(50, 4000)
        self.admin = Admin(self, self.chance("admin"))
        self.weather = Weather(self, self.chance("weather"))
        self.pods = [Pod(self, number, self.chance("pod", str(number))) for number in range(shape.pods)]
        self.replicas = [
            Replica(self, f"hub-{number}", self.chance("replica", str(number))) for number in range(shape.replicas)
        ]

    @property
    def now(self) -> Instant:
        return self.shape.begin + self.loop.now

    @property
    def calm(self) -> bool:
        """Whether nothing is broken, nor has been for long enough."""
        return self.hub_calm(self.now) and not any(self.troubled(pod, self.now) for pod in self.pods)

    def hub_calm(self, since: Instant) -> bool:
        """Whether the database and all replicas have been well since then, and long enough before."""
        broken = self.database.away or self.database.recovers
        return not (broken or any(self._was_in_trouble(replica.name, since) for replica in self.replicas)) and not any(
            replica.process.paused for replica in self.replicas
        )

    def troubled(self, pod: Pod, since: Instant) -> bool:
        """Whether something has been broken about a pod since then, or shortly before; it may be gone."""
        cut = any(pod.name in pair for pair in self.network.cut)
        broken = cut or pod.process.paused or pod.disk.refuses > 0 or not pod.settled
        return broken or self._was_in_trouble(pod.name, since)

    def _was_in_trouble(self, name: str, since: Instant) -> bool:
        return self._troubled.get(name, 0) > since - CALM

    def chance(self, *names: str) -> random.Random:
        """Chance of its own for each part, so that one part's draws do not change another's."""
        return random.Random("/".join((str(self.shape.seed), *names)))

    def note(self, who: str, what: str, *about: object) -> None:
        """Put an event on the trace, which ends with a violation."""
        if self.violation is None:
            self.trace.add(self.now, who, what, *about)

    def trouble(self, *names: str) -> None:
        """Something is broken at this moment, about these pods and replicas; without names about all of them."""
        everybody = [pod.name for pod in self.pods] + [replica.name for replica in self.replicas]
        self._troubled.update(dict.fromkeys(names or everybody, self.now))

    def fail(self, invariant: Invariant, what: str) -> None:
        """An invariant does not hold: the run ends here."""
        if self.violation is None:
            self.note("VIOLATION", invariant.value, what)
            self.violation = Violation(invariant, what)
            self.loop.stop()

    def step(self, process: Process, label: str) -> None:
        """A process has come to a point at which it may be killed."""
        if not process.alive:
            raise KilledError
        if self.stormy and self._kills.random() < self.shape.kill_rate and process is not WORLD:
            self._kill(process, label)
            if process is current():
                raise KilledError

    def _kill(self, process: Process, label: str) -> None:
        for pod in self.pods:
            if pod.process is process:
                power = "power" in self.shape.faults and self._kills.random() < 0.4
                self.crash_pod(pod, f"dies at: {label}", power=power)
        for replica in self.replicas:
            if replica.process is process:
                self.crash_replica(replica, f"dies at: {label}")

    def crash_pod(self, pod: Pod, how: str, *, power: bool = False) -> None:
        """Its process dies, or its machine; it starts again in a while."""
        self.trouble(pod.name)
        self.note(pod.name, how, "with its machine" if power else "")
        pod.process.kill()
        for replica in self.replicas:
            replica.forget(pod.process)
        self.truth.died(pod.name, self.now)
        if power:
            self.truth.torn_pods[pod.name] = self.now
            quiescence.tear(self, pod)
            pod.disk.lose_power()
        self.restart_later(pod)

    def restart_later(self, pod: Pod) -> None:
        if not pod.gone:
            self.loop.after(self._kills.randint(10_000, 10 * instants.SECOND), self._restart, pod)

    def _restart(self, pod: Pod) -> None:
        if not pod.process.alive and not pod.gone:
            self.trouble(pod.name)
            pod.start()

    async def stop_pod(self, pod: Pod) -> None:
        """Its sidecar is asked to end, as far as it can; it starts again in a while."""
        process, boot = pod.process, pod.boot
        if boot is None or pod.flying:
            return
        self.trouble(pod.name)
        self.note(pod.name, "is stopped")
        pod.draining = True
        await asyncio.wait({self.loop.spawn(process, boot.stop(), "stop")}, timeout=30)
        pod.draining = False
        if process.alive:
            self.crash_pod(pod, "ends")

    def crash_replica(self, replica: Replica, how: str = "killed") -> None:
        """A replica dies; another process takes its name in a while."""
        self.trouble(replica.name)
        self.note(replica.name, how)
        replica.kill()
        self.loop.after(self._kills.randint(10_000, 8 * instants.SECOND), self._revive, replica)

    def _revive(self, replica: Replica) -> None:
        if not replica.process.alive:
            self.trouble(replica.name)
            replica.start()

    async def pause(self, process: Process, seconds: float) -> None:
        """A process gets no time for a while."""
        if not process.alive:
            return
        self.note(process.name, "pauses", f"{seconds:.1f} s")
        process.paused = True
        self.paused_for += round(seconds * 1e6)
        await asyncio.sleep(seconds)
        self.note(process.name, "goes on")
        self.trouble(process.name)
        self.loop.resume(process)

    async def lose(self, pod: Pod) -> None:
        """A pod is gone with its volume; or somebody only believes so, and it goes on behind everybody's back."""
        self.truth.lost_pods.add(pod.name)
        if self._kills.random() < (0.3 if self.shape.strict else 0.7):
            pod.gone = True
            self.crash_pod(pod, "is gone for good")
        else:
            self.note(pod.name, "is believed gone")
        await self.admin.write_off(pod.name)

    def define(self, account: Account) -> None:
        """An account's definition is about to be in force."""
        self.definitions[account.key] = account
        self.truth.limits.change(account, self.now)

    def run(self) -> None:
        """Live through it all, until the end or a violation."""
        main = self.loop.spawn(WORLD, self._live(), "world")
        self.loop.run(main)
        if self.violation is None and not main.done():
            self.fail(Invariant.REST, "nothing is left to do, and the world has not come to its end")
        elif self.violation is None and main.exception() is not None:
            raise main.exception()  # type: ignore[misc]

    async def _live(self) -> None:
        for account in self.shape.accounts.values():
            self.define(account)
        for replica in self.replicas:
            replica.start()
        await self.admin.publish()
        for pod in self.pods:
            pod.known = dict(self.definitions)
            pod.start()
        self._plan()
        loop = self.loop
        loop.spawn(WORLD, self.admin.decide(), "approvals")
        loop.spawn(WORLD, self.admin.change_limits(), "changes")
        loop.spawn(WORLD, self.admin.change_rate(), "rates")
        loop.spawn(WORLD, self.admin.correct(), "corrections")
        loop.spawn(WORLD, self.admin.prune(), "pruning")
        storm = loop.spawn(WORLD, self.weather.blow(), "weather")
        await asyncio.sleep(self.shape.storm / 1e6)
        self.stormy = False
        self.note("world", "the storm is over")
        await asyncio.wait({storm})
        for pod in self.pods:
            if pod.disk.refuses:
                self.trouble(pod.name)
            pod.disk.refuses = 0.0
        await asyncio.sleep(self.shape.calm / 1e6)
        await quiescence.reach(self)
        await quiescence.check(self)
        if self.shape.prunes:
            await quiescence.prune(self)

    def _plan(self) -> None:
        """Draw all requests: they come in bursts, to all pods."""
        chance, shape = self.chance("requests"), self.shape
        for pod in self.pods:
            pod.disk.refuses = shape.disk_rate
        bursts = [chance.randrange(shape.duration) for _ in range(max(1, shape.requests // 4))]
        for number in range(shape.requests):
            at = chance.choice(bursts) + chance.choice([0, 50_000, 3_000_000]) * chance.randint(0, 3)
            self.loop.after(min(at, shape.duration - 1), chance.choice(self.pods).take, self._request(number, chance))

    def _request(self, number: int, chance: random.Random) -> Request:
        least = chance.randint(1, self.shape.largest)
        outcome = chance.choices(
            [Outcome.SETTLED, Outcome.FREE, Outcome.UNKNOWN, Outcome.ABANDONED], weights=[8, 1, 1, 1]
        )[0]
        costly = "approvals" in self.shape.faults and chance.random() < 0.35
        return Request(
            number=number,
            user=chance.choice([*USERS, None, None]),
            least=least,
            want=chance.choice([least, least, min(self.shape.largest, 3 * least)]),
            duration=chance.choice([1000, 300_000, 5_000_000, 20_000_000]),
            percent=chance.choice([300, 130]) if self.shape.overruns and chance.random() < 0.2
            else chance.choice([0, 10, 50, 100, 100]),
            outcome=outcome,
            digest=f"digest-{chance.randint(0, 4)}" if costly else None,
        )  # fmt: skip


def run(seed: int, *, keep: int | None = 2000) -> Result:
    """Run the world of a seed; `keep` bounds the trace."""
    shape = shapes.draw(seed)
    trace = Trace(keep)
    with installed(shape.lease_life):
        world = World(shape, trace)
        try:
            world.run()
        finally:
            world.loop.failed = lambda _: None
            world.loop.close()
    invariants = world.invariants
    return Result(
        seed, shape.kind, world.violation, trace, len(world.truth.attempts), world.loop.steps, invariants.refusals,
        invariants.refusals_checked,
    )  # fmt: skip
