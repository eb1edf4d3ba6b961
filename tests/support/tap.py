"""A TCP hop that keeps every byte: what an SDK really sends and gets, before the proxy and behind it.

Messages are taken apart by hand, by RFC 9112's rules for the two framings that SDKs, proxy and mock use (a length and
chunks), so that nothing here is shared with the proxy's own HTTP.
"""

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Coroutine
from typing import Any, NamedTuple, Self

_READ = 1 << 16


class Exchange(NamedTuple):
    """One request and its answer; header names in lower case, bodies without their framing."""

    method: str
    target: str
    headers: dict[str, str]
    sent: bytes
    status: int
    answer_headers: dict[str, str]
    got: bytes

    def document(self) -> Any:
        """The request's body as JSON."""
        return json.loads(self.sent)

    def events(self) -> list[bytes]:
        """The answer's body as server-sent events, each with its blank line."""
        return [event + b"\n\n" for event in self.got.split(b"\n\n") if event]


class _Connection:
    """What was said on one connection and has not been taken yet."""

    def __init__(self) -> None:
        self.up = bytearray()
        self.down = bytearray()
        self.ended = False

    @property
    def quiet(self) -> bool:
        return self.ended or not (self.up or self.down)

    def take(self) -> list[Exchange]:
        """The exchanges that are complete, and at the connection's end the one that was broken off."""
        found = []
        while (request := _message(self.up)) and (answer := _message(self.down, broken_off=self.ended)):
            (first, headers, sent, request_end), (status, answer_headers, got, answer_end) = request, answer
            method, target, _ = first.split(" ")
            found.append(Exchange(method, target, headers, sent, int(status.split(" ")[1]), answer_headers, got))
            del self.up[:request_end]
            del self.down[:answer_end]
        return found


class Tap:
    """One port in front of another."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._connections: list[_Connection] = []

    def take(self, seconds: float = 5) -> list[Exchange]:
        """The exchanges since the last time, once none is under way any more; connection by connection.

        SDKs close a connection when they have read the last event, before the end of the body: that counts, too.
        """
        until = time.monotonic() + seconds
        found = self._taken()
        while not all(connection.quiet for connection in self._connections) and time.monotonic() < until:
            time.sleep(0.001)
            found += self._taken()
        ended = [connection for connection in self._connections if connection.ended]
        found += self._taken()
        for connection in ended:
            self._connections.remove(connection)
        return found

    def only(self) -> Exchange:
        """The one exchange that was completed since the last time."""
        (exchange,) = self.take()
        return exchange

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, until either side ends it."""
        connection = _Connection()
        self._connections.append(connection)
        try:
            with contextlib.suppress(OSError):
                upstream, sink = await asyncio.open_connection("127.0.0.1", self._target)
                up = _pump(reader, sink, connection.up)
                await asyncio.gather(up, _pump(upstream, writer, connection.down))
        finally:
            connection.ended = True

    def _taken(self) -> list[Exchange]:
        return [exchange for connection in list(self._connections) for exchange in connection.take()]


class Taps:
    """Taps on a loop and thread of their own. Use as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="taps", daemon=True)
        self._servers: list[asyncio.Server] = []

    def __enter__(self) -> Self:
        """Start the loop."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close all ports and connections."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def open(self, target: int) -> Tap:
        """A new port in front of `target`."""
        tap = Tap(target)
        self._do(self._listen(tap))
        return tap

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, tap: Tap) -> None:
        server = await asyncio.start_server(tap.serve, "127.0.0.1", 0)
        self._servers.append(server)
        tap.port = server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(_READ):
            kept += data
            writer.write(data)
            await writer.drain()
    writer.close()


def _message(data: bytearray, *, broken_off: bool = False) -> tuple[str, dict[str, str], bytes, int] | None:
    """First line, headers, body and length of the first message; `None` while its end may still come."""
    head_end = data.find(b"\r\n\r\n") + 4
    if head_end < 4:
        return None
    first, *lines = data[: head_end - 4].decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body, end = _chunks(data, head_end)
    else:
        end = head_end + int(headers.get("content-length", 0))
        body = bytes(data[head_end:end])
    if 0 <= end <= len(data):
        return first, headers, body, end
    return (first, headers, body, len(data)) if broken_off else None


def _chunks(data: bytearray, at: int) -> tuple[bytes, int]:
    """The body that begins at `at`, as far as it is there, and where it ends: -1 while it is incomplete."""
    body = bytearray()
    while (line_end := data.find(b"\r\n", at)) >= 0:
        size, at = int(data[at:line_end], 16), line_end + 2
        if at + size + 2 > len(data):
            break
        body += data[at : at + size]
        at += size + 2
        if not size:
            return bytes(body), at
    return bytes(body), -1
