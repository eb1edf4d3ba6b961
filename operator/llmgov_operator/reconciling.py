"""The one queue: whatever changed, the whole configuration is made again, published, and told of in statuses.

Level-triggered: it keeps nothing of an event but that there was one. Several that come together are one round, and a
round that failed is begun again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import StoreError
from llmgov_operator.cluster import Cluster
from llmgov_operator.configuring import Configurator, Configured

GATHER_SECONDS: Final = 0.02
"""How long a round waits for what comes together with what woke it: one `kubectl apply` of many objects."""

APART_SECONDS: Final = 0.1
"""From the end of a round to the next: changes without an end do not take a whole core."""

RETRY_SECONDS: Final = 2.0
"""Until a round that failed is begun again."""

_LOG = logging.getLogger(__name__)


class Publisher(Protocol):
    """Puts configurations in force."""

    async def publish(self, parts: Mapping[str, snapshot.Part], held: frozenset[str]) -> list[Change]:
        """Put `parts` in force, by name; of those in `held` the version in force stays, where there is one.

        Raises:
            StoreError: the configuration before is still in force.
        """
        ...


class Reconciler:
    """`told` is given each configuration that is in force, or would be but for what it holds back."""

    def __init__(
        self,
        cluster: Cluster,
        configurator: Configurator,
        publisher: Publisher,
        told: Callable[[Configured, list[Change]], Awaitable[None]],
        clock: Callable[[], Instant],
    ) -> None:
        self._cluster = cluster
        self._configurator = configurator
        self._publisher = publisher
        self._told = told
        self._clock = clock
        self._woken = asyncio.Event()
        self._waits_since: Instant | None = None

    def wake(self) -> None:
        """Something changed."""
        if self._waits_since is None:
            self._waits_since = self._clock()
        self._woken.set()

    def age(self) -> int:
        """Microseconds that the oldest change has waited; 0 where nothing waits. Probes report it."""
        return 0 if self._waits_since is None else max(0, self._clock() - self._waits_since)

    async def run(self) -> None:
        """Reconcile, for ever."""
        while True:
            await self._woken.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._woken.clear()
            if self._cluster.missing():
                continue  # whoever completes it wakes this
            since, self._waits_since = self._waits_since, None
            try:
                await self._round()
            except StoreError as error:
                _LOG.error("the configuration could not be published: %s", error)
                self._waits_since = since
                self._woken.set()
                await asyncio.sleep(RETRY_SECONDS)
            await asyncio.sleep(APART_SECONDS)

    async def _round(self) -> None:
        configured = self._configurator.configure(self._cluster)
        changes: list[Change] = []
        if not configured.whole_held:
            changes = await self._publisher.publish(configured.parts, configured.held)
        for change in changes:
            _LOG.info("in force: %s %s", change.part, change.version or "ended")
        await self._told(configured, changes)
