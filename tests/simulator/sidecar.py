"""A pod's sidecar: the real recovery, leasing, delivery, journal, spool and volume, over simulated disk and network.

Only the proxy is missing (sockets, HTTP, the engine): an attempt's steps are taken here in the order in which
`llmgov_sidecar.funds` and `llmgov_sidecar.entry` take them.
"""

import contextlib
import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llmgov.instants import Duration
from llmgov.ledger import grants, pruning
from llmgov.ledger.commands import Command
from llmgov.ledger.messages import Epoch, Holding
from llmgov.snapshot import Account
from llmgov_sidecar import journal, sidecar, spool, volume
from llmgov_sidecar.calls import Calls, Waits
from llmgov_sidecar.ends import Ends
from llmgov_sidecar.leasing import Leasing
from llmgov_sidecar.records import Sequence
from llmgov_sidecar.spool import Position
from llmgov_sidecar.tasks import Tasks
from tests.simulator import loop
from tests.simulator.disk import SimulatedOs
from tests.simulator.loop import Process
from tests.simulator.network import Line
from tests.simulator.shape import KEEP
from tests.simulator.violation import Invariant

if TYPE_CHECKING:
    from llmgov_sidecar.delivery import Delivery
    from tests.simulator.pod import Pod
    from tests.simulator.world import World

SPOOL_BYTES = 1 << 22


@dataclasses.dataclass
class Settings:
    """What recovery and leasing read of the sidecar's settings."""

    holder: str
    tick: float

    def waits(self) -> Waits:
        return Waits(tick=self.tick)


class Known:
    """The accounts that this sidecar has heard of, in place of its compiled configuration."""

    def __init__(self, definitions: Mapping[str, Account]) -> None:
        self._definitions = definitions

    @property
    def current(self) -> "Known":
        return self

    @property
    def runtime(self) -> "Known":
        return self

    def definitions(self) -> Mapping[str, Account]:
        return self._definitions


@dataclasses.dataclass
class Services:
    """As `llmgov_sidecar.services.Services`, without the proxy's."""

    ids: Callable[[], str]
    ends: Ends
    leasing: "WatchedLeasing | None" = None
    delivery: "Delivery | None" = None
    tickets: Iterator[int] = dataclasses.field(default_factory=itertools.count)


class Notes:
    """The log: what is no outage is a bug."""

    def __init__(self, world: "World", name: str) -> None:
        self._world = world
        self._name = name

    def info(self, event: str, **fields: object) -> None:
        self._world.note(self._name, "log", event, *fields.values())

    warning = info

    def failure(self, where: str, error: BaseException) -> None:
        self._world.note(self._name, "failure", where, repr(error))
        if not isinstance(error, OSError):
            self._world.fail(Invariant.ERROR, f"{self._name}: {where} broke: {error!r}")


class WatchedLeasing(Leasing):
    """Leasing whose process may be killed before and after each command that its purse gives."""

    def _do(self, command: Command) -> None:
        process = loop.current()
        process.on_command("before", command)
        super()._do(command)
        process.on_command("after", command)

    @property
    def settled_down(self) -> bool:
        """Whether nothing is under way."""
        return not (self._carrying or self._commands or self._post or self._purse.asking or self._waiters)

    def holdings(self) -> tuple[Holding, ...]:
        """What is lent here, and what became of it."""
        return self._purse.holdings()

    @property
    def queued(self) -> int:
        """Letters to the hub that wait."""
        return len(self._post)

    @property
    def held(self) -> int:
        """Attempts that hold money."""
        return self._purse.holding

    @property
    def lent(self) -> int:
        """Leases that are open here."""
        return len(self._purse.open_leases())


