"""The configuration of one namespace as it was in force at a time, from the parts that a ledger keeps for ever."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from llmgov import instants, snapshot
from llmgov.instants import Instant
from llmgov.ledger.rows import PartRow
from llmgov.ledger.store import Reader
from llmgov.snapshot import Part, Policy
from llmgov_cli import errors, tables

_ORGANIZATION: Final = "organization"
_PRICES: Final = "prices"


@dataclasses.dataclass(frozen=True, slots=True)
class Past:
    """What was in force: the versions, and the snapshot that they make."""

    rows: tuple[PartRow, ...]
    whole: snapshot.Snapshot

    def snapshot(self, namespace: str) -> snapshot.Snapshot:
        """The namespace's.

        Raises:
            KeyError: another namespace is meant.
        """
        if namespace != self.whole.namespace.namespace:
            raise KeyError(namespace)
        return self.whole

    @property
    def policies(self) -> tuple[Policy, ...]:
        """All that concerned the namespace, or might have."""
        return self.whole.organization.policies + self.whole.namespace.policies

    def lines(self) -> Iterator[str]:
        """A line for each version: which, from when until when, by whom."""
        for row in self.rows:
            until = f" until {tables.moment(row.until)}" if row.until is not None else ""
            by = f" by {row.actor}" if row.actor else ""
            yield f"In force:  {row.part} {row.version} since {tables.moment(row.since)}{until}{by}"


async def find(rows: Reader, at: Instant, namespace: str, cluster: str | None = None) -> Past:
    """What was in force in a namespace at `at`; `cluster` need not be named where the ledger has only one.

    Raises:
        CommandError: nothing was in force then, or nothing for that namespace; there are several clusters; or a
            document cannot be read.
    """
    name = f"namespace/{namespace}"
    found = await rows.parts(at, [_ORGANIZATION, _PRICES, name])
    wanted = _cluster(found, cluster)
    if wanted is None:
        raise errors.CommandError(await nothing(rows, at, cluster))
    parts = {row.part: row for row in found if row.cluster == wanted}
    if name not in parts:
        raise errors.CommandError(await _no_part(rows, at, wanted, namespace))
    ordered = tuple(parts[each] for each in (_ORGANIZATION, name, _PRICES) if each in parts)
    return Past(ordered, _whole(parts, name))


def _cluster(found: Iterable[PartRow], named: str | None) -> str | None:
    """The cluster that is meant, `None` where it had no configuration."""
    clusters = sorted({row.cluster for row in found if row.part == _ORGANIZATION})
    if named is not None:
        return named if named in clusters else None
    if len(clusters) > 1:
        raise errors.CommandError(f"the ledger is of several clusters: name one with --cluster ({', '.join(clusters)})")
    return clusters[0] if clusters else None


async def nothing(rows: Reader, at: Instant, cluster: str | None = None) -> str:
    """Why nothing was in force for anybody at `at`, of one cluster or of all: a sentence with the time of the first."""
    where = "" if cluster is None else f" in cluster {cluster}"
    versions = [row for row in await rows.part_versions() if row.part == _ORGANIZATION]
    since = [row.since for row in versions if cluster in (None, row.cluster)]
    if not since:
        return f"no configuration was ever in force{where}"
    return f"no configuration was in force{where} at {instants.to_rfc3339(at)}; the first is of {_moment(min(since))}"


async def absent(rows: Reader, at: Instant, namespace: str | None) -> str:
    """Why nothing was in force at `at` for a namespace, or for anybody, in whatever cluster."""
    return await nothing(rows, at) if namespace is None else await _no_part(rows, at, None, namespace)


async def _no_part(rows: Reader, at: Instant, cluster: str | None, namespace: str) -> str:
    versions = [row for row in await rows.part_versions() if cluster in (None, row.cluster)]
    since = [row.since for row in versions if row.part == f"namespace/{namespace}"]
    sentence = f"namespace {namespace} had no configuration at {instants.to_rfc3339(at)}"
    if not since:
        return f"{sentence}, nor at any other time: is that its name?"
    listing = f"llmgov get snapshots --namespace {namespace}"
    return f"{sentence}; its first is of {_moment(min(since))}, and `{listing}` lists all"


def _moment(instant: Instant) -> str:
    return instants.to_rfc3339(instant)


def _whole(parts: Mapping[str, PartRow], name: str) -> snapshot.Snapshot:
    return snapshot.Snapshot(
        snapshot.FORMAT,
        _read(parts[_ORGANIZATION], snapshot.OrganizationPart),
        _read(parts[name], snapshot.NamespacePart),
        _read(parts[_PRICES], snapshot.PricePart) if _PRICES in parts else snapshot.PricePart(),
    )


_P = TypeVar("_P", bound=Part)


def _read(row: PartRow, kind: type[_P]) -> _P:
    try:
        return msgspec.json.decode(row.document, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise errors.CommandError(f"{row.part} {row.version} cannot be read: {error}") from error
