"""The control plane that the tests start: real rights, real controllers, and an audit log of who did what."""

import json
import secrets

import pytest

from tests.cluster import control_plane
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster, KubectlError
from tests.support.machine import requires

pytestmark = pytest.mark.cluster_versions

_READS_CONFIGMAPS = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]


def _grant(cluster: Cluster, namespace: str, subject: dict[str, str]) -> None:
    api = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": {"name": "reader", "namespace": namespace}}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"}
    cluster.apply(
        {**api, "kind": "Role", "rules": _READS_CONFIGMAPS},
        {**api, "kind": "RoleBinding", "roleRef": role, "subjects": [subject]},
    )


def _somebody() -> str:
    return f"user-{secrets.token_hex(4)}"


def test_all_kinds_of_the_project_are_served(cluster: Cluster) -> None:
    served = cluster.kubectl("api-resources", "--api-group=llmgov.dev", "--output=name").split()
    assert len(served) == 7
    assert "budgets.llmgov.dev" in served


def test_a_user_without_rights_is_refused(cluster: Cluster, namespace: str) -> None:
    nobody = cluster.user_kubeconfig(_somebody())
    with pytest.raises(KubectlError, match=r"cannot list resource \"configmaps\""):
        cluster.kubectl("get", "configmaps", "--namespace", namespace, as_user=nobody)


def test_a_user_may_what_a_role_of_their_own_or_their_group_s_says(cluster: Cluster, namespace: str) -> None:
    name, group = _somebody(), _somebody()
    _grant(cluster, namespace, {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": group})
    member, stranger = cluster.user_kubeconfig(name, group), cluster.user_kubeconfig(name, f"{group}s")
    listed = cluster.get("configmaps", "--namespace", namespace, as_user=member)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["kube-root-ca.crt"]
    with pytest.raises(KubectlError, match="Forbidden"):
        cluster.kubectl("delete", "configmaps", "--all", "--namespace", namespace, as_user=member)
    with pytest.raises(KubectlError, match="Forbidden"):
        cluster.get("configmaps", "--namespace", namespace, as_user=stranger)


def test_a_serviceaccount_s_token_is_that_serviceaccount(cluster: Cluster, namespace: str) -> None:
    account = cluster.service_account_kubeconfig(namespace, "default")
    whoami = json.loads(cluster.kubectl("auth", "whoami", "--output=json", as_user=account))
    assert whoami["status"]["userInfo"]["username"] == f"system:serviceaccount:{namespace}:default"


@pytest.mark.parametrize(
    ("audience", "asked", "accepted"),
    [
        pytest.param("llmgov", "llmgov", True, id="a token for our audience is accepted"),
        pytest.param("https://kubernetes.default.svc", "llmgov", False, id="the API server's own is not ours"),
        pytest.param("llmgov", "vault", False, id="ours is nobody else's"),
    ],
)
def test_a_token_review_goes_by_the_audience(
    cluster: Cluster, namespace: str, audience: str, asked: str, *, accepted: bool
) -> None:
    token = cluster.kubectl("create", "token", "default", "--audience", audience, "--namespace", namespace).strip()
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": token, "audiences": [asked]},
    }
    answer = json.loads(cluster.kubectl("create", "--filename=-", "--output=json", stdin=json.dumps(review)))
    assert answer["status"].get("authenticated", False) is accepted


def test_the_audit_log_names_who_did_what(cluster: Cluster, audit: AuditLog, namespace: str) -> None:
    name = _somebody()
    _grant(cluster, namespace, {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name})
    reader = cluster.user_kubeconfig(name)
    since = audit.position()
    cluster.get("configmap", "kube-root-ca.crt", "--namespace", namespace, as_user=reader)
    with pytest.raises(KubectlError):
        cluster.kubectl("create", "configmap", "mine", "--namespace", namespace, as_user=reader)
    refused = audit.wait_for(lambda request: request.code == 403, user=name, since=since)
    assert (refused.verb, refused.resource, refused.namespace) == ("create", "configmaps", namespace)
    assert audit.verbs(name, since=since) == {("", "configmaps", "get"), ("", "configmaps", "create")}
    assert "kubectl" in refused.agent


def test_the_audit_log_is_about_users_alone(audit: AuditLog) -> None:
    users = {request.user for request in audit.requests()}
    assert not {user for user in users if user.startswith(("system:kube-", "system:apiserver", "system:node"))}


def test_a_deleted_namespace_goes_with_what_is_in_it(cluster: Cluster) -> None:
    name = f"test-{secrets.token_hex(4)}"
    team = f"team-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    cluster.kubectl("create", "configmap", team, "--namespace", name)
    cluster.kubectl("delete", "namespace", name, "--timeout=60s")
    with pytest.raises(KubectlError, match="NotFound"):
        cluster.get("namespace", name)


@requires("kubernetes of its own")
def test_two_at_once_do_not_disturb_each_other() -> None:
    with control_plane.running() as one, control_plane.running() as other:
        one.cluster().kubectl("create", "namespace", "only-in-one")
        with pytest.raises(KubectlError, match="NotFound"):
            other.cluster().get("namespace", "only-in-one")
        elsewhere = f"--server={_server(other)}"
        with pytest.raises(KubectlError, match="certificate"):
            one.cluster().kubectl("get", "namespaces", elsewhere)


@requires("kubernetes of its own")
def test_a_killed_api_server_comes_back_where_it_was_with_what_it_had() -> None:
    with control_plane.running() as plane:
        cluster = plane.cluster()
        cluster.kubectl("create", "namespace", "stays")
        plane.kill("kube-apiserver")
        with pytest.raises(KubectlError, match="refused"):
            cluster.get("namespace", "stays")
        plane.start("kube-apiserver")
        assert cluster.get("namespace", "stays")["status"]["phase"] == "Active"


def _server(plane: control_plane.ControlPlane) -> str:
    return plane.cluster().kubectl("config", "view", "--output=jsonpath={.clusters[0].cluster.server}")
