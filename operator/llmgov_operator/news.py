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

TOLD: Final = ("Accepted", "Enforced", "Exhausted")
"""The conditions whose changes are told; `Ready` says nothing that these do not."""

_GOOD_WHEN: Final[Mapping[str, str]] = {"Accepted": "True", "Enforced": "True", "Exhausted": "False"}
_NOTE_BYTES: Final = 1000
"""The API server takes 1 KiB of a note (events.k8s.io/v1)."""

CLUSTER_SCOPED_IN: Final = "default"
"""Events about cluster-scoped objects live here, as the API server demands."""


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
    if before is None:
        return not _is_good(condition) or _warns(condition)
    changed = any(before.get(name) != condition[name] for name in ("status", "reason"))
    repeated = before.get("message") == condition["message"]
    return changed or (not repeated and (not _is_good(condition) or _warns(condition)))


def _is_good(condition: Mapping[str, Any]) -> bool:
    return bool(condition["status"] == _GOOD_WHEN[condition["type"]])


def _warns(condition: Mapping[str, Any]) -> bool:
    """Accepted, and probably not what its author meant: the reason is then the problem's code."""
    return bool(condition["type"] == "Accepted" and condition["reason"] != "Accepted")


def _event(body: Body, condition: Mapping[str, Any], now: Instant, instance: str) -> dict[str, Any]:
    metadata = body["metadata"]
    good = _is_good(condition) and not _warns(condition)
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:200]}.{_digest(metadata, condition)}", "namespace": _namespace(body)},
        "type": "Normal" if good else "Warning",
        "reason": condition["reason"],
        "action": "Reconcile",
        "note": _note(condition),
        "eventTime": instants.to_rfc3339(now),
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


def _note(condition: Mapping[str, Any]) -> str:
    text = condition["message"] or f"{condition['type']} is {condition['status']}"
    return str(text).encode()[:_NOTE_BYTES].decode(errors="ignore")


def _digest(metadata: Mapping[str, Any], condition: Mapping[str, Any]) -> str:
    said = [condition[name] for name in ("type", "status", "reason", "message", "lastTransitionTime")]
    told = "\n".join([metadata["uid"], str(metadata.get("generation", 0)), *map(str, said)])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _namespace(body: Body) -> str:
    return body["metadata"].get("namespace") or CLUSTER_SCOPED_IN
