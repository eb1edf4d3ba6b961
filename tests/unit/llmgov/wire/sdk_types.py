"""What the official SDKs' request types hold, by introspection: the other side of the tables of fields."""

import typing
from collections.abc import Iterator
from typing import Any

import typing_extensions


def top_fields(typed_dict: Any) -> set[str]:
    return set(typing_extensions.get_type_hints(typed_dict))


def reachable(
    typed_dict: Any, fields: list[str], follow: typing.Callable[[str, str], bool]
) -> Iterator[tuple[str, str]]:
    """`(type literal, member)` of each TypedDict inside these fields, entering the members that `follow` picks."""
    hints = typing_extensions.get_type_hints(typed_dict)
    seen: set[tuple[Any, ...]] = set()
    for field in fields:
        yield from _inside(hints[field], follow, seen)


def _inside(hint: Any, follow: typing.Callable[[str, str], bool], seen: set[Any]) -> Iterator[tuple[str, str]]:
    if typing_extensions.is_typeddict(hint):
        if hint in seen:
            return
        seen.add(hint)
        members = typing_extensions.get_type_hints(hint)
        for literal in _literals(members["type"]) if "type" in members else {""}:
            for name, member in members.items():
                yield literal, name
                if follow(literal, name):
                    yield from _inside(member, follow, seen)
        return
    for argument in typing.get_args(hint):
        if not isinstance(argument, str):
            yield from _inside(argument, follow, seen)


def _literals(hint: Any) -> set[str]:
    if typing.get_origin(hint) in (typing.Literal, typing_extensions.Literal):
        return set(typing.get_args(hint))
    found: set[str] = set()
    for argument in typing.get_args(hint):
        if not isinstance(argument, str):
            found |= _literals(argument)
    return found
