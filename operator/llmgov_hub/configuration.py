"""What is in force: published whole, on record with its time, and known to whoever lends, at every replica.

A replica learns of what another one published from the bus, or by looking, or, before either, from the transaction
that would have lent by the definitions before.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Never

from llmgov.instants import Instant
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Part
from llmgov_hub.bus import Bus
from llmgov_hub.leases import Leases
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder

DEFAULT_LOOK_SECONDS = 1.0
"""How often a replica looks for a configuration that nobody announced to it: one small read, for a policy that reaches
every sidecar within about a second even while announcements get lost."""


class Configuration:
    """Publishes configurations into a store and follows what others publish; `clock` is the ledger's."""

    def __init__(
        self, store: Store, leases: Leases, recorder: Recorder, clock: Callable[[], Instant], bus: Bus
    ) -> None:
        self._leases = leases
        self._bus = bus
        self._publisher = Publisher(store, recorder, clock, self._announce)

    async def _announce(self) -> None:
        self._bus.announce()

    async def publish(self, parts: Mapping[str, Part], actor: str | None = None) -> list[Change]:
        """Put `parts` in force, by name (`organization`, `prices`, `namespace/<name>`); what changed.

        Raises:
            StoreError: the configuration before is still in force.
        """
        changes = await self._publisher.publish(parts, actor=actor)
        with contextlib.suppress(StoreError):  # it is in force all the same, and nothing is lent before it is known
            await self._leases.look_again()
        return changes

    async def resume(self) -> None:
        """Know the accounts that were in force when this process started."""
        await self._leases.look_again()

    async def follow(self, look_seconds: float = DEFAULT_LOOK_SECONDS) -> Never:
        """Go by what any replica publishes, for ever; what the store cannot do now is tried again."""
        while True:
            with contextlib.suppress(StoreError):
                await self._leases.look_again()
            await self._bus.changed(look_seconds)
