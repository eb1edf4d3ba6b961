"""What a structural schema of Kubernetes admits, but for its CEL rules: values of it, and what is wrong with others."""

from collections.abc import Iterator, Mapping
from typing import Any

from hypothesis import strategies as st

Node = Mapping[str, Any]

_WORDS = ["", "0.00", "-1", "1e999999", "NaN", "sNaN", "-Infinity", "--", "Ready", "True", "2026-11-24T08:00:00Z"]


def values(node: Node) -> st.SearchStrategy[Any]:
    """Values that a schema admits; strings of any kind, odd numbers among them."""
    if "enum" in node:
        return st.sampled_from(node["enum"])
    match node.get("type"):
        case "string":
            low, high = node.get("minLength", 0), node["maxLength"]
            words = [word for word in _WORDS if low <= len(word) <= high]
            return st.sampled_from(words) | st.text(min_size=low, max_size=min(high, 40))
        case "integer":
            return st.integers(node.get("minimum"), node.get("maximum"))
        case "boolean":
            return st.booleans()
        case "array":
            keys = node.get("x-kubernetes-list-map-keys", ())
            unique = (lambda item: tuple(item[key] for key in keys)) if keys else None
            most = min(node["maxItems"], 20)
            return st.lists(values(node["items"]), min_size=node.get("minItems", 0), max_size=most, unique_by=unique)
    return _objects(node)


def _objects(node: Node) -> st.SearchStrategy[Any]:
    needed = node.get("required", ())
    fields = {name: values(inner) for name, inner in node["properties"].items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed}, optional={name: fields[name] for name in fields if name not in needed}
    )


def faults(node: Node, value: Any, path: str = "status") -> Iterator[str]:
    """What the API server would refuse of a value."""
    if "enum" in node and value not in node["enum"]:
        yield f"{path}: {value!r}"
    types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}
    if not isinstance(value, types[node["type"]]):
        yield f"{path}: {value!r} is no {node['type']}"
        return
    yield from _beyond(node, value, path)
    if isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in node.get("required", ()) if name not in value)
        yield from (f"{path}.{name} is unknown" for name in value if name not in node["properties"])
        for name, inner in value.items():
            yield from faults(
                node["properties"].get(name, {"type": "object", "properties": {}}), inner, f"{path}.{name}"
            )
    if isinstance(value, list):
        keys = node.get("x-kubernetes-list-map-keys", ())
        if keys and len({tuple(item[key] for key in keys) for item in value}) != len(value):
            yield f"{path}: {keys} twice"
        for index, inner in enumerate(value):
            yield from faults(node["items"], inner, f"{path}[{index}]")


def _beyond(node: Node, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, int):
        if value < node.get("minimum", value) or value > node.get("maximum", value):
            yield f"{path}: {value}"
    elif len(value) > node.get("maxLength", node.get("maxItems", len(value))):
        yield f"{path}: {len(value)} are too many"
    elif len(value) < node.get("minLength", node.get("minItems", 0)):
        yield f"{path}: {len(value)} are too few"
