"""Strict JSON: what two parsers could read differently is refused.

A filter that reads a body otherwise than the provider does can be walked past, so nothing ambiguous gets through:
duplicate keys (RFC 8259 section 4 leaves open which one wins), NaN and infinities, numbers too large for a double,
invalid UTF-8, a byte order mark, lone surrogates, anything behind the value, and nesting deeper than `MAX_DEPTH`.
The work is done by the standard library's C scanner; a body of 1 KB takes some 10 µs.
"""

import json
import math
from typing import Any, NoReturn

from llmgov.wire import malformed

MAX_DEPTH = 100
"""Arrays and objects inside each other. Real tool schemas stay below 30; parsers recurse and must not be driven."""

_SHOWN_KEY = 40


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
