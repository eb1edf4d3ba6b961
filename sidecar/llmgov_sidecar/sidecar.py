"""One sidecar, put together: composable into a process of its own or, in local mode, into one with the hub."""

import asyncio
import collections
import functools
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

from llmgov.instants import Instant
from llmgov.ledger import replay
from llmgov.ledger.commands import SpoolRecord
from llmgov.ledger.messages import Epoch, Settlement
from llmgov.policy.decision import Workload
from llmgov_sidecar import server, volume
from llmgov_sidecar.admin import Admin
from llmgov_sidecar.calls import Calls
from llmgov_sidecar.configuration import Active, Configuration
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.ends import Ends
from llmgov_sidecar.hub import Hub
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.leasing import Leasing
from llmgov_sidecar.logs import Log
from llmgov_sidecar.metrics import Metrics
from llmgov_sidecar.passage import Observer
from llmgov_sidecar.proxy import Proxy
from llmgov_sidecar.records import Records, Sequence
from llmgov_sidecar.services import Services
from llmgov_sidecar.settings import Settings
from llmgov_sidecar.tasks import Tasks
from llmgov_sidecar.turns import Turns
from llmgov_sidecar.upstream import Pool


def system_clock() -> Instant:
    """The machine's clock."""
    return time.time_ns() // 1000


