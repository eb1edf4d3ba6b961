"""Exact bytes of a document, so that two readers hash the same thing: JSON Canonicalization Scheme (RFC 8785).

Of that scheme the part without its difficult corner: no fractions. Values are strings, integers that a double holds
exactly, booleans, lists and objects; what is absent is left out rather than null.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from json import encoder
from typing import Any, TypeAlias, Union, cast

import msgspec

Json: TypeAlias = Union[str, int, bool, msgspec.Raw, Sequence["Json"], Mapping[str, "Json"]]  # noqa: UP007 - recursive
"""What can be put on record."""

_string: Callable[[Any], str] = encoder.encode_basestring
"""The standard library escapes exactly what RFC 8785 section 3.2.2.2 wants, and nothing else."""

Encoded: TypeAlias = msgspec.Raw
"""The canonical bytes of a part of a document, which stand in the whole as they are."""

MAX_INTEGER = 2**53 - 1
"""RFC 8785 numbers are IEEE 754 doubles: beyond this other readers would round."""


_ENCODER = msgspec.json.Encoder(order="deterministic")
"""Its strings are the standard library's, byte for byte, and its keys are in the order of their code points."""


class CanonicalError(ValueError):
    """A value that has no canonical bytes; its message says which and why."""


def encode(value: Json) -> bytes:
    """The canonical bytes of `value`.

    Raises:
        CanonicalError: a fraction, null, an integer beyond `MAX_INTEGER`, a lone surrogate, or a foreign type.
    """
    try:
        return _ENCODER.encode(value) if _is_plain(value) else _text(value).encode()
    except UnicodeEncodeError as error:
        raise CanonicalError("a string holds half of a surrogate pair") from error


def _is_plain(value: Any) -> bool:
    """Whether an encoder in C makes the same of it: nothing but exact types, whole numbers in range and ASCII keys.

    Nearly every record is.
    """
    kind = type(value)
    if kind is str or kind is bool:
        return True
    if kind is int:
        return -MAX_INTEGER <= cast("int", value) <= MAX_INTEGER
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or not key.isascii() or not (type(inner) is str or _is_plain(inner)):
                return False
        return True
    if kind is list or kind is tuple:
        for inner in value:  # noqa: SIM110 - a generator for each list would take as long as all the rest
            if not (type(inner) is str or _is_plain(inner)):
                return False
        return True
    return kind is Encoded


def _text(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return _integer(value)
        case list() | tuple():
            return "[" + ",".join(map(_text, value)) + "]"
        case str():
            return _string(value)
        case Mapping():
            return _object(value)
        case msgspec.Raw():
            return bytes(value).decode()
        case _:
            raise CanonicalError(f"{type(value).__name__} has no canonical form")


def _object(value: Mapping[str, Json]) -> str:
    return "{" + ",".join([f"{_string(key)}:{_text(value[key])}" for key in _sorted(value)]) + "}"


def _integer(value: int) -> str:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise CanonicalError(f"{value} is beyond the integers that every reader holds exactly")
    return str(value)


def _sorted(keys: Iterable[str]) -> list[str]:
    """RFC 8785 section 3.2.3 sorts by UTF-16 code units, which differs from code points beyond U+FFFF."""
    try:
        if all(map(str.isascii, keys)):
            return sorted(keys)
        return sorted(keys, key=lambda key: key.encode("utf-16-be"))
    except (UnicodeEncodeError, TypeError) as error:
        raise CanonicalError("a key is no proper string") from error
