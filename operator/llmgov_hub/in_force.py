"""What is in force, as a replica keeps it in memory: one edition of the configuration, replaced whole by the next.

A transaction that decides by it compares the edition with the ledger's, and decides nothing where they differ.
"""

from collections.abc import Mapping, Sequence

import msgspec

from llmgov.ledger import paths, publishing
from llmgov.ledger.definitions import InForce
from llmgov.ledger.messages import LeaseRequest
from llmgov.ledger.store import Reader
from llmgov.snapshot import OrganizationPart, Settings

MAX_NAMESPACES = 10_000
"""Of so many namespaces one edition remembers whether they observe: their senders choose the names."""


class Known:
    """The accounts, by the key without a user, and the settings, by cluster, of one edition; `None` is none that is.

    Which namespaces only observe is read for each when it is first asked about, since their parts are many and large.
    What was read of a later edition is good for nothing, as is all of this one by then.
    """

    def __init__(
        self,
        edition: int | None = None,
        definitions: InForce | None = None,
        settings: Mapping[str, Settings] | None = None,
    ) -> None:
        self.edition = edition
        self.definitions = definitions if definitions is not None else InForce()
        self.settings = settings if settings is not None else {}
        self._observing: dict[str, bool] = {}

    @property
    def kill_switch(self) -> bool:
        """Whether nothing may be refused anywhere; a ledger is one cluster's."""
        return any(settings.kill_switch for settings in self.settings.values())

    def max_users(self, request: LeaseRequest, before: int) -> int:
        """How many users of one definition may have a window; `before` is what holds before any configuration is in
        force. An account's key begins with its cluster."""
        cluster = request.needs[0].key.partition("|")[0] if request.needs else ""
        settings = self.settings.get(cluster)
        return before if settings is None else settings.max_users

    async def observes(self, store: Reader, path: Sequence[str]) -> bool:
        """Whether nothing may be refused along a charging path (that was checked): under the kill switch, or as its
        namespace observes; not before a configuration is in force.

        Raises:
            StoreError: the namespace's part cannot be read now.
        """
        part = paths.namespace(path)
        if self.kill_switch or part is None or not self.edition:
            return self.kill_switch
        if part not in self._observing:
            rows = await store.parts_now(part)
            if len(self._observing) >= MAX_NAMESPACES:
                self._observing.clear()
            self._observing[part] = any(_observes(row.document) for row in rows)
        return self._observing[part]


async def read(store: Reader, edition: int) -> Known:
    """What is in force now; the caller has read `edition` before, so that it is never older than that says."""
    organizations = await store.parts_now(publishing.ORGANIZATION)
    settings = {row.cluster: _organization(row.document).settings for row in organizations}
    rows = await store.accounts()
    return Known(edition, InForce({row.key: row.account for row in rows if row.key == row.account.key}), settings)


class _Mode(msgspec.Struct):
    """What is looked at of a `snapshot.NamespacePart`."""

    observe: bool = False


def _organization(document: bytes) -> OrganizationPart:
    return msgspec.json.decode(document, type=OrganizationPart)


def _observes(document: bytes) -> bool:
    return msgspec.json.decode(document, type=_Mode).observe
