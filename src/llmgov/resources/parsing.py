"""A raw document in, a resource out, or everything that is wrong with it at once."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pydantic
from pydantic_core import ErrorDetails

from llmgov.problems import Problem, ResourceRef
from llmgov.resources import outline, paths, translate
from llmgov.resources.base import API_VERSION, GROUP, Resource, Scope
from llmgov.resources.findings import Finding
from llmgov.resources.kinds import KINDS
from llmgov.resources.paths import Location
from llmgov.resources.rules import Raw, Rule

CODES = ("NotAnObject", "UnknownKind", "UnknownVersion", "EmptyValue", "DuplicateEntry", "WrongScope", "NotJson")
"""The codes of findings made here."""

MAX_DEPTH = 64
"""Levels of lists and objects in one document; our own kinds have less than ten."""

MOST_PROBLEMS = 1_000
"""Of one kind of mistake in one document, told: beyond that whoever wrote it cannot read them, and whoever reads it has
others to serve."""


def parse(raw: object) -> Resource | list[Problem]:
    """Read one document of ours, as JSON or YAML gave it.

    Its `status` is not read. Problems come in no particular order, each with the JSON path of its place.
    """
    if not isinstance(raw, Mapping):
        return [_problem(ResourceRef("", ""), Finding((), "NotAnObject", "is no object", "write fields and values"))]
    kind = KINDS.get(raw.get("kind", "")) if isinstance(raw.get("kind"), str) else None
    if kind is None or raw.get("apiVersion") != API_VERSION:
        return [_problem(_reference(raw), _unknown_type(raw, kind))]
    resource, findings = _validate(kind, raw)
    if resource is not None and not findings:
        return resource
    return [_problem(_reference(raw), finding) for finding in findings]


def _validate(kind: type[Resource], raw: Raw) -> tuple[Resource | None, list[Finding]]:
    document = {name: value for name, value in raw.items() if name != "status"}
    text = _json(document)
    if isinstance(text, Finding):
        return None, [text]
    empty = [_empty(location) for location in itertools.islice(_nulls(document), MOST_PROBLEMS)]
    resource, wrong = _read(kind, text)
    blamed = {finding.location for finding in empty}
    findings = [*empty, *(finding for finding in wrong if finding.location not in blamed)]
    findings += itertools.islice(_broken_rules(kind, document, findings), MOST_PROBLEMS)
    findings += _wrong_scope(kind, document)
    return resource, findings


def _json(document: Raw) -> str | Finding:
    """By way of JSON, of which pydantic's strict mode takes lists for tuples and strings for enums, and no more."""
    if _is_deep(document):
        return Finding((), "NotJson", f"is nested deeper than {MAX_DEPTH} levels", "flatten it")
    try:
        return json.dumps(_with_clean_metadata(document))
    except (TypeError, ValueError):
        return Finding((), "NotJson", "holds what JSON cannot say", "use strings, whole numbers, lists and objects")


def _is_deep(value: Any) -> bool:
    layer = [value]
    for _ in range(MAX_DEPTH):
        layer = [inner for outer in layer for inner in _inner(outer)]
    return bool(layer)


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _read(kind: type[Resource], text: str) -> tuple[Resource | None, list[Finding]]:
    try:
        return kind.model_validate_json(text), []
    except pydantic.ValidationError as error:
        told = _without_echoes(error.errors(include_url=False))[:MOST_PROBLEMS]
        return None, [translate.translate(each, kind) for each in told]


def _without_echoes(errors: list[ErrorDetails]) -> list[ErrorDetails]:
    """pydantic counts only a list's well-formed entries, and so calls one with a single wrong entry too short."""
    around = {error["loc"][:depth] for error in errors for depth in range(len(error["loc"]))}
    return [error for error in errors if error["type"] != "too_short" or error["loc"] not in around]


def _broken_rules(kind: type[Resource], document: Raw, findings: list[Finding]) -> Iterator[Finding]:
    blamed = [finding.location for finding in findings]
    return (broken for place in outline.places(kind, document) for broken in _broken_at(place, blamed))


def _broken_at(place: outline.Place, blamed: list[Location]) -> Iterator[Finding]:
    for rule in place.model.invariants:
        if _may_ask(rule, place.location, blamed) and not rule.holds(place.raw):
            location = (*place.location, *rule.field.split(".")) if rule.field else place.location
            yield Finding(location, rule.code, rule.message, rule.remedy)
    for name, field in outline.fields(place.model).items():
        if field.list_keys and isinstance(place.raw.get(name), list):
            yield from _duplicates(place.raw[name], (*place.location, name), field.list_keys)


def _may_ask(rule: Rule, location: Location, blamed: list[Location]) -> bool:
    """Whether all that the rule reads is well-formed."""
    read = [(*location, name) for name in rule.reads]
    return not any(each[: len(place)] == place for each in blamed for place in read)


def _duplicates(items: list[Any], location: Location, keys: tuple[str, ...]) -> Iterator[Finding]:
    seen: dict[tuple[str, ...], int] = {}
    for index, item in enumerate(items):
        if not isinstance(item, Mapping) or not all(key in item for key in keys):
            continue
        first = seen.setdefault(tuple(repr(item[key]) for key in keys), index)
        if first != index:
            message = f"has the same {' and '.join(keys)} as entry {first}"
            yield Finding((*location, index), "DuplicateEntry", message, "remove one, or make one of both")


def _wrong_scope(kind: type[Resource], document: Raw) -> Iterator[Finding]:
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return
    place: Location = ("metadata", "namespace")
    if kind.naming.scope is Scope.NAMESPACED and metadata.get("namespace") is None:
        remedy = "add it: a resource governs by the namespace that it is in"
        yield Finding(place, "WrongScope", "is missing", remedy)
    if kind.naming.scope is Scope.CLUSTER and metadata.get("namespace") is not None:
        yield Finding(place, "WrongScope", "is not possible: the kind is cluster-scoped", "remove it")


def _unknown_type(raw: Raw, kind: type[Resource] | None) -> Finding:
    version = raw.get("apiVersion")
    if kind is not None or (isinstance(version, str) and version.startswith(f"{GROUP}/") and version != API_VERSION):
        return Finding(("apiVersion",), "UnknownVersion", f"must be {API_VERSION}", f"write apiVersion: {API_VERSION}")
    meant = translate.nearest(raw.get("kind"), KINDS)
    remedy = f"did you mean {meant}?" if meant else f"use one of {', '.join(KINDS)}"
    return Finding(("kind",), "UnknownKind", f"is no kind of {GROUP}", remedy)


def _nulls(value: object, location: Location = ()) -> Iterator[Location]:
    if value is None and location:
        yield location
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if (*location, key) != ("metadata",):
                yield from _nulls(inner, (*location, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _nulls(inner, (*location, index))


def _with_clean_metadata(document: Raw) -> Raw:
    """Without the nulls that clients leave in metadata and the API server drops (`creationTimestamp: null`)."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        return document
    return {**document, "metadata": {key: value for key, value in metadata.items() if value is not None}}


def _empty(location: Location) -> Finding:
    return Finding(location, "EmptyValue", "has no value", "give it one, or remove the line")


def _reference(raw: Raw) -> ResourceRef:
    metadata = raw.get("metadata")
    known = metadata if isinstance(metadata, Mapping) else {}
    return ResourceRef(_text(raw.get("kind")), _text(known.get("name")), _text(known.get("namespace")))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _problem(resource: ResourceRef, finding: Finding) -> Problem:
    return Problem(finding.code, resource, paths.render(finding.location), finding.message, finding.remedy)
