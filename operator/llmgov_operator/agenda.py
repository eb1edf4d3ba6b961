"""Which statuses are to be written, and when: at most one write of an object in some seconds, none where nothing
changed. Pure.

What an object's status is now is what the watch says: so a second start of the operator, and its next leader, find
everything written and write nothing.
"""

import dataclasses
import decimal
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from llmgov import instants
from llmgov.instants import Instant
from llmgov.resources import status as statuses
from llmgov.statuses import conditions
from llmgov_operator.cluster import Body

APART: Final = 5 * instants.SECOND
"""Between two writes of one object's status."""

RETRY: Final = 10 * instants.SECOND
"""Until a write that failed is tried again; twice as long after each further failure."""

RETRY_AT_MOST: Final = 320 * instants.SECOND

FORECAST_PERCENT: Final = 5
"""By how much a forecast has to have moved to be a reason to write: it moves with every second."""

_ELSEWHERE: Final = frozenset({"keyFingerprint", "lastVerified", "lastRotation"})
"""Fields of statuses that others write (the hub, who alone sees keys)."""

_AMOUNT: Final = re.compile(r"-?[0-9]{1,32}(?:[.][0-9]{1,6})?", re.ASCII)
"""As we write them. Whoever may write a status may write anything else, such as NaN."""


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """A status that is due, of the object as it is known now; `wanted` is what asked for it."""

    kind: str
    body: Body
    status: Mapping[str, Any]
    wanted: Mapping[str, Any]

    @property
    def uid(self) -> str:
        """Whose status it is."""
        return str(self.body["metadata"]["uid"])

    @property
    def is_crowded(self) -> bool:
        """Whether conditions that are not ours leave no room for ours, until they are taken away."""
        present = (self.body.get("status") or {}).get("conditions") or ()
        types = {each.get("type") for each in (*present, *self.status["conditions"])}
        return len(types) > statuses.CONDITIONS


class Agenda:
    """The statuses that objects should have, and when each may be written next, by UID.

    `began` is when this leader did. A status that it finds may have been written right before, by the leader before it,
    so such an object is left alone for `APART`; one without a status is written at once.
    """

    def __init__(self, began: Instant) -> None:
        self._began = began
        self._wanted: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._not_before: dict[str, Instant] = {}
        self._failures: dict[str, int] = {}
        self._open: dict[str, None] = {}

    def want(self, kind: str, uid: str, status: Mapping[str, Any]) -> None:
        """From now on the object's status should be this."""
        known = self._wanted.get(uid)
        if known is None or known[1] != status:
            self._wanted[uid] = (kind, status)
            self._open[uid] = None

    def keep(self, uids: Iterable[str]) -> None:
        """Forget all other objects."""
        for uid in self._wanted.keys() - set(uids):
            self.forget(uid)

    def forget(self, uid: str) -> None:
        """The object is gone."""
        self._open.pop(uid, None)
        self._wanted.pop(uid, None)
        self._not_before.pop(uid, None)
        self._failures.pop(uid, None)

    def touched(self, uid: str) -> None:
        """The object changed: somebody else may have written its status."""
        if uid in self._wanted:
            self._open[uid] = None

    def due(self, bodies: Mapping[str, Body], now: Instant) -> Iterator[Write]:
        """What is to be written now; `bodies` are the objects as known, by UID.

        Each is written once `wrote` or `failed` has been told of it, so ask for the next only then.
        """
        for uid in list(self._open):
            if self._not_before.get(uid, now) > now:
                continue
            body = bodies.get(uid)
            kind, wanted = self._wanted[uid]
            if body is None or is_said(body.get("status") or {}, wanted):
                del self._open[uid]
            elif not self._is_left_alone(uid, body, now):
                yield Write(kind, body, merged(body.get("status") or {}, wanted, now), wanted)

    def _is_left_alone(self, uid: str, body: Body, now: Instant) -> bool:
        """Whether the leader before may have written it within `APART`."""
        is_left_alone = "status" in body and uid not in self._not_before and now < self._began + APART
        if is_left_alone:
            self._not_before[uid] = self._began + APART
        return is_left_alone

    def next(self, now: Instant) -> Instant | None:
        """When something may be due next; `None` where nothing is waiting."""
        return min((max(now, self._not_before.get(uid, now)) for uid in self._open), default=None)

    def wrote(self, write: Write, now: Instant) -> None:
        """The status is written; what is wanted later waits."""
        self._not_before[write.uid] = now + APART
        self._failures.pop(write.uid, None)
        known = self._wanted.get(write.uid)
        if known is None or known[1] is write.wanted:
            self._open.pop(write.uid, None)

    def failed(self, write: Write, now: Instant) -> None:
        """It could not be written."""
        failures = self._failures[write.uid] = self._failures.get(write.uid, 0) + 1
        self._not_before[write.uid] = now + min(RETRY << (failures - 1), RETRY_AT_MOST)

    @property
    def waiting(self) -> int:
        """How many objects may have to be written."""
        return len(self._open)


def merged(current: Mapping[str, Any], wanted: Mapping[str, Any], now: Instant) -> dict[str, Any]:
    """`wanted` with the times at which its conditions changed: those of `current` where they did not."""
    known = {each.get("type"): each for each in current.get("conditions") or ()}
    conditions = [
        {**each, "lastTransitionTime": _since(known.get(each["type"]), each, now)} for each in wanted["conditions"]
    ]
    return {**wanted, "conditions": conditions}


def _since(known: Mapping[str, Any] | None, condition: Mapping[str, Any], now: Instant) -> str:
    if known is not None and known.get("status") == condition["status"] and _is_time(known.get("lastTransitionTime")):
        return str(known["lastTransitionTime"])
    return instants.to_rfc3339(now - now % instants.SECOND)


def _is_time(text: Any) -> bool:
    try:
        instants.from_rfc3339(text)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def is_said(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a status says what it should: times of conditions do not count, a forecast only where it moved far."""
    if _comparable(current, wanted) != _comparable(wanted, wanted):
        return False
    return _is_near(current.get("forecast"), wanted.get("forecast"))


def _comparable(status: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Without what others write, what time alone changes, and conditions that are not ours."""
    ours = conditions.TYPES.union(each["type"] for each in wanted["conditions"])
    said = {
        each["type"]: {**each, "lastTransitionTime": _is_time(each.get("lastTransitionTime"))}
        for each in status.get("conditions") or ()
        if each.get("type") in ours
    }
    apart = _ELSEWHERE | {"conditions", "forecast"}
    rest = {name: value for name, value in status.items() if name not in apart and value != []}
    return {**rest, "conditions": said}


def _is_near(current: str | None, wanted: str | None) -> bool:
    if current is None or wanted is None:
        return current == wanted
    before, after = _amount(current), _amount(wanted)
    if before is None or after is None:
        return current == wanted
    return abs(after - before) * 100 <= FORECAST_PERCENT * max(abs(before), abs(after))


def _amount(text: str) -> decimal.Decimal | None:
    return decimal.Decimal(text) if _AMOUNT.fullmatch(text) else None
