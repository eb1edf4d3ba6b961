"""Logs as JSON lines: one for each request and each event worth knowing; never a prompt, an answer or a key.

Lines are gathered for a moment and written together, since a write for each request would be a tenth of its cost.
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
_FLUSH_BYTES: Final = 64 * 1024


class Log:
    """Writes to a binary stream."""

    def __init__(self, stream: BinaryIO, clock: Callable[[], Instant], **always: str) -> None:
        self._stream = stream
        self._clock = clock
        self._always = always
        self._lines: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def info(self, event: str, **fields: Any) -> None:
        """Something that happens."""
        self._write("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something that an administrator should know."""
        self._write("warning", event, fields)

    def failure(self, where: str, error: BaseException) -> None:
        """A bug or an outage: the exception's type and place; its text only where it is the system's own."""
        text = str(error) if isinstance(error, OSError) else ""
        self._write("error", "failure", {"where": where, "error": type(error).__name__, "text": text, "at": _at(error)})

    def flush(self) -> None:
        """Write what was gathered."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._lines:
            self._stream.write(b"".join(self._lines))
            self._stream.flush()
            self._lines.clear()
            self._size = 0

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        whole = {"time": _time(self._clock()), "level": level, "event": event, **self._always, **fields}
        line = _ENCODER.encode(whole) + b"\n"
        self._lines.append(line)
        self._size += len(line)
        if self._size >= _FLUSH_BYTES or level != "info":
            self.flush()
        elif self._timer is None:
            try:
                self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self.flush)
            except RuntimeError:  # no loop yet, or none any more
                self.flush()


def _time(now: Instant) -> str:
    seconds, micros = divmod(now, instants.SECOND)
    return f"{_second(seconds)}.{micros:06d}Z" if micros else f"{_second(seconds)}Z"


@functools.lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    """Lines come many to the second."""
    return instants.to_rfc3339(seconds * instants.SECOND).removesuffix("Z")


def _at(error: BaseException) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
