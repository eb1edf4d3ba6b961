"""What authors see of the operator, with kubectl on a real API server: statuses, conditions and events."""

import asyncio
import secrets
import time
from collections.abc import Iterator

import pytest
import yaml

from llmgov_operator import api, kinds, metrics
from llmgov_operator.api import Api
from tests.cluster import telling_rig
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.telling_rig import USD, document

pytestmark = pytest.mark.cluster_versions

BUDGET = {"limit": "10", "period": "Month"}


@pytest.fixture
def tenant(cluster: Cluster, namespace: str) -> Iterator[str]:
    """A second namespace, beside the root one; and nothing cluster-scoped is left whose name begins with that's."""
    name = f"{namespace}-shop"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
    for kind in ("teams", "policytemplates"):
        left = cluster.kubectl("get", kind, "--output=name").split()
        for each in left:
            if each.partition("/")[2].startswith(namespace):
                cluster.kubectl("delete", each)


@pytest.fixture
def user() -> str:
    """Whom the API server's audit log knows the operator by."""
    return f"operator-{secrets.token_hex(4)}"


def _writes(cluster: Cluster, user: str, since: int = 0) -> list[str]:
    """The kinds and names whose status was written."""
    if not cluster.has_audit:
        pytest.skip("this machine cannot: the audit log of a cluster that was named is out of reach")
    cluster.kubectl("get", "namespace", f"none-{user}", "--ignore-not-found")
    cluster.audit.wait_for(lambda request: request.name == f"none-{user}", since=since)
    asked = cluster.audit.requests(user, since=since)
    return [f"{each.resource} {each.name}" for each in asked if each.verb not in ("get", "list")]


def _condition(cluster: Cluster, kind: str, name: str, type_: str, namespace: str = "") -> tuple[str, str, str]:
    where = ["--namespace", namespace] if namespace else []
    conditions = cluster.get(kind, name, *where)["status"]["conditions"]
    found = next(each for each in conditions if each["type"] == type_)
    return found["status"], found["reason"], found["message"]


def test_a_budget_shows_what_is_spent_and_only_what_changed_is_written(
    cluster: Cluster, namespace: str, tenant: str, user: str
) -> None:
    applied = [
        document("Budget", "month", BUDGET | {"target": {"namespace": tenant}}, tenant),
        document("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}, tenant),
        document("Team", f"{namespace}-team", {"namespaces": {"names": [tenant]}}),
    ]
    text = yaml.safe_dump_all(applied)
    cluster.apply(*applied)

    async def run() -> None:
        async with telling_rig.running(cluster, user, namespace, tenant) as rig:
            since = cluster.audit.position() if cluster.has_audit else 0
            await rig.settle()
            for each in ("budget/month", "llmpolicy/models"):
                cluster.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "--namespace", tenant, each)
            for way in ("--server-side=true", "--server-side=false"):
                assert cluster.kubectl("diff", way, "--filename=-", stdin=text) == ""
            await rig.spend(f"Budget/{tenant}/month", 4 * USD)
            await rig.settle()
            headings, row = cluster.kubectl("get", "budgets", "--namespace", tenant).splitlines()
            shown = dict(zip(headings.split(), row.split(), strict=False))
            assert (shown["SPENT"], shown["USED"]) == ("4.00", "40%")
            await rig.settle()
            await rig.settle()
            assert sorted(_writes(cluster, user, since)) == [
                "budgets/status month", "budgets/status month", "llmpolicies/status models",
                f"teams/status {namespace}-team",
            ]  # fmt: skip
            second_user = f"{user}-2"
            async with telling_rig.running(cluster, second_user, namespace, tenant, store=rig.store) as second:
                second.later = rig.later
                await second.settle()
                await second.settle()
            assert _writes(cluster, second_user, since) == []

    asyncio.run(run())


def test_an_object_is_written_at_most_once_in_five_seconds(
    cluster: Cluster, namespace: str, tenant: str, user: str
) -> None:
    cluster.apply(document("Budget", "month", BUDGET | {"target": {"namespace": tenant}}, tenant))

    async def run() -> float:
        async with telling_rig.running(cluster, user, namespace, tenant, observe_seconds=0.2) as rig:
            await rig.reconcile()
            began = time.monotonic()
            async with asyncio.TaskGroup() as group:
                telling = group.create_task(rig.telling.run())
                for number in range(35):
                    await rig.spend(f"Budget/{tenant}/month", number * 10_000)
                    await asyncio.sleep(0.2)
                telling.cancel()
            return time.monotonic() - began

    seconds = asyncio.run(run())
    assert 2 <= len(_writes(cluster, user)) <= 1 + seconds / 5


