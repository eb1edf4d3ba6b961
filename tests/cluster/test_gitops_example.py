"""examples/06-gitops as a platform team copies it: built by Kustomize, read by Argo CD and Flux, taken by a cluster."""

import pathlib
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from llmgov.resources import KINDS
from llmgov.resources.base import API_VERSION
from tests.cluster.cluster import Cluster

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "06-gitops"
PREFIX = "resource.customizations.health.llmgov.dev_"
"""Of the keys of argocd-cm by which Argo CD finds a health script (its Operator Manual, Resource Health, way 1)."""

DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
"""As the schemas of Flux have it."""


def _one(path: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((EXAMPLE / path).read_text())
    return document


def _kustomize(cluster: Cluster, folder: pathlib.Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", "--load-restrictor=LoadRestrictionsNone", str(folder))))


def test_the_policies_are_built_and_all_of_them(cluster: Cluster) -> None:
    built = _kustomize(cluster, EXAMPLE / "policies")
    assert {each["apiVersion"] for each in built} == {API_VERSION}
    files = {file.name for file in (EXAMPLE / "policies").glob("*.yaml")} - {"kustomization.yaml"}
    assert sorted(files) == sorted(_one("policies/kustomization.yaml")["resources"])


def test_the_policies_are_taken_by_the_api_server(cluster: Cluster, namespace: str) -> None:
    built = _kustomize(cluster, EXAMPLE / "policies")
    for each in built:
        if "namespace" in each["metadata"]:
            each["metadata"]["namespace"] = namespace
    text = yaml.safe_dump_all(built)
    command = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--field-manager=argocd-controller"]
    taken = cluster.kubectl(*command, "--filename=-", stdin=text)
    assert taken.count("serverside-applied") == len(built)


def test_the_policies_are_valid_together(tmp_path: pathlib.Path) -> None:
    command = [sys.executable, "-m", "llmgov_cli.main", "validate", str(EXAMPLE / "policies")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 errors," in done.stdout


def test_the_component_adds_the_script_of_every_kind_to_argo_cd_and_leaves_the_rest(
    cluster: Cluster, tmp_path: pathlib.Path
) -> None:
    installed = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm"},
        "data": {"url": "https://cd.example.com"},
    }
    (tmp_path / "install.yaml").write_text(yaml.safe_dump(installed))
    component = pathlib.Path(*[".."] * (len(tmp_path.parts) - 1)) / (EXAMPLE / "argocd" / "health").relative_to("/")
    kustomization = {"resources": ["install.yaml"], "components": [str(component)]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    (built,) = _kustomize(cluster, tmp_path)
    script = (EXAMPLE / "argocd/health/resource_customizations/llmgov.dev/_/health.lua").read_text()
    assert built["metadata"]["name"] == "argocd-cm"
    assert built["data"] == {"url": "https://cd.example.com"} | {f"{PREFIX}{kind}": script for kind in KINDS}


def test_the_application_is_one_of_argo_cd() -> None:
    """By the Application's specification (Argo CD, Operator Manual, application.yaml)."""
    application = _one("argocd/application.yaml")
    assert (application["apiVersion"], application["kind"]) == ("argoproj.io/v1alpha1", "Application")
    spec = application["spec"]
    assert spec.keys() == {"project", "source", "destination", "syncPolicy"}
    assert spec["source"].keys() == {"repoURL", "targetRevision", "path"}
    assert spec["destination"].keys() == {"server", "namespace"}
    policy = spec["syncPolicy"]
    assert policy.keys() == {"automated", "syncOptions", "retry"}
    assert policy["automated"] == {"prune": True, "selfHeal": True}
    assert "ServerSideApply=true" in policy["syncOptions"]
    assert set(policy["syncOptions"]) <= {"ServerSideApply=true", "ApplyOutOfSyncOnly=true", "PruneLast=true"}
    assert policy["retry"].keys() == {"limit", "backoff"}
    assert policy["retry"]["backoff"].keys() == {"duration", "factor", "maxDuration"}


def test_the_source_is_one_of_flux() -> None:
    source = _one("flux/source.yaml")
    assert (source["apiVersion"], source["kind"]) == ("source.toolkit.fluxcd.io/v1", "GitRepository")
    assert source["spec"].keys() == {"interval", "url", "ref"}
    assert DURATION.fullmatch(source["spec"]["interval"])


def test_the_kustomization_is_one_of_flux_and_waits_for_what_it_applied() -> None:
    """By the Kustomization's specification (Flux, kustomize-controller, v1)."""
    kustomization, source = _one("flux/policies.yaml"), _one("flux/source.yaml")
    assert (kustomization["apiVersion"], kustomization["kind"]) == ("kustomize.toolkit.fluxcd.io/v1", "Kustomization")
    spec = kustomization["spec"]
    durations = {"interval", "retryInterval", "timeout"}
    assert spec.keys() == durations | {"sourceRef", "path", "prune", "wait", "healthCheckExprs"}
    assert all(DURATION.fullmatch(spec[name]) for name in durations)
    assert spec["sourceRef"] == {"kind": source["kind"], "name": source["metadata"]["name"]}
    assert kustomization["metadata"]["namespace"] == source["metadata"]["namespace"]
    assert spec["wait"] is True
    assert all(each.keys() == {"apiVersion", "kind", "failed", "current"} for each in spec["healthCheckExprs"])


def test_both_read_the_folder_that_is_there() -> None:
    for path in (_one("argocd/application.yaml")["spec"]["source"]["path"], _one("flux/policies.yaml")["spec"]["path"]):
        assert (EXAMPLE / path / "kustomization.yaml").is_file()
    repositories = {
        _one("argocd/application.yaml")["spec"]["source"]["repoURL"],
        _one("flux/source.yaml")["spec"]["url"],
    }
    assert len(repositories) == 1


def test_no_secret_is_in_git() -> None:
    texts = [file.read_text() for file in EXAMPLE.glob("**/*.yaml")]
    assert not [text for text in texts if re.search(r"^kind: Secret$", text, re.MULTILINE)]


@pytest.mark.parametrize("path", sorted(EXAMPLE.glob("**/*.yaml")), ids=lambda path: str(path.relative_to(EXAMPLE)))
def test_every_file_is_yaml(path: pathlib.Path) -> None:
    assert all(isinstance(each, dict) for each in yaml.safe_load_all(path.read_text()))
