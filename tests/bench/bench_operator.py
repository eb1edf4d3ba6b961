"""The operator on a cluster of 5,000 policies: `python -m tests.bench.bench_operator [SIZE]`. Asserts nothing.

A control plane and a PostgreSQL of its own; `llmgov operator` is a process with its ServiceAccount's rights. Objects
are applied before it starts. `SIZE` is a fraction of the whole. Beside the figures stands what they should be.
"""

import asyncio
import collections
import contextlib
import dataclasses
import os
import pathlib
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence

from tests.bench import cluster_writer, in_force, operator_world, process
from tests.bench.cluster_writer import Writer
from tests.bench.in_force import InForce
from tests.bench.operator_world import Document, World
from tests.cluster import binary, contents, control_plane, operators
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster
from tests.cluster.operators import Operator
from tests.support import postgres
from tests.support.exposition import Scrape
from tests.support.postgres_server import Server

START_SECONDS = 300
"""What a start may take before the benchmark gives up, statuses included."""

LOOKS_SECONDS = 12.0
"""Two looks at the ledger for statuses, and two writes of one object: after so long without a write there is none."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is measured: objects, changes of each kind, and seconds in which nothing happens."""

    world: World = dataclasses.field(default_factory=World)
    changes: int = 100
    apart: float = 0.2
    """Seconds from one change in force to the next."""
    steady: float = 120.0
    quiet: float = LOOKS_SECONDS


def row(name: str, measured: str, target: str = "") -> None:
    """Print one measurement."""
    print(f"{name:58}{measured:>22}{target:>16}".rstrip(), flush=True)


class Bench:
    """One cluster, one database, and what is measured there."""

    def __init__(
        self, scale: Scale, cluster: Cluster, database: postgres.Database, force: InForce, folder: pathlib.Path
    ) -> None:
        self._scale = scale
        self._world = scale.world
        self._audit: AuditLog = cluster.audit
        self._force = force
        self._folder = folder
        self._environment = {"KUBECONFIG": str(operators.install(cluster)), "LLMGOV_DATABASE_URL": database.hub}

    async def fill(self, writer: Writer) -> None:
        """Apply the objects."""
        began = time.monotonic()
        count = await writer.apply_all(self._world.namespace_documents())
        count += await writer.apply_all(self._world.documents())
        seconds = time.monotonic() - began
        row(f"{count:,} objects applied by the benchmark", f"{seconds:.1f} s, {count / seconds:,.0f}/s")

    async def measure(self, writer: Writer) -> None:
        """All of it, with two processes one after the other."""
        async with self._operator("first") as operator:
            await self._first_start(operator)
            await self._changes("one namespace's policy", operator, writer, self._world.changed)
            await self._changes("an organization-wide policy", operator, writer, operator_world.organization_policy)
            self._memory("RSS / most so far, after the changes", operator)
            await self._quiet(operator)
            await self._steady(operator)
        await self._second_start()

    @contextlib.asynccontextmanager
    async def _operator(self, name: str) -> AsyncIterator[Operator]:
        with operators.started(name, self._folder, self._environment) as operator:
            yield operator
            await asyncio.to_thread(operator.end)

    async def _first_start(self, operator: Operator) -> None:
        began, position = time.monotonic(), self._audit.position()
        async with asyncio.timeout(START_SECONDS):
            await self._force.reached(f"namespace/{operator_world.PREFIX}-", self._world.namespaces)
            published = time.monotonic()
            row("start to everything published", f"{published - began:.1f} s", "<= 30 s")
            self._memory("RSS / most so far, at that moment", operator)
            await _until(lambda: self._is_told(operator))
        seconds = time.monotonic() - published
        rate = f"{self._world.resources / seconds:,.0f}/s"
        row(f"{self._world.resources:,} statuses written after that", f"{seconds:.1f} s, {rate}")
        self._memory("RSS / most so far, after that", operator)
        self._requests("the start and these statuses", position)

    def _is_told(self, operator: Operator) -> bool:
        scrape = _scrape(operator)
        written = _statuses(scrape)
        return written >= self._world.resources and scrape.total("llmgov_operator_status_queue") == 0

    async def _changes(self, name: str, operator: Operator, writer: Writer, version: Callable[[int], Document]) -> None:
        took = []
        cpu = process.cpu_seconds(operator.process.pid)
        for number in range(1, self._scale.changes + 1):
            took.append(await self._change(writer, version(number)))
            await asyncio.sleep(self._scale.apart)
        cpu = (process.cpu_seconds(operator.process.pid) - cpu) / self._scale.changes
        median, late = _quantile(took, 0.5), _quantile(took, 0.99)
        row(f"{name}, to published: p50 / p99", f"{median * 1000:.0f} / {late * 1000:.0f} ms", "p99 <= 300 ms")
        row(f"{name}: the operator's CPU for a change", f"{cpu * 1000:.0f} ms")

    async def _change(self, writer: Writer, document: Document) -> float:
        """Seconds from the API server's answer to the version in force."""
        namespace = document["metadata"]["namespace"]
        part = "organization" if namespace == operator_world.ROOT else f"namespace/{namespace}"
        before = await self._force.version(part)
        await writer.apply(document)
        began = time.monotonic()
        async with asyncio.timeout(START_SECONDS):
            await self._force.replaced(part, before)
        return time.monotonic() - began

    async def _quiet(self, operator: Operator) -> None:
        """Wait until it has had nothing to write for a while."""
        seen: list[float] = []

        def is_quiet() -> bool:
            scrape = _scrape(operator)
            seen.append(_statuses(scrape))
            return seen[-2:-1] == seen[-1:] and scrape.total("llmgov_operator_status_queue") == 0

        async with asyncio.timeout(START_SECONDS):
            await _until(is_quiet, self._scale.quiet)

    async def _steady(self, operator: Operator) -> None:
        position, began, cpu = self._audit.position(), time.monotonic(), process.cpu_seconds(operator.process.pid)
        await asyncio.sleep(self._scale.steady)
        seconds, cpu = time.monotonic() - began, process.cpu_seconds(operator.process.pid) - cpu
        row(f"CPU of a core, {seconds:.0f} s in which nothing changed", f"{cpu / seconds:.2%}", "<= 2 %")
        self._requests("that time", position)
        self._memory("RSS / most so far, after that", operator)

    async def _second_start(self) -> None:
        position, began = self._audit.position(), time.monotonic()
        async with self._operator("second") as operator:
            async with asyncio.timeout(START_SECONDS):
                await _until(lambda: operator.metric("llmgov_operator_reconciles_total") > 0)
            row("second start to its first configuration", f"{time.monotonic() - began:.1f} s", "<= 30 s")
            await asyncio.sleep(self._scale.quiet)
            self._memory("RSS / most so far, after that", operator)
        counts = self._counts(position)
        row("second start: statuses and events written", str(counts["patch"] + counts["create events"]), "0")
        self._requests("it", position)

    def _counts(self, position: int) -> collections.Counter[str]:
        """Of what the operator asked since then, each verb and, apart from them, what is for the Lease and events.

        A watch that lasts is on record when it begins.
        """
        found: collections.Counter[str] = collections.Counter()
        for request in self._audit.requests(operators.ACCOUNT, since=position):
            if request.verb == "watch" and request.stage != "ResponseStarted":
                continue
            apart = request.resource in ("leases", "events")
            found[f"{request.verb} {request.resource}" if apart else request.verb] += 1
        return found

    def _requests(self, when: str, position: int) -> None:
        counts = self._counts(position)
        print(f"  requests in {when}: {', '.join(f'{counts[verb]} {verb}' for verb in sorted(counts))}", flush=True)

    @staticmethod
    def _memory(name: str, operator: Operator) -> None:
        now, most = process.resident_mib(operator.process.pid)
        row(name, f"{now:.0f} / {most:.0f} MiB", "<= 512 MiB")


