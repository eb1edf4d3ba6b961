"""Once a minute, and more often until everything is known: each kind listed, metadata only, and what the watch missed
read."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Protocol

from llmgov.instants import Instant
from llmgov_operator import cluster, kinds, watching
from llmgov_operator.api import ApiError
from llmgov_operator.cluster import Body, Cluster, Listing
from llmgov_operator.kinds import Kind
from llmgov_operator.metrics import Metrics
from llmgov_operator.watching import Heard

MINUTE_SECONDS: Final = 60.0
"""Between two comparisons of everything."""

PATIENT_SECONDS: Final = cluster.PATIENCE / 1_000_000
"""Between two comparisons while a watch has not told of something that a list had."""

SOON_SECONDS: Final = 2.0
"""Between two comparisons while not everything is known."""

_LOG = logging.getLogger(__name__)


class Reads(Protocol):
    """What is asked of the API server."""

    async def listing(self, kind: Kind) -> Listing | None:
        """The metadata of all objects of a kind; `None` where the API server does not know the kind.

        Raises:
            ApiError: it did not answer, or refused.
        """
        ...

    async def discovers(self, kind: Kind) -> bool:
        """Whether the API server says that it serves a kind, which may be some time after it does.

        Raises:
            ApiError: it did not answer, or refused.
        """
        ...

    async def read(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """One object, or `None` where it is gone.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        ...


class Comparing:
    """Holds the cluster against the API server.

    `compared` is called where that changed what is known; `distrusted`, where watches did not tell what they should
    have, or a kind is served that was not.
    """

    def __init__(
        self,
        api: Reads,
        known: Cluster,
        heard: Heard,
        compared: Callable[[], None],
        distrusted: Callable[[], None],
        clock: Callable[[], Instant],
        metrics: Metrics,
    ) -> None:
        self._api = api
        self._cluster = known
        self._heard = heard
        self._compared = compared
        self._distrusted = distrusted
        self._clock = clock
        self._metrics = metrics
        self._unserved: set[str] = set()

    async def run(self) -> None:
        """Compare, for ever.

        Raises:
            RewoundError: what is known is worth nothing; begin anew.
        """
        while True:
            await self.compare()
            await asyncio.sleep(self._pause())

    async def compare(self) -> None:
        """Compare all kinds or, while some are missing, those."""
        missing = self._cluster.missing()
        wanted = [kinds.ALL[name] for name in missing] if missing else list(kinds.ALL.values())
        gone = [await self._one(kind) for kind in wanted]
        if any(gone) or self._cluster.missing() != missing:
            self._compared()

    def _pause(self) -> float:
        if not self._cluster.is_complete:
            return SOON_SECONDS
        return PATIENT_SECONDS if self._cluster.awaits else MINUTE_SECONDS

    async def _one(self, kind: Kind) -> bool:
        """Compare one kind; whether objects of it turned out to be gone."""
        try:
            listing = await self._listing(kind)
            if listing is None:
                self._is_unserved(kind)
                return False
            found = self._cluster.compare(kind.name, listing, self._clock())
            if found.gone:
                self._metrics.missed.labels(kind.name).inc(found.gone)
                _LOG.warning("the watch of %s had missed %d deletions", kind.plural, found.gone)
            for missed in found.missed:
                await self._read(kind, missed)
            if found.gone or found.missed:
                self._distrusted()
            return found.gone > 0
        except ApiError as error:
            _LOG.warning("%s could not be compared: %s", kind.plural, error)
            return False

    async def _listing(self, kind: Kind) -> Listing | None:
        """The list of a kind; of one that was not served, once the watches can find it."""
        listing = await self._api.listing(kind)
        if listing is not None and kind.name in self._unserved:
            if not await self._api.discovers(kind):
                return None
            self._unserved.discard(kind.name)
            _LOG.info("the API server serves %s.%s now", kind.plural, kind.group)
            self._distrusted()
        return listing

    def _is_unserved(self, kind: Kind) -> None:
        self._cluster.absent(kind.name)
        if kind.name not in self._unserved:
            self._unserved.add(kind.name)
            _LOG.warning(
                "the API server does not know %s.%s: nothing is published until its definition is applied (crds/)",
                kind.plural,
                kind.group,
            )

    async def _read(self, kind: Kind, missed: cluster.Reference) -> None:
        self._metrics.missed.labels(kind.name).inc()
        _LOG.warning("the watch of %s had missed %s/%s", kind.plural, missed.namespace, missed.name)
        body = await self._api.read(kind, missed.namespace, missed.name)
        if body is not None:
            slim = watching.slim(body)
            self._heard(kind, slim, self._cluster.see(kind.name, slim))
