"""Values whose type another document says: parameters of templates, and the bodies that take them.

They are bounded all the same. An object that may be nested without end is one that whoever reads it may end by: so the
API server takes a text, a number, true or false, or a list of these, and a body of the fields that it has in LLMPolicy.
"""

from typing import Annotated, Any, Final, TypeAlias

import pydantic
import pydantic_core
from pydantic_core import core_schema

from llmgov.resources import schemas
from llmgov.resources.base import Model
from llmgov.resources.schemas import Schema

LONGEST: Final = 4096
"""Characters of one text."""

MOST: Final = 512
"""Entries of one list: more than any list of a policy has."""

_FREE: Final = "x-kubernetes-preserve-unknown-fields"

SCALAR: Final[Schema] = {_FREE: True, "maxProperties": 0, "maxItems": 0, "maxLength": LONGEST}
"""A structural schema has one type or none, and none takes objects and lists, too: but only empty ones."""

VALUE: Final[Schema] = {**SCALAR, "maxItems": MOST, "items": SCALAR}
"""The same, or a list of it."""


class Flat:
    """Marks a value that is a scalar or a list of scalars."""

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic check it."""
        return core_schema.no_info_plain_validator_function(_flat)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> Schema:
        """Let the API server check it."""
        return dict(VALUE)


Value: TypeAlias = Annotated[Any, Flat()]
"""What a parameter is given."""


class Like:
    """Marks an object with the fields of a model, whose values a parameter may stand for."""

    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> Schema:
        """The model's schema, but for the types of values and the rules about them, which hold once they are known."""
        source = self._model.model_json_schema(mode="validation")
        made = _opened(source, source.get("$defs", {}))
        del made["description"]  # the field's own says more
        return made


def _opened(node: Schema, definitions: Schema) -> Schema:
    node = schemas.flat(node, definitions)
    described = {"description": node["description"]} if "description" in node else {}
    if "properties" in node:
        fields = {name: _opened(inner, definitions) for name, inner in node["properties"].items()}
        return {"type": "object", **described, "properties": fields}
    if "items" in node:
        items = _opened(node["items"], definitions)
        return {**(VALUE if _FREE in items else {"type": "array", "items": items}), **described} | {
            "maxItems": node["maxItems"]
        }
    return {**SCALAR, **described}


def _flat(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    if len(items) > MOST:
        raise _error("WrongLength", f"must have at most {MOST} entries", "shorten it")
    for item in items:
        if not isinstance(item, str | int | float | bool):
            raise _error("WrongType", "must be a text, a number, true or false, or a list of these", "flatten it")
        if isinstance(item, str) and len(item) > LONGEST:
            raise _error("WrongLength", f"must have at most {LONGEST} characters", "shorten it")
    return value


def _error(code: str, message: str, remedy: str) -> pydantic_core.PydanticCustomError:
    context = {"code": code, "message": message, "remedy": remedy}
    return pydantic_core.PydanticCustomError("llmgov", "{message}", context)
