"""The kill switch, which waits for no other resource to be mended.

Where something is missing that may concern everybody, no part of the new configuration comes into force
(docs/decisions/0004). Whoever sets the kill switch then means exactly what it does, and cannot wait: it alone is set in
what is in force, or taken back, and everything else stays as it was.
"""

from collections.abc import Mapping, Set
from typing import Final, Protocol

import msgspec

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger import publishing
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import Reader

_LATEST: Final[Instant] = 2**62
"""What is in force then is what nothing has replaced, whatever clock wrote it."""


class Publisher(Protocol):
    """Puts parts in force (`llmgov_store.publisher.Publisher`)."""

    async def publish(self, parts: Mapping[str, snapshot.Part], held: Set[str]) -> list[Change]:
        """Put `parts` in force, by name; of those in `held` the version in force stays, where there is one."""
        ...


class Switching:
    """Publishes what one cluster's leader makes; `reader` is of the ledger that `publisher` writes.

    What it reads cannot be older than what it then replaces: one leader publishes at a time.
    """

    def __init__(self, publisher: Publisher, reader: Reader, cluster_id: str) -> None:
        self._publisher = publisher
        self._reader = reader
        self._cluster_id = cluster_id

    async def publish(self, parts: Mapping[str, snapshot.Part], held: Set[str]) -> list[Change]:
        """Put a configuration in force.

        Raises:
            StoreError: the configuration before is still in force.
        """
        return await self._publisher.publish(parts, held)

    async def switch(self, kill_switch: bool) -> tuple[Mapping[str, snapshot.Part], list[Change]]:
        """Set the kill switch, or take it back, in what is in force; the parts that are otherwise, and what changed.

        Where nothing is in force there is nothing to set it in.

        Raises:
            StoreError: what was in force still is.
        """
        rows = [row for row in await self._reader.parts_now(publishing.ORGANIZATION) if self._is_mine(row.cluster)]
        for row in rows:
            before = msgspec.json.decode(row.document, type=snapshot.OrganizationPart)
            if before.settings.kill_switch is not kill_switch:
                settings = msgspec.structs.replace(before.settings, kill_switch=kill_switch)
                parts = {publishing.ORGANIZATION: msgspec.structs.replace(before, settings=settings)}
                return parts, await self._publisher.publish(parts, await self._others())
        return {}, []

    async def _others(self) -> frozenset[str]:
        """The names of all other parts in force: what is held stays."""
        rows = await self._reader.parts(_LATEST)
        return frozenset(row.part for row in rows if self._is_mine(row.cluster)) - {publishing.ORGANIZATION}

    def _is_mine(self, cluster: str) -> bool:
        return cluster == self._cluster_id