TEMPLATE = {
    "parameters": [{"name": "MODELS", "type": "String"}],
    "body": {"modelAccess": {"allow": ["{{MODELS}}"]}},
}


def _credential(**spec: object) -> dict[str, object]:
    return {"provider": "openai", "secretRef": {"name": "key", "key": "api-key"}} | spec


def test_every_problem_reaches_its_author(cluster: Cluster, namespace: str, tenant: str, user: str) -> None:
    own = {"target": {"namespace": tenant}}
    price = {"model": "none-such", "rates": {"input": "1", "output": "2"}}
    cluster.apply(
        document("Team", f"{namespace}-a", {"parent": f"{namespace}-b"}),
        document("Team", f"{namespace}-b", {"parent": f"{namespace}-a"}),
        document("Team", f"{namespace}-child", {"parent": f"{namespace}-none"}),
        document("Team", f"{namespace}-owner", {"namespaces": {"names": [tenant]}}),
        document("Budget", "lost", BUDGET | {"target": {"team": f"{namespace}-none"}}, namespace),
        document("Budget", "one", BUDGET | own, tenant),
        document("Budget", "two", {"limit": "20", "period": "Month"} | own, tenant),
        document("ProviderCredential", "elsewhere", _credential(baseURL="https://evil.example/v1"), tenant),
        document("ProviderCredential", "priced", _credential(prices=[price]), tenant),
        document("LLMPolicy", "typo", {"modelAccess": {"allow": ["openai/gpt-99"]}}, tenant),
        document("LLMPolicy", "bare", {"fromTemplate": {"name": f"{namespace}-base"}}, tenant),
        document("Budget", "mars", BUDGET | own | {"timeZone": "Mars/Olympus"}, tenant),
        document("PolicyTemplate", f"{namespace}-base", TEMPLATE),
    )
    time.sleep(1.1)  # of two teams the older owns a namespace, and the API server counts seconds
    cluster.apply(document("Team", f"{namespace}-thief", {"namespaces": {"names": [tenant]}}))

    async def run() -> None:
        async with telling_rig.running(cluster, user, namespace, tenant) as rig:
            await rig.settle()

    asyncio.run(run())
    for kind, name, where, reason, said in [
        ("team", f"{namespace}-a", "", "TeamCycle", "stands above itself"),
        ("team", f"{namespace}-child", "", "UnknownTeam", f"{namespace}-none"),
        ("team", f"{namespace}-thief", "", "NamespaceClaimedTwice", f"belongs to the Team {namespace}-owner"),
        ("budget", "lost", namespace, "UnknownTeam", f"spec.target.team: there is no Team {namespace}-none"),
        ("providercredential", "elsewhere", tenant, "HostNotAllowed", "evil.example"),
        ("providercredential", "priced", tenant, "PriceNotKnown", "none-such"),
        ("llmpolicy", "bare", tenant, "MissingParameter", "MODELS"),
        ("budget", "mars", tenant, "InvalidTimeZone", "spec.timeZone: is no time zone of the IANA database"),
    ]:
        for type_ in ("Accepted", "Ready"):
            status, found, message = _condition(cluster, kind, name, type_, where)
            assert (status, found) == ("False", reason), name
            assert said in message
        described = cluster.kubectl("describe", kind, name, *(["--namespace", where] if where else []))
        events = described.partition("Events:")[2]
        assert "Warning" in events, name
        assert reason in events, name
    for kind, name, reason in [("budget", "one", "OverlappingBudgets"), ("llmpolicy", "typo", "NoModelMatches")]:
        assert _condition(cluster, kind, name, "Accepted", tenant)[:2] == ("True", reason)
    assert _condition(cluster, "team", f"{namespace}-a", "Cycle")[0] == "True"
    assert _condition(cluster, "team", f"{namespace}-thief", "Conflicted")[0] == "True"
    assert _condition(cluster, "team", f"{namespace}-owner", "Conflicted")[0] == "False"


