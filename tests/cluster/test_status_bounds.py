"""Statuses at the bounds of their definitions: what somebody else wrote, and amounts of any size."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.cluster import telling_rig
from tests.cluster.cluster import Cluster, KubectlError
from tests.cluster.telling_rig import USD, Rig, document

pytestmark = pytest.mark.cluster_versions

BUDGET = {"limit": "1000", "period": "Month"}


def _run(cluster: Cluster, namespace: str, test: Callable[[Rig], Awaitable[None]]) -> None:
    async def run() -> None:
        async with telling_rig.running(cluster, f"operator-{secrets.token_hex(4)}", namespace) as rig:
            await test(rig)

    asyncio.run(run())


def _write_status(cluster: Cluster, namespace: str, name: str, status: dict[str, Any]) -> None:
    patch = json.dumps({"status": status})
    cluster.kubectl(
        "patch", "budget", name, "-n", namespace, "--subresource=status", "--type=merge", f"--patch={patch}",
        "--field-manager=somebody",
    )  # fmt: skip


def _status(cluster: Cluster, namespace: str, name: str) -> dict[str, Any]:
    status: dict[str, Any] = cluster.get("budget", name, "-n", namespace)["status"]
    return status


def test_a_limit_far_below_what_is_spent_still_has_a_status(cluster: Cluster, namespace: str) -> None:
    async def test(rig: Rig) -> None:
        cluster.apply(document("Budget", "month", {**BUDGET, "target": {"namespace": namespace}}, namespace))
        await rig.settle()
        await rig.spend(f"Budget/{namespace}/month", 150 * USD)
        await rig.settle()
        assert _status(cluster, namespace, "month")["used"] == "15%"
        lowered = {**BUDGET, "limit": "0.01", "target": {"namespace": namespace}}
        cluster.apply(document("Budget", "month", lowered, namespace))
        await rig.settle()
        status = _status(cluster, namespace, "month")
        assert (status["percent"], status["observedGeneration"], status["state"]) == (1_000_000, 2, "Exhausted")

    _run(cluster, namespace, test)


def test_conditions_of_others_that_leave_no_room_are_taken_away(cluster: Cluster, namespace: str) -> None:
    async def test(rig: Rig) -> None:
        cluster.apply(document("Budget", "month", {**BUDGET, "target": {"namespace": namespace}}, namespace))
        theirs = [
            {"type": f"Theirs{number}", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "never"}
            for number in range(16)
        ]
        _write_status(cluster, namespace, "month", {"conditions": theirs})
        await rig.settle()
        await rig.settle()
        status = _status(cluster, namespace, "month")
        assert {each["type"] for each in status["conditions"]} == {"Accepted", "Ready", "Exhausted"}
        _write_status(cluster, namespace, "month", {"conditions": [*status["conditions"], *theirs[:3]]})
        lowered = {**BUDGET, "limit": "1", "target": {"namespace": namespace}}
        cluster.apply(document("Budget", "month", lowered, namespace))
        await rig.settle()
        status = _status(cluster, namespace, "month")
        assert status["observedGeneration"] == 2
        assert len(status["conditions"]) == 6

    _run(cluster, namespace, test)


@pytest.mark.parametrize("amount", ["abc", "NaN", "1e999999", ""])
def test_an_amount_that_is_none_is_refused_whoever_writes_it(cluster: Cluster, namespace: str, amount: str) -> None:
    cluster.apply(document("Budget", "month", {**BUDGET, "target": {"namespace": namespace}}, namespace))
    with pytest.raises(KubectlError, match=r"status\.forecast"):
        _write_status(cluster, namespace, "month", {"forecast": amount})
    _write_status(cluster, namespace, "month", {"forecast": "7.50"})


def test_a_budget_that_is_refused_later_stops_saying_what_is_spent_and_its_event_is_posted(
    cluster: Cluster, namespace: str
) -> None:
    name = "a" * 199 + "-" + "b" * 50

    async def test(rig: Rig) -> None:
        cluster.apply(document("Budget", name, {**BUDGET, "target": {"team": "nobody"}}, namespace))
        await rig.settle()
        assert "Exhausted" not in {each["type"] for each in _status(cluster, namespace, name)["conditions"]}
        events = cluster.get("events.events.k8s.io", "-n", namespace)["items"]
        assert [each["regarding"]["name"] for each in events if each["regarding"]["kind"] == "Budget"] == [name]

    _run(cluster, namespace, test)
