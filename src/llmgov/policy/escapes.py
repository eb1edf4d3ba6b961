"""Seeing through JSON's escapes in a text: arguments of tools are JSON inside a JSON string, where `078-05-1120` may be
spelt `\\u0030\\u0037\\u0038-05-1120`.

Nothing is parsed, so that damaged JSON, and keys that stand twice, hide nothing: escapes are replaced wherever they
stand, and a map leads from the plain bytes back to those that were sent.
"""

import bisect
import dataclasses
import re
from collections.abc import Iterator

MAX_LEVELS = 3
"""How often JSON may be nested in JSON and still be seen through."""

_ESCAPE = re.compile(
    rb"\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([\"\\/bfnrt]))"
)
_SHORT = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t"}


@dataclasses.dataclass(slots=True, frozen=True)
class Plain:
    """A text without one level of escapes. `starts` are places in `data`, `origins` where those bytes came from."""

    data: bytes
    starts: list[int]
    origins: list[int]

    def origin(self, place: int) -> int:
        """The place in the escaped text of a place in `data`."""
        index = bisect.bisect_right(self.starts, place) - 1
        return self.origins[index] + place - self.starts[index]


def levels(data: bytes) -> Iterator[list[Plain]]:
    """The text with one level of escapes removed, then two, …: each as the chain of steps that leads back."""
    chain: list[Plain] = []
    while b"\\" in data and len(chain) < MAX_LEVELS:
        plain = _unescape(data)
        if plain.data == data:
            return
        chain.append(plain)
        data = plain.data
        yield list(chain)


def origin_span(chain: list[Plain], start: int, end: int) -> tuple[int, int]:
    """The span in the text as it was sent of a span in the last step of a chain; whole escapes only."""
    for plain in reversed(chain):
        start, end = plain.origin(start), plain.origin(end)
    return start, end


def _unescape(data: bytes) -> Plain:
    pieces: list[bytes] = []
    starts, origins = [0], [0]
    length = at = 0
    for found in _ESCAPE.finditer(data):
        character = _character(found)
        pieces += [data[at : found.start()], character]
        length += found.start() - at
        starts.append(length)
        origins.append(found.start())
        length += len(character)
        at = found.end()
        starts.append(length)
        origins.append(at)
    pieces.append(data[at:])
    return Plain(b"".join(pieces), starts, origins)


def _character(found: re.Match[bytes]) -> bytes:
    high, low, code, short = found.groups()
    if high is not None:
        return chr(0x10000 + ((int(high, 16) & 0x3FF) << 10) + (int(low, 16) & 0x3FF)).encode()
    if code is not None:
        return chr(int(code, 16)).encode("utf-8", "replace")
    return _SHORT.get(short, short)
