"""Server-sent events, incrementally: bytes in, whole events out, however the bytes were cut.

Lines end in LF, CRLF or CR (WHATWG HTML, section 9.2); an event ends at an empty line. The events' `raw` bytes, put one
after the other, are exactly the bytes that came in.
"""

import re
from typing import NamedTuple

MAX_EVENT = 16 * 1024 * 1024
"""Bytes of one event: the final event of the Responses API repeats the whole answer, with its images."""

_BLANK = re.compile(rb"\r\n(?:\r\n|\n|\r(?!\n|\Z))|(?:(?<!\r)\n|\r(?!\n))(?:\r\n|\n|\r)")
"""An event's last line end and its empty line. Behind a CRLF a CR at the end of what has come is half of another."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_LOOK_BACK = 3
_MARK = b"\xef\xbb\xbf"
"""A stream may begin with a byte order mark, which is no part of its first line."""
_RETURN = 13


class StreamError(ValueError):
    """The stream is beyond what a proxy may buffer."""


class Event(NamedTuple):
    """One event: its exact bytes, its name (empty where it has none), and its data (`None` where it has none)."""

    raw: bytes
    name: str
    data: bytes | None


class Splitter:
    """Cuts one stream into events."""

    __slots__ = ("_after_return", "_buffer", "_searched")

    def __init__(self) -> None:
        self._buffer = b""
        self._searched = 0
        self._after_return = False

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that are complete with this chunk.

        Raises:
            StreamError: an event is longer than `MAX_EVENT`.
        """
        buffer = self._buffer + chunk
        events: list[Event] = []
        start = 0
        search = self._searched
        if self._after_return and buffer:
            search = max(search, int(buffer.startswith(b"\n")))
            self._after_return = False
        while (end := _event_end(buffer, search)) >= 0:
            events.append(parse(buffer[start:end]))
            start = search = end
            if buffer[end - 1] == _RETURN:
                search, self._after_return = self._past_line_feed(buffer, start)
        self._keep(buffer[start:], search - start)
        return events

    def end(self) -> list[Event]:
        """What is left when the stream ends: an event that its sender did not finish, or nothing."""
        rest, self._buffer, self._searched = self._buffer, b"", 0
        return [parse(rest)] if rest else []

    @staticmethod
    def _past_line_feed(buffer: bytes, start: int) -> tuple[int, bool]:
        """A CR that ended an event may be half of a CRLF, the LF of which begins the next event's bytes."""
        if start == len(buffer):
            return start, True
        return start + int(buffer.startswith(b"\n", start)), False

    def _keep(self, rest: bytes, least: int) -> None:
        if len(rest) > MAX_EVENT:
            raise StreamError(f"an event of the stream is longer than {MAX_EVENT} bytes")
        self._buffer = rest
        self._searched = max(0, least, len(rest) - _LOOK_BACK) if rest else 0


def _event_end(buffer: bytes, search: int) -> int:
    """Where the first event at or behind `search` ends, or -1. The usual streams, without a CR, need no pattern."""
    if b"\r" not in buffer:
        position = buffer.find(b"\n\n", search)
        return position + 2 if position >= 0 else -1
    match = _BLANK.search(buffer, search)
    return match.end() if match else -1


def is_plain(raw: bytes) -> bool:
    """Whether an event is one line of data and its end, as most are."""
    return raw.startswith(b"data: ") and raw.endswith(b"\n\n") and raw.count(b"\n") == 2 and b"\r" not in raw


def parse(raw: bytes) -> Event:
    """The event that `raw` holds; comments and fields other than `event` and `data` are passed over."""
    if is_plain(raw):
        return Event(raw, "", raw[6:-2])
    if raw.startswith(_MARK):
        return parse(raw[len(_MARK) :])._replace(raw=raw)
    name = ""
    data: list[bytes] = []
    for line in _LINE_END.split(raw):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value.decode(errors="replace")
    return Event(raw, name, b"\n".join(data) if data else None)


def beside(event: Event) -> bytes:
    """What an event says beside its data, line by line: comments, fields that nobody knows, a name that its data does
    not repeat. Ids and times to reconnect are no text."""
    said: list[bytes] = []
    for line in _LINE_END.split(event.raw.removeprefix(_MARK)):
        field = line.partition(b":")[0]
        if field == b"event":
            if b'"%b"' % event.name.encode() not in (event.data or b""):
                said.append(line)
        elif line and field not in (b"data", b"id", b"retry"):
            said.append(line)
    return b"\n".join(said)


def with_data(raw: bytes, data: bytes) -> bytes:
    """The event `raw` with other data, a JSON text; its other lines stay as they are."""
    if is_plain(raw):
        return b"data: %s\n\n" % data
    if raw.startswith(_MARK):
        return _MARK + with_data(raw[len(_MARK) :], data)
    kept: list[bytes] = []
    pending = b"data: " + b" ".join(_LINE_END.split(data))
    for line in raw.splitlines(keepends=True):
        if not line.startswith((b"data:", b"data\r", b"data\n")):
            kept.append(line)
        elif pending:
            kept.append(pending + line[len(line.rstrip(b"\r\n")) :])
            pending = b""
    return b"".join(kept)
