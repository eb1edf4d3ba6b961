"""The one connection on which a store writes: what waits while a batch commits is the next batch.

So many concurrent transactions cost one commit, without any of them being delayed for it. A caller that is cancelled
does not undo what it asked for. When the connection breaks, what is under way fails with `StoreError` and the next
batch opens another; when it breaks at the moment of a commit, the lane's own row tells whether that came about.
"""

import asyncio
import collections
import contextlib
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.store import StoreError
from llmgov_store import postgres_batch, postgres_connection, postgres_locks
from llmgov_store.postgres_batch import Job
from llmgov_store.postgres_connection import Connection
from llmgov_store.postgres_hints import Hints

T = TypeVar("T")

MAX_BATCH: Final = 256
"""How many transactions share one commit at most."""

MAX_WEIGHT: Final = 1024
"""How much a batch weighs at most (`Job.weight`), where one transaction alone does not weigh more: its steps run in
some 100 ms then, while the event loop does nothing else and the server waits."""

MAX_NAMES: Final = 1024
"""How many locks a batch takes at most, where one transaction alone does not need more: the server's table of locks
has some 6,000 places for all connections by default."""

_OUTCOME_SECONDS: Final = 10.0
"""How long to find out whether a commit came about whose connection broke."""

_RETRY_SECONDS: Final = 0.1

_HOPS: Final = 4
"""Turns of the event loop from an answer to the next question of whoever waited for it, about."""

_BLAMED: Final = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, ValueError)
"""Errors that one transaction of a batch is to blame for; the others are tried again without it."""

Work: TypeAlias = Callable[[Connection], Awaitable[T]]


class _Single:
    """Something else to write, in a database transaction of its own."""

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self.work = work
        self.future = future


