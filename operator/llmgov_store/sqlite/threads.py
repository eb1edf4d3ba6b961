"""SQLite connections on threads of their own, so that an fsync never stops an event loop.

One thread writes. What waits while it commits is committed together next (each piece of work in a savepoint, one
fsync for all), so that many concurrent transactions cost little more than one. Another thread reads.
"""

import asyncio
import concurrent.futures
import dataclasses
import pathlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from llmgov.ledger.store import StoreError

T = TypeVar("T")

BUSY_TIMEOUT_SECONDS = 5.0
"""How long to wait for another process (`llmgov approvals approve`) that writes to the same file."""

MAX_BATCH = 128
"""How many transactions share one commit at most."""


def connect(path: pathlib.Path, *, read_only: bool) -> sqlite3.Connection:
    """Open the database with what money needs: WAL, an fsync for each commit, foreign keys.

    Raises:
        StoreError: there is no such database, or it cannot be opened.
    """
    mode = "ro" if read_only else "rwc"
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        if not read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
        return connection
    except sqlite3.Error as error:
        raise StoreError(f"cannot open the ledger {path.name}: {error}") from error


@dataclasses.dataclass(slots=True)
class _Job:
    """A piece of work and where its outcome goes; `failure` is what it raised."""

    work: Callable[[sqlite3.Connection], Any]
    future: concurrent.futures.Future[Any]
    result: Any = None
    failure: BaseException | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        connection.execute("SAVEPOINT job")
        try:
            self.result = self.work(connection)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the job
            self.failure = _translated(error)
            connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")

    def finish(self) -> None:
        if self.failure is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.failure)


class Writer:
    """The one thread that writes through `connection`, which it closes in the end."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="llmgov-ledger-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; committed and on disk when this returns.

        A caller that is cancelled does not undo it: the work happens or does not, as when the process dies.

        Raises:
            StoreError: nothing was written. What `work` itself raises comes out as it is.
        """
        if self._closed:
            raise StoreError("the store is closed")
        job = _Job(work, concurrent.futures.Future())
        job.future.set_running_or_notify_cancel()
        self._jobs.put(job)
        outcome: T = await asyncio.wrap_future(job.future)
        return outcome

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
            await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (batch := self._next_batch()) is not None:
            self._commit(batch)
        self._connection.close()

    def _next_batch(self) -> list[_Job] | None:
        """What waits, at least one job; `None` in the end."""
        job = self._jobs.get()
        if job is None:
            return None
        batch = [job]
        while len(batch) < MAX_BATCH and not self._jobs.empty():
            job = self._jobs.get()
            if job is None:
                self._jobs.put(None)
                break
            batch.append(job)
        return batch

    def _commit(self, batch: list[_Job]) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                job.run(self._connection)
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            for job in batch:
                job.failure = _translated(error)
        for job in batch:
            job.finish()


class Reader:
    """A thread that reads through `connection`, which it closes in the end."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._closed = False
        self._executor = concurrent.futures.ThreadPoolExecutor(1, "llmgov-ledger-reader")

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` reads, of what was committed when it began.

        Raises:
            StoreError: closed, busy beyond the timeout, or damaged.
        """
        if self._closed:
            raise StoreError("the store is closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work, self._connection)
        except sqlite3.Error as error:
            raise _translated(error) from error

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        if not self._closed:
            self._closed = True
            await asyncio.to_thread(self._executor.shutdown)
            self._connection.close()


def _translated(error: Exception) -> Exception:
    if not isinstance(error, sqlite3.Error):
        return error
    translated = StoreError(f"the ledger's database failed: {error}")
    translated.__cause__ = error
    return translated
