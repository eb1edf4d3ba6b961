"""What reading a stream of server-sent events is alike in every format: split, decoded, one frame an event."""

import abc
from typing import Any

from llmgov.wire import lenient, sse
from llmgov.wire.events import Frame


class Reader(abc.ABC):
    """Reads one stream; a format says what its objects mean, and which data is no object but a mark of its own."""

    def __init__(self) -> None:
        self._splitter = sse.Splitter()

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
        if event.data is None:
            return Frame(event.raw)
        mark = self._mark(event.raw, event.data)
        if mark is not None:
            return mark
        parsed = lenient.decode_object(event.data)
        if parsed is None:
            return Frame(event.raw, full=lenient.unreadable(event.data))
        return self._object(event, parsed)

    def _mark(self, raw: bytes, data: bytes) -> Frame | None:  # noqa: ARG002 - for formats that have marks
        """The frame of a mark such as `[DONE]`; `None` where `data` is none."""
        return None

    @abc.abstractmethod
    def _object(self, event: sse.Event, parsed: dict[str, Any]) -> Frame:
        """The frame of an event whose data is this object."""
