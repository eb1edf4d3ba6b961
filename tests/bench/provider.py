"""The provider that data path measurements go to: `python -m tests.bench.provider` prints its port.

It does as little as can be done: a request is its head and as many bytes as the head says; whole requests get one and
the same answer, `"stream": true` gets events at fixed intervals.
"""

import asyncio
import json
import sys
from typing import cast

import uvloop

EVENTS = 20
EVENT_SECONDS = 0.02


_USAGE = {"prompt_tokens": 230, "completion_tokens": 90, "total_tokens": 320}


def _body(content: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    return json.dumps(
        {"id": "c1", "object": "chat.completion", "model": "gpt-4o", "choices": [choice], "usage": _USAGE}
    ).encode()


def _event(*choices: dict[str, object], **more: object) -> bytes:
    data = {"id": "c1", "object": "chat.completion.chunk", "model": "gpt-4o", "choices": choices, **more}
    event = b"data: " + json.dumps(data).encode() + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(event), event)


_ANSWER = _body("some words of an answer " * 25)
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_ANSWER) + _ANSWER
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENT = _event({"index": 0, "delta": {"content": "some words of an answer "}, "finish_reason": None})
STREAM_END = _event(usage=_USAGE) + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if not found or len(rest) < length:
            return
        self._buffer = rest[length:]
        if b'"stream": true' in rest[:length]:
            self._write(STREAM_HEAD)
            self._next(EVENTS)
        else:
            self._write(WHOLE)

    def _next(self, left: int) -> None:
        if left:
            self._write(EVENT)
            asyncio.get_running_loop().call_later(EVENT_SECONDS, self._next, left - 1)
        else:
            self._write(STREAM_END)

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)


async def main() -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
