"""Real sockets on loopback for the sidecar's tests: a scripted provider, raw clients, and a loop for one test."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")
Script = Callable[["Seen", asyncio.StreamWriter], Awaitable[None]]


def run(work: Coroutine[Any, Any, T], seconds: float = 20.0) -> T:
    """Run one test's coroutine on the loop that sidecars use, and fail rather than hang."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(work, seconds))


class Seen:
    """One request as the scripted provider read it."""

    def __init__(self, head: bytes, body: bytes) -> None:
        self.head = head
        self.body = body

    @property
    def line(self) -> bytes:
        return self.head.split(b"\r\n")[0]

    def header(self, name: str) -> list[str]:
        pairs = [line.decode().split(": ", 1) for line in self.head.split(b"\r\n")[1:] if line]
        return [value for key, value in pairs if key.lower() == name]


class Provider:
    """A raw HTTP server that answers every request by its script and remembers what it saw."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.connections = 0
        self.port = 0
        self.left = asyncio.Event()
        self.asked = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    seen = Seen(head, b"")
                    (length,) = seen.header("content-length") or ["0"]
                    seen.body = await reader.readexactly(int(length))
                    self.seen.append(seen)
                    self.asked.set()
                    await self.script(seen, writer)
        finally:
            self.left.set()
            self._writers.discard(writer)
            writer.close()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Provider"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._writers):
                writer.transport.abort()
            await asyncio.sleep(0)


def whole(body: bytes, status: str = "200 OK", headers: bytes = b"") -> bytes:
    """A raw answer with a length."""
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status.encode(), headers, len(body), body)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def says(*pieces: bytes) -> Script:
    """A script that writes the pieces, one by one."""

    async def script(_: Seen, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()

    return script


class Reply:
    """A raw answer, taken apart by the test's own hand."""

    def __init__(self, status: int, head: bytes, body: bytes) -> None:
        self.status = status
        self.head = head
        self.body = body

    def header(self, name: str) -> str | None:
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b": ")
            if key.lower() == name.encode():
                return value.decode()
        return None


class Client:
    """A raw client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def to(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, raw: bytes) -> None:
        self.writer.write(raw)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def piece(self) -> bytes:
        """One chunk of a chunked answer, empty at the end."""
        size = int((await self.reader.readuntil(b"\r\n"))[:-2], 16)
        return (await self.reader.readexactly(size + 2))[:-2]

    async def reply(self) -> Reply:
        head = await self.head()
        answer = Reply(int(head.split(b" ")[1]), head, b"")
        if (length := answer.header("content-length")) is not None:
            answer.body = await self.reader.readexactly(int(length))
        elif answer.header("transfer-encoding") == "chunked":
            while piece := await self.piece():
                answer.body += piece
        return answer

    async def ask(self, path: str, body: bytes, headers: str = "", method: str = "POST") -> Reply:
        self.send(request(path, body, headers, method))
        return await self.reply()

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):
            await self.writer.wait_closed()

    def reset(self) -> None:
        self.writer.transport.abort()


def request(path: str, body: bytes = b"", headers: str = "", method: str = "POST") -> bytes:
    """A raw request with a length; `headers` are whole lines."""
    return f"{method} {path} HTTP/1.1\r\nHost: x\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body
