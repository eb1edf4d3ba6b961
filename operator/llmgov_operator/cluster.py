"""What is known of the cluster's objects: what the watches told, held against lists of what is there. Pure.

A watch that begins anew after the API server answered 410 never tells of what was deleted meanwhile, one that broke
without a sign tells of nothing at all, and of a kind whose definition is missing there is no watch. So each kind is
listed once in a while, metadata only, and until a list has been found complete nobody knows whether a policy is missing
or just not heard of yet: nothing is published before.
"""

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from llmgov.instants import Instant

Body = Mapping[str, Any]
"""An object as the API server's JSON has it."""

PATIENCE: Final = 30_000_000
"""Microseconds that a watch gets to tell of what a list has: then it is read, as the watch seems to miss it. At a start
thousands of objects take the watch some seconds."""

_REMEMBERED = 10_000
"""Deleted objects whose late news are still ignored."""


class Change(enum.Enum):
    """What an observation changed."""

    NOTHING = enum.auto()
    STATUS = enum.auto()
    CONTENT = enum.auto()


class Reference(NamedTuple):
    """An object that a list names."""

    namespace: str
    name: str
    version: str


@dataclasses.dataclass(frozen=True, slots=True)
class Listing:
    """A whole kind as a list has it, by UID, at the list's resource version."""

    version: str
    objects: Mapping[str, Reference]


@dataclasses.dataclass(frozen=True, slots=True)
class Comparison:
    """What a list showed: how many objects are gone, and which are to be read."""

    gone: int
    missed: tuple[Reference, ...]


class Cluster:
    """All objects of the watched kinds; `kinds` are their names."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._objects: dict[str, dict[str, Body]] = {kind: {} for kind in kinds}
        self._deleted: dict[str, None] = {}
        self._complete: set[str] = set()
        self._behind: dict[tuple[str, str], tuple[str, Instant]] = {}

    def see(self, kind: str, body: Body) -> Change:
        """An object was added, changed, listed or read; older news than those known, and of deleted ones, change
        nothing."""
        uid = body["metadata"]["uid"]
        old = self._objects[kind].get(uid)
        if uid in self._deleted or (old is not None and _is_older(body, old)):
            return Change.NOTHING
        self._objects[kind][uid] = body
        if old is not None and _content(old) == _content(body):
            return Change.STATUS if old.get("status") != body.get("status") else Change.NOTHING
        return Change.CONTENT

    def forget(self, kind: str, uid: str) -> Change:
        """An object was deleted; UIDs never come back."""
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]
        return Change.NOTHING if self._objects[kind].pop(uid, None) is None else Change.CONTENT

    def compare(self, kind: str, listing: Listing, now: Instant) -> Comparison:
        """Hold what is known against a list that was asked for before `now`.

        What the list lacks, and was known before the list was made, is gone. What it has in a newer version is missed
        where the watch did not tell of it for `PATIENCE`.
        """
        known = self._objects[kind]
        gone = [uid for uid, body in known.items() if uid not in listing.objects and not _is_newer(body, listing)]
        for uid in gone:
            self.forget(kind, uid)
        behind = {uid: each for uid, each in listing.objects.items() if self._is_behind(kind, uid, each)}
        if not behind:
            self._complete.add(kind)
        return Comparison(len(gone), tuple(self._missed(kind, behind, now)))

    def absent(self, kind: str) -> None:
        """The API server does not know the kind now."""
        self._complete.discard(kind)

    def missing(self) -> list[str]:
        """The kinds of which it is not certain that every object is known, in order."""
        return sorted(self._objects.keys() - self._complete)

    def bodies(self, kind: str) -> list[Body]:
        """The objects of a kind, by namespace and name."""
        return sorted(self._objects[kind].values(), key=place)

    def counts(self) -> Mapping[str, int]:
        """How many objects there are of each kind."""
        return {kind: len(objects) for kind, objects in self._objects.items()}

    def _is_behind(self, kind: str, uid: str, listed: Reference) -> bool:
        body = self._objects[kind].get(uid)
        if body is None:
            return uid not in self._deleted
        return _number(body["metadata"].get("resourceVersion")) < _number(listed.version)

    def _missed(self, kind: str, behind: Mapping[str, Reference], now: Instant) -> Iterator[Reference]:
        """Those that have been behind since `PATIENCE`; of the others it is remembered since when."""
        for key in [key for key in self._behind if key[0] == kind and key[1] not in behind]:
            del self._behind[key]
        for uid, each in behind.items():
            version = self._version(kind, uid)
            known, since = self._behind.get((kind, uid), (version, now))
            if known != version:  # something was heard since: the watch is alive
                since = now
            self._behind[kind, uid] = (version, since)
            if now - since >= PATIENCE:
                yield each

    def _version(self, kind: str, uid: str) -> str:
        body = self._objects[kind].get(uid)
        return "" if body is None else str(body["metadata"].get("resourceVersion"))


def place(body: Body) -> tuple[str, str]:
    """An object's namespace (empty for cluster-scoped kinds) and name."""
    return body["metadata"].get("namespace") or "", body["metadata"]["name"]


def _content(body: Body) -> tuple[object, ...]:
    """What a configuration is made of. A status is none of it, and neither are annotations."""
    metadata = body["metadata"]
    return metadata.get("generation"), metadata.get("labels"), body.get("spec")


def _is_older(body: Body, known: Body) -> bool:
    new, old = body["metadata"].get("resourceVersion"), known["metadata"].get("resourceVersion")
    return _number(new) < _number(old)


def _is_newer(body: Body, listing: Listing) -> bool:
    return _number(body["metadata"].get("resourceVersion")) > _number(listing.version)


def _number(version: str | None) -> int:
    """Resource versions of one API server are ordered as the numbers that they are (Kubernetes API concepts, since
    1.35 promised, with etcd always so)."""
    return int(version) if version is not None and version.isdecimal() else 0