class Boot(sidecar.Sidecar):
    """One start of a pod's sidecar. Constructed within its process."""

    def __init__(self, world: "World", pod: "Pod", process: Process) -> None:
        self.world = world
        self.pod = pod
        self.process = process
        process.on_command = self._on_command
        self.settings = Settings(pod.name, world.shape.tick)  # type: ignore[assignment]
        self._clock = pod.clock
        self._log = Notes(world, pod.name)  # type: ignore[assignment]
        self._volume = volume.open_volume(pod.disk.root)  # type: ignore[arg-type]
        self._journal = journal.Journal(
            pod.disk.root / "spool",  # type: ignore[arg-type]
            world.shape.segment_bytes,
            SPOOL_BYTES,
        )
        self._earlier = list(self._journal.earlier())
        self._tasks = Tasks(self._failed)
        self._calls = Calls(self.settings.waits(), self._log.failure)
        ids = Sequence(Epoch(pod.name, -self._volume.boots))
        self._services: Any = Services(ids.next, Ends(self._journal, self._tasks))
        self.configuration = Known(pod.known)  # type: ignore[assignment]
        self.known, self.heard = pod.known, world.now
        self.line = Line(world, pod.name, process, world.chance("route", pod.name))
        self._hub = self.line

    def join(self) -> None:
        """Get an epoch, recover, and serve from then on."""
        self._tasks.spawn("registration", self._join(self.line))

    async def stop(self) -> None:
        """As `Sidecar.stop`, once no request is under way."""
        await self.delivered(self.settings.waits().call)
        if self._services.leasing is not None:
            await self._services.leasing.stop(self.settings.waits().call)
        await self._tasks.stop()
        self._journal.close()

    async def delivered(self, seconds: float) -> bool:
        delivery = self._services.delivery
        return delivery is not None and await delivery.wait(self._journal.end, seconds)

    def learn(self, definitions: Mapping[str, Account]) -> None:
        """Other accounts are in force."""
        self.configuration = Known(definitions)  # type: ignore[assignment]
        self._define(self.configuration)  # type: ignore[arg-type]
        self.known, self.heard = definitions, self.world.now

    def _failed(self, task: str, error: BaseException) -> None:
        self._log.failure(task, error)

    @property
    def services(self) -> Services:
        """Leasing and delivery, once there is an epoch."""
        return self._services  # type: ignore[no-any-return]

    @property
    def journal(self) -> journal.Journal:
        """The records of this pod."""
        return self._journal

    def _on_command(self, when: str, command: Command) -> None:
        if when == "before":
            self.world.note(self.pod.name, "command", command)
        self.world.step(self.process, f"{when} {type(command).__name__}")

    @property
    def recovered(self) -> bool:
        """Whether all that earlier boots left is on record and closed at the hub."""
        return self._services.delivery is not None and self._services.delivery.recovered

    @property
    def all_delivered(self) -> bool:
        """Whether the hub has every record."""
        delivery = self._services.delivery
        return delivery is not None and not self._journal.events(delivery.delivered, 1 << 20)[0]

    @property
    def end(self) -> Position:
        """Behind the last record."""
        return self._journal.end


class _BootId:
    """The file that tells one boot of a machine from another."""

    def read_text(self, encoding: str) -> str:
        return loop.current().machine


class _NoSecrets:
    """The digest key is not looked at here."""

    @staticmethod
    def token_bytes(count: int) -> bytes:
        return bytes(count)


@contextlib.contextmanager
def installed(lease_life: Duration) -> Iterator[None]:
    """The sidecar's modules on simulated disks, and leases that live so long, for as long as this lasts."""
    simulated = SimulatedOs()
    replaced: list[tuple[Any, str, object]] = [
        (spool, "os", simulated),
        (volume, "os", simulated),
        (volume, "_BOOT_ID", _BootId()),
        (volume, "secrets", _NoSecrets),
        (sidecar, "Leasing", WatchedLeasing),
        (grants, "LEASE_LIFE", lease_life),
        (pruning, "KEEP", KEEP),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    for owner, name, value in replaced:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in before:
            setattr(owner, name, value)
