"""The definitions on the real API server: taken, established, affordable, and explained field by field."""

import json
import re
from collections.abc import Iterator
from concurrent import futures
from typing import Any

import pytest
import yaml

from llmgov.resources import KINDS, crd
from llmgov.resources.base import Resource
from tests.cluster import contents
from tests.cluster.cluster import Cluster, KubectlError

pytestmark = pytest.mark.cluster_versions

MOST_BYTES = 256 * 1024
"""An annotation's limit: `kubectl apply` without --server-side writes the whole object into one."""

Node = dict[str, Any]


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request: pytest.FixtureRequest) -> type[Resource]:
    assert issubclass(request.param, Resource)
    return request.param


def _name(kind: type[Resource]) -> str:
    return str(crd.definition(kind)["metadata"]["name"])


def test_every_definition_is_established_and_its_schema_structural(cluster: Cluster, kind: type[Resource]) -> None:
    conditions = {each["type"]: each["status"] for each in cluster.get("crd", _name(kind))["status"]["conditions"]}
    assert (conditions["Established"], conditions["NamesAccepted"]) == ("True", "True")
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert not set(conditions) & {"KubernetesAPIApprovalPolicyConformant", "Terminating"}


def test_the_api_server_keeps_every_definition_as_it_is_written(cluster: Cluster) -> None:
    """Nothing dropped, nothing added but what is not ours to say."""
    for kind in KINDS.values():
        written, kept = crd.definition(kind)["spec"], cluster.get("crd", _name(kind))["spec"]
        assert kept.pop("conversion") == {"strategy": "None"}
        assert kept == written


def test_every_definition_can_be_applied_without_server_side_apply_too(cluster: Cluster) -> None:
    sizes = {file.name: len(json.dumps(yaml.safe_load(file.read_text()))) for file in contents.CRDS.glob("*.yaml")}
    assert max(sizes.values()) < MOST_BYTES / 2
    said = cluster.kubectl("apply", "--dry-run=server", "--filename", str(contents.CRDS), "--output=name")
    assert sorted(said.split()) == sorted(
        f"customresourcedefinition.apiextensions.k8s.io/{_name(kind)}" for kind in KINDS.values()
    )


def test_applying_the_definitions_again_changes_nothing(cluster: Cluster) -> None:
    before = cluster.get("crd", *map(_name, KINDS.values()))
    contents.install(cluster)
    after = cluster.get("crd", *map(_name, KINDS.values()))
    assert [each["metadata"]["generation"] for each in after["items"]] == [
        each["metadata"]["generation"] for each in before["items"]
    ]


def test_diff_finds_nothing_in_the_definitions(cluster: Cluster) -> None:
    """Not even an order: kubectl has rules for sorting names that contradict each other where numbers differ."""
    assert cluster.kubectl("diff", "--filename", str(contents.CRDS)) == ""


@pytest.mark.parametrize(
    ("times", "affordable"),
    [
        pytest.param(5, True, id="at five times the cost of every rule they are"),
        pytest.param(20, False, id="at twenty times they are not, so that this is the API server's own estimate"),
    ],
)
def test_the_rules_are_affordable(cluster: Cluster, times: int, *, affordable: bool) -> None:
    """The dearest rule takes a fifth of what the API server affords one, the dearest definition a tenth."""
    definitions = json.dumps({"apiVersion": "v1", "kind": "List", "items": [_dearer(k, times) for k in KINDS.values()]})
    command = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--filename=-"]
    if affordable:
        assert cluster.kubectl(*command, stdin=definitions).count("serverside-applied") == len(KINDS)
    else:
        with pytest.raises(KubectlError, match="estimated rule cost exceeds budget by factor of"):
            cluster.kubectl(*command, stdin=definitions)


def _dearer(kind: type[Resource], times: int) -> Node:
    """The definition of a kind, each rule of which is asked several times."""
    definition: Node = json.loads(json.dumps(crd.definition(kind)))
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for _, node in _nodes(schema):
        for rule in node.get("x-kubernetes-validations", ()):
            rule["rule"] = f"{list(range(times))}.all(time, {rule['rule']})"
    return definition


def test_explain_names_every_field(cluster: Cluster, kind: type[Resource]) -> None:
    explained = cluster.kubectl("explain", kind.naming.plural, "--recursive")
    spec = explained[explained.index("\n  spec\t") :]
    shown = [line.split("\t")[0].strip() for line in spec.splitlines() if "\t<" in line]
    assert sorted(shown) == sorted(path.rsplit(".", 1)[-1] for path, _ in _fields(kind))


def test_explain_describes_every_field(cluster: Cluster, kind: type[Resource]) -> None:
    """For each object of the kind, and for each of its fields, in the words of the model."""
    objects = [(path, node) for path, node in _nodes(crd.schema(kind)) if path and node.get("properties")]
    with futures.ThreadPoolExecutor(2) as pool:
        explained = pool.map(lambda each: cluster.kubectl("explain", _path(kind, each[0])), objects)
        for (_, node), text in zip(objects, explained, strict=True):
            said = _words(text.split("\nFIELDS:\n", 1)[1])
            missing = {name for name, field in node["properties"].items() if not _is_said(name, field, said)}
            assert missing == set(), text


def _is_said(name: str, field: Node, said: str) -> bool:
    """Whether a field stands there with its type, perhaps what else is known of it, and then its description."""
    beside = r"( -required-)?( enum: [^<]*?)? "
    return bool(re.search(rf" {name} <[^>]+>{beside}{re.escape(_words(field['description']).strip())} ", said))


def _words(text: str) -> str:
    """A text without its line breaks."""
    return f" {' '.join(text.split())} "


def _path(kind: type[Resource], path: str) -> str:
    return ".".join(filter(None, (kind.naming.plural, path)))


def _fields(kind: type[Resource]) -> list[tuple[str, Node]]:
    """All fields of spec and status, those two included."""
    schema = crd.schema(kind)
    return [
        (path, field)
        for root in ("spec", "status")
        for path, field in [(root, schema["properties"][root]), *_below(schema["properties"][root], root)]
    ]


def _below(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    inner = node.get("items", node)
    for name, field in inner.get("properties", {}).items():
        yield f"{path}.{name}", field
        yield from _below(field, f"{path}.{name}")


def _nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    """All schemas below one, by paths as `kubectl explain` takes them."""
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from _nodes(inner, f"{path}.{name}".removeprefix("."))
    for name in ("items", "additionalProperties"):
        if name in node:
            yield from _nodes(node[name], path)
