"""From the models to CustomResourceDefinitions: structural OpenAPI v3 schemas as the API server demands them.

Structural means: every `$ref` inline, one type everywhere, no null types, no `const`, no boolean
`additionalProperties`, nothing but known keywords. What pydantic says in another way is rewritten, and what cannot be
rewritten is an error here, not at the first `kubectl apply`.
"""

from collections.abc import Mapping
from typing import Any

from llmgov.resources import schemas
from llmgov.resources.base import GROUP, VERSION, Column, Resource
from llmgov.resources.kinds import KINDS
from llmgov.resources.schemas import NotStructuralError, Schema

CATEGORY = "llmgov"
"""`kubectl get llmgov` lists all of our kinds."""

_KEPT = (
    "description",
    "type",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
)
_REWRITTEN = frozenset(
    ("title", "default", "const", "properties", "additionalProperties", "propertyNames", "items", "$ref", "anyOf")
)
_DROPPED = frozenset({"$defs"})


def definition(kind: type[Resource]) -> Schema:
    """The CustomResourceDefinition of a kind, as plain data."""
    naming = kind.naming
    name = kind.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{naming.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": name,
                "listKind": f"{name}List",
                "plural": naming.plural,
                "singular": naming.singular,
                "shortNames": list(naming.short),
                "categories": [CATEGORY],
            },
            "scope": naming.scope.value,
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": schema(kind)},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in naming.columns],
                }
            ],
        },
    }


def definitions() -> dict[str, Schema]:
    """The definitions of all kinds, by the names of their files."""
    return {f"{GROUP}_{kind.naming.plural}.yaml": definition(kind) for kind in KINDS.values()}


def schema(kind: type[Resource]) -> Schema:
    """The structural schema of a kind."""
    source = kind.model_json_schema(mode="validation")
    whole = _structural(source, source.get("$defs", {}))
    properties = whole["properties"]
    for name in ("apiVersion", "kind"):
        properties[name] = {"type": "string", "description": properties[name]["description"], "maxLength": 63}
    properties["metadata"] = {"type": "object"}
    whole["required"] = ["spec"]
    return whole


def _structural(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    node = schemas.flat(node, definitions)
    unknown = node.keys() - set(_KEPT) - _REWRITTEN - _DROPPED
    if unknown:
        raise NotStructuralError(f"no structural schema says {', '.join(sorted(unknown))}")
    result = {key: node[key] for key in _KEPT if key in node}
    if "const" in node:
        result["enum"] = [node["const"]]
    if node.get("default") is not None:
        result["default"] = _default(node)
    if "items" in node:
        result["items"] = _structural(node["items"], definitions)
    return result | _members(node, definitions)


def _members(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """An object's fields, or what the values of a map are."""
    if node.get("properties"):
        members = {name: _structural(inner, definitions) for name, inner in node["properties"].items()}
        return {"properties": members}
    values = node.get("additionalProperties")
    if isinstance(values, dict):
        # CEL has no type for a map whose values have none, and so no rule about its keys.
        keys = {} if "x-kubernetes-preserve-unknown-fields" in values else _keys(node.get("propertyNames", {}))
        return {"additionalProperties": _structural(values, definitions)} | keys
    return {}


def _keys(key: Schema) -> Schema:
    """What the keys of a map are, as rules about the map: a structural schema has no `propertyNames`."""
    fits = f"key.size() <= {key['maxLength']} && " if "maxLength" in key else ""
    rules = [
        {
            "rule": f"self.all(key, {fits}{each['rule'].replace('self.', 'key.')})",
            "message": f"a key {each['message']}",
        }
        for each in key.get("x-kubernetes-validations", ())
    ]
    return {"x-kubernetes-validations": rules} if rules else {}


def _default(node: Schema) -> Any:
    """An object's default is the empty object: the API server then fills in the defaults of its fields."""
    return {} if node.get("type") == "object" else node["default"]


def _column(column: Column) -> Schema:
    written: Schema = {"name": column.name, "type": column.type, "jsonPath": column.path}
    return written | ({"priority": column.priority} if column.priority else {})
