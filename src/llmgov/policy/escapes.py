"""Seeing through JSON's escapes in a text: arguments of tools are JSON inside a JSON string, where `078-05-1120` may be
spelt `\\u0030\\u0037\\u0038-05-1120`.

Nothing is parsed, so that damaged JSON, and keys that stand twice, hide nothing: escapes are replaced wherever they
stand. That is quick; where something is found, the slower `Mapped` leads back to the bytes that were sent.
"""

import bisect
import re
from collections.abc import Iterator

MAX_LEVELS = 3
"""How often JSON may be nested in JSON and still be seen through."""

_UNICODE = rb"u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})"
_LONG = re.compile(rb"\\(?:" + _UNICODE + rb")")
_ANY = re.compile(rb"\\(?:" + _UNICODE + rb"|([\"\\/bfnrt]))")
_SHORT = {b'"': b'"', b"/": b"/", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"\\": b"\\"}


def levels(data: bytes) -> Iterator[bytes]:
    """The text with one level of escapes replaced, then two, …, as long as that changes anything."""
    for _ in range(MAX_LEVELS):
        if b"\\" not in data:
            return
        plain = unescape(data)
        if plain == data:
            return
        yield plain
        data = plain


def unescape(data: bytes) -> bytes:
    """Every escape of JSON replaced by what it stands for; what is none stays."""
    return b"\\".join(_without_pairs(part) for part in data.split(b"\\\\"))


class Mapped:
    """The places that the bytes of a text with `depth` levels of escapes replaced came from."""

    def __init__(self, data: bytes, depth: int) -> None:
        self._steps: list[tuple[list[int], list[int]]] = []
        for _ in range(depth):
            self._steps.append(_places(data))
            data = unescape(data)

    def origin(self, place: int) -> int:
        """Where in the text as it was sent a place is; an escape is one place, its beginning or its end."""
        for starts, origins in reversed(self._steps):
            index = bisect.bisect_right(starts, place) - 1
            place = origins[index] + place - starts[index]
        return place


def _without_pairs(part: bytes) -> bytes:
    """Replace escapes in a text that has no escaped backslash (whose second half could look like an escape's start)."""
    if b"\\" not in part:
        return part
    for short, character in _SHORT.items():
        part = part.replace(b"\\" + short, character)
    return _LONG.sub(_character, part) if b"\\u" in part else part


def _places(data: bytes) -> tuple[list[int], list[int]]:
    """Where, after one level, runs of bytes start, and where they came from."""
    starts, origins = [0], [0]
    length = at = 0
    for found in _ANY.finditer(data):
        length += found.start() - at
        starts.append(length)
        origins.append(found.start())
        at = found.end()
        length += len(_character(found))
        starts.append(length)
        origins.append(at)
    return starts, origins


def _character(found: re.Match[bytes]) -> bytes:
    high, low, code, *short = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()
    if code is not None:
        return chr(int(code, 16)).encode("utf-8", "replace")
    return _SHORT[short[0]]
