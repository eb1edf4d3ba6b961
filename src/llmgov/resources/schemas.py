"""JSON schemas as pydantic writes them, on their way to structural ones."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


class NotStructuralError(ValueError):
    """A model says what no structural schema can."""


def flat(node: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Without `$ref`, and without the alternative null: absence says that. What stands beside them goes before.

    Raises:
        NotStructuralError: there are other alternatives.
    """
    if "$ref" in node:
        target = definitions[node["$ref"].removeprefix("#/$defs/")]
        return flat(target | {key: value for key, value in node.items() if key != "$ref"}, definitions)
    if "anyOf" in node:
        others = [each for each in node["anyOf"] if each.get("type") != "null"]
        if len(others) != 1:
            raise NotStructuralError("a union of types")
        beside = {key: value for key, value in node.items() if key != "anyOf"}
        return flat(others[0], definitions) | beside
    return node
