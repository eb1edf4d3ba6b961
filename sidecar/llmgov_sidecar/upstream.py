"""The calling side: connections to providers, pooled per origin, and one answer at a time on each.

A request is written once and never again by itself: what is lost after the first byte went out may have been charged.
A pooled connection is looked at before use, and replaced while nothing was written. An answer that can be read in two
ways is a failure, and its connection is closed.
"""

import asyncio
import collections
import enum
import select
import ssl
import time
from typing import Final, cast
from urllib import parse

import msgspec

from llmgov_sidecar import http1


class Times(msgspec.Struct, frozen=True):
    """How long, in seconds, and how much, in bytes and counts, a provider may take."""

    connect: float = 5.0
    first_byte: float = 600.0
    between_bytes: float = 300.0
    idle: float = 20.0
    sweep: float = 0.5
    read_ahead: int = 256 * 1024
    kept: int = 64
    head: http1.Limits = http1.Limits(head=64 * 1024, headers=200)


class Cause(enum.Enum):
    """What went wrong between us and a provider."""

    CONNECT = "connect"
    """Nothing was sent: costs nothing, and another attempt is safe."""
    LOST = "lost"
    TIMEOUT = "timeout"
    AMBIGUOUS = "ambiguous"
    ABORTED = "aborted"
    """We gave it up: the client left and the time to learn the usage was over."""


class UpstreamError(Exception):
    """No (whole) answer. Whether the provider may have done the work: all causes but `CONNECT`."""

    def __init__(self, cause: Cause, words: str) -> None:
        super().__init__(words)
        self.cause = cause
        self.words = words


class Origin(msgspec.Struct, frozen=True):
    """Where a base URL points: scheme, host, port, and the path in front of every route."""

    secure: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> bytes:
        """The Host header's value."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.secure else 80
        return host.encode("idna" if host.isascii() is False else "ascii") + (
            b"" if self.port == default else b":%d" % self.port
        )


def origin(base_url: str) -> Origin:
    """Read a credential's base URL.

    Raises:
        ValueError: not an http(s) URL with a host, or one with user, query or fragment.
    """
    url = parse.urlsplit(base_url)
    if url.scheme not in ("http", "https") or not url.hostname or url.username or url.query or url.fragment:
        raise ValueError("a base URL is http(s)://host[:port][/path]")
    secure = url.scheme == "https"
    return Origin(secure, url.hostname, url.port or (443 if secure else 80), url.path.rstrip("/"))


_FOREVER: Final = float("inf")


class Connection(asyncio.Protocol):
    """One connection to a provider."""

    def __init__(self, times: Times) -> None:
        self.deadline = _FOREVER
        self.dead = False
        self._times = times
        self._transport: asyncio.Transport | None = None
        self._method = ""
        self._raw = b""
        self._head: http1.ReplyHead | None = None
        self._body: http1.Body | None = None
        self._parts: collections.deque[bytes] = collections.deque()
        self._waiting = 0
        self._error: UpstreamError | None = None
        self._wake: asyncio.Future[None] | None = None
        self._asking = False
        self._reading = True
        self._poll = select.poll()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands."""
        self._transport = cast(asyncio.Transport, transport)
        self._poll.register(
            transport.get_extra_info("socket").fileno(), select.POLLIN | select.POLLHUP | select.POLLERR
        )

    def data_received(self, data: bytes) -> None:
        """Take bytes of the answer in; bytes that nobody asked for make the connection useless."""
        if not self._asking or self._error is not None:
            self._fail(Cause.AMBIGUOUS, "the provider sent bytes that nobody asked for")
            return
        try:
            if self._body is None:
                self._receive_head(data)
            else:
                self._receive_body(data)
        except http1.MessageError as fault:
            self._fail(Cause.AMBIGUOUS, fault.words)

    def eof_received(self) -> None:
        """The provider sends nothing more; the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection, which is the end of a body that has no other."""
        body = self._body
        if isinstance(body, http1.CloseBody) and exc is None and self._error is None:
            body.done = True
        self._fail(Cause.LOST, "the provider closed the connection")

    @property
    def fresh(self) -> bool:
        """Whether a request may be written: open, and nothing unread in the socket (an end, or bytes not asked for)."""
        if self.dead or self._transport is None or self._transport.is_closing():
            return False
        return not self._poll.poll(0)

    @property
    def reusable(self) -> bool:
        """Whether the answer is over and the next request may follow on the same connection."""
        return (
            not self.dead
            and self._error is None
            and self._head is not None
            and self._head.keep_alive
            and self._body is not None
            and self._body.done
            and not self._body.excess
        )

    async def ask(self, method: str, message: bytes) -> http1.ReplyHead:
        """Write a request once, and wait for the head of its answer.

        Raises:
            UpstreamError: no answer, or one in doubt; the provider may have done the work.
        """
        assert self._transport is not None
        self._begin(method)
        self._transport.write(message)
        while (head := self._head) is None:
            await self._more()
        return head

    async def read(self) -> bytes:
        """The next piece of the body, empty at its end.

        Raises:
            UpstreamError: the body was cut; what came before it has been returned.
        """
        while not self._parts:
            if self._body is not None and self._body.done:
                self.deadline = _FOREVER
                self._asking = False
                return b""
            await self._more()
        return self._take()

    def abort(self, cause: Cause = Cause.ABORTED, words: str = "given up") -> None:
        """Reset the connection; who reads gets an `UpstreamError` of this cause."""
        self._fail(cause, words)

    def _begin(self, method: str) -> None:
        self._method, self._head, self._body, self._asking = method, None, None, True
        self._raw = b""
        self._wait(self._times.first_byte)

    def _take(self) -> bytes:
        data = self._parts.popleft() if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self._waiting = 0
        if not self._reading and not self.dead and self._transport is not None:
            self._reading = True
            self._wait(self._times.between_bytes)
            self._transport.resume_reading()
        return data

    async def _more(self) -> None:
        if self._error is not None:
            raise self._error
        self._wake = asyncio.get_running_loop().create_future()
        await self._wake

    def _receive_head(self, data: bytes) -> None:
        if self._raw:
            data = self._raw + data
        while size := http1.find_head(data, self._times.head):
            head = http1.parse_reply_head(data[:size], self._method, self._times.head)
            data = data[size:]
            if head.status >= 200:
                self._raw = b""
                self._begin_body(head, data)
                return
            if head.status == 101:
                raise http1.MessageError(502, "the provider switched protocols without being asked")
        self._raw = data

    def _begin_body(self, head: http1.ReplyHead, rest: bytes) -> None:
        self._head = head
        if head.until_close:
            self._body = http1.CloseBody()
        else:
            self._body = http1.ChunkedBody() if head.length is None else http1.LengthBody(head.length)
        self._receive_body(rest)

    def _receive_body(self, data: bytes) -> None:
        assert self._body is not None
        self._wait(self._times.between_bytes)
        if content := self._body.feed(data):
            self._parts.append(content)
            self._waiting += len(content)
            self._hold_back()
        self._notify()

    def _hold_back(self) -> None:
        if self._waiting > self._times.read_ahead and self._reading and self._transport is not None:
            self._reading = False
            self.deadline = _FOREVER
            self._transport.pause_reading()

    def _fail(self, cause: Cause, words: str) -> None:
        self.dead = True
        self.deadline = _FOREVER
        self._error = self._error or UpstreamError(cause, words)
        if self._transport is not None:
            self._transport.abort()
        self._notify()

    def _notify(self) -> None:
        if self._wake is not None:
            if not self._wake.done():
                self._wake.set_result(None)
            self._wake = None

    def _wait(self, seconds: float) -> None:
        self.deadline = time.monotonic() + seconds

    def expire(self) -> None:
        """The deadline has passed."""
        self._fail(Cause.TIMEOUT, "the provider took too long")

    def rest(self) -> None:
        """Wait in a pool."""
        self._asking = False
        self._wait(self._times.idle)


