"""What records add up to: the sums that must be the ledger's, and the numbers that sidecars never reported."""

import bisect
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from llmgov.audit import events, facts, record
from llmgov.money import MicroUsd

REPORTED = frozenset({"intent", "settlement", "refused", "violated"})
"""The kinds that sidecars report and number."""


class Sums(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What settled attempts cost, as corrected: how many, in all, and by target of the charging path (single users left
    out).

    The ledger gives the same from its settlements, for `verify` to compare.
    """

    attempts: int
    cost: MicroUsd
    targets: dict[str, MicroUsd]


class Gap(msgspec.Struct, frozen=True):
    """Numbers `first` to `last` of one sidecar epoch that no record has."""

    epoch: str
    first: int
    last: int


_DIGITS = 18


class Tally:
    """Adds records up, whatever their order: a settlement may stand before its intent in another writer's chain."""

    def __init__(self) -> None:
        self._attempts = 0
        self._cost = 0
        self._targets: dict[str, MicroUsd] = {}
        self._paths: dict[str, tuple[str, ...]] = {}
        self._waiting: dict[str, MicroUsd] = {}
        self._sequences: dict[str, _Spans] = {}

    def add(self, one: record.AuditRecord) -> None:
        """Count a record.

        Raises:
            RecordError: its facts lack what records of its kind have.
        """
        if one.kind == "corrected":
            self._correct(_read(one, _Corrected))
        if one.kind not in REPORTED:
            return
        if one.kind == "intent":
            intent = _read(one, _Intent)
            self._intent(intent.id, tuple(filter(None, map(_plain, intent.subject.path))))
        elif one.kind == "settlement":
            settlement = _read(one, _Settlement)
            self._settlement(settlement.id, int(settlement.cost))
        self._seen(_read(one, _Numbered).id)

    def bury(self, tombstone: events.Tombstone) -> None:
        """Count what removed records said."""
        self._attempts += tombstone.attempts
        self._cost += tombstone.cost
        for target, cost in tombstone.targets.items():
            self._targets[target] = self._targets.get(target, 0) + cost

    def sums(self) -> Sums:
        """All attempts of which both intent and settlement are known."""
        return Sums(self._attempts, self._cost, dict(self._targets))

    def unsettled(self) -> list[str]:
        """Attempts whose settlement is not on record (yet)."""
        return sorted(self._paths)

    def unmatched(self) -> list[str]:
        """Settlements whose intent is not on record."""
        return sorted(self._waiting)

    def gaps(self) -> list[Gap]:
        """Numbers missing between the first and the last of each epoch."""
        return [Gap(epoch, *hole) for epoch, spans in sorted(self._sequences.items()) for hole in spans.holes()]

    def _intent(self, identity: str, targets: tuple[str, ...]) -> None:
        cost = self._waiting.pop(identity, None)
        if cost is None:
            self._paths[identity] = targets
        else:
            self._charge(targets, cost)

    def _settlement(self, identity: str, cost: MicroUsd) -> None:
        targets = self._paths.pop(identity, None)
        if targets is None:
            self._waiting[identity] = self._waiting.get(identity, 0) + cost
        else:
            self._charge(targets, cost)

    def _charge(self, targets: tuple[str, ...], cost: MicroUsd) -> None:
        self._attempts += 1
        self._add(targets, cost)

    def _correct(self, corrected: "_Corrected") -> None:
        if corrected.what == "attempt":
            self._add(tuple(filter(None, map(_plain, corrected.path))), int(corrected.after) - int(corrected.before))

    def _add(self, targets: tuple[str, ...], cost: MicroUsd) -> None:
        self._cost += cost
        for target in targets:
            self._targets[target] = self._targets.get(target, 0) + cost

    def _seen(self, identity: str) -> None:
        epoch, _, number = identity.rpartition("/")
        if number.isdecimal() and len(number) <= _DIGITS:
            self._sequences.setdefault(epoch, _Spans()).add(int(number))


class _Spans:
    """A set of integers as sorted spans: small, since numbers come nearly in order."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []

    def add(self, number: int) -> None:
        at = bisect.bisect_right(self._starts, number)
        if at and number <= self._ends[at - 1]:
            return
        joins_left = at > 0 and self._ends[at - 1] == number - 1
        joins_right = at < len(self._starts) and self._starts[at] == number + 1
        if joins_left and joins_right:
            self._ends[at - 1] = self._ends.pop(at)
            del self._starts[at]
        elif joins_left:
            self._ends[at - 1] = number
        elif joins_right:
            self._starts[at] = number
        else:
            self._starts.insert(at, number)
            self._ends.insert(at, number)

    def holes(self) -> Sequence[tuple[int, int]]:
        return [(end + 1, start - 1) for end, start in zip(self._ends, self._starts[1:], strict=False)]


class _Numbered(msgspec.Struct):
    id: str


class _Subject(msgspec.Struct):
    path: tuple[str | dict[str, str], ...] = ()


class _Intent(msgspec.Struct):
    id: str
    subject: _Subject


class _Settlement(msgspec.Struct):
    id: str
    cost: record.Whole


class _Corrected(msgspec.Struct):
    what: str
    before: record.Whole
    after: record.Whole
    path: tuple[str | dict[str, str], ...] = ()


_View = TypeVar("_View")


def _read(one: record.AuditRecord, view: type[_View]) -> _View:
    try:
        return msgspec.convert(one.facts, type=view)
    except msgspec.ValidationError as error:
        raise record.RecordError(f"not the facts of a {one.kind}: {error}") from error


def _plain(target: str | dict[str, str]) -> str | None:
    """The target, unless it is a user's: those are commitments here, whatever keys the verifier holds."""
    return target if isinstance(target, str) and not facts.names_user(target) else None
