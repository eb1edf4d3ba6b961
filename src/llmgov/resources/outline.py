"""The shape of the models, for walking a raw document along it."""

import dataclasses
import functools
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.fields import FieldInfo

from llmgov.resources.base import Model
from llmgov.resources.paths import Location
from llmgov.resources.rules import Raw


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """A field of a model; `model` is what its objects, or its list's items, are (None for anything else)."""

    info: FieldInfo
    model: type[Model] | None

    @property
    def list_keys(self) -> tuple[str, ...]:
        """By which of their fields the items of a list are told apart; empty where they are not."""
        extra = self.info.json_schema_extra
        keys = extra.get("x-kubernetes-list-map-keys") if isinstance(extra, dict) else None
        return tuple(str(key) for key in keys) if isinstance(keys, list) else ()


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """An object of a document, and the model that it should follow."""

    model: type[Model]
    raw: Raw
    location: Location


@functools.cache
def fields(model: type[Model]) -> Mapping[str, Field]:
    """The model's fields by their names in YAML."""
    return {info.alias or name: Field(info, _model_in(info.annotation)) for name, info in model.model_fields.items()}


def places(model: type[Model], raw: Raw, location: Location = ()) -> Iterator[Place]:
    """All objects in `raw` that follow a model, outermost first."""
    yield Place(model, raw, location)
    for name, field in fields(model).items():
        if field.model is not None and name in raw:
            yield from _inside(field.model, raw[name], (*location, name))


def model_at(model: type[Model], location: Location) -> type[Model] | None:
    """The model of the object at `location`, or None where the location leaves the models."""
    found: type[Model] | None = model
    for step in location:
        if isinstance(step, int):
            continue
        field = fields(found).get(step) if found is not None else None
        found = field.model if field is not None else None
    return found


def _inside(model: type[Model], value: Any, location: Location) -> Iterator[Place]:
    if isinstance(value, Mapping):
        yield from places(model, value, location)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _inside(model, item, (*location, index))


def _model_in(annotation: Any) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next(filter(None, map(_model_in, typing.get_args(annotation))), None)
