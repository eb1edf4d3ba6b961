"""Rules across the fields of one object, each told once: in Python for `llmgov validate`, in CEL for the API server.

A rule looks at the object as its author wrote it (camelCase, absent fields absent), as CEL does, so that both judge
the same thing. It is only asked when the fields that it reads are well-formed, so that one mistake is one problem.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = Mapping[str, Any]
"""An object of a document as its author wrote it."""

_RESERVED = frozenset({"namespace"})
"""Words of CEL among our fields' names; the API server calls such a field `__namespace__`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """One rule about one object.

    `message` says what is wrong and `remedy` what to do; the API server shows both as one sentence. `field` is the
    field that is blamed, empty for the object; `reads` are fields that must be well-formed for the rule to be asked.
    """

    code: str
    message: str
    remedy: str
    cel: str
    holds: Callable[[Raw], bool]
    field: str = ""
    reads: tuple[str, ...] = ()

    @property
    def validation(self) -> dict[str, str]:
        """The entry of `x-kubernetes-validations`."""
        sentence = f"{self.message}; {self.remedy}"
        # The API server takes paths to fields of the schema only, and metadata's are not in it.
        if "." in self.field:
            return {"rule": self.cel, "message": f"{self.field} {sentence}"}
        return {"rule": self.cel, "message": sentence} | ({"fieldPath": f".{self.field}"} if self.field else {})


def exactly_one(code: str, what: str, fields: tuple[str, ...]) -> Rule:
    """Exactly one of `fields` is there; `what` names them together ("body")."""
    return Rule(
        code=code,
        message=f"must have exactly one {what}",
        remedy=f"keep one of {', '.join(fields)}",
        cel=f"[{', '.join(map(_has, fields))}].filter(x, x).size() == 1",
        holds=lambda raw: sum(field in raw for field in fields) == 1,
    )


def at_least_one(code: str, message: str, fields: tuple[str, ...]) -> Rule:
    """At least one of `fields` is there."""
    return Rule(
        code=code,
        message=message,
        remedy=f"add one of {', '.join(fields)}",
        cel=" || ".join(map(_has, fields)),
        holds=lambda raw: any(field in raw for field in fields),
    )


def _has(field: str) -> str:
    return f"has(self.__{field}__)" if field in _RESERVED else f"has(self.{field})"
