"""Resources from apply to delete in a cluster in which nobody runs the operator: no drift, no conflict, no hanging."""

import json
import pathlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from llmgov.resources import KINDS
from llmgov.resources.base import API_VERSION
from tests.cluster import contents, control_plane
from tests.cluster.cluster import Cluster, KubectlError
from tests.support.machine import requires

pytestmark = [requires("kubernetes of its own"), pytest.mark.cluster_versions]

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.is_dir())
OURS = ",".join(f"{kind.naming.plural}.llmgov.dev" for kind in KINDS.values())
ARGO_CD, FLUX = "argocd-controller", "kustomize-controller"
"""The field managers of the two tools."""

_SECONDS = 20
"""Nothing may take longer to vanish."""


@pytest.fixture(scope="module")
def alone() -> Iterator[Cluster]:
    """A cluster of its own, since examples name namespaces and settings."""
    with control_plane.running() as plane:
        cluster = plane.cluster()
        contents.install(cluster)
        yield cluster


def _resources(example: pathlib.Path) -> list[dict[str, Any]]:
    """All of the example's resources of ours."""
    files = [file for file in sorted(example.glob("**/*.yaml")) if file.parent.name != "testdata"]
    texts = [text for file in files if "\napiVersion: " in f"\n{(text := file.read_text())}"]
    documents = [document for text in texts for document in yaml.safe_load_all(text)]
    return [document for document in documents if document.get("apiVersion") == API_VERSION]


