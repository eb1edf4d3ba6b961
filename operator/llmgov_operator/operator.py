"""What a leader does: it watches, compares, reconciles and tells, all at once, and ends where one of these does."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from llmgov.instants import Instant
from llmgov.ledger.publishing import Change as Published
from llmgov_operator import kinds, watching
from llmgov_operator.cluster import Body, Change, Cluster
from llmgov_operator.comparing import Comparing, Reads
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.kinds import Kind
from llmgov_operator.metrics import Metrics
from llmgov_operator.reconciling import Publisher, Reconciler
from llmgov_operator.watching import Login, Watches

STUCK_SECONDS: Final = 60
"""A change that waits for longer, or a round that lasts longer, is no load but a fault: the process is to be restarted.
The largest configuration measured takes a tenth of that."""

_LOG = logging.getLogger(__name__)


class Teller(Protocol):
    """Writes statuses and events."""

    async def told(self, configured: Configured, published: Sequence[Published]) -> None:
        """A configuration was made, and `published` of it came into force."""
        ...

    def heard(self, kind: Kind, body: Body, change: Change) -> None:
        """An object was heard of: somebody may have written its status."""
        ...

    async def run(self) -> None:
        """Write what is due, for ever."""
        ...


class Leader:
    """One leader's work on one cluster, of which it knows nothing when it begins."""

    def __init__(
        self,
        cluster: Cluster,
        api: Reads,
        configurator: Configurator,
        publisher: Publisher,
        teller: Teller,
        clock: Callable[[], Instant],
        metrics: Metrics,
    ) -> None:
        self._cluster = cluster
        self._teller = teller
        self._metrics = metrics

        async def configure() -> Configured:
            # Beside the event loop, which renews the Lease meanwhile: thousands of policies take seconds at a start.
            return await asyncio.to_thread(configurator.configure, cluster.still())

        self._reconciler = Reconciler(cluster, configure, publisher, teller.told, clock, metrics)
        self._comparing = Comparing(api, cluster, self._heard, self._compared, self._distrusted, clock, metrics)
        self._watches: Watches | None = None
        self._was_complete = False

    async def run(
        self, login: Login, started: Callable[[], None], silent_seconds: float = watching.SILENT_SECONDS
    ) -> None:
        """Do it all, for ever; `started` and `silent_seconds` are for `Watches`."""
        self._watches = Watches(watching.registry(self._cluster, self._heard, login), started, silent_seconds)
        async with asyncio.TaskGroup() as group:
            for each in (self._teller, self._reconciler, self._comparing, self._watches):
                group.create_task(each.run())

    def not_alive(self) -> str | None:
        """Why this process should be restarted."""
        seconds = self._reconciler.stuck() // 1_000_000
        return None if seconds < STUCK_SECONDS else f"a change has waited for {seconds} s"

    def not_ready(self) -> str | None:
        """What this leader does not know yet, and publishes nothing without."""
        missing = [f"{kinds.ALL[name].plural}" for name in self._cluster.missing()]
        return f"not listed yet, or not known to the API server: {', '.join(missing)}" if missing else None

    def measure(self) -> None:
        """Bring those metrics up to date that are true of a moment."""
        self._metrics.queue_age.set(self._reconciler.age() / 1_000_000)

    def _heard(self, kind: Kind, body: Body, change: Change) -> None:
        self._teller.heard(kind, body, change)
        if change is Change.CONTENT:
            self._reconciler.wake()
        self._note_completion()

    def _compared(self) -> None:
        self._reconciler.wake()
        self._note_completion()

    def _distrusted(self) -> None:
        if self._watches is not None:
            self._watches.renew()

    def _note_completion(self) -> None:
        """The first configuration is due when everything is known; of what comes later, changes tell."""
        is_complete = self._cluster.is_complete
        if is_complete and not self._was_complete:
            _LOG.info("everything is known: %s", dict(self._cluster.counts()))
            self._reconciler.wake()
        self._was_complete = is_complete
