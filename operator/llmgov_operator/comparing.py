"""Once a minute, and more often until everything is known: each kind listed, metadata only, and what the watch missed
read."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from llmgov.instants import Instant
from llmgov_operator import kinds, watching
from llmgov_operator.api import Api, ApiError
from llmgov_operator.cluster import Cluster
from llmgov_operator.kinds import Kind
from llmgov_operator.watching import Heard

MINUTE_SECONDS: Final = 60.0
"""Between two comparisons of everything."""

SOON_SECONDS: Final = 0.5
"""Between two comparisons while not everything is known."""

_LOG = logging.getLogger(__name__)


class Comparing:
    """Holds the cluster against the API server; `compared` is told after each round whether it changed anything."""

    def __init__(
        self, api: Api, cluster: Cluster, heard: Heard, compared: Callable[[bool], None], clock: Callable[[], Instant]
    ) -> None:
        self._api = api
        self._cluster = cluster
        self._heard = heard
        self._compared = compared
        self._clock = clock

    async def run(self) -> None:
        """Compare, for ever."""
        while True:
            missing = self._cluster.missing()
            wanted = [kinds.ALL[name] for name in missing] if missing else list(kinds.ALL.values())
            changed = [await self._compare(kind) for kind in wanted]
            self._compared(any(changed) or self._cluster.missing() != missing)
            await asyncio.sleep(SOON_SECONDS if self._cluster.missing() else MINUTE_SECONDS)

    async def _compare(self, kind: Kind) -> bool:
        try:
            listing = await self._api.listing(kind)
            if listing is None:
                self._cluster.absent(kind.name)
                return False
            found = self._cluster.compare(kind.name, listing, self._clock())
            if found.gone:
                _LOG.warning("the watch of %s had missed %d deletions", kind.plural, found.gone)
            for missed in found.missed:
                _LOG.warning("the watch of %s had missed %s/%s", kind.plural, missed.namespace, missed.name)
                body = await self._api.read(kind, missed.namespace, missed.name)
                if body is not None:
                    slim = watching.slim(body)
                    self._heard(kind, slim, self._cluster.see(kind.name, slim))
            return found.gone > 0
        except ApiError as error:
            _LOG.warning("%s could not be compared: %s", kind.plural, error)
            return False
