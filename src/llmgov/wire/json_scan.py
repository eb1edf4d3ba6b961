"""Strict JSON: what two parsers could read differently is refused.

A filter that reads a body otherwise than the provider does can be walked past, so nothing ambiguous gets through:
duplicate keys (RFC 8259 section 4 leaves open which one wins), NaN and infinities, numbers too large for a double,
invalid UTF-8, a byte order mark, lone surrogates, anything behind the value, and nesting deeper than `MAX_DEPTH`.
msgspec's parser is as strict as this but for keys that stand twice, of which it lets the last one win: then the tree
has fewer members than the text. What it refuses, and what may be ambiguous, is read once more by the standard library's
parser, which says what is wrong with it.
"""

import json
import math
from typing import Any, NoReturn

import msgspec

from llmgov.wire import malformed

MAX_DEPTH = 100
"""Arrays and objects inside each other. Real tool schemas stay below 30; parsers recurse and must not be driven."""

_SHOWN_KEY = 40
_CONTAINERS = (dict, list)


class JsonError(ValueError):
    """Not the strict JSON that this module reads; the message says what is wrong."""


class DepthError(JsonError):
    """Nested deeper than `MAX_DEPTH`."""


def parse(data: bytes) -> Any:
    """The value that `data` encodes.

    Raises:
        DepthError: nested deeper than `MAX_DEPTH`.
        JsonError: anything else that is not strict JSON.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse(data)
    return value if _has_all_members(data, value) else _parse(data)


def _has_all_members(data: bytes, value: Any) -> bool:
    """Whether `value`, read from `data`, is not nested too deeply and lacks no member that `data` has.

    In a text that is JSON, a member is a colon outside of strings; only keys that stand twice are lost on the way.
    """
    members, level = 0, [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for outer in level:
            if isinstance(outer, dict):
                members += len(outer)
                below += [inner for inner in outer.values() if isinstance(inner, _CONTAINERS)]
            elif isinstance(outer, list):
                below += [inner for inner in outer if isinstance(inner, _CONTAINERS)]
        if not below:
            return members == data.count(b":") or members == _colons(data)
        level = below
    return False


def _colons(data: bytes) -> int:
    """The colons outside of strings of a text that is JSON: where strings begin and end is told by quotes alone, once
    escaped backslashes and quotes are gone."""
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(data.split(b'"')[::2]).count(b":")


def _parse(data: bytes) -> Any:
    """`parse` by the standard library's parser."""
    try:
        value = _decode(data.decode())
        check_depth(data, value)
        if b"\\ud" in data or b"\\uD" in data:
            _check_surrogates(value)
    except JsonError:
        raise
    except json.JSONDecodeError as error:
        raise JsonError(f"is not valid JSON: {error.msg} at character {error.pos}") from error
    except UnicodeDecodeError as error:
        raise JsonError(f"is not valid UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise DepthError(f"is nested deeper than {MAX_DEPTH} levels") from error
    except ValueError as error:
        raise JsonError("has a number of too many digits") from error
    return value


def parse_object(data: bytes) -> dict[str, Any]:
    """The object that a request's body encodes.

    Raises:
        malformed.RequestError: not strict JSON, or not an object.
    """
    try:
        value = parse(data)
    except DepthError as error:
        raise malformed.too_large(f"the body {error}") from error
    except JsonError as error:
        raise malformed.malformed("", str(error)) from error
    if not isinstance(value, dict):
        raise malformed.malformed("", "must be a JSON object")
    return value


def _decode(text: str) -> Any:
    """As `JSONDecoder.decode`, which looks for blanks around the value by two regular expressions; SDKs send none."""
    if text[:1] == "{" and text[-1:] == "}":
        value, end = _DECODER.raw_decode(text)
        if end == len(text):
            return value
    return _DECODER.decode(text)


def check_depth(data: bytes, value: Any) -> None:
    """Raise `DepthError` if `value`, read from `data`, is nested deeper than `MAX_DEPTH`.

    Parsers in C stop by themselves long before they exhaust the stack; this keeps out what they still read.
    """
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise DepthError(f"is nested deeper than {MAX_DEPTH} levels")


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise JsonError("has a lone surrogate in a string") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        names = [key for key, _ in pairs]
        key = next(name for name in result if names.count(name) > 1)
        raise JsonError(f"has the key {json.dumps(key)[:_SHOWN_KEY]} twice in one object")
    return result


def _constant(name: str) -> NoReturn:
    raise JsonError(f"has {name}, which is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise JsonError("has a number that is too large")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite)
