"""A TCP hop in front of a proxy: passes bytes on, and knows how many requests and which answers went through it.

What an SDK does between a call and its exception (how often it tries, what it was told each time) is seen here, on the
wire, and nowhere else.
"""

import asyncio
import contextlib
import re
import threading
from collections.abc import Coroutine
from typing import Any, NamedTuple, Self

_REQUEST = re.compile(rb"(?:GET|POST|DELETE) \S+ HTTP/1\.1\r\n")
_ANSWER = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r]*\r\n(.*?)\r\n\r\n", re.DOTALL)


class Answer(NamedTuple):
    """The head of an answer; header names in lower case."""

    status: int
    headers: dict[str, str]


class Hop:
    """One port in front of another. `stalls` swallows what follows a request's head, as a stuck client would."""

    def __init__(self, target: int, *, stalls: bool) -> None:
        self.port = 0
        self.requests = 0
        self.answers: list[Answer] = []
        self._target = target
        self._stalls = stalls
        self._ends: set[asyncio.StreamWriter] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, until either side ends it."""
        upstream, sink = await asyncio.open_connection("127.0.0.1", self._target)
        self._ends |= {writer, sink}
        await asyncio.gather(self._up(reader, sink), self._down(upstream, writer))
        self._ends -= {writer, sink}

    def abort(self) -> None:
        """Break all connections off."""
        for end in self._ends:
            end.transport.abort()

    async def _up(self, reader: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        seen, passed = b"", 0
        while data := await _read(reader):
            before = len(_REQUEST.findall(seen))
            seen += data
            self.requests += len(_REQUEST.findall(seen)) - before
            until = seen.find(b"\r\n\r\n") + 4 if self._stalls else len(seen)
            sink.write(seen[passed:until])
            passed = max(passed, until)
        sink.close()

    async def _down(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        unread = b""
        while data := await _read(upstream):
            unread += data
            while match := _ANSWER.search(unread):
                self.answers.append(_answer(match))
                unread = unread[match.end() :]
            writer.write(data)
        writer.close()


class Hops:
    """Hops on a loop and thread of their own. Use as a context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hops", daemon=True)
        self._open: list[tuple[asyncio.Server, Hop]] = []

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

    def open(self, target: int, *, stalls: bool = False) -> Hop:
        """A new port in front of `target`, for one call."""
        hop = Hop(target, stalls=stalls)
        self._do(self._listen(hop))
        return hop

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self, hop: Hop) -> None:
        server = await asyncio.start_server(hop.serve, "127.0.0.1", 0)
        self._open.append((server, hop))
        hop.port = server.sockets[0].getsockname()[1]

    async def _close(self) -> None:
        for server, hop in self._open:
            server.close()
            hop.abort()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


async def _read(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionError):
        return await reader.read(65536)
    return b""


def _answer(match: re.Match[bytes]) -> Answer:
    lines = match[2].decode("latin-1").split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    return Answer(int(match[1]), {name.lower(): value for name, value in pairs})
