"""The listening side: connections, their bounds and their timers, and one exchange (request, answer) at a time on each.

An application gets a whole request (its body is judged before a byte goes out, so it is held in memory, bounded) and
answers through the `Exchange`. Deadlines are looked at by one sweep of all connections, which costs a request nothing.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

import msgspec

from llmgov_sidecar import heads, http1, tasks


class Bounds(msgspec.Struct, frozen=True):
    """Limits of a listener: bytes and counts of a message, connections, and seconds."""

    message: http1.Limits = http1.Limits()
    connections: int = 1024
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    idle_seconds: float = 75.0
    stall_seconds: float = 60.0
    linger_seconds: float = 2.0
    sweep_seconds: float = 0.5
    write_buffer: int = 256 * 1024


class Answer(msgspec.Struct, frozen=True):
    """A whole answer of ours; `lines` are its headers."""

    status: int
    lines: bytes
    body: bytes


class Application(Protocol):
    """What a listener serves."""

    def serve(self, exchange: "Exchange") -> Coroutine[Any, Any, None]:
        """Answer one request. When it returns or raises without an end to the answer, the connection is cut."""
        ...

    def fault(self, head: http1.Head | None, fault: http1.MessageError) -> Answer:
        """The answer to a request that never became whole; the connection closes behind it."""
        ...


class Exchange:
    """One request, and the way to answer it."""

    __slots__ = ("_connection", "body", "bytes_out", "ended", "gone", "head", "on_gone", "started")

    def __init__(self, connection: "Connection", head: http1.Head, body: bytes) -> None:
        self._connection = connection
        self.head = head
        self.body = body
        self.started = False
        self.ended = False
        self.gone = False
        self.bytes_out = 0
        self.on_gone: Callable[[], None] | None = None

    def respond(self, status: int, lines: bytes, body: bytes, reason: str = "") -> None:
        """Send a whole answer in one write; `lines` are its headers (`http1.lines`)."""
        self.started = True
        content = b"" if self.head.method == "HEAD" else body
        head = (http1.status_line(status, reason), lines, len(body), self._closing())
        self._write(b"%b%bcontent-length: %d\r\n%b\r\n%b" % (*head, content))
        self._end()

    def begin(self, status: int, lines: bytes, reason: str = "") -> None:
        """Send the head of an answer that follows in pieces."""
        self.started = True
        head = (http1.status_line(status, reason), lines, self._closing())
        self._write(b"%b%btransfer-encoding: chunked\r\n%b\r\n" % head)

    def write(self, data: bytes) -> None:
        """Send a piece at once; empty pieces send nothing. A client that is gone is written nothing more."""
        if data:
            self._write(http1.chunk(data))

    async def drained(self) -> None:
        """Wait while the client reads more slowly than we write; returns at once when it is gone."""
        if self._connection.paused is not None:
            await self._connection.paused

    def end(self) -> None:
        """The answer in pieces is complete."""
        self._write(http1.chunk(b""))
        self._end()

    def cut(self) -> None:
        """Break the connection off, so that the client cannot take what it got for a whole answer."""
        self.ended = True
        self._connection.cut()

    def _closing(self) -> bytes:
        return b"" if self._connection.keeps_alive(self) else _CLOSING

    def _write(self, data: bytes) -> None:
        if not self.gone:
            self.bytes_out += len(data)
            self._connection.write(data)

    def _end(self) -> None:
        self.ended = True
        self._connection.exchange_ended(self)


_CLOSING: Final = b"connection: close\r\n"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_FOREVER: Final = float("inf")


class Connection(asyncio.Protocol):
    """One client connection: gathers a request, hands it over, waits for its end, and begins again."""

    def __init__(self, listener: "Listener") -> None:
        self.paused: asyncio.Future[None] | None = None
        self.deadline = _FOREVER
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._heads = heads.Heads(listener.bounds.message)
        self._head: http1.Head | None = None
        self._body: http1.Body | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._exchange: Exchange | None = None
        self._last = False
        self._lingering = False
        self._unsent = 0

    @property
    def busy(self) -> bool:
        """Whether a request is being answered."""
        return self._exchange is not None

    def keeps_alive(self, exchange: Exchange) -> bool:
        """Whether the connection stays open behind this exchange."""
        return exchange.head.keep_alive and not self._last and not self._listener.draining

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for a head, or turn the client away when there are too many."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(self._listener.bounds.write_buffer)
        self._wait(self._listener.bounds.idle_seconds)
        if not self._listener.admit(self):
            self._refuse(http1.MessageError(503, "too many connections"))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """The client is gone: tell who answers it, and let no writer wait for it."""
        self.deadline = _FOREVER
        self._listener.forget(self)
        self.resume_writing()
        if (exchange := self._exchange) is not None:
            exchange.gone = True
            if exchange.on_gone is not None:
                exchange.on_gone()

    def pause_writing(self) -> None:
        """The client's socket is full."""
        if self.paused is None:
            self.paused = asyncio.get_running_loop().create_future()
            self._wait(self._listener.bounds.stall_seconds)

    def resume_writing(self) -> None:
        """The client reads again, or never will."""
        if self.paused is not None:
            self.paused.set_result(None)
            self.paused = None
            if self.busy:
                self.deadline = _FOREVER

    def data_received(self, data: bytes) -> None:
        """Take bytes in; what comes while an answer is under way is pipelining, and is not served."""
        if self._lingering:
            return
        if self._exchange is not None:
            self._last = True
            return
        try:
            if self._head is None:
                self._receive_head(data)
            else:
                self._receive_body(data)
        except http1.MessageError as fault:
            self._refuse(fault)

    def write(self, data: bytes) -> None:
        """Send bytes to the client, if it is still there."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """Close after what is written has gone out."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Reset the connection now."""
        if self._transport is not None:
            self._transport.abort()

    def cut(self) -> None:
        """Close in the middle of an answer, after what was written of it."""
        self._lingering = True
        self._wait(self._listener.bounds.linger_seconds)
        self.close()

    def exchange_ended(self, exchange: Exchange) -> None:
        """Begin again, or close."""
        if self.keeps_alive(exchange):
            self._exchange = None
            self._wait(self._listener.bounds.idle_seconds)
        else:
            self._linger()

    def expire(self) -> None:
        """The deadline has passed: say so where the client is in the middle of a request, else just close."""
        if self._lingering and self._still_sends():
            self._wait(self._listener.bounds.linger_seconds)
        elif self._head is not None and self._exchange is None:
            self._refuse(http1.MessageError(408, f"the body took longer than {self._listener.bounds.body_seconds:g} s"))
        elif self._buffer and not self._lingering:
            self._refuse(http1.MessageError(408, f"the head took longer than {self._listener.bounds.head_seconds:g} s"))
        else:
            self.abort()

    def _still_sends(self) -> bool:
        unsent = self._transport.get_write_buffer_size() if self._transport is not None else 0
        before, self._unsent = self._unsent, unsent
        return 0 < unsent != before

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def _receive_head(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
        limits = self._listener.bounds.message
        size = http1.find_head(data, limits)
        if not size:
            if not self._buffer:
                self._wait(self._listener.bounds.head_seconds)
            self._buffer = data
            return
        raw, rest = data[:size], data[size:]
        self._buffer = b""
        self._head = head = self._heads.read(raw)
        if head.length is not None and head.length > limits.body:
            raise http1.MessageError(413, f"the body is longer than {limits.body} bytes")
        if len(rest) == head.length:  # nearly always: all of it is here
            self._hand_over(head, rest)
            return
        self._body = http1.ChunkedBody() if head.length is None else http1.LengthBody(head.length)
        if head.expects_continue and not rest and not self._body.done:
            self.write(_CONTINUE)
        self._wait(self._listener.bounds.body_seconds)
        self._receive_body(rest)

    def _receive_body(self, data: bytes) -> None:
        assert self._body is not None
        assert self._head is not None
        content = self._body.feed(data)
        self._size += len(content)
        if self._size > self._listener.bounds.message.body:
            raise http1.MessageError(413, f"the body is longer than {self._listener.bounds.message.body} bytes")
        if content:
            self._parts.append(content)
        self._last = self._last or self._body.excess
        if self._body.done:
            self._hand_over(self._head, self._parts[0] if len(self._parts) == 1 else b"".join(self._parts))

    def _hand_over(self, head: http1.Head, body: bytes) -> None:
        exchange = self._exchange = Exchange(self, head, body)
        self._head, self._body, self._size = None, None, 0
        self._parts.clear()
        self.deadline = _FOREVER
        self._listener.start(exchange)

    def _refuse(self, fault: http1.MessageError) -> None:
        head, self._head = self._head, None
        answer = self._listener.application.fault(head, fault)
        content = b"" if head is not None and head.method == "HEAD" else answer.body
        parts = (http1.status_line(answer.status), answer.lines, len(answer.body), _CLOSING, content)
        self.write(b"%b%bcontent-length: %d\r\n%b\r\n%b" % parts)
        self._linger()

    def _linger(self) -> None:
        """Close in a way that lets the client read the answer: a close with unread input would reset it away."""
        self._exchange = None
        self._lingering = True
        self._buffer = b""
        self._parts.clear()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write_eof()
            self._wait(self._listener.bounds.linger_seconds)


class Listener:
    """A listening socket with its connections."""

    def __init__(self, application: Application, bounds: Bounds, work: tasks.Tasks) -> None:
        self.application = application
        self.bounds = bounds
        self.draining = False
        self._work = work
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def listen(self, host: str, port: int) -> int:
        """Bind and serve; port 0 takes a free one. Returns the port.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), host, port, backlog=1024)
        self._schedule_sweep()
        port_bound: int = self._server.sockets[0].getsockname()[1]
        return port_bound

    async def drain(self, seconds: float) -> None:
        """Accept nothing more, let what is under way end for up to `seconds`, and cut off the rest."""
        self.draining = True
        if self._server is not None:
            self._server.close()
        for connection in [one for one in self._connections if not one.busy]:
            connection.close()
        await self._work.wait(seconds)
        await self._work.stop()
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._connections):
            connection.abort()

    def admit(self, connection: Connection) -> bool:
        """Take a connection in; false when there are too many, and then it will be closed."""
        self._connections.add(connection)
        return len(self._connections) <= self.bounds.connections

    def forget(self, connection: Connection) -> None:
        """A connection is no more."""
        self._connections.discard(connection)

    def start(self, exchange: Exchange) -> None:
        """Let the application answer, and cut the connection where it did not."""
        self._work.spawn("request", self._serve(exchange))

    async def _serve(self, exchange: Exchange) -> None:
        try:
            await self.application.serve(exchange)
        finally:
            if not exchange.ended:
                exchange.cut()

    def _schedule_sweep(self) -> None:
        self._sweep = asyncio.get_running_loop().call_later(self.bounds.sweep_seconds, self._look_at_deadlines)

    def _look_at_deadlines(self) -> None:
        now = time.monotonic()
        for connection in [one for one in self._connections if one.deadline <= now]:
            connection.expire()
        self._schedule_sweep()