def _scrape(operator: Operator) -> Scrape:
    return Scrape(operator.ask("/metrics")[1])


def _statuses(scrape: Scrape) -> float:
    name = "llmgov_operator_status_writes_total"
    return scrape.total(name, outcome="written") - scrape.total(name, outcome="written", kind="Event")


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


async def _until(condition: Callable[[], bool], pause: float = 0.2) -> None:
    """Ask another process again and again."""
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110 (it cannot set an event here)
        await asyncio.sleep(pause)


async def measure(server: Server, cluster: Cluster, scale: Scale) -> None:
    """Fill the cluster and measure."""
    async with contextlib.AsyncExitStack() as ended:
        folder = pathlib.Path(ended.enter_context(tempfile.TemporaryDirectory()))
        database = await ended.enter_async_context(postgres.database(server.url("postgres")))
        force = await ended.enter_async_context(in_force.watching(database.owner))
        writer = await ended.enter_async_context(cluster_writer.writing(cluster))
        bench = Bench(scale, cluster, database, force, folder)
        await bench.fill(writer)
        await bench.measure(writer)


def lacking() -> str | None:
    """Why this machine cannot measure it; `None` where it can."""
    return binary.lacking() or postgres.lacking_own()


def run(scale: Scale, *, fsync: bool = True) -> None:
    """Measure on a control plane and a server that are ended afterwards; the server syncs commits, or does not."""
    server = Server.new(fsync=fsync)
    try:
        with control_plane.running() as plane:
            cluster = plane.cluster()
            contents.install(cluster)
            asyncio.run(measure(server, cluster, scale))
    finally:
        server.close()


def main(arguments: Sequence[str]) -> None:
    """Say on what machine, and measure."""
    lack = lacking()
    if lack is not None:
        sys.exit(f"the operator is not measured: {lack}")
    size = float(arguments[0]) if arguments else 1.0
    world = World.sized(size)
    print(f"{len(os.sched_getaffinity(0))} cores, load average {os.getloadavg()[0]:.1f}; {world}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("the time is up"))  # so that all that was started is ended
    run(Scale(world))
    print(f"load average {os.getloadavg()[0]:.1f} at the end")


if __name__ == "__main__":
    main(sys.argv[1:])
