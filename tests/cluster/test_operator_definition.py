"""A definition that is changed under an operator that works: deleted and made again between two of its comparisons, or
relaxed, so that something is stored that nobody can read."""

import asyncio
import json
import pathlib
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmgov_store.sqlite.store import SqliteReader
from tests.cluster import contents, control_plane, operators
from tests.cluster.cluster import Cluster, KubectlError
from tests.support.machine import requires

pytestmark = [requires("kubernetes of its own"), pytest.mark.cluster_versions]

_DEFINITION = str(contents.CRDS / "llmgov.dev_llmpolicies.yaml")

_BACK_SECONDS = 100
"""Where kopf, told of the new definition, looks a moment too early, the next minute's comparison begins the watches
anew: a minute, and some seconds in which the API server answers slowly."""


def _resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


def _policy(name: str) -> dict[str, Any]:
    return _resource("LLMPolicy", name, {"priority": 100, "modelAccess": {"deny": [f"marker-{name}"]}})


BUDGET = _resource("Budget", "month", {"target": {"namespace": "default"}, "limit": "10", "period": "Month"})


def _in_force(ledger: pathlib.Path) -> set[str]:
    """What of these resources the sidecars of their namespace get."""

    async def read() -> str:
        reader = SqliteReader.open(ledger)
        try:
            return "".join(row.document.decode() for row in await reader.parts_now("namespace/default"))
        finally:
            await reader.close()

    return set(re.findall(r"marker-\w+|Budget/default/month", asyncio.run(read())))


def _apply_when_served(cluster: Cluster, policy: dict[str, Any]) -> None:
    _when_served(lambda: cluster.apply(policy))


def _create_when_served(cluster: Cluster, document: str) -> None:
    _when_served(lambda: cluster.kubectl("create", "--filename=-", stdin=document))


def _when_served(write: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            write()
        except KubectlError:
            assert time.monotonic() < end
            time.sleep(0.1)
        else:
            return


def test_what_went_with_its_definition_is_not_in_force_and_what_is_applied_again_is(tmp_path: pathlib.Path) -> None:
    ledger = tmp_path / "ledger.db"
    with control_plane.running() as plane:
        cluster = plane.cluster()
        contents.install(cluster)
        cluster.apply(BUDGET, _policy("once"), _policy("twice"))
        with operators.working(cluster, f"sqlite:///{ledger}", tmp_path) as operator:
            whole = {"Budget/default/month", "marker-once", "marker-twice"}
            operator.wait("all is in force", lambda: _in_force(ledger) == whole)
            before = cluster.get("llmpolicy", "twice")["metadata"]["uid"]

            cluster.kubectl("delete", "--filename", _DEFINITION, "--timeout=30s")
            operator.wait("both policies are not", lambda: _in_force(ledger) == {"Budget/default/month"}, 10)
            assert operator.objects("LLMPolicy") == 0
            assert operator.objects("Budget") == 1

            cluster.kubectl("apply", "--server-side", "--filename", _DEFINITION)
            _apply_when_served(cluster, _policy("twice"))
            after = {"Budget/default/month", "marker-twice"}
            operator.wait("the one that came again is", lambda: _in_force(ledger) == after, _BACK_SECONDS)
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "llmpolicy/twice", "budget/month")
            assert cluster.get("llmpolicy", "twice")["metadata"]["uid"] != before
            assert operator.objects("LLMPolicy") == 1
            assert operator.said("Unresolved resources cannot be served (try creating their CRDs)")
            assert _is_told_of(operator)

            # Now everything is watched again.
            cluster.apply(_policy("later"))
            operator.wait("a third is in force at once", lambda: _in_force(ledger) == {*after, "marker-later"}, 5)
            assert operator.ask("/readyz") == (200, "ok\n")
            assert [line["message"] for line in operator.lines() if line["level"] == "CRITICAL"] == []
        refused = [each for each in cluster.audit.requests(operators.ACCOUNT) if each.code in (401, 403)]
        assert refused == []


