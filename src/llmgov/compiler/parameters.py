"""`{{NAME}}` in the body of a PolicyTemplate, filled in the parsed tree, before it is read as a policy.

A scalar that is nothing but one parameter becomes the parameter's value with its type (`limit: "{{LIMIT}}"` becomes a
number; a list of strings as an item of a list becomes so many items); inside a longer text the value is written as
text. Because the tree is filled and not the YAML text, a value can't add keys of its own, and a filled value is not
searched for parameters again.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

Value: TypeAlias = str | int | bool | tuple[str, ...]
"""What a parameter can stand for."""
Tree: TypeAlias = "dict[str, Tree] | list[Tree] | str | int | float | bool | None"

_PARAMETER = re.compile(r"\{\{\s*([A-Z][A-Z0-9_]*)\s*\}\}", re.ASCII)


def names(tree: Tree) -> frozenset[str]:
    """The parameters that a body uses, in keys nowhere, in values anywhere."""
    return frozenset(_names(tree))


def _names(tree: Tree) -> Iterator[str]:
    if isinstance(tree, str):
        yield from _PARAMETER.findall(tree)
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _names(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _names(value)


def fill(tree: Tree, values: Mapping[str, Value]) -> Tree:
    """The body with the value of every parameter in its place; one without a value stays as it is written."""
    if isinstance(tree, str):
        return _fill_text(tree, values)
    if isinstance(tree, dict):
        return {key: fill(value, values) for key, value in tree.items()}
    if isinstance(tree, list):
        return [filled for item in tree for filled in _fill_item(item, values)]
    return tree


def _fill_item(item: Tree, values: Mapping[str, Value]) -> list[Tree]:
    value = _whole(item, values) if isinstance(item, str) else None
    return list(value) if isinstance(value, tuple) else [fill(item, values)]


def _fill_text(text: str, values: Mapping[str, Value]) -> Tree:
    value = _whole(text, values)
    if value is None:
        return _PARAMETER.sub(lambda match: _text(values[match[1]]) if match[1] in values else match[0], text)
    return list(value) if isinstance(value, tuple) else value


def _whole(text: str, values: Mapping[str, Value]) -> Value | None:
    match = _PARAMETER.fullmatch(text)
    return None if match is None else values.get(match[1])


def _text(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, tuple) else str(value)
