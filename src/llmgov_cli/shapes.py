"""Everything in a document that does not fit a type, at once and in the words of `llmgov validate`. Pure.

msgspec checks the same, but says only the first, and neither what is possible nor what was probably meant.
"""

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import msgspec
from msgspec import inspect

from llmgov.resources import paths, translate

Fault: TypeAlias = tuple[str, str]
"""A JSON path, and what is wrong there."""

_OBJECT = "must be an object; write its keys on indented lines"
_PLAIN: dict[type[inspect.Type], tuple[type | tuple[type, ...], str]] = {
    inspect.StrType: (str, "must be a string; put it in quotes"),
    inspect.IntType: (int, "must be a whole number; write digits, without quotes"),
    inspect.FloatType: ((int, float), "must be a number; write digits, without quotes"),
    inspect.BoolType: (bool, "must be true or false, without quotes"),
}


def faults(value: object, kind: type[msgspec.Struct]) -> list[Fault]:
    """What is wrong with a plain document that is to be a `kind`; empty where it can be converted."""
    return list(_check(value, inspect.type_info(kind), ""))


def _check(value: Any, kind: inspect.Type, path: str) -> Iterator[Fault]:
    match kind:
        case inspect.StructType():
            yield from _struct(value, kind, path)
        case inspect.VarTupleType():
            yield from _list(value, kind, path)
        case inspect.DictType():
            yield from _mapping(value, kind, path)
        case inspect.EnumType():
            yield from _word(value, [str(each.value) for each in kind.cls], path)
        case inspect.UnionType():
            if value is not None:
                yield from _check(value, next(_not_none(kind)), path)
        case _:
            yield from _plain(value, type(kind), path)


def _not_none(kind: inspect.UnionType) -> Iterator[inspect.Type]:
    return (each for each in kind.types if not isinstance(each, inspect.NoneType))


def _struct(value: Any, kind: inspect.StructType, path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield path, _OBJECT
        return
    fields = {field.encode_name: field for field in kind.fields}
    for key, inner in value.items():
        if key in fields:
            yield from _check(inner, fields[key].type, _join(path, key))
        else:
            yield _join(path, key), f"is no key here; {_instead(key, fields)}"
    for name, field in fields.items():
        if field.required and name not in value:
            yield path, f"{name} is missing; add it"


def _list(value: Any, kind: inspect.VarTupleType, path: str) -> Iterator[Fault]:
    if not isinstance(value, list):
        yield path, "must be a list; write each entry on a line of its own that begins with a hyphen"
        return
    for index, inner in enumerate(value):
        yield from _check(inner, kind.item_type, _join(path, index))


def _mapping(value: Any, kind: inspect.DictType, path: str) -> Iterator[Fault]:
    if not isinstance(value, dict):
        yield path, _OBJECT
        return
    for key, inner in value.items():
        yield from _check(key, kind.key_type, _join(path, key))
        yield from _check(inner, kind.value_type, _join(path, key))


def _word(value: Any, words: list[str], path: str) -> Iterator[Fault]:
    if value not in words:
        meant = translate.nearest(value, words)
        yield path, f"must be one of {', '.join(words)}" + (f"; did you mean {meant}?" if meant else "")


def _plain(value: Any, kind: type[inspect.Type], path: str) -> Iterator[Fault]:
    """A single value; of a type that is not listed (`Any`) everything fits."""
    wanted, sentence = _PLAIN.get(kind, (object, ""))
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted not in (bool, object)):
        yield path, sentence


def _instead(key: str, known: Iterable[str]) -> str:
    meant = translate.nearest(key, known)
    return f"did you mean {meant}?" if meant else f"use one of {', '.join(known)}"


def _join(path: str, step: str | int) -> str:
    return (path + paths.step(step)).removeprefix(".")