def _list(resources: list[dict[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": resources})


def _make_namespaces(cluster: Cluster, resources: list[dict[str, Any]]) -> None:
    names = {each["metadata"]["namespace"] for each in resources if "namespace" in each["metadata"]}
    cluster.apply(*({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in sorted(names)))


def _generations(cluster: Cluster) -> dict[str, int]:
    """Of all objects of ours by kind and name."""
    items = cluster.get(OURS, "--all-namespaces")["items"]
    return {f"{each['kind']}/{each['metadata']['name']}": each["metadata"]["generation"] for each in items}


@pytest.fixture(scope="module", params=EXAMPLES, ids=lambda example: example.name)
def applied(alone: Cluster, request: pytest.FixtureRequest) -> Iterator[list[dict[str, Any]]]:
    """An example's resources, applied as a user does."""
    resources = _resources(request.param)
    _make_namespaces(alone, resources)
    alone.kubectl("apply", "--server-side", "--validate=strict", "--filename=-", stdin=_list(resources))
    yield resources
    alone.kubectl("delete", "--filename=-", "--ignore-not-found", "--timeout=20s", stdin=_list(resources))


def test_diff_after_apply_is_empty(alone: Cluster, applied: list[dict[str, Any]]) -> None:
    """Asked as server-side apply would change it, and as a client that compares the documents."""
    assert alone.kubectl("diff", "--server-side", "--filename=-", stdin=_list(applied)) == ""
    assert alone.kubectl("diff", "--filename=-", stdin=_list(applied)) == ""


def test_nothing_is_kept_otherwise_than_it_is_written(alone: Cluster, applied: list[dict[str, Any]]) -> None:
    """What is written is kept word for word; what is added are defaults beside it, never inside of a list."""
    for written in applied:
        place = ["--namespace", written["metadata"]["namespace"]] if "namespace" in written["metadata"] else []
        name = f"{KINDS[written['kind']].naming.plural}.llmgov.dev/{written['metadata']['name']}"
        _assert_inside(written["spec"], alone.get(name, *place)["spec"], name)


def _assert_inside(written: Any, kept: Any, place: str) -> None:
    if isinstance(written, dict):
        for key, value in written.items():
            assert key in kept, f"{place}.{key}"
            _assert_inside(value, kept[key], f"{place}.{key}")
    else:
        assert written == kept, place


def test_applying_again_changes_nothing(alone: Cluster, applied: list[dict[str, Any]]) -> None:
    before = alone.get(OURS, "--all-namespaces")
    alone.kubectl("apply", "--server-side", "--filename=-", stdin=_list(applied))
    after = alone.get(OURS, "--all-namespaces")
    versions = [[each["metadata"]["resourceVersion"] for each in found["items"]] for found in (before, after)]
    assert versions[0] == versions[1]
    assert set(_generations(alone).values()) == {1}


@pytest.mark.parametrize("manager", [ARGO_CD, FLUX])
def test_another_manager_may_apply_the_same(alone: Cluster, applied: list[dict[str, Any]], manager: str) -> None:
    _apply_as(alone, manager, *applied)
    assert set(_generations(alone).values()) == {1}
    difference = ["diff", "--server-side", f"--field-manager={manager}", "--filename=-"]
    assert alone.kubectl(*difference, stdin=_list(applied)) == ""


def _budget(**spec: Any) -> dict[str, Any]:
    whole = {"target": {"namespace": "default"}, "limit": "100", "period": "Month", **spec}
    return {
        "apiVersion": API_VERSION,
        "kind": "Budget",
        "metadata": {"name": "shared", "namespace": "default"},
        "spec": whole,
    }


@pytest.fixture
def shared(alone: Cluster) -> Iterator[None]:
    yield
    alone.kubectl("delete", "budget", "shared", "--namespace=default")


def _apply_as(cluster: Cluster, manager: str, *documents: dict[str, Any]) -> str:
    text = _list(list(documents))
    return cluster.kubectl("apply", "--server-side", f"--field-manager={manager}", "--filename=-", stdin=text)


@pytest.mark.usefixtures("shared")
def test_two_managers_who_disagree_are_told_of_the_field_and_the_other(alone: Cluster) -> None:
    _apply_as(alone, ARGO_CD, _budget(thresholds=[{"percent": 90, "actions": ["Block"]}]))
    with pytest.raises(KubectlError, match=r'"argocd-controller".*: \.spec\.limit'):
        _apply_as(alone, "kubectl", _budget(limit="200"))
    with pytest.raises(KubectlError, match=r'"argocd-controller".*spec\.thresholds\[percent=90\]\.actions'):
        _apply_as(alone, "kubectl", _budget(thresholds=[{"percent": 90, "actions": ["NotifyUsers"]}]))
    assert alone.get("budget", "shared", "--namespace=default")["metadata"]["generation"] == 1


@pytest.mark.usefixtures("shared")
def test_entries_of_two_managers_stand_beside_each_other(alone: Cluster) -> None:
    _apply_as(alone, ARGO_CD, _budget(thresholds=[{"percent": 90, "actions": ["Block"]}]))
    _apply_as(alone, "kubectl", _budget(thresholds=[{"percent": 50, "actions": ["NotifyUsers"]}]))
    kept = alone.get("budget", "shared", "--namespace=default")["spec"]["thresholds"]
    assert sorted(each["percent"] for each in kept) == [50, 90]


@pytest.mark.usefixtures("shared")
def test_thresholds_that_are_added_later_are_the_only_ones(alone: Cluster) -> None:
    """A default entry would have no owner, and stay beside those of the author for ever."""
    later = [{"percent": 90, "actions": ["Block"]}]
    for spec in ({}, {"thresholds": later}):
        _apply_as(alone, "kubectl", _budget(**spec))
        kept = alone.get("budget", "shared", "--namespace=default")["spec"]
        assert kept.get("thresholds") == spec.get("thresholds")
        assert alone.kubectl("diff", "--filename=-", stdin=_list([_budget(**spec)])) == ""


def test_all_kinds_are_deleted_at_once(alone: Cluster) -> None:
    resources = [each for example in EXAMPLES for each in _resources(example)]
    unique = {(each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")): each for each in resources}
    _make_namespaces(alone, resources)
    _apply_as(alone, "kubectl", *unique.values())
    kept = alone.get(OURS, "--all-namespaces")["items"]
    assert {each["kind"] for each in kept} == set(KINDS)
    assert [each for each in kept if "finalizers" in each["metadata"]] == []
    started = time.monotonic()
    alone.kubectl("delete", "--filename=-", f"--timeout={_SECONDS}s", stdin=_list(list(unique.values())))
    assert alone.get(OURS, "--all-namespaces")["items"] == []
    assert time.monotonic() - started < _SECONDS


def test_a_namespace_goes_with_its_resources(alone: Cluster) -> None:
    for name in ("goes", "stays"):
        alone.kubectl("create", "namespace", name)
        _apply_as(alone, "kubectl", {**_budget(), "metadata": {"name": "shared", "namespace": name}})
    alone.kubectl("delete", "namespace", "goes", f"--timeout={_SECONDS}s")
    left = [each["metadata"] for each in alone.get("budgets", "--all-namespaces")["items"]]
    assert [each["namespace"] for each in left if each["name"] == "shared"] == ["stays"]
    alone.kubectl("delete", "namespace", "stays", f"--timeout={_SECONDS}s")


def test_the_definitions_go_with_their_resources_and_come_again_without(alone: Cluster) -> None:
    """The last test, since nothing of ours is served meanwhile."""
    _apply_as(alone, "kubectl", _budget())
    alone.kubectl("delete", "--filename", str(contents.CRDS), f"--timeout={_SECONDS}s")
    assert alone.kubectl("api-resources", "--api-group=llmgov.dev", "--output=name") == ""
    contents.install(alone)
    assert alone.get("budgets", "--all-namespaces")["items"] == []
