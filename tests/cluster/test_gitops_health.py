"""When Argo CD, Flux and whatever else waits with kstatus call a resource healthy: their own rules, in real engines.

The data of all three is that of examples/06-gitops, in the layout of Argo CD's repository.
"""

import itertools
import json
import pathlib
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from llmgov import problems
from llmgov.resources import KINDS
from llmgov.resources.base import API_VERSION
from llmgov.statuses import conditions
from tests.support import machine

lua = pytest.importorskip("lupa.lua51", reason=f"{machine.REASON}run Lua (lupa is not installed)")
cel = pytest.importorskip("cel", reason=f"{machine.REASON}evaluate CEL (common-expression-language is not installed)")

EXAMPLE = pathlib.Path(__file__).parents[2] / "examples" / "06-gitops"
FOLDER = EXAMPLE / "argocd" / "health" / "resource_customizations" / "llmgov.dev" / "_"
SCRIPT = (FOLDER / "health.lua").read_text()
CASES = yaml.safe_load((FOLDER / "health_test.yaml").read_text())["tests"]
_KUSTOMIZATION = yaml.safe_load((EXAMPLE / "flux" / "policies.yaml").read_text())
EXPRESSIONS = {each["kind"]: each for each in _KUSTOMIZATION["spec"]["healthCheckExprs"]}

FLUX_OF = {"Healthy": "Current", "Degraded": "Failed", "Progressing": "InProgress"}
"""What Flux should say where Argo CD says something."""

KSTATUS_OTHERWISE = {
    "progressing_no_status": "Current",
    "progressing_no_conditions": "Current",
    "degraded_refused_policy": "InProgress",
    "degraded_held_back": "InProgress",
}
"""Where kstatus alone says something else than Flux with our expressions: what."""

each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: pathlib.Path(case["inputPath"]).stem)


def argo_cd(resource: Mapping[str, Any]) -> dict[str, Any]:
    """Run the script as Argo CD does: in Lua 5.1, the resource in the global `obj`, without files and processes."""
    runtime = lua.LuaRuntime(unpack_returned_tuples=True, register_eval=False)
    for library in ("io", "os", "debug", "package", "require", "python"):
        runtime.globals()[library] = None
    runtime.globals().obj = runtime.table_from(resource, recursive=True)
    answer = runtime.execute(SCRIPT)
    return dict(answer.items())


def flux(resource: Mapping[str, Any]) -> str:
    """What Flux says (RFC 0009): the generation first, then the expressions in this order, else in progress.

    An expression that fails, as one does that reads a status that is not there, lets Flux wait.
    """
    observed = resource.get("status", {}).get("observedGeneration")
    if observed is not None and observed != resource["metadata"]["generation"]:
        return "InProgress"
    expressions = EXPRESSIONS[resource["kind"]]
    for field, answer in (("inProgress", "InProgress"), ("failed", "Failed"), ("current", "Current")):
        try:
            holds = field in expressions and cel.evaluate(expressions[field], dict(resource))
        except RuntimeError:
            return "InProgress"
        if holds:
            return answer
    return "InProgress"


def kstatus(resource: Mapping[str, Any]) -> str:
    """What the generic rules of kstatus say of a custom resource."""
    status = resource.get("status", {})
    observed = status.get("observedGeneration")
    if observed is not None and observed != resource["metadata"]["generation"]:
        return "InProgress"
    said = {each["type"]: each["status"] for each in status.get("conditions", ())}
    if said.get("Reconciling") == "True":
        return "InProgress"
    if said.get("Stalled") == "True":
        return "Failed"
    return "Current" if said.get("Ready", "True") == "True" else "InProgress"


def _resource(case: Mapping[str, Any]) -> dict[str, Any]:
    resource: dict[str, Any] = yaml.safe_load((FOLDER / case["inputPath"]).read_text())
    return resource


@each_case
def test_argo_cd_says_what_the_case_says(case: Mapping[str, Any]) -> None:
    assert argo_cd(_resource(case)) == case["healthStatus"]


@each_case
def test_flux_says_the_same(case: Mapping[str, Any]) -> None:
    assert flux(_resource(case)) == FLUX_OF[case["healthStatus"]["status"]]


@each_case
def test_kstatus_says_the_same_as_far_as_it_can(case: Mapping[str, Any]) -> None:
    name = pathlib.Path(case["inputPath"]).stem
    assert kstatus(_resource(case)) == KSTATUS_OTHERWISE.get(name, FLUX_OF[case["healthStatus"]["status"]])


def test_every_file_of_the_data_is_a_case_named_after_its_health() -> None:
    named = {case["inputPath"]: case["healthStatus"]["status"] for case in CASES}
    assert {f"testdata/{file.name}" for file in FOLDER.glob("testdata/*")} == named.keys()
    assert all(path.startswith(f"testdata/{health.lower()}_") for path, health in named.items())
    assert set(named.values()) == {"Progressing", "Healthy", "Degraded"}


@each_case
def test_the_data_are_resources_as_the_api_server_has_them(case: Mapping[str, Any]) -> None:
    resource = _resource(case)
    kind = KINDS[resource["kind"]]
    assert resource["apiVersion"] == API_VERSION
    assert kind.model_validate_json(json.dumps(resource)).metadata.generation == resource["metadata"]["generation"]


def test_flux_has_expressions_for_every_kind() -> None:
    assert EXPRESSIONS.keys() == KINDS.keys()
    assert {each["apiVersion"] for each in EXPRESSIONS.values()} == {API_VERSION}


_ERROR = problems.Problem(
    "UnknownTeam", problems.ResourceRef("Budget", "a", "b"), "spec.target.team", "is unknown", "?"
)
_STATES = [
    ("Degraded", conditions.State(found=(_ERROR,))),
    ("Degraded", conditions.State(found=(_ERROR,), enforced=(0, 3))),
    ("Degraded", conditions.State(held_back="Team/payments is in the way")),
    ("Degraded", conditions.State(held_back="Team/payments is in the way", enforced=(0, 3))),
    ("Progressing", conditions.State(enforced=(2, 3))),
    ("Healthy", conditions.State(enforced=(3, 3))),
    ("Healthy", conditions.State(enforced=(0, 0))),
    ("Healthy", conditions.State()),
]


@pytest.mark.parametrize(("health", "state"), _STATES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_reports_is_understood(kind: str, health: str, state: conditions.State) -> None:
    reported = conditions.common(state, 4, 0)
    for generation, order in itertools.product((4, 5), (1, -1)):
        resource = {
            "kind": kind,
            "metadata": {"name": "any", "generation": generation},
            "status": {"observedGeneration": 4, "conditions": reported[::order]},
        }
        expected = health if generation == 4 else "Progressing"
        assert argo_cd(resource)["status"] == expected
        assert flux(resource) == FLUX_OF[expected]