class Pool:
    """Connections to all origins; the idle ones are kept for a short time, the most recent used first."""

    def __init__(self, times: Times, context: ssl.SSLContext | None = None) -> None:
        self._times = times
        self._context = context
        self._idle: dict[Origin, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._sweep: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look at deadlines."""
        self._look_at_deadlines()

    async def connect(self, to: Origin) -> Connection:
        """A connection that stands and on which nothing is under way.

        Raises:
            UpstreamError: it cannot be made; nothing was sent.
        """
        idle = self._idle.get(to, [])
        while idle:
            connection = idle.pop()
            if connection.fresh:
                return connection
            self.discard(connection)
        return await self._open(to)

    def release(self, to: Origin, connection: Connection) -> None:
        """Take a connection back whose answer is over; keep it where it can be used again."""
        idle = self._idle.setdefault(to, [])
        if connection.reusable and len(idle) < self._times.kept:
            connection.rest()
            idle.append(connection)
        else:
            self.discard(connection)

    def discard(self, connection: Connection) -> None:
        """Close a connection for good."""
        self._all.discard(connection)
        connection.abort()

    def close(self) -> None:
        """Close everything."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            self.discard(connection)
        self._idle.clear()

    async def _open(self, to: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._times.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(self._times), to.host, to.port, ssl=self._tls() if to.secure else None
                )
        except TimeoutError as error:
            raise UpstreamError(Cause.CONNECT, f"no connection within {self._times.connect:g} s") from error
        except OSError as error:
            raise UpstreamError(Cause.CONNECT, _connect_words(error)) from error
        self._all.add(connection)
        return connection

    def _tls(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = ssl.create_default_context()
        return self._context

    def _look_at_deadlines(self) -> None:
        loop, now = asyncio.get_running_loop(), time.monotonic()
        for connection in [one for one in self._all if one.deadline <= now]:
            connection.expire()
        for idle in self._idle.values():
            idle[:] = [one for one in idle if not one.dead]
        self._all = {one for one in self._all if not one.dead}
        self._sweep = loop.call_later(self._times.sweep, self._look_at_deadlines)


def _connect_words(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the provider's certificate is not valid: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the TLS handshake with the provider failed"
    return f"no connection to the provider: {error.strerror or type(error).__name__}"
