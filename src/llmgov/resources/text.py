"""A format of strings, told once: pydantic checks by it, people read it in messages, the API server gets it as CEL.

Every string has a maximum length, so that the API server can bound what a CEL rule costs.
"""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pydantic
import pydantic_core
from pydantic_core import core_schema


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """What a pattern cannot say: `fault` returns None where a text is fine, else details (which may be empty).

    `cel` says the same, or is empty where CEL cannot.
    """

    message: str
    fault: Callable[[str], str | None]
    cel: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A string of one format; `pattern` is RE2 without single quotes and matches the whole string."""

    code: str
    pattern: str
    max_length: int
    message: str
    remedy: str
    check: Check | None = None

    def __get_pydantic_core_schema__(
        self, source: Any, handler: pydantic.GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        """Let pydantic check a string by this format."""
        return core_schema.no_info_plain_validator_function(
            self.validate, serialization=core_schema.to_string_ser_schema()
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The format as the API server checks it."""
        return {
            "type": "string",
            "minLength": 1,
            "maxLength": self.max_length,
            "x-kubernetes-validations": list(self._validations()),
        }

    def _validations(self) -> Iterator[dict[str, str]]:
        matches = f"self.matches(r'{self._whole}')"
        yield {"rule": matches, "message": f"{self.message}; {self.remedy}"}
        if self.check is not None and self.check.cel:
            yield {"rule": f"!{matches} || {self.check.cel}", "message": f"{self.check.message}; {self.remedy}"}

    def validate(self, value: object) -> str:
        """Return `value`, a string.

        Raises:
            pydantic_core.PydanticCustomError: it has another format; the context holds code, message and remedy.
        """
        if not isinstance(value, str):
            remedy = "put it in quotes" if isinstance(value, int | float) else self.remedy
            raise _error("WrongType", "must be a string", remedy)
        if len(value) > self.max_length:
            raise _error(self.code, f"must be at most {self.max_length} characters long", self.remedy)
        if not _compiled(self._whole).fullmatch(value):
            raise _error(self.code, self.message, self.remedy)
        if self.check is not None and (details := self.check.fault(value)) is not None:
            message = f"{self.check.message}: {details}" if details else self.check.message
            raise _error(self.code, message, self.remedy)
        return value

    @property
    def _whole(self) -> str:
        return f"^(?:{self.pattern})$"


def _error(code: str, message: str, remedy: str) -> pydantic_core.PydanticCustomError:
    context = {"code": code, "message": message, "remedy": remedy}
    return pydantic_core.PydanticCustomError("llmgov", "{message}", context)


@functools.cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII)
