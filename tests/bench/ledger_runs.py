"""One measurement of `bench_ledger`: so many replicas over one server, let off together, and what they came to."""

import asyncio
import contextlib
import os
import pathlib
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from tests.bench import ledger_server
from tests.bench.ledger_replica import Order, Outcome
from tests.bench.ledger_server import Watch
from tests.support.postgres import Database
from tests.support.postgres_server import Server

ROOT = pathlib.Path(__file__).parents[2]
CPUS = sorted(os.sched_getaffinity(0))
FIRST = {CPUS[0]}
SECOND = {CPUS[1 % len(CPUS)]}

START_SECONDS = 60


class Result:
    """What all replicas did together, `rate` in a second; `hub_us` and `server_us` are the CPU that one of it took.

    `p50` and `p99` are one message's, in ms, at the slowest replica; `held` and `waiting` as in `Watch`.
    """

    def __init__(self, outcomes: Sequence[Outcome], server_seconds: float, watch: Watch) -> None:
        self.done = done = max(1, sum(outcome.done for outcome in outcomes))
        self.rate = done / max(outcome.seconds for outcome in outcomes)
        self.p50 = max(outcome.p50 for outcome in outcomes)
        self.p99 = max(outcome.p99 for outcome in outcomes)
        self.hub_us = sum(outcome.cpu for outcome in outcomes) / done * 1e6
        self.server_us = server_seconds / done * 1e6
        self.held = watch.held
        self.waiting = watch.waiting


class Runs:
    """Measures in one database; each run lasts `seconds` at most."""

    def __init__(self, server: Server, database: Database, seconds: float) -> None:
        self.server = server
        self.database = database
        self.seconds = seconds
        self._count = 0

    async def __call__(
        self, what: str, clients: int, most: int, *, replicas: int = 1, one_core: bool = False, **fields: Any
    ) -> Result:
        """Measure `what` with so many sidecars at each replica; the other arguments are those of an `Order`.

        The server has the second core, or with `one_core` the replicas' own.
        """
        self._count += 1
        ledger_server.pin(self.server, FIRST if one_core else SECOND)
        orders = [
            Order(what, f"run{self._count}", clients, most, self.seconds, replica, **fields)
            for replica in range(replicas)
        ]
        async with asyncio.timeout(START_SECONDS + self.seconds), contextlib.AsyncExitStack() as ended:
            started = [await ended.enter_async_context(_replica(self.database.hub, order)) for order in orders]
            for process in started:
                await _line(process, b"ready\n")
            before = ledger_server.cpu_seconds(self.server)
            async with ledger_server.watched(self.database.owner) as watch:
                outcomes = await asyncio.gather(*map(_outcome, started))
                server_seconds = ledger_server.cpu_seconds(self.server) - before
        return Result(outcomes, server_seconds, watch)


@contextlib.asynccontextmanager
async def _replica(url: str, order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
    """A replica's process on the first core, ended at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.ledger_replica", url, msgspec.json.encode(order).decode()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    os.sched_setaffinity(process.pid, FIRST)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()


async def _line(process: asyncio.subprocess.Process, wanted: bytes = b"") -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line or wanted not in line:
        raise RuntimeError(f"a replica failed: {line.decode() or 'see above'}")
    return line


async def _outcome(process: asyncio.subprocess.Process) -> Outcome:
    """Let a replica off, and wait for what it did."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    return msgspec.json.decode(await _line(process), type=Outcome)
