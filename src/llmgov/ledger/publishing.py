"""A whole configuration comes into force: every version that ever was is kept, with its time, for audit and replay.

A ledger's rows can hold the configurations of several clusters, and what one of them publishes touches no part of
another's. But teams, users and the organization have no cluster in the sums and paths by which money is lent and
charged: until they do, only one cluster may have a configuration in force (docs/decisions/0009). Within a cluster one
process publishes at a time. It claims a term when it begins and names it with whatever it publishes: one
that was paused while another took over, and does not know yet, is refused.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Set
from typing import NamedTuple

import msgspec

from llmgov import instants, snapshot
from llmgov.instants import Instant
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, ClusterRow, PartRow, PartVersion, scope
from llmgov.snapshot import Account, OrganizationPart, Part, PricePart

ORGANIZATION = "organization"
"""The name of the part that says which cluster a configuration is of."""


class Change(NamedTuple):
    """A part that came into force, or ended (`version` is `None`); `replaced` is the version before."""

    part: str
    version: str | None
    replaced: str | None


class SupersededError(Exception):
    """Another process has claimed a later term: nothing was written, and nothing that this one publishes will be."""


class OtherClusterError(Exception):
    """Another cluster has its configuration in force in this ledger: nothing was written."""


@dataclasses.dataclass(frozen=True, slots=True)
class Publication:
    """What one cluster's configuration is to be.

    `parts` are by name (`organization`, `prices`, `namespace/<name>`), and `versions` are theirs. Of those in `held`
    the version in force stays, where there is one. `term` is the publisher's, `None` for one that needs none (a process
    that is the only one); `actor` goes on record.
    """

    cluster: str
    parts: Mapping[str, Part]
    versions: Mapping[str, str]
    held: Set[str] = frozenset()
    term: int | None = None
    actor: str | None = None


def lock(cluster: str) -> Lock:
    """What `publish` and `claim` need of the store."""
    return Lock(configuration=cluster)


def cluster_of(parts: Mapping[str, Part]) -> str:
    """The cluster that a configuration is of; empty where it does not say."""
    organization = parts.get(ORGANIZATION)
    return organization.cluster if isinstance(organization, OrganizationPart) else ""


def claim(book: Book, cluster: str, holder: str, now: Instant) -> int:
    """Begin a term of `holder`, which ends all terms before; its number.

    Raises:
        OtherClusterError: another cluster's configuration is in force.
    """
    _require_alone(book, cluster)
    before = book.cluster or ClusterRow(cluster)
    book.put_cluster(msgspec.structs.replace(before, term=before.term + 1, holder=holder, claimed=now))
    return before.term + 1


def publish(book: Book, wanted: Publication, now: Instant) -> list[Change]:
    """Put a configuration in force; what changed, by name. `Book.cluster` says at what time: later than any change
    before, whatever the clock says.

    A part whose version is in force already stays; one in force that is neither named nor held ends. The accounts in
    the parts become those in force, and where anything changed the configuration has a new edition.

    Raises:
        SupersededError: another process has claimed a later term.
        OtherClusterError: another cluster's configuration is in force.
    """
    _require_alone(book, wanted.cluster)
    before = _current(book, wanted)
    changes = list(_changes(book.in_force, wanted))
    if changes:
        at = max(now, before.changed + 1)
        book.put_cluster(msgspec.structs.replace(before, changed=at))
        book.put_edition(book.edition + 1)
        for change in changes:
            _put(book, wanted, change, at)
    return changes


def _require_alone(book: Book, cluster: str) -> None:
    """Two clusters' Budgets of one team would each refuse, and be charged, what the other's team asks."""
    if book.others:
        others = ", ".join(repr(name) for name in sorted(book.others))
        raise OtherClusterError(
            f"cluster {cluster!r} cannot share this ledger with cluster {others}, whose configuration is in force in"
            " it: give each cluster a database of its own; where this one is the same cluster, built anew, set"
            f" LLMGOV_CLUSTER_ID={min(book.others)}"
        )


def _current(book: Book, wanted: Publication) -> ClusterRow:
    row = book.cluster or ClusterRow(wanted.cluster)
    if wanted.term is not None and wanted.term != row.term:
        raise SupersededError(
            f"term {wanted.term} of cluster {wanted.cluster!r} is over: {row.holder!r} began term {row.term} at"
            f" {instants.to_rfc3339(row.claimed)}"
        )
    return row


def _changes(in_force: Mapping[str, PartVersion], wanted: Publication) -> Iterator[Change]:
    for name in sorted({*wanted.versions, *in_force}):
        old, version = in_force.get(name), wanted.versions.get(name)
        if old is None:
            yield Change(name, version, None)
        elif old.version != version and name not in wanted.held:
            yield Change(name, version, old.version)


def _put(book: Book, wanted: Publication, change: Change, at: Instant) -> None:
    name, version, replaced = change
    if replaced is not None:
        book.put.ended_parts.append(msgspec.structs.replace(book.in_force[name], until=at))
    accounts: tuple[Account, ...] = ()
    if version is not None:
        part = wanted.parts[name]
        document = snapshot.encode(part)
        book.put.parts.append(PartRow(name, version, document, at, None, wanted.cluster, wanted.actor or ""))
        accounts = () if isinstance(part, PricePart) else part.accounts
    book.put.published[wanted.cluster, name] = tuple(
        AccountRow(each.key, scope(each, each.key), each) for each in accounts
    )
