"""Exact bytes of a document, so that two readers hash the same thing: JSON Canonicalization Scheme (RFC 8785).

Of that scheme the part without its difficult corner: no fractions. Values are strings, integers that a double holds
exactly, booleans, lists and objects; what is absent is left out rather than null.
"""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, Union

Json: TypeAlias = Union[str, int, bool, Sequence["Json"], Mapping[str, "Json"]]  # noqa: UP007 - recursive
"""What can be put on record."""

MAX_INTEGER = 2**53 - 1
"""RFC 8785 numbers are IEEE 754 doubles: beyond this other readers would round."""


class CanonicalError(ValueError):
    """A value that has no canonical bytes; its message says which and why."""


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`.

    Raises:
        CanonicalError: a fraction, null, an integer beyond `MAX_INTEGER`, a lone surrogate, or a foreign type.
    """
    try:
        return _text(value).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds half of a surrogate pair") from error


def _text(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            # The standard library escapes exactly what RFC 8785 section 3.2.2.2 wants, and nothing else.
            return json.dumps(value, ensure_ascii=False)
        case int():
            return _integer(value)
        case Mapping():
            return "{" + ",".join(f"{_text(key)}:{_text(value[key])}" for key in sorted(value, key=_order)) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case _:
            raise CanonicalError(f"{type(value).__name__} has no canonical form")


def _integer(value: int) -> str:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise CanonicalError(f"{value} is beyond the integers that every reader holds exactly")
    return str(value)


def _order(key: str) -> bytes:
    """RFC 8785 section 3.2.3 sorts by UTF-16 code units, which differs from code points beyond U+FFFF."""
    try:
        return key.encode("utf-16-be")
    except (UnicodeEncodeError, AttributeError) as error:
        raise CanonicalError("a key is no proper string") from error
