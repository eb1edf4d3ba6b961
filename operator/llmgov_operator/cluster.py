"""What is known of the cluster's objects: what the watches told, held against lists of what is there. Pure.

A watch that begins anew after the API server answered 410 never tells of what was deleted meanwhile, one that broke
without a sign tells of nothing at all, and of a kind whose definition is missing there is no watch. So each kind is
listed once in a while, metadata only, and until everything on a list has been heard of nobody knows whether a policy is
missing or just not heard of yet: nothing is published before.
"""

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from llmgov.instants import Instant

Body = Mapping[str, Any]
"""An object as the API server's JSON has it."""

PATIENCE: Final = 10_000_000
"""Microseconds that a watch gets to tell of what a list has: then it is read, as the watch seems to miss it. While a
kind is heard of for the first time, each object that is heard begins them anew."""

_REMEMBERED = 10_000
"""Deleted objects whose late news are still ignored, of each kind."""


class Change(enum.Enum):
    """What an observation changed."""

    NOTHING = enum.auto()
    STATUS = enum.auto()
    CONTENT = enum.auto()


class RewoundError(Exception):
    """The API server's history was rewound, as by restoring a backup of etcd: what is known is worth nothing now, and
    whoever finds this begins anew."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class _Awaited:
    """An object that a list had newer than it is known, and since when the watch has had the time to tell of it."""

    listed: Reference
    since: Instant


@dataclasses.dataclass(frozen=True, slots=True)
class Still:
    """The objects at one moment, which nothing changes any more: for a thread beside the event loop."""

    by_kind: Mapping[str, list[Body]]

    def bodies(self, kind: str) -> list[Body]:
        """The objects of a kind, by namespace and name."""
        return self.by_kind[kind]


class Cluster:
    """All objects of the watched kinds; `kinds` are their names."""

    def __init__(self, kinds: Iterable[str]) -> None:
        self._known = {kind: _Known() for kind in kinds}

    def see(self, kind: str, body: Body) -> Change:
        """An object was added, changed, listed or read; older news than those known, and of deleted ones, change
        nothing."""
        return self._known[kind].see(body)

    def forget(self, kind: str, uid: str) -> Change:
        """An object was deleted; UIDs never come back."""
        return self._known[kind].forget(uid)

    def compare(self, kind: str, listing: Listing, now: Instant) -> Comparison:
        """Hold what is known against a list that was asked for before `now`.

        What the list lacks, and was known before the list was made, is gone. What it has in a newer version is awaited,
        and missed where the watch did not tell of it for `PATIENCE`.

        Raises:
            RewoundError: the list is older than the one before.
        """
        return self._known[kind].compare(listing, now)

    def absent(self, kind: str) -> None:
        """The API server does not know the kind now. What was known of it stays until the kind is listed again."""
        self._known[kind].absent()

    def missing(self) -> list[str]:
        """The kinds of which it is not certain that every object is known, in order."""
        return sorted(kind for kind, known in self._known.items() if not known.is_complete)

    @property
    def is_complete(self) -> bool:
        """Whether no kind is missing."""
        return all(known.is_complete for known in self._known.values())

    @property
    def awaits(self) -> bool:
        """Whether a list had something that no watch has told of yet."""
        return any(known.awaited for known in self._known.values())

    def bodies(self, kind: str) -> list[Body]:
        """The objects of a kind, by namespace and name."""
        return sorted(self._known[kind].objects.values(), key=place)

    def still(self) -> Still:
        """Everything that is known now."""
        return Still({kind: self.bodies(kind) for kind in self._known})

    def counts(self) -> Mapping[str, int]:
        """How many objects there are of each kind."""
        return {kind: len(known.objects) for kind, known in self._known.items()}


class _Known:
    """The objects of one kind."""

    def __init__(self) -> None:
        self.objects: dict[str, Body] = {}
        self.awaited: dict[str, _Awaited] = {}
        self.is_complete = False
        self._places: dict[tuple[str, str], str] = {}
        self._deleted: dict[str, None] = {}
        self._is_listed = False
        self._listed_at = 0
        self._heard = False

    def see(self, body: Body) -> Change:
        self._heard = True
        uid = body["metadata"]["uid"]
        old = self.objects.get(uid)
        if self._is_late(uid, body) or not self._takes_place(body):
            self._settle(uid, body)
            return Change.NOTHING
        self.objects[uid] = body
        self._places[place(body)] = uid
        self._settle(uid, body)
        if old is not None and _content(old) == _content(body):
            return Change.STATUS if old.get("status") != body.get("status") else Change.NOTHING
        return Change.CONTENT

    def forget(self, uid: str) -> Change:
        self._heard = True
        had = self._bury(uid)
        self._complete()
        return Change.CONTENT if had else Change.NOTHING

    def compare(self, listing: Listing, now: Instant) -> Comparison:
        if _number(listing.version) < self._listed_at:
            raise RewoundError(f"a list is at version {listing.version}, after one at version {self._listed_at}")
        self._listed_at = _number(listing.version)
        gone = [
            uid for uid, body in self.objects.items() if uid not in listing.objects and not _is_newer(body, listing)
        ]
        for uid in gone:
            self._bury(uid)
        self.awaited = dict(self._behind(listing, now))
        self._is_listed, self._heard = True, False
        self._complete()
        missed = (each.listed for each in self.awaited.values() if now - each.since >= PATIENCE)
        return Comparison(len(gone), tuple(missed))

    def absent(self) -> None:
        self.awaited.clear()
        self.is_complete = self._is_listed = False

    def _is_late(self, uid: str, body: Body) -> bool:
        """Whether newer news are known: of the object, of its end, or a list made later that lacked it."""
        old = self.objects.get(uid)
        if old is not None:
            return _is_older(body, old)
        was_gone = self._is_listed and uid not in self.awaited and _number(_version(body)) <= self._listed_at
        return uid in self._deleted or (was_gone and self._listed_at > 0)

    def _takes_place(self, body: Body) -> bool:
        """Whether this is who has its name now: of two that were seen with one name the older is gone, told or not."""
        uid = body["metadata"]["uid"]
        other = self._places.get(place(body), uid)
        if other == uid:
            return True
        is_late = _is_older(body, self.objects[other])
        self._bury(uid if is_late else other)
        return not is_late

    def _bury(self, uid: str) -> bool:
        """Remember that an object is gone; whether it was known."""
        self._deleted[uid] = None
        if len(self._deleted) > _REMEMBERED:
            del self._deleted[next(iter(self._deleted))]
        self.awaited.pop(uid, None)
        body = self.objects.pop(uid, None)
        if body is not None:
            del self._places[place(body)]
        return body is not None

    def _behind(self, listing: Listing, now: Instant) -> Iterator[tuple[str, _Awaited]]:
        begins_anew = self._heard and not self.is_complete
        for uid, listed in listing.objects.items():
            if self._is_behind(uid, listed):
                before = self.awaited.get(uid)
                yield uid, _Awaited(listed, now if before is None or begins_anew else before.since)

    def _is_behind(self, uid: str, listed: Reference) -> bool:
        body = self.objects.get(uid)
        if body is None:
            return uid not in self._deleted
        return _number(_version(body)) < _number(listed.version)

    def _settle(self, uid: str, body: Body) -> None:
        awaited = self.awaited.get(uid)
        if awaited is not None and _number(_version(body)) >= _number(awaited.listed.version):
            del self.awaited[uid]
            self._complete()

    def _complete(self) -> None:
        """Once everything that was on a list has been heard of, the watch is trusted to tell of the rest."""
        if self._is_listed and not self.awaited:
            self.is_complete = True


def place(body: Body) -> tuple[str, str]:
    """An object's namespace (empty for cluster-scoped kinds) and name."""
    return body["metadata"].get("namespace") or "", body["metadata"]["name"]


def _content(body: Body) -> tuple[object, ...]:
    """What a configuration is made of. A status is none of it, and neither are annotations."""
    metadata = body["metadata"]
    return metadata.get("generation"), metadata.get("labels"), body.get("spec")


def _version(body: Body) -> str | None:
    version: str | None = body["metadata"].get("resourceVersion")
    return version


def _is_older(body: Body, known: Body) -> bool:
    return _number(_version(body)) < _number(_version(known))


def _is_newer(body: Body, listing: Listing) -> bool:
    return _number(_version(body)) > _number(listing.version)


def _number(version: str | None) -> int:
    """Resource versions of one API server are ordered as the numbers that they are (Kubernetes API concepts, since
    1.35 promised, with etcd always so)."""
    return int(version) if version is not None and version.isdecimal() else 0
