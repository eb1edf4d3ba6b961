"""What people and scripts see of a resource whose status is written: columns, names, and waiting."""

import re
import secrets
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from llmgov.resources import KINDS
from llmgov.resources.base import API_VERSION, Scope
from tests.cluster import raw_api
from tests.cluster.cluster import Cluster, KubectlError

pytestmark = pytest.mark.cluster_versions

_AGE = r"\d+[smhd]\S*"
_SINCE = "2026-01-01T00:00:00Z"
_WINDOW = {"start": "2026-01-01T00:00:00Z", "end": "2026-02-01T00:00:00Z"}
_ACCOUNT = {
    "target": "team/payments",
    "limit": "5000.00",
    "currency": "USD",
    "period": "Month",
    "spent": "2500",
    "held": "12.5",
    "remaining": "2487.5",
    "percent": 50,
    "used": "50%",
    "forecast": "4900.1",
    "window": _WINDOW,
    "state": "Notified",
}
_IN_FORCE = ["team/payments", "5000.00", "2500", "12.5", "50%", "2026-02-01T00:00:00Z", "Notified", "USD", "True",
             "Written", "Month", "4900.1"]  # fmt: skip


class Sample(NamedTuple):
    """A resource, what the operator would report, and the cells of `kubectl get -o wide` after its name."""

    spec: dict[str, Any]
    status: dict[str, Any]
    cells: list[str]


SAMPLES = {
    "LLMPolicy": Sample(
        {"priority": 300, "costLimit": {"limits": [{"period": "Month", "amount": "5000"}]}},
        {**_ACCOUNT, "sidecars": 12, "sidecarsEnforcing": 11, "violations": 7},
        ["300", "Enforce", "True", "Written", "11", "12", "7", _AGE, "2500", "50%", "Notified"],
    ),
    "Budget": Sample(
        {"target": {"team": "payments"}, "limit": "6000", "currency": "EUR", "period": "Day"},  # not in force
        _ACCOUNT,
        _IN_FORCE,
    ),
    "Team": Sample(
        {"parent": "engineering", "members": [{"user": "jane@example.com", "role": "power-user"}]},
        {"path": ["payments", "engineering"], "namespaces": ["payments"], "members": 1, "spent": "2500.25"},
        ["engineering", "1", "2500.25", "True", "Written", _AGE],
    ),
    "ProviderCredential": Sample(
        {
            "provider": "openai-compatible",
            "baseURL": "https://models.example.com/v1",
            "secretRef": {"name": "key", "key": "api-key"},
        },
        {"keyFingerprint": "1f2e3d", "lastVerified": _SINCE, "lastRotation": _SINCE},
        ["openai-compatible", "https://models.example.com/v1", _AGE, "True", "Written", _AGE],
    ),
    "PolicyTemplate": Sample(
        {"body": {"compliance": {"requireAudit": True}}}, {"uses": 3}, ["3", "True", "Written", _AGE]
    ),
    "LLMRole": Sample({"permissions": ["llm.use.openai"]}, {}, ["True", "Written", _AGE]),
    "GovernanceSettings": Sample(
        {"requests": {"killSwitch": True}, "audit": {"mode": "Strict"}}, {}, ["true", "Strict", "True", "Written", _AGE]
    ),
}


def _condition(kind: str, status: str, generation: int) -> dict[str, Any]:
    said = {"reason": "Written", "message": f"{kind} is {status}", "lastTransitionTime": _SINCE}
    return {"type": kind, "status": status, "observedGeneration": generation, **said}


def _report(cluster: Cluster, resource: Mapping[str, Any], status: Mapping[str, Any], ready: str = "True") -> None:
    """Write a status as the operator does: by server-side apply, as its own manager, and nothing else."""
    generation = cluster.get(*_where(resource))["metadata"]["generation"]
    conditions = [_condition("Accepted", "True", generation), _condition("Ready", ready, generation)]
    reported = {name: resource[name] for name in ("apiVersion", "kind", "metadata")} | {
        "status": {**status, "observedGeneration": generation, "conditions": conditions}
    }
    with raw_api.proxied(cluster, resource["metadata"].get("namespace", "")) as api:
        answer = api.apply_status(reported, "llmgov-operator")
    assert answer.accepted, answer.message


def _where(resource: Mapping[str, Any]) -> list[str]:
    namespace = resource["metadata"].get("namespace")
    found = [f"{KINDS[resource['kind']].naming.plural}.llmgov.dev", resource["metadata"]["name"]]
    return [*found, "--namespace", namespace] if namespace else found


def _resource(kind: str, namespace: str) -> dict[str, Any]:
    name = "default" if kind == "GovernanceSettings" else f"sample-{secrets.token_hex(4)}"
    metadata = {"name": name, "namespace": namespace} if _namespaced(kind) else {"name": name}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": SAMPLES[kind].spec}


