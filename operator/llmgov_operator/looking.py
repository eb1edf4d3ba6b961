"""Statuses made of looks at the ledger and of what was told of the configuration: which objects should say what.

Only what may have changed since the look before is made again. An edge over the ledger's reads.
"""

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from llmgov import compiler, snapshot
from llmgov.instants import Instant
from llmgov.ledger.publishing import Change
from llmgov.ledger.rows import PartRow
from llmgov.ledger.store import Reader
from llmgov.problems import ResourceRef
from llmgov.snapshot import Part
from llmgov.statuses import changes, facts, holding, keeping, kinds, references
from llmgov.statuses.observed import Facts, Observed
from llmgov_operator.cluster import Body, place
from llmgov_operator.configuring import Configured
from llmgov_operator.totals import Totals
from llmgov_store import observing

_AT_ONCE: Final = 100
"""Statuses that are made before others of the process have their turn: some milliseconds."""

_ORGANIZATION: Final = "organization"


@dataclasses.dataclass(frozen=True, slots=True)
class Said:
    """What an object's status should be."""

    kind: str
    uid: str
    status: Mapping[str, Any]


class Looking:
    """Makes statuses; `root` is the namespace that may govern the organization."""

    def __init__(self, reader: Reader, cluster_id: str, root: str) -> None:
        self._reader = reader
        self._cluster_id = cluster_id
        self._root = root
        self._totals = Totals(reader)
        self._configuration: _Configuration | None = None
        self._before: tuple[_Configuration, Observed] | None = None
        self._in_force: dict[str, Part] = {}
        self._since: dict[str, Instant] | None = None

    def told(self, configured: Configured, published: Sequence[Change], now: Instant) -> None:
        """From now on this configuration is in force, but for what it holds back."""
        self._configuration = _Configuration(configured)
        new = {change.part for change in published}
        if self._since is not None:
            self._since.update(dict.fromkeys(new, now))
        for name, part in configured.parts.items():
            if name in new or name not in self._held(configured):
                self._in_force[name] = part
        for name in self._in_force.keys() - configured.parts.keys():
            del self._in_force[name]

    async def look(self, now: Instant) -> list[Said]:
        """The statuses that may have changed since the last look, at the first one those of all objects.

        Raises:
            StoreError: the ledger does not answer; the next look tells of what this one should have.
        """
        configuration = self._configuration
        if configuration is None:
            return []
        await self._read_parts(configuration.configured, now)
        observed = await self._observe(configuration, now)
        said = []
        for number, reference in enumerate(_concerned(self._before, configuration, observed)):
            said.append(configuration.said(reference, observed))
            if number % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
        self._before = configuration, observed
        return said

    async def _observe(self, configuration: "_Configuration", now: Instant) -> Observed:
        if configuration.standing is None:
            configuration.standing = self._standing(configuration)
        standing = configuration.standing
        observed = await observing.observe(
            self._reader,
            standing.facts,
            now,
            problems=configuration.configured.problems,
            violated=await self._totals.read(now),
        )
        return dataclasses.replace(
            observed, since_of=standing.since_of, held_back=standing.held_back, kept=standing.kept
        )

    def _standing(self, configuration: "_Configuration") -> "_Standing":
        """Made once for each configuration, for all looks at it."""
        configured = configuration.configured
        instead = {name: self._in_force.get(name) for name in self._held(configured)}
        held = holding.Held(instead, configured.problems, self._root)
        since = self._since or {}
        parts = _parts_of(configured.compiled)
        back = holding.back(configured.compiled, held) if instead else {}
        waiting = {source for source in map(references.source, back) if instead.keys() >= set(parts.get(source, ()))}
        return _Standing(
            {source: max((since.get(name, 0) for name in names), default=0) for source, names in parts.items()},
            back,
            keeping.resources_of(held),
            keeping.facts(configuration.facts, held, waiting) if instead else configuration.facts,
        )

    @staticmethod
    def _held(configured: Configured) -> frozenset[str]:
        return frozenset(configured.parts) if configured.whole_held else configured.held

    async def _read_parts(self, configured: Configured, now: Instant) -> None:
        """Once: since when the parts are in force, and what holds where something was held back before this began."""
        if self._since is not None:
            return
        rows = [row for row in await self._reader.parts(now) if row.cluster == self._cluster_id]
        for row in rows:
            if row.part in self._held(configured) and row.part not in self._in_force:
                self._in_force[row.part] = _decoded(row)
        self._since = {row.part: row.since for row in rows}


class _Standing(NamedTuple):
    """Since when each source of an account is in force as it is; what is not in force, and why; and what of faulty
    resources still is."""

    since_of: Mapping[str, Instant]
    held_back: Mapping[ResourceRef, str]
    kept: frozenset[ResourceRef]
    facts: Facts


class _Configuration:
    """A configuration, as statuses need it."""

    def __init__(self, configured: Configured) -> None:
        self.configured = configured
        self.facts: Facts = facts.of(configured.compiled)
        self.parsed = {resource.ref: (resource, _uid(body)) for resource, body in configured.parsed}
        self.unread = {_reference(body): body for body in configured.unread}
        self.standing: _Standing | None = None

    def said(self, reference: ResourceRef, observed: Observed) -> Said:
        """What the status of one of its objects should be."""
        if reference in self.parsed:
            resource, uid = self.parsed[reference]
            return Said(resource.kind, uid, kinds.status(resource, observed))
        body = self.unread[reference]
        generation = body["metadata"].get("generation", 0)
        return Said(reference.kind, _uid(body), kinds.unread(reference, generation, observed))

    def differing(self, other: "_Configuration") -> Iterator[ResourceRef]:
        """The resources whose own specs are not the other's."""
        if other is self:
            return
        for reference, (resource, uid) in self.parsed.items():
            before = other.parsed.get(reference)
            if before is None or before[1] != uid or (before[0] is not resource and before[0] != resource):
                yield reference
        yield from self.unread


def _concerned(
    before: tuple[_Configuration, Observed] | None, configuration: _Configuration, observed: Observed
) -> list[ResourceRef]:
    """The resources whose statuses are to be made."""
    if before is None:
        return [*configuration.parsed, *configuration.unread]
    changed = changes.between(before[1], observed) | set(configuration.differing(before[0]))
    return sorted(each for each in changed if each in configuration.parsed or each in configuration.unread)


def _parts_of(compiled: compiler.Compiled) -> dict[str, tuple[str, ...]]:
    """Of each source of an account the names of the parts that it is in."""
    found: dict[str, tuple[str, ...]] = {}
    for _, fragment in compiled.memory.fragments.values():
        for placed in fragment.accounts:
            names = None if placed.where is None else tuple(f"{holding.PREFIX}{name}" for name in placed.where)
            found[placed.account.source] = (_ORGANIZATION,) if names is None else names
    return found


def _decoded(row: PartRow) -> Part:
    if row.part == _ORGANIZATION:
        return msgspec.json.decode(row.document, type=snapshot.OrganizationPart)
    if row.part.startswith(holding.PREFIX):
        return msgspec.json.decode(row.document, type=snapshot.NamespacePart)
    return msgspec.json.decode(row.document, type=snapshot.PricePart)


def _uid(body: Body) -> str:
    return str(body["metadata"]["uid"])


def _reference(body: Body) -> ResourceRef:
    namespace, name = place(body)
    return ResourceRef(str(body["kind"]), name, namespace)
