"""The one queue: whatever changed, the whole configuration is made again, published, and told of in statuses.

Level-triggered: it keeps nothing of an event but that there was one. Several that come together are one round, and a
round that failed is begun again.
"""

import asyncio
import collections
import dataclasses
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from llmgov import problems, snapshot
from llmgov.instants import Instant
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import StoreError
from llmgov_operator.cluster import Cluster
from llmgov_operator.configuring import Configured
from llmgov_operator.held_log import HeldLog
from llmgov_operator.metrics import Metrics

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

    async def switch(self, kill_switch: bool) -> tuple[Mapping[str, snapshot.Part], list[Change]]:
        """Set the kill switch, or take it back, in what is in force; the parts that are otherwise, and what changed.

        Raises:
            StoreError: what was in force still is.
        """
        ...


class Reconciler:
    """`configure` makes a configuration of what is known now; `told` is given each that is in force, or would be but
    for what it holds back."""

    def __init__(
        self,
        cluster: Cluster,
        configure: Callable[[], Awaitable[Configured]],
        publisher: Publisher,
        told: Callable[[Configured, list[Change]], Awaitable[None]],
        clock: Callable[[], Instant],
        metrics: Metrics,
    ) -> None:
        self._cluster = cluster
        self._configure = configure
        self._publisher = publisher
        self._told = told
        self._clock = clock
        self._metrics = metrics
        self._held = HeldLog(metrics)
        self._woken = asyncio.Event()
        self._waits_since: Instant | None = None
        self._tried: Instant = 0

    def wake(self) -> None:
        """Something changed."""
        if self._waits_since is None:
            self._waits_since = self._clock()
        self._woken.set()

    def age(self) -> int:
        """Microseconds that the oldest change has waited; 0 where nothing waits."""
        return 0 if self._waits_since is None else max(0, self._clock() - self._waits_since)

    def stuck(self) -> int:
        """Microseconds for which a change has waited that nobody took up, or whose round does not end.

        A database that does not answer, and kinds that are missing, are no fault of this process: they do not count.
        """
        if self._waits_since is None or not self._cluster.is_complete:
            return 0
        return max(0, self._clock() - max(self._waits_since, self._tried))

    async def run(self) -> None:
        """Reconcile, for ever.

        Raises:
            SupersededError: another process publishes.
            OtherClusterError: another cluster publishes into this ledger.
        """
        while True:
            await self._woken.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self._woken.clear()
            if not self._cluster.is_complete:
                continue  # whoever completes it wakes this
            await asyncio.sleep(await self._try())

    async def _try(self) -> float:
        """One round, begun again later where it failed; the seconds until the next may begin."""
        since = self._waits_since
        self._tried = self._clock()
        try:
            await self._round()
        except StoreError as error:
            _LOG.error("the configuration could not be published: %s", error)
            self._metrics.rounds.labels("failed").inc()
            self._woken.set()
            self._tried = self._clock()
            return RETRY_SECONDS
        self._metrics.rounds.labels("done").inc()
        self._waits_since = self._tried if self._woken.is_set() else None
        if since is not None:
            self._metrics.round_seconds.observe((self._clock() - since) / 1_000_000)
        return APART_SECONDS

    async def _round(self) -> None:
        configured, changes = await self._published(await self._configure())
        for change in changes:
            _LOG.info("in force: %s %s", change.part, change.version or "ended")
        self._metrics.published.inc(len(changes))
        self._count(configured)
        self._held.note(configured)
        await self._told(configured, changes)

    async def _published(self, configured: Configured) -> tuple[Configured, list[Change]]:
        """Put it in force, where it is held as a whole the kill switch alone; what is in force then, and what changed.

        Not even that where the settings that it is one of are faulty.
        """
        if not configured.whole_held:
            return configured, await self._publisher.publish(configured.parts, configured.held)
        if configured.kill_switch is None:
            return configured, []
        parts, changes = await self._publisher.switch(configured.kill_switch)
        return dataclasses.replace(configured, parts={**configured.parts, **parts}), changes

    def _count(self, configured: Configured) -> None:
        found = collections.Counter(problem.severity for problem in configured.problems)
        for severity in problems.Severity:
            self._metrics.problems.labels(severity.value).set(found[severity])
        for kind, count in self._cluster.counts().items():
            self._metrics.objects.labels(kind).set(count)
