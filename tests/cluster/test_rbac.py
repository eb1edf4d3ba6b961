"""The operator's rights are those it uses: what the audit log of the whole run says, held against the manifests."""

import itertools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from llmgov_operator import kinds
from tests.cluster import operators
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster, KubectlError

pytestmark = pytest.mark.cluster_versions

_FOLDER = pathlib.Path(__file__).parent
_RULES = operators.MANIFESTS / "rbac.yaml"

_OF_EACH_KIND: list[dict[str, Any]] = [
    {"kind": "LLMPolicy", "spec": {"modelAccess": {"deny": ["*-preview"]}}},
    {"kind": "Budget", "spec": {"target": {"namespace": "default"}, "limit": "1", "period": "Day"}},
    {"kind": "Team", "spec": {"namespaces": {"names": ["no-such-namespace"]}}},
    {"kind": "ProviderCredential", "spec": {"provider": "openai", "secretRef": {"name": "none", "key": "none"}}},
    {"kind": "PolicyTemplate", "spec": {"parameters": [{"name": "NAME", "type": "String"}],
                                        "body": {"modelAccess": {"deny": ["{{NAME}}*"]}}}},
    {"kind": "LLMRole", "spec": {"permissions": ["users.view"]}},
    {"kind": "GovernanceSettings", "spec": {}},
]  # fmt: skip


@pytest.fixture(scope="module")
def used(cluster: Cluster, audit: AuditLog, tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str, str]]:
    """What the operator asked for until now, after one has told of an object of each kind."""
    folder = tmp_path_factory.mktemp("rbac")
    with operators.working(cluster, f"sqlite:///{folder / 'ledger.db'}", folder) as operator:
        made = [_object(each) for each in _OF_EACH_KIND]
        cluster.apply(*made)
        try:
            for kind in kinds.OURS.values():
                right = (kind.group, f"{kind.plural}/status", "patch")
                operator.wait(f"a status of {kind.name}", lambda right=right: right in audit.verbs(operators.ACCOUNT))
        finally:
            cluster.kubectl("delete", "--filename=-", "--wait=false", stdin=yaml.safe_dump_all(made))
    return audit.verbs(operators.ACCOUNT)


def test_it_is_asked_last_what_the_operator_did(request: pytest.FixtureRequest) -> None:
    """Whatever order or selection: no test after these uses the cluster whose audit log they read."""
    theirs = [item.path for item in request.session.items if item.path.is_relative_to(_FOLDER)]
    mine = [item for item in theirs if item == request.path]
    assert theirs[-len(mine) :] == mine


def test_the_operator_needs_every_right_that_it_has_and_no_other(
    used: set[tuple[str, str, str]], audit: AuditLog
) -> None:
    assert used - _granted() == set(), "used and not granted"
    assert _granted() - used == set(), "granted and never used"
    refused = [request for request in audit.requests(operators.ACCOUNT) if request.code in (401, 403)]
    assert refused == []


def test_it_writes_nothing_of_anybody_s_objects_but_their_status(used: set[tuple[str, str, str]]) -> None:
    writing = {"create", "update", "patch", "delete", "deletecollection"}
    written = {(group, resource) for group, resource, verb in used if verb in writing}
    statuses = {(kind.group, f"{kind.plural}/status") for kind in kinds.OURS.values()}
    assert written == {*statuses, ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")}


def test_no_right_is_granted_by_a_wildcard_or_on_secrets() -> None:
    words = {word for right in _granted() for word in right}
    assert not [word for word in words if "*" in word or word.startswith("secrets")]


def test_its_pods_are_allowed_in_a_restricted_namespace(cluster: Cluster) -> None:
    operators.install(cluster)
    deployment = yaml.safe_load((operators.MANIFESTS / "deployment.yaml").read_text())
    cluster.kubectl("apply", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(deployment))
    template = deployment["spec"]["template"]
    metadata = {"name": "operator", "namespace": operators.NAMESPACE, **template["metadata"]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
    cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pod))
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        cluster.kubectl("create", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump(pod))


def _object(document: Mapping[str, Any]) -> dict[str, Any]:
    kind = kinds.OURS[document["kind"]]
    metadata = {"name": "default" if kind.name == "GovernanceSettings" else "test-rbac"}
    if kind.namespaced:
        metadata["namespace"] = operators.NAMESPACE
    return {"apiVersion": f"{kind.group}/{kind.version}", "metadata": metadata, **document}


def _granted() -> set[tuple[str, str, str]]:
    return set(_rights())


def _rights() -> Iterator[tuple[str, str, str]]:
    for document in yaml.safe_load_all(_RULES.read_text()):
        for rule in document.get("rules", ()):
            yield from itertools.product(rule["apiGroups"], rule["resources"], rule["verbs"])
