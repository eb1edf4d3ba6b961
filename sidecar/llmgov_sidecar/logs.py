"""Logs as JSON lines: one for each request and each event worth knowing; never a prompt, an answer or a key.

Lines are gathered for a moment, encoded and written together: one by one they would be a tenth of a request's cost.
"""

import asyncio
import functools
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import msgspec

from llmgov import instants
from llmgov.instants import Instant

_ENCODER: Final = msgspec.json.Encoder()
_FLUSH_SECONDS: Final = 0.2
_FLUSH_LINES: Final = 256


class Log:
    """Writes to a binary stream."""

    def __init__(self, stream: BinaryIO, clock: Callable[[], Instant], **always: str) -> None:
        self._stream = stream
        self._clock = clock
        self._always = always
        self._heads: dict[tuple[str, str], bytes] = {}
        self._lines: list[tuple[Instant, str, str, dict[str, Any] | msgspec.Struct]] = []
        self._timer: asyncio.TimerHandle | None = None

    def info(self, event: str, **fields: Any) -> None:
        """Something that happens."""
        self._write(self._clock(), "info", event, fields)

    def note(self, now: Instant, event: str, fields: msgspec.Struct) -> None:
        """Something that happens often, now."""
        self._write(now, "info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that an administrator should know."""
        self._write(self._clock(), "warning", event, fields)

    def failure(self, where: str, error: BaseException) -> None:
        """A bug or an outage: the exception's type and place; its text only where it is the system's own."""
        text = str(error) if isinstance(error, OSError) else ""
        fields = {"where": where, "error": type(error).__name__, "text": text, "at": _at(error)}
        self._write(self._clock(), "error", "failure", fields)

    def flush(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"".join([self._line(*line) for line in lines]))
            self._stream.flush()

    def _write(self, now: Instant, level: str, event: str, fields: dict[str, Any] | msgspec.Struct) -> None:
        self._lines.append((now, level, event, fields))
        if len(self._lines) >= _FLUSH_LINES or level != "info":
            self.flush()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            except RuntimeError:  # no loop yet, or none any more
                self.flush()

    def _line(self, now: Instant, level: str, event: str, fields: dict[str, Any] | msgspec.Struct) -> bytes:
        rest = b"," + _ENCODER.encode(fields)[1:] if fields else b"}"
        return b'{"time":"%b",%b%b\n' % (_time(now), self._head(level, event), rest)

    def _head(self, level: str, event: str) -> bytes:
        """What all lines of an event have in common, without the braces."""
        head = self._heads.get((level, event))
        if head is None:
            head = self._heads[level, event] = _ENCODER.encode({"level": level, "event": event, **self._always})[1:-1]
        return head


def _time(now: Instant) -> bytes:
    seconds, micros = divmod(now, instants.SECOND)
    return b"%b.%06dZ" % (_second(seconds), micros) if micros else _second(seconds) + b"Z"


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> bytes:
    """Lines come many to the second."""
    return instants.to_rfc3339(seconds * instants.SECOND).removesuffix("Z").encode()


def _at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
