"""An operator without its process, for tests of what it tells: it hears of objects, configures, publishes and tells
when a test says so, on a real API server and a ledger in memory.

It knows of its own namespaces alone, and of cluster-scoped objects whose name begins with its root namespace's: other
tests leave theirs in the same cluster.
"""

import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from llmgov import instants
from llmgov.instants import SECOND, Instant
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, Window, scope
from llmgov.ledger.windows import current
from llmgov_cli import prices
from llmgov_operator import api, kinds, metrics, watching
from llmgov_operator.api import Api
from llmgov_operator.cluster import Cluster as Known
from llmgov_operator.cluster import Reference
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.kinds import Kind
from llmgov_operator.looking import Looking
from llmgov_operator.telling import Telling
from llmgov_store.memory import MemoryStore
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder
from tests.cluster.cluster import Cluster

CLUSTER_ID = "test"


class Rig:
    """`namespaces` are those it knows, the first of them the root. Time is the machine's, and `later` adds to it."""

    def __init__(self, requests: Api, store: MemoryStore, namespaces: Sequence[str], observe_seconds: float) -> None:
        self.store = store
        self.later: Instant = 0
        self._namespaces = namespaces
        self._requests = requests
        self._seen: dict[tuple[str, str], str] = {}
        self._known = Known(kinds.ALL)
        self._configurator = Configurator(CLUSTER_ID, namespaces[0], prices.prices())
        self._publisher = Publisher(store, Recorder("operator"), self.clock, _announced)
        self.telling = Telling(
            Looking(store, CLUSTER_ID, namespaces[0]), requests, self._known, lambda: True, self.clock,
            metrics.metrics(), instance="operator-1", observe_seconds=observe_seconds,
        )  # fmt: skip

    def clock(self) -> Instant:
        """Now, in microseconds."""
        return time.time_ns() // 1000 + self.later

    async def reconcile(self) -> Configured:
        """Hear of what changed, put it in force and want it told."""
        for kind in kinds.ALL.values():
            await self._hear(kind)
        configured = self._configurator.configure(self._known)
        changes = [] if configured.whole_held else await self._publisher.publish(configured.parts, configured.held)
        await self.telling.told(configured, changes)
        return configured

    async def settle(self) -> None:
        """Do that, look at the ledger six seconds later than before, and write all that is due."""
        await self.reconcile()
        self.later += 6 * SECOND
        await self.telling.look()
        while await self.telling.write():
            pass

    async def spend(self, source: str, amount: int) -> None:
        """Have the account that a resource limits spend `amount` micro-USD in the current window."""
        (account,) = [row.account for row in await self.store.accounts() if row.account.source == source]
        span = current(account.period, account.time_zone, self.clock())

        def step(book: Book) -> None:
            name = scope(account, account.key)
            book.put_account(AccountRow(account.key, name, account))
            book.put_window(Window(account.key, name, *span, account.nano_usd, amount))

        await self.store.transact(Lock(), step)

    async def _hear(self, kind: Kind) -> None:
        listing = await self._requests.listing(kind)
        assert listing is not None
        mine = {uid: each for uid, each in listing.objects.items() if self._is_mine(kind, each)}
        for key in [key for key in self._seen if key[0] == kind.name and key[1] not in mine]:
            self._known.forget(*key)
            del self._seen[key]
        for uid, each in mine.items():
            if self._seen.get((kind.name, uid)) != each.version:
                self._seen[kind.name, uid] = each.version
                body = await self._requests.read(kind, each.namespace, each.name)
                assert body is not None
                slim = watching.slim(body)
                self.telling.heard(kind, slim, self._known.see(kind.name, slim))

    def _is_mine(self, kind: Kind, each: Reference) -> bool:
        if kind == kinds.NAMESPACE:
            return each.name in self._namespaces
        return each.namespace in self._namespaces if kind.namespaced else each.name.startswith(self._namespaces[0])


async def _announced() -> None:
    """Nobody lends by this ledger."""


@contextlib.asynccontextmanager
async def running(
    cluster: Cluster, user: str, *namespaces: str, store: MemoryStore | None = None, observe_seconds: float = 5
) -> AsyncIterator[Rig]:
    """A rig that asks the API server as `user`."""
    kubeconfig = cluster.user_kubeconfig(user, "system:masters")
    connection = await api.connect(str(kubeconfig))
    try:
        yield Rig(Api(connection, metrics.metrics()), store or MemoryStore(), namespaces, observe_seconds)
    finally:
        await connection.close()


def document(kind: str, name: str, spec: dict[str, Any], namespace: str = "") -> dict[str, Any]:
    """A resource as YAML has it."""
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


USD = 1_000_000
HOUR = instants.HOUR