def _namespaced(kind: str) -> bool:
    return KINDS[kind].naming.scope is Scope.NAMESPACED


@pytest.fixture(params=KINDS)
def resource(request: pytest.FixtureRequest, cluster: Cluster, namespace: str) -> Iterator[dict[str, Any]]:
    """One resource of each kind with its status."""
    made = _resource(request.param, namespace)
    if made["kind"] == "GovernanceSettings" and cluster.kubectl("get", "governancesettings", "--output=name"):
        pytest.skip("this machine cannot: the cluster that was named has settings of its own")
    cluster.apply(made)
    _report(cluster, made, SAMPLES[made["kind"]].status)
    yield made
    cluster.kubectl("delete", *_where(made))


def _row(printed: str, name: str) -> tuple[list[str], list[str]]:
    """The heading, and the cells of one object, without the object's name."""
    heading, *rows = (re.split(r"\s{2,}", line.strip()) for line in printed.splitlines())
    (row,) = [cells for cells in rows if cells[0] == name]
    return heading[1:], row[1:]


def test_get_shows_the_columns_of_the_model_by_every_name(cluster: Cluster, resource: dict[str, Any]) -> None:
    naming, sample = KINDS[resource["kind"]].naming, SAMPLES[resource["kind"]]
    _, name, *place = _where(resource)
    for called in (naming.plural, naming.singular, *naming.short):
        heading, cells = _row(cluster.kubectl("get", called, *place, "--output=wide"), name)
        assert heading == [column.name.upper() for column in naming.columns]
        assert len(cells) == len(sample.cells)
        assert all(map(re.fullmatch, map(_pattern, sample.cells), cells)), cells
    heading, _ = _row(cluster.kubectl("get", naming.plural, *place), name)
    assert heading == [column.name.upper() for column in naming.columns if column.priority == 0]


def _pattern(cell: str) -> str:
    return cell if cell == _AGE else re.escape(cell)


def test_a_status_is_kept_whole_and_does_not_raise_the_generation(cluster: Cluster, resource: dict[str, Any]) -> None:
    kept = cluster.get(*_where(resource))
    assert kept["metadata"]["generation"] == kept["status"]["observedGeneration"] == 1
    assert kept["status"].items() >= SAMPLES[resource["kind"]].status.items()
    assert "finalizers" not in kept["metadata"]
    assert not kept["metadata"].get("annotations")


def test_a_status_of_the_author_is_dropped(cluster: Cluster, namespace: str) -> None:
    budget = _resource("Budget", namespace)
    cluster.apply({**budget, "status": {"spent": "0", "state": "Open"}})
    assert "status" not in cluster.get(*_where(budget))


def test_the_category_lists_all_kinds(cluster: Cluster, namespace: str) -> None:
    kinds = [kind for kind in KINDS if kind != "GovernanceSettings"]
    made = [_resource(kind, namespace) for kind in kinds]
    cluster.apply(*made)
    listed = set(cluster.kubectl("get", "llmgov", "--namespace", namespace, "--output=name").split())
    assert listed >= {f"{KINDS[each['kind']].naming.singular}.llmgov.dev/{each['metadata']['name']}" for each in made}
    for each in made:
        cluster.kubectl("delete", *_where(each))
    served = cluster.kubectl("api-resources", "--categories=llmgov", "--output=name").split()
    assert sorted(served) == sorted(f"{kind.naming.plural}.llmgov.dev" for kind in KINDS.values())


def test_wait_ends_when_ready_and_times_out_before(cluster: Cluster, namespace: str) -> None:
    policy = _resource("LLMPolicy", namespace)
    cluster.apply(policy)
    for status in (None, "False"):
        if status is not None:
            _report(cluster, policy, {}, ready=status)
        with pytest.raises(KubectlError, match="timed out waiting for the condition"):
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=1s", *_waited(policy))
    _report(cluster, policy, {})
    assert "condition met" in cluster.kubectl("wait", "--for=condition=Ready", "--timeout=10s", *_waited(policy))


def test_wait_does_not_take_what_was_said_of_an_earlier_generation(cluster: Cluster, namespace: str) -> None:
    """kubectl compares a condition's own observedGeneration, which is why each condition has one."""
    policy = _resource("LLMPolicy", namespace)
    cluster.apply(policy)
    _report(cluster, policy, {})
    cluster.apply({**policy, "spec": {**policy["spec"], "priority": 301}})
    with pytest.raises(KubectlError, match="timed out waiting for the condition"):
        cluster.kubectl("wait", "--for=condition=Ready", "--timeout=1s", *_waited(policy))
    _report(cluster, policy, {})
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=10s", *_waited(policy))


def _waited(resource: Mapping[str, Any]) -> list[str]:
    plural, name, *place = _where(resource)
    return [f"{plural}/{name}", *place]
