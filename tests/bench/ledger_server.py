"""The PostgreSQL that `bench_ledger` measures: its cores, its CPU time, how often the disk syncs, and who has the lock.

It runs with its defaults, and syncs every commit.
"""

import asyncio
import contextlib
import os
import pathlib
import tempfile
import time
from collections.abc import AsyncIterator, Iterator

from llmgov_store.postgres import connecting
from tests.support.postgres_server import Server

PAGE = 8192
"""What PostgreSQL writes at a time."""

LOOK_SECONDS = 0.03


def pin(server: Server, cores: set[int]) -> None:
    """Let all its processes run on these cores, and those that it will start."""
    for pid in _processes(server):
        with contextlib.suppress(ProcessLookupError):
            os.sched_setaffinity(pid, cores)


def cpu_seconds(server: Server) -> float:
    """What its processes ran that still live, from the scheduler, which counts nanoseconds."""
    total = 0
    for pid in _processes(server):
        with contextlib.suppress(OSError):
            total += int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0])
    return total / 1e9


def _processes(server: Server) -> Iterator[int]:
    yield server.pid
    children = pathlib.Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    yield from map(int, children.split())


def syncs_per_second(seconds: float = 1.0) -> float:
    """How often a second a page is written and synced, one after the other, where the server has its data."""
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(bytes(PAGE))
        os.fsync(file.fileno())
        begin, count = time.perf_counter(), 0
        while time.perf_counter() - begin < seconds:
            os.pwrite(file.fileno(), os.urandom(PAGE), 0)
            os.fdatasync(file.fileno())
            count += 1
        return count / (time.perf_counter() - begin)


class Watch:
    """Looks at what the writing connections do: `held` is the share of looks at which one of them had its locks,
    `waiting` how many waited for locks on average."""

    def __init__(self) -> None:
        self._looks: list[tuple[bool, int]] = []

    @property
    def held(self) -> float:
        return sum(held for held, _ in self._looks) / max(1, len(self._looks))

    @property
    def waiting(self) -> float:
        return sum(waiting for _, waiting in self._looks) / max(1, len(self._looks))

    async def look(self, url: str) -> None:
        """Look until cancelled."""
        connection = await connecting.connect(url, application_name="llmgov-bench")
        try:
            while True:
                self._looks.append(tuple(await connection.fetchrow(_LOOK)))
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            connection.terminate()


_LOOK = (
    "SELECT coalesce(bool_or(xact_start IS NOT NULL AND wait_event IS DISTINCT FROM 'advisory'), false),"
    " count(*) FILTER (WHERE wait_event = 'advisory')"
    " FROM pg_stat_activity WHERE application_name = 'llmgov' AND datname = current_database()"
)


@contextlib.asynccontextmanager
async def watched(url: str) -> AsyncIterator[Watch]:
    """Look while the body runs."""
    watch = Watch()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(watch.look(url))
        try:
            yield watch
        finally:
            task.cancel()
