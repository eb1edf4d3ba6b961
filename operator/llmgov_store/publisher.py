"""Puts configurations in force: in one transaction with the audit records, then announced to whoever lends by them."""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Set

from llmgov import snapshot
from llmgov.audit.events import AuditEvent, InForce
from llmgov.instants import Instant
from llmgov.ledger import publishing
from llmgov.ledger.book import Book
from llmgov.ledger.publishing import Change, Publication
from llmgov.ledger.store import Store
from llmgov.snapshot import Part
from llmgov_store.recorder import Recorder


@dataclasses.dataclass(frozen=True, slots=True)
class _Term:
    cluster: str
    holder: str
    number: int


class Publisher:
    """Publishes into a store; `clock` is the ledger's.

    `announce` is told of each change after it is committed, and must not raise: what it says may be lost, since those
    who lend compare the configuration's edition in each transaction.

    A part that is handed over again, the same object, is not hashed again: a compiler that leaves unchanged parts as
    they are makes publishing one change of a thousand namespaces as quick as of one.
    """

    def __init__(
        self,
        store: Store,
        recorder: Recorder,
        clock: Callable[[], Instant],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._recorder = recorder
        self._clock = clock
        self._announce = announce
        self._term: _Term | None = None
        self._known: dict[str, tuple[Part, str]] = {}

    async def claim(self, cluster: str, identity: str) -> int:
        """Begin a term: from now on this publisher is the only one of the cluster, as `identity`, until another claims
        a later term; the term's number.

        Raises:
            StoreError: no term was begun, or it was and nobody will use it: claim again.
            OtherClusterError: another cluster's configuration is in force: no term was begun.
        """
        now = self._clock()
        number = await self._store.transact(
            publishing.lock(cluster), lambda book: publishing.claim(book, cluster, identity, now)
        )
        self._term = _Term(cluster, identity, number)
        return number

    async def publish(
        self, parts: Mapping[str, Part], held: Set[str] = frozenset(), actor: str | None = None
    ) -> list[Change]:
        """Put `parts` in force, by name (`organization`, `prices`, `namespace/<name>`); what changed, by name.

        Of those in `held` the version in force stays with its accounts, where there is one: they lack a faulty resource
        and must not replace good ones (docs/decisions/0004). `actor` goes on record, else who claimed the term.

        Raises:
            StoreError: the configuration before is still in force.
            SupersededError: another process has claimed a later term; the same, and for ever.
            OtherClusterError: another cluster's configuration is in force, and stays so.
            ValueError: the configuration is of another cluster than the term.
        """
        cluster, term = publishing.cluster_of(parts), self._term
        if term is not None and term.cluster != cluster:
            raise ValueError(f"a configuration of cluster {cluster!r} in a term of cluster {term.cluster!r}")
        if actor is None and term is not None:
            actor = term.holder
        number = None if term is None else term.number
        wanted = Publication(cluster, parts, self._versions(parts), held, number, actor)
        changes = await self._write(wanted)
        if changes:
            await self._announce()
        return changes

    async def _write(self, wanted: Publication) -> list[Change]:
        now = self._clock()

        def step(book: Book) -> list[Change]:
            changes = publishing.publish(book, wanted, now)
            for event in _events(book, changes, wanted.actor):
                self._recorder.append(book, event, event.at)
            return changes

        events: list[AuditEvent] = [InForce(now, "", "", actor=wanted.actor)]
        return await self._store.transact(self._recorder.lock(publishing.lock(wanted.cluster), events), step)

    def _versions(self, parts: Mapping[str, Part]) -> dict[str, str]:
        self._known = {name: (part, self._version(name, part)) for name, part in parts.items()}
        return {name: version for name, (_, version) in self._known.items()}

    def _version(self, name: str, part: Part) -> str:
        known = self._known.get(name)
        return known[1] if known is not None and known[0] is part else snapshot.version(part)


def _events(book: Book, changes: list[Change], actor: str | None) -> list[InForce]:
    at = 0 if book.cluster is None else book.cluster.changed
    return [
        InForce(at, change.part, change.version, change.replaced, actor)
        for change in changes
        if change.version is not None
    ]
