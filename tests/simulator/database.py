"""The one database that all hub replicas share: slow, sometimes away, and sometimes silent about what it did.

The ledger itself is the memory store, whose transactions are serial. Each replica has a connection, which may break
before a transaction (nothing happened) or after its commit (it happened, and its caller does not know).
"""

import asyncio
import copy
import random
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from llmgov.instants import Instant
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Epoch, LeaseGrant
from llmgov.ledger.rows import CorrectionKind, LeaseState
from llmgov.ledger.store import StoreError
from llmgov_store.memory import MemoryStore
from tests.simulator.loop import Process
from tests.simulator.truth import Bill

if TYPE_CHECKING:
    from tests.simulator.world import World

T = TypeVar("T")


class Database:
    """The store behind all connections; `away` while nobody can reach it."""

    def __init__(self, world: "World", chance: random.Random) -> None:
        self.store = MemoryStore()
        self.away = False
        self.ahead = 0
        self.commits = 0
        self.recovers = False
        self._lives = 1
        self._world = world
        self._chance = chance

    def clock(self) -> Instant:
        """The database's clock, which is the ledger's."""
        return self._world.now + self.ahead

    @property
    def lends(self) -> bool:
        """Whether the ledger has found its way into its latest life."""
        known = self.store._working.ledger_epoch
        return known is None or (known.open and known.id == self.store._working.database)

    async def fail_over(self, lost: Callable[[], Awaitable[None]] | None) -> None:
        """Another life begins: all that is committed while `lost` goes on is answered, and then lost."""
        world, kept = self._world, copy.deepcopy(self.store)
        if lost is not None:
            await lost()
            rows = kept._rows.attempts
            world.truth.forget({id_ for id_, row in rows.items() if row.intent and row.settlement})
            self.store = kept
        world.truth.failed_over(lambda lease: any(pod.disk.has_synced(lease.encode()) for pod in world.pods))
        self._lives += 1
        self.store.begin_life(f"life {self._lives}")
        self.recovers = True
        world.invariants.begins_life(set(self.store._rows.leases))
        self.ahead += self._chance.randint(-200_000, 200_000)
        world.note("database", "fails over", "" if lost is None else "losing commits")
        self.away = True
        await asyncio.sleep(self._chance.uniform(0.1, 5))
        self.away = False
        world.note("database", "back")

    async def reach(self, process: Process, where: str) -> None:
        """A way to the database or back: it takes time, the process may die on it, and the connection break.

        Raises:
            StoreError: it broke, or the database is away.
        """
        await asyncio.sleep(self._chance.randint(100, 1500) / 1e6)
        self._world.step(process, where)
        if self.away:
            raise StoreError("the simulated database is away")
        flaky = self._world.stormy and "database" in self._world.shape.faults
        if flaky and self._chance.random() < 0.03:
            self._world.trouble(process.name)
            self._world.note(process.name, "lost connection", where)
            raise StoreError(f"the simulated connection broke {where}")


class Connection:
    """The store as one replica sees it (`llmgov.ledger.store.Store`)."""

    def __init__(self, database: Database, process: Process, world: "World") -> None:
        self._database = database
        self._process = process
        self._world = world

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        database = self._database
        world, database = self._world, self._database
        fresh: set[str] = set()

        def watched(book: Book) -> T:
            reply = step(book)
            rows = book.put.leases.values()
            fresh.update(row.id for row in rows if row.id not in database.store._rows.leases)
            done = (row.id for row in rows if row.state is LeaseState.FINAL and not row.outstanding)
            world.truth.finished.update(dict.fromkeys(done, world.now))
            self._note_bills(book)
            for key, start in book.put.windows:
                world.truth.limits.begins(key, start, world.now)
            for window in book.put.removed_windows:
                world.invariants.pruned(database.store._rows.windows[window])
            return reply

        await database.reach(self._process, "before commit")
        reply = await database.store.transact(lock, watched)
        database.commits += 1
        if isinstance(reply, Epoch):
            world.invariants.registered(reply)
        if isinstance(reply, LeaseGrant):
            await world.invariants.lent(reply, fresh)
        if database.recovers and database.lends:
            database.recovers = False
            world.invariants.lends_again()
        await database.reach(self._process, "after commit")
        return reply

    def _note_bills(self, book: Book) -> None:
        for row in book.put.corrections.values():
            if row.kind is CorrectionKind.LEASE:
                attempts = self._database.store._rows.attempts.values()
                settled = frozenset(each.id for each in attempts if each.intent and each.settlement)
                self._world.truth.bills[row.subject] = Bill(row.after, settled)

    def __getattr__(self, name: str) -> Any:
        """Reads, all of which are coroutines."""
        method = getattr(self._database.store, name)

        async def read(*arguments: Any) -> Any:
            await self._database.reach(self._process, f"before {name}")
            return await method(*arguments)

        return read