class Lane:
    """Writes, one batch after the other; `connect` opens its connection, and says the database's name for its life."""

    def __init__(self, connect: Callable[[], Awaitable[tuple[Connection, str]]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._database = ""
        self._hints = Hints()
        self._id = uuid.uuid4()
        self._number = 0
        self._waiting: collections.deque[Job | _Single] = collections.deque()
        self._woken = asyncio.Event()
        self._closed = False
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._serve(), name="llmgov-ledger-lane")

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        """Run a step in a batch; committed when this returns.

        Raises:
            StoreError: nothing was written.
            ValueError: nothing was written, since a column cannot hold what was put. What the step raises comes out.
        """
        future = self._future()
        outcome: T = await self._enter(Job(lock, step, future, postgres_locks.stated(lock)))
        return outcome

    async def run(self, work: Work[T]) -> T:
        """Run `work` in a transaction of its own; committed when this returns.

        Raises:
            StoreError: nothing was written.
        """
        outcome: T = await self._enter(_Single(work, self._future()))
        return outcome

    def _future(self) -> asyncio.Future[Any]:
        if self._closed:
            raise StoreError("the store is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        future.add_done_callback(_look_at)
        return future

    async def _enter(self, job: Job | _Single) -> Any:
        self._waiting.append(job)
        self._woken.set()
        return await asyncio.shield(job.future)

    async def close(self) -> None:
        """Finish what was asked for, then close the connection."""
        self._closed = True
        self._woken.set()
        await asyncio.shield(self._task)

    async def _serve(self) -> None:
        try:
            while await self._has_work():
                job = self._waiting[0]
                if isinstance(job, _Single):
                    self._waiting.popleft()
                    await self._run_single(job)
                else:
                    await self._run_batch(self._next_batch())
            await self._leave()
        finally:
            if self._connection is not None:
                self._connection.terminate()
            for job in self._waiting:
                job.future.cancel()

    async def _has_work(self) -> bool:
        while not self._waiting and not self._closed:
            self._woken.clear()
            await self._woken.wait()
        await self._let_others_ask()
        return bool(self._waiting)

    async def _let_others_ask(self) -> None:
        """Whoever was just answered and asks again at once is in the next batch, and not in the one after it."""
        known = -1
        while known < len(self._waiting) < MAX_BATCH:
            known = len(self._waiting)
            for _ in range(_HOPS):
                await asyncio.sleep(0)

    def _next_batch(self) -> list[Job]:
        batch: list[Job] = []
        names: set[str] = set()
        weight = 0
        while self._waiting and len(batch) < MAX_BATCH:
            job = self._waiting[0]
            if isinstance(job, _Single) or (batch and job.lock.ended is not None):
                break
            names.update(job.names)
            weight += job.weight
            if batch and (len(names) > MAX_NAMES or weight > MAX_WEIGHT):
                break
            if job.lock.ended is not None:  # what may be removed is looked for, not named: nothing else beside it
                return [self._waiting.popleft()]  # type: ignore[list-item]
            batch.append(job)
            self._waiting.popleft()
        return batch

    async def _run_batch(self, jobs: Sequence[Job]) -> None:
        try:
            await self._commit(lambda connection: postgres_batch.run(connection, jobs, self._database, self._hints))
        except _BLAMED as error:
            if len(jobs) == 1:
                jobs[0].fail(_blamed(error))
            else:
                for job in jobs:
                    await self._run_batch([job])
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            for job in jobs:
                job.fail(_translated(error))
        except BaseException:
            for job in jobs:
                job.future.cancel()
            raise
        else:
            for job in jobs:
                job.finish()

    async def _run_single(self, single: _Single) -> None:
        reply: Any = None

        async def work(connection: Connection) -> bool:
            nonlocal reply
            await connection.execute("BEGIN")
            reply = await single.work(connection)
            return True

        try:
            await self._commit(work)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            if not single.future.done():
                single.future.set_exception(_translated(error))
        else:
            if not single.future.done():
                single.future.set_result(reply)

    async def _commit(self, work: Callable[[Connection], Awaitable[bool]]) -> None:
        """Run `work`, which begins a transaction and says whether it wrote anything, and commit."""
        connection = await self._connected()
        self._number += 1
        committing = False
        try:
            wrote = await work(connection)
            committing = wrote
            await connection.execute(self._commit_statement() if wrote else "COMMIT")
        except BaseException:
            if not await self._rolled_back(connection) and committing and await self._has_committed():
                return
            raise

    def _commit_statement(self) -> str:
        """Number the lane's row, and commit: one message."""
        return (
            f"INSERT INTO lanes (id, batch) VALUES ('{self._id}', {self._number})"  # noqa: S608 - made here
            " ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = now(); COMMIT"
        )

    async def _rolled_back(self, connection: Connection) -> bool:
        """End a transaction that failed; false where the connection is lost, with whatever was under way on it."""
        with contextlib.suppress(*postgres_connection.ERRORS):
            if not connection.is_closed():
                await connection.execute("ROLLBACK", timeout=postgres_connection.CONNECT_SECONDS)
                return True
        connection.terminate()
        self._connection = None
        return False

    async def _has_committed(self) -> bool:
        """Whether the commit came about at which the connection broke: waits for the server to have ended it.

        Raises:
            StoreError: that is not known.
        """
        question = (
            "INSERT INTO lanes (id, batch) VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET at = now() RETURNING batch"
        )
        end = asyncio.get_running_loop().time() + _OUTCOME_SECONDS
        while True:
            try:
                connection = await self._connected()
                return bool(await connection.fetchval(question, self._id) == self._number)
            except (StoreError, *postgres_connection.ERRORS) as error:
                if asyncio.get_running_loop().time() > end:
                    message = "the database was lost at a commit: it may or may not have been written"
                    raise StoreError(message) from error
                if self._connection is not None:
                    self._connection.terminate()
                    self._connection = None
                await asyncio.sleep(_RETRY_SECONDS)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection, self._database = await self._connect()
        return self._connection

    async def _leave(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(*postgres_connection.ERRORS):
                await self._connection.execute("DELETE FROM lanes WHERE id = $1", self._id)
                await self._connection.close(timeout=postgres_connection.CONNECT_SECONDS)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Whoever waited may be gone: that is no reason for a warning."""
    if not future.cancelled():
        future.exception()


def _blamed(error: Exception) -> Exception:
    """What a transaction is told that put what a column cannot hold, or what contradicts other rows."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return _translated(error)
    return ValueError(f"the ledger cannot hold this: {error}")


def _translated(error: Exception) -> Exception:
    if not isinstance(error, postgres_connection.ERRORS) or isinstance(error, StoreError):
        return error
    translated = postgres_connection.translation(error)
    translated.__cause__ = error
    return translated
