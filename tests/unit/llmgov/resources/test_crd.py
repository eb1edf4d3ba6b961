"""The generated CRDs: what the API server demands of a structural schema, and what the design promises."""

import pathlib
import re
import sys
from collections.abc import Iterator
from typing import Any, ClassVar

import pydantic
import pytest

from llmgov.resources import KINDS, crd, scalars, schemas
from llmgov.resources.base import Column, Naming, Resource, Scope
from llmgov_cli import crds

FOLDER = pathlib.Path(__file__).parents[4] / "crds"

ALLOWED = {
    "additionalProperties", "default", "description", "enum", "items", "maxItems", "maxLength", "maxProperties",
    "maximum", "minItems", "minLength", "minProperties", "minimum", "properties", "required", "type",
    "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}  # fmt: skip
"""Keywords of a structural schema that we use (kubernetes.io, Extend the Kubernetes API, Specifying a structural
schema); `const`, `$ref`, `anyOf`, `oneOf`, `prefixItems`, `nullable`, `pattern` are not among them."""

Node = dict[str, Any]


def _nodes(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from _nodes(inner, f"{path}.{name}")
    if "items" in node:
        yield from _nodes(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from _nodes(node["additionalProperties"], f"{path}{{}}")


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def schema(request: pytest.FixtureRequest) -> Node:
    return crd.schema(request.param)


def _paths(schema: Node, wrong: Any) -> list[str]:
    return [path for path, node in _nodes(schema) if wrong(path, node)]


def test_the_committed_files_are_those_that_the_models_make() -> None:
    assert {file.name: file.read_text() for file in FOLDER.glob("*.yaml")} == crds.files()


def test_only_structural_keywords_are_there(schema: Node) -> None:
    assert _paths(schema, lambda _, node: not node.keys() <= ALLOWED) == []


def test_every_value_has_one_type(schema: Node) -> None:
    types = {"object", "array", "string", "integer", "boolean"}
    free = "x-kubernetes-preserve-unknown-fields"
    assert (
        _paths(schema, lambda _, node: node.get("type") not in types and not (node.get(free) and "type" not in node))
        == []
    )


def test_every_string_list_map_and_number_is_bounded(schema: Node) -> None:
    def unbounded(path: str, node: Node) -> bool:
        match node.get("type"):
            case "string":
                return "maxLength" not in node and "enum" not in node
            case "array":
                return "maxItems" not in node or "items" not in node
            case "integer":
                return "minimum" not in node and "enum" not in node
            case "object" if "additionalProperties" in node:
                return "maxProperties" not in node
        return False

    assert _paths(schema, unbounded) == []


def test_nothing_can_be_nested_without_end(schema: Node) -> None:
    """A value of no type takes no object that has anything in it, and no list of lists that have."""
    free = "x-kubernetes-preserve-unknown-fields"

    def endless(_: str, node: Node) -> bool:
        inner = node.get("items", {"maxItems": 0, "maxProperties": 0, free: True})
        is_flat = node.get("maxProperties") == 0 and "maxLength" in node and (node["maxItems"] == 0 or "items" in node)
        return free in node and not (
            is_flat and free in inner and (inner["maxItems"], inner["maxProperties"]) == (0, 0)
        )

    assert _paths(schema, endless) == []


def test_a_templates_body_has_the_fields_of_a_policys_and_no_others() -> None:
    def fields(node: Node) -> dict[str, Any] | None:
        inner = node.get("properties") or node.get("items", {}).get("properties")
        return {name: fields(each) for name, each in inner.items()} if inner else None

    policy = crd.schema(KINDS["LLMPolicy"])["properties"]["spec"]["properties"]
    body = crd.schema(KINDS["PolicyTemplate"])["properties"]["spec"]["properties"]["body"]["properties"]
    assert len(body) == 5
    assert {name: fields(each) for name, each in body.items()} == {name: fields(policy[name]) for name in body}


def test_every_field_is_described(schema: Node) -> None:
    assert _paths(schema, lambda path, node: path not in ("", ".metadata") and not node.get("description")
                  and not path.endswith(("[]", "{}"))) == []  # fmt: skip


def test_no_default_is_inside_a_list_since_argo_would_differ_for_ever(schema: Node) -> None:
    assert _paths(schema, lambda path, node: "[]" in path and "default" in node) == []


def test_no_list_with_keys_has_a_default_since_its_entries_would_stay_beside_those_applied_later(schema: Node) -> None:
    assert _paths(schema, lambda _, node: "x-kubernetes-list-map-keys" in node and "default" in node) == []


def test_a_default_fits_its_own_schema(schema: Node) -> None:
    kinds = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}

    def unfit(_: str, node: Node) -> bool:
        default = node.get("default")
        wrong_word = "enum" in node and default not in node["enum"]
        return "default" in node and (not isinstance(default, kinds[node["type"]]) or wrong_word)

    assert _paths(schema, unfit) == []


def test_an_object_with_a_default_demands_no_field(schema: Node) -> None:
    assert _paths(schema, lambda _, node: node.get("default") == {} and "required" in node) == []


def test_a_demanded_field_is_there(schema: Node) -> None:
    assert _paths(schema, lambda _, node: not set(node.get("required", ())) <= set(node.get("properties", ()))) == []


def test_the_keys_of_a_list_map_are_demanded_fields(schema: Node) -> None:
    def unfit(_: str, node: Node) -> bool:
        keys = set(node.get("x-kubernetes-list-map-keys", ()))
        return bool(keys) and not keys <= set(node["items"].get("required", ()))

    assert _paths(schema, unfit) == []


def test_conditions_are_a_list_map_by_type_with_the_observed_generation(schema: Node) -> None:
    conditions = schema["properties"]["status"]["properties"]["conditions"]
    assert (conditions["x-kubernetes-list-type"], conditions["x-kubernetes-list-map-keys"]) == ("map", ["type"])
    assert {"type", "status", "observedGeneration", "reason", "message"} <= conditions["items"]["properties"].keys()


def test_rules_name_fields_that_are_there_in_names_that_cel_takes(schema: Node) -> None:
    def names(node: Node) -> Iterator[str]:
        for rule in node.get("x-kubernetes-validations", ()):
            yield from re.findall(r"self\.([A-Za-z_][A-Za-z0-9_]*)(?![A-Za-z0-9_(])", rule["rule"])

    known_to_all = {"metadata"}
    for path, node in _nodes(schema):
        if node.get("type") == "object":
            fields = {"__namespace__" if name == "namespace" else name for name in node.get("properties", ())}
            assert set(names(node)) <= fields | known_to_all, path


def test_rules_have_messages_of_one_line(schema: Node) -> None:
    rules = [rule for _, node in _nodes(schema) for rule in node.get("x-kubernetes-validations", ())]
    assert all(rule["message"] and "\n" not in rule["message"] + rule["rule"] for rule in rules)
    assert all(len(rule["message"]) <= 2048 for rule in rules)


def test_the_estimated_cost_of_rules_stays_far_below_the_api_servers_limit(schema: Node) -> None:
    """A coarse copy of the estimate: bytes of the string / 10 x length of the pattern / 4, for each entry."""

    def cost(node: Node, entries: int) -> int:
        size = node.get("maxLength", 0) * 4
        own = sum(size // 10 * len(rule["rule"]) // 4 + 10 for rule in node.get("x-kubernetes-validations", ()))
        below = sum(cost(inner, entries) for inner in node.get("properties", {}).values())
        below += cost(node["items"], entries * node["maxItems"]) if "items" in node else 0
        if "additionalProperties" in node:
            below += cost(node["additionalProperties"], entries * node["maxProperties"])
        return own * entries + below

    assert cost(schema, 1) < 100_000_000


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_names_columns_and_the_status_subresource(kind: type[Resource]) -> None:
    definition = crd.definition(kind)
    spec = definition["spec"]
    (version,) = spec["versions"]
    assert definition["metadata"]["name"] == f"{spec['names']['plural']}.llmgov.dev"
    assert spec["names"]["categories"] == ["llmgov"]
    assert spec["names"]["shortNames"]
    assert (version["name"], version["served"], version["storage"]) == ("v1alpha1", True, True)
    assert version["subresources"] == {"status": {}}
    for column in version["additionalPrinterColumns"]:
        assert _has(version["schema"]["openAPIV3Schema"], column["jsonPath"]), column


def _has(schema: Node, path: str) -> bool:
    """Whether a column's path leads somewhere."""
    node = schema
    for step in re.sub(r"\[.*?\]", "", path).removeprefix(".").split("."):
        if step == "metadata":
            return True
        node = node.get("items", node)["properties"].get(step, {})
    return bool(node)


def test_short_names_are_told_apart() -> None:
    names = [name for kind in KINDS.values() for name in (*kind.naming.short, kind.naming.singular, kind.naming.plural)]
    assert len(set(names)) >= len(names) - 1  # governancesettings is its own plural


def test_scopes_are_those_of_the_design() -> None:
    namespaced = {name for name, kind in KINDS.items() if kind.naming.scope is Scope.NAMESPACED}
    assert namespaced == {"LLMPolicy", "Budget", "ProviderCredential"}


def test_a_budgets_columns_are_those_of_the_design_the_currency_and_whether_it_is_in_force() -> None:
    columns = [column.name.upper() for column in KINDS["Budget"].naming.columns if column.priority == 0]
    assert columns == ["TARGET", "LIMIT", "SPENT", "HELD", "USED", "RESETS", "STATE", "CURRENCY", "READY", "REASON"]


def test_no_column_of_a_budget_shows_what_may_not_be_in_force() -> None:
    assert [each.path for each in KINDS["Budget"].naming.columns if not each.path.startswith(".status.")] == []


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_shows_whether_it_is_ready_and_why_not(kind: type[Resource]) -> None:
    shown = {each.name: each.path for each in kind.naming.columns if each.priority == 0}
    ready = '.status.conditions[?(@.type=="Ready")]'
    assert (shown["Ready"], shown["Reason"]) == (f"{ready}.status", f"{ready}.reason")


@pytest.mark.parametrize(
    ("annotation", "complaint"),
    [(int | str, "a union of types"), (tuple[int, str], "prefixItems")],
    ids=["a union", "a tuple of two"],
)
def test_what_no_structural_schema_says_is_an_error_when_generating(annotation: Any, complaint: str) -> None:
    naming = Naming("things", "thing", ("th",), Scope.CLUSTER, (Column("Age", ".metadata.creationTimestamp"),))
    fields = {"__annotations__": {"spec": annotation, "naming": ClassVar[Naming]}, "naming": naming}
    kind = type("Thing", (Resource,), fields | {"__module__": __name__})
    with pytest.raises(schemas.NotStructuralError, match=complaint):
        crd.schema(kind)


def test_command_names_stale_files_and_writes_them(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert crds.run(tmp_path, sys.stdout, check=True) == 1
    assert list(tmp_path.iterdir()) == []
    assert crds.run(tmp_path, sys.stdout) == 0
    assert crds.run(tmp_path, sys.stdout, check=True) == 0
    assert f"{tmp_path / 'llmgov.dev_budgets.yaml'} is stale; run llmgov crds" in capsys.readouterr().out


def test_a_formats_sentence_is_the_same_in_validate_and_in_cel() -> None:
    adapter = pydantic.TypeAdapter(scalars.Currency)
    (rule,) = adapter.json_schema()["x-kubernetes-validations"]
    with pytest.raises(pydantic.ValidationError) as caught:
        adapter.validate_python("eur")
    context = caught.value.errors()[0]["ctx"]
    assert rule["message"] == f"{context['message']}; {context['remedy']}"
