"""The heads of the requests on one connection, each understood once.

A client library sends the same head again and again, but for the body's length. Such a head is not parsed again: what
surrounds the digits of its only Content-Length is compared byte for byte with the head before it, so that what is
understood is what the parser would say. Whoever works something out of a head keeps it in `Head.known`.
"""

import re
from typing import Final

import msgspec

from llmgov_sidecar import http1

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)[ \t]*\r\n", re.IGNORECASE)
_MOST_DIGITS: Final = 15
"""As many as the parser takes."""


class Heads:
    """Reads heads; remembers the last one that had a length."""

    __slots__ = ("_before", "_behind", "_last", "_limits")

    def __init__(self, limits: http1.Limits) -> None:
        self._limits = limits
        self._last: http1.Head | None = None
        self._before = self._behind = b""

    def read(self, raw: bytes) -> http1.Head:
        """The head that `raw` is, as `http1.parse_head` reads it.

        Raises:
            MessageError: as `http1.parse_head`.
        """
        last = self._last
        if last is not None and raw.startswith(self._before) and raw.endswith(self._behind):
            digits = raw[len(self._before) : len(raw) - len(self._behind)]
            if digits.isdigit() and len(digits) <= _MOST_DIGITS:
                length = int(digits)
                return last if length == last.length else msgspec.structs.replace(last, length=length)
        head = http1.parse_head(raw, self._limits)
        self._remember(raw, head)
        return head

    def _remember(self, raw: bytes, head: http1.Head) -> None:
        found = _LENGTH.search(raw) if head.length is not None else None
        if found is not None:
            self._last, self._before, self._behind = head, raw[: found.start(1)], raw[found.end(1) :]
