"""What is in force: published whole, on record with its time, and known to whoever lends, at every replica.

A replica learns of what another one published from the bus, or by looking, or, before either, from the transaction
that would have lent by the definitions before.
"""

import contextlib
from collections.abc import Callable, Mapping
from typing import Never

from llmgov.audit.events import AuditEvent, InForce
from llmgov.instants import Instant
from llmgov.ledger import publishing
from llmgov.ledger.book import Book
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Part
from llmgov_hub.bus import Bus
from llmgov_hub.leases import Leases
from llmgov_hub.recorder import Recorder

DEFAULT_LOOK_SECONDS = 1.0
"""How often a replica looks for a configuration that nobody announced to it: one small read, for a policy that reaches
every sidecar within about a second even while announcements get lost."""


class Configuration:
    """Publishes configurations into a store and follows what others publish; `clock` is the ledger's."""

    def __init__(
        self, store: Store, leases: Leases, recorder: Recorder, clock: Callable[[], Instant], bus: Bus
    ) -> None:
        self._store = store
        self._leases = leases
        self._recorder = recorder
        self._clock = clock
        self._bus = bus

    async def publish(self, parts: Mapping[str, Part], actor: str | None = None) -> list[Change]:
        """Put `parts` in force, by name (`organization`, `prices`, `namespace/<name>`); what changed.

        Raises:
            StoreError: the configuration before is still in force.
        """
        now = self._clock()

        def step(book: Book) -> list[Change]:
            changes = publishing.publish(book, parts, now)
            for change in changes:
                if change.version is not None:
                    self._recorder.append(book, _in_force(change, change.version, now, actor), now)
            return changes

        events: list[AuditEvent] = [InForce(now, "", "", actor=actor)]
        changes = await self._store.transact(self._recorder.lock(publishing.LOCK, events), step)
        if changes:
            self._bus.announce()
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


def _in_force(change: Change, version: str, now: Instant, actor: str | None) -> InForce:
    return InForce(now, change.part, version, change.replaced, actor)