def test_a_policy_that_waits_for_its_neighbour_says_so_and_is_ready_when_that_is_mended(
    cluster: Cluster, namespace: str, tenant: str, user: str
) -> None:
    async def run() -> None:
        async with telling_rig.running(cluster, user, namespace, tenant) as rig:
            cluster.apply(document("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}, tenant))
            await rig.settle()
            broken = document("LLMPolicy", "broken", {"fromTemplate": {"name": f"{namespace}-none"}}, tenant)
            cluster.apply(broken, document("LLMPolicy", "models", {"modelAccess": {"allow": ["anthropic/*"]}}, tenant))
            await rig.settle()
            assert _condition(cluster, "llmpolicy", "models", "Accepted", tenant)[:2] == ("True", "Accepted")
            status, reason, message = _condition(cluster, "llmpolicy", "models", "Ready", tenant)
            assert (status, reason) == ("False", "HeldBack")
            assert f"LLMPolicy/{tenant}/broken (UnknownTemplate)" in message
            with pytest.raises(KubectlError, match="timed out"):
                cluster.kubectl(
                    "wait", "--for=condition=Ready", "--timeout=1s", "--namespace", tenant, "llmpolicy/models"
                )
            cluster.kubectl("delete", "llmpolicy", "broken", "--namespace", tenant)
            await rig.settle()
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=5s", "--namespace", tenant, "llmpolicy/models")
            events = cluster.kubectl("describe", "llmpolicy", "models", "--namespace", tenant).partition("Events:")[2]
            assert "HeldBack" in events
            assert "Normal" in events

    asyncio.run(run())


def test_a_faulty_team_holds_back_nobody_who_is_in_force_as_applied(
    cluster: Cluster, namespace: str, tenant: str, user: str
) -> None:
    access = {"modelAccess": {"deny": ["*-preview"]}}
    cluster.apply(
        document("LLMPolicy", "everywhere", access, namespace),
        document("ProviderCredential", "openai", _credential(), namespace),
        document("LLMPolicy", "models", access, tenant),
        document("Budget", "month", BUDGET | {"target": {"namespace": tenant}}, tenant),
    )

    async def run() -> None:
        async with telling_rig.running(cluster, user, namespace, tenant) as rig:
            await rig.settle()
            since = cluster.audit.position() if cluster.has_audit else 0
            cluster.apply(document("Team", f"{namespace}-self", {"parent": f"{namespace}-self"}))
            assert (await rig.reconcile()).whole_held
            await rig.settle()
            await rig.settle()
            assert _condition(cluster, "team", f"{namespace}-self", "Ready")[:2] == ("False", "TeamCycle")
            for where in (namespace, tenant):
                resources = "llmpolicies,budgets,providercredentials"
                cluster.kubectl(
                    "wait", "--for=condition=Ready", "--timeout=1s", "--namespace", where, resources, "--all"
                )
            written = _writes(cluster, user, since)
            assert [each for each in written if "/status" in each] == [f"teams/status {namespace}-self"]

    asyncio.run(run())


def test_a_status_is_written_to_the_object_that_is_meant_and_not_to_another_of_its_name(
    cluster: Cluster, namespace: str, user: str
) -> None:
    policy = document("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}, namespace)
    kind, status = kinds.OURS["LLMPolicy"], {"violations": 7}

    async def run() -> None:
        connection = await api.connect(str(cluster.user_kubeconfig(user, "system:masters")))
        try:
            requests = Api(connection, metrics.metrics())
            cluster.apply(policy)
            before = await requests.read(kind, namespace, "models")
            assert before is not None
            cluster.kubectl("annotate", "llmpolicy", "models", "--namespace", namespace, "example.com/since=then")
            written = await requests.apply_status(kind, before, status)
            assert written is not None, "of the same object a newer version is written"
            assert (written["metadata"]["uid"], written["status"]) == (before["metadata"]["uid"], status)
            cluster.kubectl("delete", "llmpolicy", "models", "--namespace", namespace)
            assert await requests.apply_status(kind, before, status) is None
            cluster.apply(policy)
            assert await requests.apply_status(kind, before, status) is None
            assert "status" not in cluster.get("llmpolicy", "models", "--namespace", namespace)
        finally:
            await connection.close()

    asyncio.run(run())
