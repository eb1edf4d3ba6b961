"""What reading a stream of server-sent events is alike in every format: split, decoded, one frame an event."""

import abc
from typing import Any

import msgspec

from llmgov.wire import lenient, sse
from llmgov.wire.events import Frame, Text, TextRole


class Reader(abc.ABC):
    """Bytes of one stream in, frames out; the frames' `raw` bytes in a row are the bytes that came in.

    A format says what its objects mean, and which data is no object but a mark of its own.

    `strict`, for filters: an event that parsers disagree about is `unread`, and every string is told, also those that
    no row knows and those beside the data.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self._splitter = sse.Splitter()
        self._strict = strict

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with these bytes.

        Raises:
            sse.StreamError: a frame is too long to buffer.
        """
        return [self._frame(event) for event in self._splitter.feed(data)]

    def end(self) -> list[Frame]:
        """What the stream left unfinished."""
        return [self._frame(event) for event in self._splitter.end()]

    def _frame(self, event: sse.Event) -> Frame:
        frame = self._data(event)
        if self._strict and not sse.is_plain(event.raw):
            return _with_words(frame, sse.beside(event))
        return frame

    def _data(self, event: sse.Event) -> Frame:
        if not event.data or event.data.isspace():
            return Frame(event.raw)
        mark = self._mark(event.raw, event.data)
        if mark is not None:
            return mark
        parsed = lenient.decode_object(event.data, strict=self._strict)
        if parsed is None:
            return Frame(event.raw, full=lenient.unreadable(event.data), unread=_UNREAD)
        return self._object(event, parsed)

    def _mark(self, raw: bytes, data: bytes) -> Frame | None:  # noqa: ARG002 - for formats that have marks
        """The frame of a mark such as `[DONE]`; `None` where `data` is none."""
        return None

    @abc.abstractmethod
    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        """The frame of an event whose data is this object."""


def behind(data: bytes, mark: bytes) -> tuple[Text, ...]:
    """What stands behind a mark in its data, as a client may show it."""
    rest = data.strip()[len(mark) :]
    return lenient.unreadable(rest) if rest else ()


def _with_words(frame: Frame, words: bytes) -> Frame:
    if not words:
        return frame
    text = lenient.text(words)
    if text is None:
        return msgspec.structs.replace(frame, unread="its stream is not in UTF-8")
    return msgspec.structs.replace(frame, full=(*frame.full, Text("", text, TextRole.PROTECTED)))


_UNREAD = "an event of its stream is no valid JSON object"
