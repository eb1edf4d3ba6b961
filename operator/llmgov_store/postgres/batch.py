"""One database transaction for many of the ledger's: locked together, loaded together, run in turn, written together.

A batch holds the locks of all its transactions, so its steps run on a working set in memory as if each were alone with
the database. A step that raises has touched nothing. What all have written is written by a handful of statements, so
that a row which every transaction changes (the organization's window) is locked and written once.
"""

import asyncio
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

from llmgov.ledger.book import Book, Lock, Put
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import loading, locking, tables
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.hinting import Hints
from llmgov_store.postgres.locking import Names
from llmgov_store.working import WorkingSet

_LEASES_OF_ONE: Final = 32
"""Open leases of a sidecar that is not busy: some on each account of the path, of the latest minutes."""

_ROUNDS: Final = 8
"""How often a batch begins anew because rows named others that were not locked."""


@dataclasses.dataclass(slots=True)
class Job:
    """A transaction of the ledger and where its outcome goes."""

    lock: Lock
    step: Callable[[Book], Any]
    future: asyncio.Future[Any]
    names: Names
    reply: Any = None
    failure: Exception | None = None

    @property
    def weight(self) -> int:
        """About how many rows it reads and writes. How many leases a holder has, only the database knows."""
        lock = self.lock
        named = (lock.attempts, lock.events, lock.windows, lock.leases, lock.returns)
        return 1 + sum(map(len, named)) + lock.beside + _LEASES_OF_ONE * len(lock.leases_of)

    def run(self, working: WorkingSet) -> Put | None:
        """Run the step on `working`; what it put, `None` where it raised."""
        self.failure = None
        try:
            book = working.load(self.lock)
            self.reply = self.step(book)
            working.apply(book.put)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for the job
            self.failure = error
            return None
        return book.put

    def finish(self) -> None:
        """Tell whoever waits."""
        if self.failure is None:
            self.future.set_result(self.reply)
        else:
            self.future.set_exception(self.failure)


async def run(connection: Connection, jobs: Sequence[Job], database: str, hints: Hints) -> bool:
    """Begin a transaction, run `jobs` in it and leave it open; whether anything was written.

    It begins anew with more locks where rows, or what was put, name what was not locked. `database` is the server's
    name for its life; `hints` spare a second try.
    """
    locks = [job.lock for job in jobs]
    held = locking.bounded(locking.merged([*(job.names for job in jobs), *map(hints.names, locks)]))
    for _ in range(_ROUNDS):
        await connection.execute(f"BEGIN; {locking.statement(held)}")
        working = await loading.load(connection, locks)
        working.database = database
        wanted = locking.bounded(locking.merged([held, *(locking.found(lock, working) for lock in locks)]))
        if wanted == held:
            known = {id_ for id_, row in working.rows.attempts.items() if row.intent is not None}
            put = _run(jobs, working)
            wanted = locking.bounded(locking.merged([held, locking.written(put)]))
            if wanted == held:
                await tables.write(connection, put, known)
                hints.learn(put, {row.account: row.scope for row in working.rows.windows.values()})
                return put != Put()
        await connection.execute("ROLLBACK")
        held = wanted
    raise StoreError("the ledger's rows change faster than they can be locked")


def _run(jobs: Sequence[Job], working: WorkingSet) -> Put:
    return tables.gather(put for job in jobs if (put := job.run(working)) is not None)