class Sidecar:
    """A proxy with its spool, leases and configuration.

    `await start()` returns the port; `configuration.apply` may be called before and at any time after; `await stop()`
    drains. `observer` is told of each step of an attempt (tests kill the process there). Sidecars of one process that
    are given the same `turns` count their requests together where a rate limit is not per workload.
    """

    def __init__(
        self,
        settings: Settings,
        workload: Workload,
        hub: Hub | None = None,
        *,
        clock: Callable[[], Instant] = system_clock,
        observer: Observer = lambda _: None,
        log_stream: BinaryIO | None = None,
        turns: Turns | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self._hub = hub
        self._clock = clock
        stream = log_stream if log_stream is not None else sys.stderr.buffer
        self._log = Log(stream, clock, process="sidecar", workload=workload.name)
        self._volume = volume.open_volume(settings.volume)
        self.configuration = Configuration(self._volume.folder, clock)
        self._journal = Journal(self._volume.folder / "spool", settings.spool_segment_bytes, settings.spool_bytes)
        self._earlier: list[SpoolRecord] = list(self._journal.earlier())
        self._tasks = Tasks(self._failed)
        self._calls = Calls(settings.waits(), self._log.failure)
        self._services = self._assemble(observer)
        self._proxy = Proxy(self._services, self.configuration, workload, turns or Turns(clock))
        self._listener = server.Listener(self._proxy, settings.bounds(), Tasks(self._log.failure))
        self._admin = server.Listener(
            Admin(self.metrics, lambda: not self._listener.draining, lambda: self._tasks.failing, self._refresh),
            server.Bounds(connections=32),
            Tasks(self._log.failure),
        )
        self.configuration.on_change = self._define
        self._stopped = False
        self.port = 0
        self.admin_port = 0

    async def start(self) -> int:
        """Recover, register, listen; returns the proxy's port.

        Raises:
            OSError: a port cannot be bound.
        """
        if self.configuration.current is None:
            self.configuration.load()
        self._services.pool.start()
        self._tasks.keep("floods", self._services.records.run)
        if self._hub is not None:
            await self._register(self._hub)
        self.port = await self._listener.listen(self.settings.host, self.settings.port)
        if self.settings.admin_port >= 0:
            self.admin_port = await self._admin.listen(self.settings.admin_host, self.settings.admin_port)
        self._log.info("listening", port=self.port, admin_port=self.admin_port, epoch=str(self.epoch))
        return self.port

    async def stop(self) -> None:
        """Let requests end, deliver what is on record, give back money, close; a second time does nothing."""
        if self._stopped:
            return
        self._stopped = True
        await self._listener.drain(self.settings.drain_seconds)
        await self.delivered(self.settings.waits().call)
        if self._services.leasing is not None:
            await self._services.leasing.stop(self.settings.waits().call)
        await self._admin.drain(0)
        await self._tasks.stop()
        self._services.pool.close()
        self._journal.close()
        self._log.flush()

    async def delivered(self, seconds: float) -> bool:
        """Wait until all that has happened so far is on record at the hub; whether it is within `seconds`."""
        self._services.records.flush()
        delivery = self._services.delivery
        if delivery is None or self._services.ends.waiting:
            return False
        return await delivery.wait(self._journal.end, seconds)

    @property
    def epoch(self) -> Epoch:
        """The epoch that leases belong to; a provisional one (below zero) before the hub has given one."""
        leasing = self._services.leasing
        return leasing.epoch if leasing is not None else Epoch(self.settings.holder, -self._volume.boots)

    def _assemble(self, observer: Observer) -> Services:
        settings = self.settings
        ids = Sequence(Epoch(settings.holder, -self._volume.boots))
        records = Records(self._journal, self._next_id, self._clock, self.metrics, self._log)
        return Services(
            settings=settings,
            clock=self._clock,
            ids=ids.next,
            journal=self._journal,
            ends=Ends(self._journal, self._tasks),
            pool=Pool(settings.times()),
            records=records,
            metrics=self.metrics,
            log=self._log,
            observer=observer,
            digest_key=self._volume.key,
            stopped=self.configuration.stopped,
        )

    def _next_id(self) -> str:
        return self._services.ids()

    def _failed(self, task: str, error: BaseException) -> None:
        self._log.failure(task, error)
        self.metrics.background_failures.add(task)

    def _refresh(self) -> None:
        self.metrics.background_failing.value = len(self._tasks.failing)
        self.metrics.spool_bytes.value = self._journal.used
        self._services.records.count()

    def _define(self, active: Active) -> None:
        """Tell who holds money which limits are in force, and that they do."""
        if self._services.leasing is not None:
            self._services.leasing.define(active.runtime.definitions())

    async def _register(self, hub: Hub) -> None:
        """Get an epoch; where the hub does not answer in time, serve without money until it does."""
        task = self._tasks.spawn("registration", self._join(hub))
        await asyncio.wait([task], timeout=self.settings.register_seconds)
        if not task.done():
            self._log.warning("serving without the hub", waited_seconds=self.settings.register_seconds)

    async def _join(self, hub: Hub) -> None:
        epoch = await self._calls.until_answered(functools.partial(hub.register, self.settings.holder))
        found = replay.replay(self._earlier, epoch, self._clock(), torn=self._volume.torn)
        self._earlier = []
        await self._tasks.keep(
            "recovered ends", functools.partial(self._put_ends, collections.deque(found.settlements))
        )
        services = self._services
        services.ids = Sequence(epoch).next
        leasing = Leasing(epoch, hub, self._journal, self._clock, self._tasks, self._calls)
        delivery = Delivery(hub, self._journal, self._calls)
        services.leasing, services.delivery = leasing, delivery
        if self.configuration.current is not None:
            self._define(self.configuration.current)
        leasing.start()
        self._tasks.keep("delivery", delivery.run)
        self._tasks.keep("recovery", functools.partial(self._recover, hub, delivery, found, epoch))

    async def _put_ends(self, settlements: collections.deque[Settlement]) -> None:
        """Put on record how attempts of earlier boots ended; what the disk refuses is still there for the next try."""
        while settlements:
            self._journal.end_attempt(settlements[0])
            settlements.popleft()

    async def _recover(self, hub: Hub, delivery: Delivery, found: replay.Replay, epoch: Epoch) -> None:
        """Close the leases of earlier epochs, once the events that spent from them are delivered."""
        mark = self._journal.end
        while not await delivery.wait(mark, self.settings.waits().call):
            pass
        for message in found.returns:
            await self._calls.until_taken(functools.partial(hub.give_back, message))
        if self._volume.boots > 1:
            await self._calls.until_taken(functools.partial(hub.inventory, found.inventory))
            if self._services.leasing is not None:
                self._services.leasing.recovered()
        elif epoch.number > 1:
            self._log.warning("the volume is new, but its pod is not: earlier leases stay held", epoch=str(epoch))
        try:
            volume.recovered(self._volume)
        except OSError as error:
            self._log.failure("volume", error)
        delivery.recovered = True
