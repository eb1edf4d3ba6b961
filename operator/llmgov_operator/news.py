"""Events for the authors of resources: one where a condition came to say something else, none where it says the same.

Pure. What `kubectl describe` shows below an object comes from here. An event's name follows from what it tells, so that
a repeated write, and the next leader's, is the same event and no second one.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

from llmgov import instants
from llmgov.instants import Instant
from llmgov_operator.cluster import Body

COMPONENT: Final = "llmgov-operator"
"""Who reports."""

TOLD: Final = ("Accepted", "Ready", "Exhausted")
"""The conditions whose changes are told; of `Ready` only that a resource is held back, and that it no longer is: how
many sidecars follow changes all day."""

HELD_BACK: Final = "HeldBack"
"""The reason of what is understood and not in force, since another resource has to be mended first."""

_GOOD_WHEN: Final[Mapping[str, str]] = {"Accepted": "True", "Ready": "True", "Exhausted": "False"}
_NOTE_BYTES: Final = 1000
"""The API server takes 1 KiB of a note (events.k8s.io/v1)."""

CLUSTER_SCOPED_IN: Final = "default"
"""Events about cluster-scoped objects live here, as the API server demands."""

BURST: Final = 10
"""Events of one object that are posted at once."""

EVERY: Final = instants.MINUTE
"""One more is posted after each: an object that is changed without an end says enough with these."""


class Quota:
    """How many events an object may still have, so that none of them floods its namespace."""

    def __init__(self) -> None:
        self._full_at: dict[str, Instant] = {}

    def take(self, uid: str, now: Instant) -> bool:
        """Whether one more event of the object may be posted now, which then counts."""
        self._forget(now)
        full_at = max(now, self._full_at.get(uid, now)) + EVERY
        if full_at - now > BURST * EVERY:
            return False
        self._full_at.pop(uid, None)  # to the end: the first are those that were asked for longest ago
        self._full_at[uid] = full_at
        return True

    def _forget(self, now: Instant) -> None:
        """Those that may have as many as ever."""
        while self._full_at and next(iter(self._full_at.values())) <= now:
            del self._full_at[next(iter(self._full_at))]


def path(body: Body) -> str:
    """Where events about an object are created."""
    return f"/apis/events.k8s.io/v1/namespaces/{_namespace(body)}/events"


def of(body: Body, status: Mapping[str, Any], now: Instant, instance: str) -> Iterator[dict[str, Any]]:
    """The events of an object whose status becomes `status`; `instance` is the replica that reports.

    A condition that is as it should be from the beginning is no news.
    """
    before = {each.get("type"): each for each in (body.get("status") or {}).get("conditions") or ()}
    for condition in status["conditions"]:
        if condition["type"] in TOLD and _is_news(before.get(condition["type"]), condition):
            yield _event(body, condition, now, instance)


def _is_news(before: Mapping[str, Any] | None, condition: Mapping[str, Any]) -> bool:
    if condition["type"] == "Ready":
        ended = before is not None and _is_held_back(before) and _is_good(condition)
        return ended or (_is_held_back(condition) and not _is_same(before, condition))
    if before is None:
        return not _is_good(condition) or _warns(condition)
    changed = any(before.get(name) != condition[name] for name in ("status", "reason"))
    return changed or ((not _is_good(condition) or _warns(condition)) and not _is_same(before, condition))


def _is_held_back(condition: Mapping[str, Any]) -> bool:
    return bool(condition.get("reason") == HELD_BACK)


def _is_same(before: Mapping[str, Any] | None, condition: Mapping[str, Any]) -> bool:
    """Whether the same was said before; of an exhausted account the amount is no news."""
    names = ("status", "reason") if condition["type"] == "Exhausted" else ("status", "reason", "message")
    return before is not None and all(before.get(name) == condition[name] for name in names)


def _is_good(condition: Mapping[str, Any]) -> bool:
    return bool(condition["status"] == _GOOD_WHEN[condition["type"]])


def _warns(condition: Mapping[str, Any]) -> bool:
    """Accepted or ready, and probably not what its author meant: the reason is then the problem's code."""
    return condition["type"] in ("Accepted", "Ready") and condition["reason"] != condition["type"]


def _event(body: Body, condition: Mapping[str, Any], now: Instant, instance: str) -> dict[str, Any]:
    metadata = body["metadata"]
    good = _is_good(condition) and not _warns(condition)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{_beginning(metadata)}.{_digest(metadata, condition)}", "namespace": _namespace(body)},
        "type": "Normal" if good else "Warning",
        "reason": condition["reason"],
        "action": "Reconcile",
        "note": _note(condition),
        "eventTime": _micro_time(now),
        "reportingController": COMPONENT,
        "reportingInstance": instance[:128],
        "regarding": {
            "apiVersion": body["apiVersion"],
            "kind": body["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "resourceVersion": metadata.get("resourceVersion", ""),
            **({"namespace": metadata["namespace"]} if metadata.get("namespace") else {}),
        },
    }


def _beginning(metadata: Mapping[str, Any]) -> str:
    """Of an object's name: cut anywhere, it may end as no name may before a dot."""
    return str(metadata["name"][:200].rstrip("-."))


def _micro_time(now: Instant) -> str:
    """RFC 3339 with all six digits, as the API's MicroTime is."""
    whole, micros = divmod(now, instants.SECOND)
    return f"{instants.to_rfc3339(whole * instants.SECOND).removesuffix('Z')}.{micros:06}Z"


def _note(condition: Mapping[str, Any]) -> str:
    text = condition["message"] or f"{condition['type']} is {condition['status']}"
    return str(text).encode()[:_NOTE_BYTES].decode(errors="ignore")


def _digest(metadata: Mapping[str, Any], condition: Mapping[str, Any]) -> str:
    said = [condition[name] for name in ("type", "status", "reason", "message", "lastTransitionTime")]
    told = "\n".join([metadata["uid"], str(metadata.get("generation", 0)), *map(str, said)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _namespace(body: Body) -> str:
    return body["metadata"].get("namespace") or CLUSTER_SCOPED_IN
