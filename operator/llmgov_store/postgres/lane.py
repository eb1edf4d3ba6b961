"""A store's writes in turn: what waits while a batch commits is the next batch.

So many concurrent transactions cost one commit, without any of them being delayed for it. A caller that is cancelled
does not undo what it asked for.
"""

import asyncio
import collections
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

import asyncpg

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import batch, connecting, locking
from llmgov_store.postgres.batch import Job
from llmgov_store.postgres.committing import Commits
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.hinting import Hints

T = TypeVar("T")

MAX_BATCH: Final = 256
"""How many transactions share one commit at most."""

MAX_WEIGHT: Final = 1024
"""How much a batch weighs at most (`Job.weight`), where one transaction alone does not weigh more: its steps run in
some 100 ms then, while the event loop does nothing else and the server waits."""

_HOPS: Final = 4
"""Turns of the event loop from an answer to the next question of whoever waited for it, about."""

_BLAMED: Final = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    ValueError,
)
"""Errors that one transaction of a batch is to blame for (the third is that of a text too long for an index); the
others are tried again without it."""

Work: TypeAlias = Callable[[Connection], Awaitable[T]]


class _Single:
    """Something else to write, in a database transaction of its own."""

    def __init__(self, work: Work[Any], future: asyncio.Future[Any]) -> None:
        self._work = work
        self.future = future
        self.reply: Any = None

    async def run(self, connection: Connection, _life: str) -> bool:
        await connection.execute("BEGIN")
        self.reply = await self._work(connection)
        return True


class Lane:
    """Writes through `commits`, one batch after the other, until it is closed."""

    def __init__(self, commits: Commits) -> None:
        self._commits = commits
        self._hints = Hints()
        self._waiting: collections.deque[Job | _Single] = collections.deque()
        self._woken = asyncio.Event()
        self._closed = False
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="llmgov-ledger-lane")

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        """Run a step in a batch; committed when this returns.

        Raises:
            StoreError: nothing was written, or (the message says so) it is not known whether anything was.
            ValueError: nothing was written, since a column cannot hold what was put. What the step raises comes out.
        """
        outcome: T = await self._enter(Job(lock, step, self._future(), locking.stated(lock)))
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
                await self._serve_next()
        finally:
            for job in self._waiting:
                job.future.cancel()
            await self._commits.close()

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

    async def _serve_next(self) -> None:
        job = self._waiting.popleft()
        if isinstance(job, _Single):
            await self._run_single(job)
        elif job.lock.ended is not None:  # what may be removed is looked for, not named: nothing else beside it
            await self._run_batch([job])
        else:
            await self._run_batch([job, *self._others(job)])

    def _others(self, first: Job) -> list[Job]:
        """What waits behind `first` and may share its transaction."""
        others: list[Job] = []
        names, weight = set(first.names), first.weight
        while self._waiting and len(others) + 1 < MAX_BATCH:
            job = self._waiting[0]
            if isinstance(job, _Single) or job.lock.ended is not None:
                break
            names.update(job.names)
            weight += job.weight
            if len(names) > locking.MAX_NAMES or weight > MAX_WEIGHT:
                break
            others.append(job)
            self._waiting.popleft()
        return others

    async def _run_batch(self, jobs: Sequence[Job]) -> None:
        try:
            await self._commits.commit(lambda connection, life: batch.run(connection, jobs, life, self._hints))
        except _BLAMED as error:
            if len(jobs) == 1:
                _fail(jobs, _blamed(error))
            else:
                middle = len(jobs) // 2
                await self._run_batch(jobs[:middle])
                await self._run_batch(jobs[middle:])
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            _fail(jobs, _translated(error))
        except BaseException:
            for job in jobs:
                job.future.cancel()
            raise
        else:
            for job in jobs:
                job.finish()

    async def _run_single(self, single: _Single) -> None:
        try:
            await self._commits.commit(single.run)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits
            _fail([single], _translated(error))
        except BaseException:
            single.future.cancel()
            raise
        else:
            single.future.set_result(single.reply)


def _look_at(future: asyncio.Future[Any]) -> None:
    """Whoever waited may be gone: that is no reason for a warning."""
    if not future.cancelled():
        future.exception()


def _fail(jobs: Sequence[Job | _Single], error: Exception) -> None:
    for job in jobs:
        job.future.set_exception(error)


def _blamed(error: Exception) -> Exception:
    """What a transaction is told that put what a column cannot hold, or what contradicts other rows."""
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return _translated(error)
    return ValueError(f"the ledger cannot hold this: {error}")


def _translated(error: Exception) -> Exception:
    if not isinstance(error, connecting.ERRORS) or isinstance(error, StoreError):
        return error
    translated = connecting.translation(error)
    translated.__cause__ = error
    return translated
