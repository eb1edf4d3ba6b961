"""Which events an author gets to see, and that none of them floods anybody."""

import re
from typing import Any

import pytest

from llmgov import instants
from llmgov_operator import news

NOW = instants.from_rfc3339("2026-11-24T08:30:10Z")


def _condition(kind: str, status: str, reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": kind, "status": status, "observedGeneration": 1, "lastTransitionTime": "2026-11-24T08:00:00Z",
        "reason": reason, "message": message,
    }  # fmt: skip


def _body(*conditions: dict[str, Any], namespace: str | None = "shop") -> dict[str, Any]:
    metadata: dict[str, Any] = {"uid": "u1", "name": "month", "generation": 3, "resourceVersion": "7"}
    metadata |= {"namespace": namespace} if namespace else {}
    status = {"conditions": list(conditions)}
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": "Budget", "metadata": metadata, "status": status}


GOOD = _condition("Accepted", "True", "Accepted")
WARNED = _condition("Accepted", "True", "OverlappingBudgets", "two of them")
WRONG = _condition("Accepted", "False", "UnknownTeam", "there is no Team a")
READY = _condition("Ready", "True", "Ready")
HELD = _condition("Ready", "False", "HeldBack", "waits until Budget/shop/x is mended")
UNMEANT = _condition("Ready", "True", "NoModelMatches", "gtp-4o matches no model")
AWAITED = _condition("Ready", "False", "InProgress", "2 of 3 sidecars")
LEFT = _condition("Exhausted", "False", "MoneyLeft", "1 of 10 USD is spent")
GONE = _condition("Exhausted", "True", "LimitReached", "10 of 10 USD is spent")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        pytest.param(None, GOOD, None, id="good from the beginning is no news"),
        pytest.param(None, WARNED, ("Warning", "OverlappingBudgets"), id="a warning is, from the beginning"),
        pytest.param(None, WRONG, ("Warning", "UnknownTeam"), id="an error is, from the beginning"),
        pytest.param(WRONG, WRONG, None, id="said already"),
        pytest.param(WRONG, GOOD, ("Normal", "Accepted"), id="the author mended it"),
        pytest.param(GOOD, WRONG, ("Warning", "UnknownTeam"), id="it broke"),
        pytest.param(WRONG, {**WRONG, "message": "no Team b"}, ("Warning", "UnknownTeam"), id="broken otherwise"),
        pytest.param(WARNED, GOOD, ("Normal", "Accepted"), id="no longer warned of"),
        pytest.param(None, READY, None, id="ready"),
        pytest.param(READY, AWAITED, None, id="pods come and go"),
        pytest.param(AWAITED, {**AWAITED, "message": "1 of 3"}, None, id="all day"),
        pytest.param(READY, HELD, ("Warning", "HeldBack"), id="held back for another's fault"),
        pytest.param(None, HELD, ("Warning", "HeldBack"), id="from the beginning"),
        pytest.param(HELD, HELD, None, id="still"),
        pytest.param(HELD, READY, ("Normal", "Ready"), id="no longer"),
        pytest.param(HELD, UNMEANT, ("Warning", "NoModelMatches"), id="no longer, and probably not what was meant"),
        pytest.param(READY, UNMEANT, None, id="what Accepted says already"),
        pytest.param(None, LEFT, None, id="there is money"),
        pytest.param(LEFT, {**LEFT, "message": "2 of 10"}, None, id="less of it"),
        pytest.param(LEFT, GONE, ("Warning", "LimitReached"), id="none is left"),
        pytest.param(GONE, {**GONE, "message": "11 of 10"}, None, id="that was said"),
        pytest.param(GONE, LEFT, ("Normal", "MoneyLeft"), id="the limit was raised"),
    ],
)  # fmt: skip
def test_what_is_news(before: dict[str, Any] | None, after: dict[str, Any], told: tuple[str, str] | None) -> None:
    found = list(news.of(_body(*filter(None, [before])), {"conditions": [after]}, NOW, "operator-1"))
    assert [(each["type"], each["reason"]) for each in found] == ([] if told is None else [told])


def test_an_event_says_what_kubectl_describe_shows() -> None:
    (event,) = news.of(_body(), {"conditions": [WRONG]}, NOW, "operator-1")
    assert event["note"] == "there is no Team a"
    assert event["eventTime"] == "2026-11-24T08:30:10.000000Z"
    assert event["regarding"] == {
        "apiVersion": "llmgov.dev/v1alpha1", "kind": "Budget", "name": "month", "namespace": "shop", "uid": "u1",
        "resourceVersion": "7",
    }  # fmt: skip
    assert event["metadata"]["namespace"] == "shop"
    assert news.path(_body()) == "/apis/events.k8s.io/v1/namespaces/shop/events"
    assert event["metadata"]["name"].startswith("month.")


def test_events_of_cluster_scoped_objects_are_in_the_default_namespace() -> None:
    (event,) = news.of(_body(namespace=None), {"conditions": [WRONG]}, NOW, "operator-1")
    assert event["metadata"]["namespace"] == "default"
    assert "namespace" not in event["regarding"]


def test_a_repeated_write_and_the_next_leaders_is_the_same_event() -> None:
    one, again, later = (
        next(news.of(_body(), {"conditions": [condition]}, now, instance))["metadata"]["name"]
        for condition, now, instance in [
            (WRONG, NOW, "operator-1"), (WRONG, NOW + instants.HOUR, "operator-2"),
            (WRONG | {"lastTransitionTime": "2026-12-24T08:00:00Z"}, NOW, "operator-1"),
        ]
    )  # fmt: skip
    assert one == again
    assert one != later


def test_a_note_is_cut_between_characters() -> None:
    (event,) = news.of(_body(), {"conditions": [WRONG | {"message": "ä" * 2000}]}, NOW, "operator-1")
    assert event["note"] == "ä" * 500


def test_an_object_has_ten_events_at_once_and_then_one_a_minute() -> None:
    quota = news.Quota()
    assert [quota.take("u1", NOW) for _ in range(11)] == [True] * 10 + [False]
    assert quota.take("u2", NOW)
    assert not quota.take("u1", NOW + 59 * instants.SECOND)
    assert quota.take("u1", NOW + 60 * instants.SECOND)
    assert not quota.take("u1", NOW + 60 * instants.SECOND)
    assert [quota.take("u1", NOW + instants.HOUR) for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize("end", ["b---", "bc-.", "aaaa", "9999"])
def test_the_event_of_an_object_with_a_long_name_has_a_name_that_the_api_server_takes(end: str) -> None:
    body = _body()
    body["metadata"]["name"] = "a" * 196 + end + "c" * 53
    (event,) = news.of(body, {"conditions": [WRONG]}, NOW, "operator-1")
    subdomain = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
    assert re.fullmatch(subdomain, event["metadata"]["name"])
    assert len(event["metadata"]["name"]) <= 253
    assert event["regarding"]["name"] == body["metadata"]["name"]
