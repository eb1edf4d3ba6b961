"""Rules across the fields of one object, each told once: in Python for `llmgov validate`, in CEL for the API server.

A rule looks at the object as its author wrote it (camelCase, absent fields absent), as CEL does, so that both judge
the same thing. It is only asked when the fields that it reads are well-formed, so that one mistake is one problem.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Raw: TypeAlias = Mapping[str, Any]
"""An object of a document as its author wrote it."""


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
    def sentence(self) -> str:
        """What the API server shows."""
        return f"{self.message}; {self.remedy}"


def exactly_one(code: str, what: str, fields: tuple[str, ...]) -> Rule:
    """Exactly one of `fields` is there; `what` names them together ("body")."""
    return Rule(
        code=code,
        message=f"must have exactly one {what}",
        remedy=f"keep one of {', '.join(fields)}",
        cel=f"[{_presences(fields)}].filter(x, x).size() == 1",
        holds=lambda raw: sum(field in raw for field in fields) == 1,
    )


def at_least_one(code: str, message: str, fields: tuple[str, ...]) -> Rule:
    """At least one of `fields` is there."""
    return Rule(
        code=code,
        message=message,
        remedy=f"add one of {', '.join(fields)}",
        cel=" || ".join(f"has(self.{field})" for field in fields),
        holds=lambda raw: any(field in raw for field in fields),
    )


def _presences(fields: tuple[str, ...]) -> str:
    return ", ".join(f"has(self.{field})" for field in fields)
