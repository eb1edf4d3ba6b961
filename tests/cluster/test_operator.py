"""The operator as a process on a real API server, with its own ServiceAccount's rights."""

import asyncio
import json
import pathlib
import secrets
import signal
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from llmgov import snapshot
from llmgov.ledger.rows import PartRow
from llmgov_store.sqlite.store import SqliteReader
from tests.cluster import operators, proxy
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster
from tests.cluster.operators import Operator

pytestmark = pytest.mark.cluster_versions


def _policy(namespace: str, name: str, deny: str = "*-preview") -> dict[str, Any]:
    return {
        "apiVersion": "llmgov.dev/v1alpha1",
        "kind": "LLMPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"priority": 100, "modelAccess": {"deny": [deny]}},
    }


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


async def _parts(folder: pathlib.Path, name: str) -> list[PartRow]:
    """The versions in force of a part."""
    reader = SqliteReader.open(folder / "ledger.db")
    try:
        return await reader.parts_now(name)
    finally:
        await reader.close()


def _database(folder: pathlib.Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("operator")


@pytest.fixture
def operator(cluster: Cluster, folder: pathlib.Path) -> Iterator[Operator]:
    """One that works; all of this module have one ledger."""
    with operators.working(cluster, _database(folder), folder, f"operator-{secrets.token_hex(2)}") as working:
        yield working


def test_a_policy_comes_into_force_and_its_author_is_told(cluster: Cluster, namespace: str, operator: Operator) -> None:
    published = f"in force: namespace/{namespace} "
    operator.wait("the namespace is known", lambda: operator.said(published))
    before = operator.metric("llmgov_operator_parts_published_total")
    cluster.apply(_policy(namespace, "access"))
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "-n", namespace, "llmpolicy/access")
    # Namespaces of other tests may be on their way out meanwhile.
    assert len([line for line in operator.lines() if line["message"].startswith(published)]) == 2
    assert operator.metric("llmgov_operator_parts_published_total") > before
    assert operator.metric("llmgov_operator_leader") == 1
    assert operator.metric("llmgov_operator_missed_changes_total") == 0
    managers = cluster.get("llmpolicy", "access", "-n", namespace, "--show-managed-fields")["metadata"]["managedFields"]
    ours = [each for each in managers if each["manager"] == "llmgov-operator"]
    assert [each.get("subresource") for each in ours] == ["status"]


def test_what_is_held_back_is_in_log_and_metrics_and_the_kill_switch_is_not(
    cluster: Cluster, namespace: str, operator: Operator, folder: pathlib.Path
) -> None:
    def killed() -> bool:
        (row,) = asyncio.run(_parts(folder, "organization"))
        return msgspec.json.decode(row.document, type=snapshot.OrganizationPart).settings.kill_switch

    role = _resource("LLMRole", f"role-{namespace}", {"permissions": ["users.view"], "inherits": ["nobody"]})
    settings = _resource("GovernanceSettings", "default", {"requests": {"killSwitch": True}})
    operator.wait("the namespace is known", lambda: operator.said(f"in force: namespace/{namespace} "))
    try:
        cluster.apply(role)
        operator.wait("it says so", lambda: operator.said(f"LLMRole/role-{namespace} (UnknownRole)"))
        assert operator.said("held back: every part, until this is mended: ")
        assert operator.metric("llmgov_operator_held_parts") > 2
        cluster.apply(settings, _policy(namespace, "access"))
        cluster.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "governancesettings/default")
        assert killed()
        cluster.kubectl("wait", "--for=condition=Ready=False", "--timeout=20s", "-n", namespace, "llmpolicy/access")
        cluster.kubectl("delete", "governancesettings", "default")
        operator.wait("it is taken back", lambda: not killed())
    finally:
        cluster.kubectl("delete", "--ignore-not-found", "llmrole", f"role-{namespace}")
        cluster.kubectl("delete", "--ignore-not-found", "governancesettings", "default")
    cluster.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "-n", namespace, "llmpolicy/access")


def test_a_second_start_writes_nothing(cluster: Cluster, audit: AuditLog, namespace: str, folder: pathlib.Path) -> None:
    cluster.apply(_policy(namespace, "access"))
    with operators.working(cluster, _database(folder), folder, "first") as first:
        cluster.kubectl("wait", "--for=condition=Ready", "--timeout=20s", "-n", namespace, "llmpolicy/access")
        first.wait("every status is written", lambda: first.metric("llmgov_operator_status_queue") == 0)
    since = audit.position()
    with operators.working(cluster, _database(folder), folder, "second") as second:
        second.wait("a look at everything", lambda: second.metric("llmgov_operator_reconciles_total") > 0)
        time.sleep(7)  # longer than two looks at the ledger are apart
    written = [request.path for request in audit.requests(operators.ACCOUNT, since=since) if request.verb == "patch"]
    assert written == []
    # Namespaces of other tests may be on their way out meanwhile.
    assert not [
        part for part in ("organization", "prices", f"namespace/{namespace}") if second.said(f"in force: {part} ")
    ]


def test_it_ends_within_five_seconds_and_gives_the_lease_back(cluster: Cluster, operator: Operator) -> None:
    began = time.monotonic()
    assert operator.end(signal.SIGTERM) == 0
    assert time.monotonic() - began < 5
    lease = cluster.get("lease", "llmgov-operator", "-n", operators.NAMESPACE)
    assert lease["spec"].get("holderIdentity", "") == ""


def test_an_api_server_that_is_away_for_a_moment_costs_nothing_and_for_longer_the_lease(
    cluster: Cluster, namespace: str, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    through = tmp_path / "through-proxy.kubeconfig"
    network = proxy.in_front(operators.install(cluster), through)
    environment = {"KUBECONFIG": str(through), "LLMGOV_DATABASE_URL": _database(folder)}
    try:
        with operators.started("cut-off", tmp_path, environment) as operator:
            operator.wait("the operator works", operator.is_working)
            network.swallows = True
            time.sleep(3)
            network.swallows = False
            cluster.apply(_policy(namespace, "after-the-blip"))
            cluster.kubectl(
                "wait", "--for=condition=Ready", "--timeout=60s", "-n", namespace, "llmpolicy/after-the-blip"
            )
            network.swallows = True
            began = time.monotonic()
            assert operator.process.wait(30) == 1
            assert time.monotonic() - began < 15
            assert operator.said("the operator ends: the Lease llmgov-operator was lost")
    finally:
        network.close()


def test_a_replica_that_waits_is_ready_and_asks_for_nothing_but_the_lease(
    cluster: Cluster, audit: AuditLog, operator: Operator, tmp_path: pathlib.Path
) -> None:
    environment = {
        "KUBECONFIG": str(operators.install(cluster)),
        "LLMGOV_DATABASE_URL": _database(tmp_path),
    }
    with operators.started("standby", tmp_path, environment) as standby:
        standby.wait("it waits", lambda: standby.said("waiting to be elected"))
        standby.wait("it is ready", lambda: standby.ask("/readyz") == (200, "ok\n"))
        time.sleep(2)
        mine = [each for each in audit.requests(operators.ACCOUNT) if "(standby)" in each.agent]
        assert {(each.resource, each.verb) for each in mine} == {("leases", "get")}
        assert standby.metric("llmgov_operator_leader") == 0
        assert standby.end() == 0


def test_logs_are_json_with_the_replica_s_name(operator: Operator) -> None:
    lines = operator.log.read_text().splitlines()
    first = json.loads(lines[0])
    assert {"time", "level", "logger", "message"} < first.keys()
    assert first["replica"] == operator.name