def test_a_budget_that_nobody_can_read_any_more_keeps_the_amounts_of_what_is_in_force(tmp_path: pathlib.Path) -> None:
    ledger = tmp_path / "ledger.db"
    with control_plane.running() as plane:
        cluster = plane.cluster()
        contents.install(cluster)
        cluster.apply(BUDGET)
        with operators.working(cluster, f"sqlite:///{ledger}", tmp_path) as operator:
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "budget/month")
            before = cluster.get("budget", "month")["status"]

            _relax(cluster, "budgets.llmgov.dev")
            _apply_when_served(cluster, {**BUDGET, "spec": {**BUDGET["spec"], "limit": "ten"}})
            cluster.kubectl("wait", "--for=condition=Ready=False", "--timeout=30s", "budget/month")
            status = cluster.get("budget", "month")["status"]
            amounts = ("target", "spent", "held", "remaining", "window", "state")
            assert {name: status[name] for name in amounts} == {name: before[name] for name in amounts}
            said = {each["type"]: each for each in status["conditions"]}
            assert said["Accepted"]["reason"] == "InvalidAmount"
            assert said["Ready"]["message"].endswith("Until it is mended, its earlier state stays in force")
            assert _in_force(ledger) == {"Budget/default/month"}

            cluster.apply(BUDGET)
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "budget/month")
            assert operator.process.poll() is None


def test_what_is_nested_without_end_is_told_so_and_stops_nobody_else(tmp_path: pathlib.Path) -> None:
    ledger = tmp_path / "ledger.db"
    with control_plane.running() as plane:
        cluster = plane.cluster()
        contents.install(cluster)
        cluster.kubectl("create", "namespace", "tenant")
        with pytest.raises(KubectlError, match="must have at most 0 items"):
            cluster.kubectl("create", "--filename=-", stdin=_deep_policy(3_000))
        _relax(cluster, "llmpolicies.llmgov.dev")  # as an older definition was
        _create_when_served(cluster, _deep_policy(3_000))
        cluster.apply(_policy("before"))
        with operators.working(cluster, f"sqlite:///{ledger}", tmp_path) as operator:
            operator.wait("what others applied is in force", lambda: _in_force(ledger) == {"marker-before"})
            cluster.kubectl("wait", "--for=condition=Ready=False", "--timeout=30s", "-n", "tenant", "llmpolicy/deep")
            reason = "jsonpath={.status.conditions[?(@.type=='Accepted')].reason}"
            assert cluster.kubectl("get", "llmpolicy/deep", "-n", "tenant", "--output", reason) == "NotJson"

            cluster.kubectl("delete", "llmpolicy", "deep", "-n", "tenant")
            _create_when_served(cluster, _deep_policy(9_000))
            cluster.apply(_policy("after"))
            both = {"marker-before", "marker-after"}
            operator.wait("what comes after it is, too", lambda: _in_force(ledger) == both, 10)
            cluster.kubectl("wait", "--for=condition=Ready=False", "--timeout=30s", "-n", "tenant", "llmpolicy/deep")
            assert operator.metric("llmgov_operator_missed_changes_total") == 0


def _deep_policy(levels: int) -> str:
    """Written by hand: Python writes no such thing."""
    nested = '{"a":' * levels + "1" + "}" * levels
    policy = _resource("LLMPolicy", "deep", {"fromTemplate": {"name": "t", "parameters": {"N": "here"}}})
    policy["metadata"]["namespace"] = "tenant"
    return json.dumps(policy).replace('"here"', nested)


def _relax(cluster: Cluster, definition: str) -> None:
    """Let the API server take any spec of a kind."""
    found = cluster.get("customresourcedefinition", definition)
    for version in found["spec"]["versions"]:
        schema = version["schema"]["openAPIV3Schema"]
        schema.pop("x-kubernetes-validations", None)
        schema["properties"]["spec"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    cluster.kubectl("replace", "--filename=-", stdin=json.dumps(found))


def _is_told_of(operator: operators.Operator) -> bool:
    """Either the watch told of it, or the metric and the log say that it did not."""
    missed = operator.metric("llmgov_operator_missed_changes_total")
    return missed == 0 or operator.said("the watch of llmpolicies had missed default/twice")
