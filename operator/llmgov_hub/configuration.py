"""What is in force: published whole, on record with its time, and known to whoever lends."""

import contextlib
from collections.abc import Callable, Mapping

from llmgov.audit.events import AuditEvent, InForce
from llmgov.instants import Instant
from llmgov.ledger import publishing
from llmgov.ledger.book import Book
from llmgov.ledger.publishing import Change
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Part
from llmgov_hub.leases import Leases
from llmgov_hub.recorder import Recorder


class Configuration:
    """Publishes configurations into a store; `clock` is the ledger's."""

    def __init__(self, store: Store, leases: Leases, recorder: Recorder, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._leases = leases
        self._recorder = recorder
        self._clock = clock

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
        with contextlib.suppress(StoreError):  # it is in force all the same
            await self._leases.define({account.key: account for account in publishing.accounts(parts.values())})
        return changes

    async def resume(self) -> None:
        """Know the accounts that were in force when this process started."""
        rows = await self._store.accounts()
        await self._leases.define({row.key: row.account for row in rows if row.key == row.account.key})


def _in_force(change: Change, version: str, now: Instant, actor: str | None) -> InForce:
    return InForce(now, change.part, version, change.replaced, actor)
