"""HTTP/1.1 heads and bodies without I/O: own checks around llhttp's parser, for both directions.

llhttp alone lets through repeated or missing Host, `gzip, chunked`, the absolute form, heads of a megabyte and
HTTP/0.9, and earlier versions bare line feeds. So a head is cut out by hand, checked as bytes, parsed by llhttp, and
its framing decided here and nowhere else, whatever a version of the parser takes; chunked bodies go through a parser
of their own, so that an offered upgrade cannot swallow a body.
"""

import functools
import re
from collections.abc import Iterable
from typing import Any, Final, Protocol

import httptools
import msgspec

Header = tuple[bytes, bytes]
"""A lower-case name and a value."""

METHODS: Final = frozenset({b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"})
HEAD_END: Final = b"\r\n\r\n"

_HEAD_BYTES: Final = b"\t\r\n" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%-]+(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{1,5})?")
_LENGTH: Final = re.compile(rb"[0-9]{1,15}")
_TARGET: Final = re.compile(rb"/[!$-~]*")  # visible ASCII without quote and fragment sign
_CHUNKED_REQUEST: Final = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_Framing = dict[bytes, list[bytes]]
_DECISIVE: Final = frozenset({b"host", b"content-length", b"transfer-encoding", b"connection", b"expect"})
_NO_TOKENS: Final[frozenset[bytes]] = frozenset()
_CHUNK_OVERHEAD: Final = 16 * 1024


class MessageError(Exception):
    """A message that breaks the rules. `status` is what a server answers; `words` say which rule, without content."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one message, in bytes and counts."""

    head: int = 32 * 1024
    headers: int = 100
    body: int = 32 * 1024 * 1024


class Head(msgspec.Struct, frozen=True):
    """A request's head understood. `length` is the body's bytes, `None` where it is chunked; `headers` are the others.

    `known` keeps what follows from all of it but the length, by the type of what keeps it there: heads of a connection
    that differ in the length alone share it.
    """

    method: str
    target: str
    headers: tuple[Header, ...]
    length: int | None
    keep_alive: bool
    expects_continue: bool
    known: dict[type, Any] = msgspec.field(default_factory=dict)


class ReplyHead(msgspec.Struct, frozen=True):
    """An answer's head understood. `length` is `None` where the body is chunked or, with `until_close`, unframed."""

    status: int
    reason: str
    headers: tuple[Header, ...]
    length: int | None
    until_close: bool
    keep_alive: bool
    hop: frozenset[bytes] = frozenset()
    """What `Connection` lists (`connection_tokens`)."""


class _Headers:
    """Collects what llhttp finds in one head; `framing` are the values, by name, that decide how it is understood."""

    __slots__ = ("found", "framing")

    def __init__(self) -> None:
        self.found: list[Header] = []
        self.framing: _Framing = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        name, value = name.lower(), value.rstrip(b" \t")
        self.found.append((name, value))
        if name in _DECISIVE:
            self.framing.setdefault(name, []).append(value)


def header(headers: tuple[Header, ...], name: bytes) -> bytes | None:
    """The first value of `name` (lower case), or `None`."""
    for key, value in headers:
        if key == name:
            return value
    return None


def find_head(buffer: bytes, limits: Limits) -> int:
    """Where the head at the start of `buffer` ends (exclusive), or 0 while it is not complete.

    Raises:
        MessageError: 431 as soon as it is longer than `limits.head`.
    """
    end = buffer.find(HEAD_END)
    size = end + len(HEAD_END) if end >= 0 else len(buffer)
    if size > limits.head:
        raise MessageError(431, f"the head is longer than {limits.head} bytes")
    return size if end >= 0 else 0


def parse_head(raw: bytes, limits: Limits) -> Head:
    """Read a request's head, `raw` ending in an empty line.

    Raises:
        MessageError: which rule it breaks, and the status to answer with; the connection cannot be used any further.
    """
    _check_bytes(raw)
    method, target = _request_line(raw[: raw.index(b"\r\n")])
    parser = _Headers()
    headers = _parse(httptools.HttpRequestParser(parser), parser, raw, limits)
    framing = parser.framing
    _check_host(framing)
    expects = b"expect" in framing
    if expects and framing[b"expect"][0].lower() != b"100-continue":
        raise MessageError(417, "the only expectation served is 100-continue")
    return Head(
        method=method.decode(),
        target=target.decode(),
        headers=tuple([header for header in headers if header[0] != b"content-length"]),
        length=_body_length(framing, default=0),
        keep_alive=b"close" not in _tokens(framing.get(b"connection")),
        expects_continue=expects,
    )


def parse_reply_head(raw: bytes, method: str, limits: Limits) -> ReplyHead:
    """Read the head of an answer to a request with `method`.

    Raises:
        MessageError: an answer whose meaning is in doubt; its status is 502, and the connection must be closed.
    """
    try:
        _check_bytes(raw)
        version, status, reason = _status_line(raw[: raw.index(b"\r\n")])
        parser = _Headers()
        headers = _parse(httptools.HttpResponseParser(parser), parser, raw, limits)
        bodiless = method == "HEAD" or status < 200 or status in (204, 304)
        length = 0 if bodiless else _body_length(parser.framing, default=-1)
        hop = _tokens(parser.framing.get(b"connection"))
    except MessageError as fault:
        raise MessageError(502, fault.words) from fault
    return ReplyHead(
        status=status,
        reason=reason,
        headers=headers,
        length=None if length == -1 else length,
        until_close=length == -1,
        keep_alive=version == b"HTTP/1.1" and length != -1 and b"close" not in hop,
        hop=hop,
    )


def _check_bytes(raw: bytes) -> None:
    lines = raw.count(b"\r\n")
    if raw.count(b"\n") != lines or raw.count(b"\r") != lines:
        raise MessageError(400, "a line ends in a bare CR or LF")
    if raw.translate(None, _HEAD_BYTES):
        raise MessageError(400, "the head holds a control character")
    if b"\r\n " in raw or b"\r\n\t" in raw:
        raise MessageError(400, "a header is folded over two lines")


def _request_line(line: bytes) -> tuple[bytes, bytes]:
    words = line.split(b" ")
    if len(words) != 3:
        raise MessageError(400, "the request line is not METHOD target HTTP/1.1")
    method, target, version = words
    if version != b"HTTP/1.1":
        raise MessageError(505, "only HTTP/1.1 is spoken here")
    if method not in METHODS:
        raise MessageError(501, "the method is not served")
    if _TARGET.fullmatch(target) is None:
        raise MessageError(400, "the target is not in origin form (/path?query)")
    return method, target


def _status_line(line: bytes) -> tuple[bytes, int, str]:
    version, _, rest = line.partition(b" ")
    code, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(code) != 3 or not code.isdigit() or not 100 <= int(code) < 600:
        raise MessageError(502, "the status line is not HTTP/1.1 status reason")
    return version, int(code), reason.decode("latin-1")


def _parse(
    parser: "httptools.HttpRequestParser | httptools.HttpResponseParser", into: _Headers, raw: bytes, limits: Limits
) -> tuple[Header, ...]:
    try:
        parser.feed_data(raw)
    except httptools.HttpParserUpgrade:
        pass  # an upgrade is offered and not taken; the body is framed as without it
    except httptools.HttpParserError as error:
        raise MessageError(400, "the head is malformed") from error
    if len(into.found) > limits.headers:
        raise MessageError(431, f"the head has more than {limits.headers} headers")
    return tuple(into.found)


def _check_host(framing: _Framing) -> None:
    hosts = framing.get(b"host") or []
    if len(hosts) != 1 or _HOST.fullmatch(hosts[0]) is None:
        raise MessageError(400, "exactly one valid Host header is required")


def _body_length(framing: _Framing, default: int) -> int | None:
    lengths, codings = framing.get(b"content-length") or [], framing.get(b"transfer-encoding") or []
    if not lengths and not codings:
        return default
    if len(lengths) + len(codings) != 1:
        raise MessageError(400, "Content-Length and Transfer-Encoding are repeated or contradict each other")
    if codings:
        if codings[0].lower() != b"chunked":
            raise MessageError(501, "the only transfer coding served is chunked")
        return None
    if _LENGTH.fullmatch(lengths[0]) is None:
        raise MessageError(400, "Content-Length is not a number")
    return int(lengths[0])


def connection_tokens(headers: tuple[Header, ...]) -> frozenset[bytes]:
    """The lower-case names that `Connection` lists: `close`, and headers of this hop alone."""
    return _tokens([value for name, value in headers if name == b"connection"])


def _tokens(values: list[bytes] | None) -> frozenset[bytes]:
    if not values:
        return _NO_TOKENS
    return frozenset(token.strip().lower() for value in values for token in value.split(b","))


class Body(Protocol):
    """Takes the bytes after a head; `excess` says that more came than the body has."""

    done: bool
    excess: bool

    def feed(self, data: bytes) -> bytes:
        """The content in `data`, which may be empty. Raises `MessageError` where the framing is broken."""
        ...


class LengthBody:
    """A body of known length."""

    __slots__ = ("done", "excess", "left")

    def __init__(self, length: int) -> None:
        self.left = length
        self.done = length == 0
        self.excess = False

    def feed(self, data: bytes) -> bytes:
        """Count off `data`; what is beyond the length is dropped and marked as excess."""
        if len(data) > self.left:
            data = data[: self.left]
            self.excess = True
        self.left -= len(data)
        self.done = self.left == 0
        return data


class CloseBody:
    """A body that ends with its connection; the connection's owner sets `done`."""

    __slots__ = ("done", "excess")

    def __init__(self) -> None:
        self.done = False
        self.excess = False

    def feed(self, data: bytes) -> bytes:
        """All of it."""
        return data


class ChunkedBody:
    """A chunked body; extensions and trailers are read over and dropped, in bounded size."""

    def __init__(self) -> None:
        self.done = False
        self.excess = False
        self._content: list[bytes] = []
        self._overhead = 0
        self._started = False
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._parser.feed_data(_CHUNKED_REQUEST)

    def feed(self, data: bytes) -> bytes:
        """The content of the chunks in `data`.

        Raises:
            MessageError: broken chunks, or framing much larger than the content it carries.
        """
        if self._parser is None:
            self.excess = self.excess or bool(data)
            return b""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._stumbled(error)
        if self.done:
            self._parser = None  # it leads back here, and would wait for the collector
        content = b"".join(self._content)
        self._content.clear()
        self._overhead = max(0, self._overhead + len(data) - 8 * len(content))
        if self._overhead > _CHUNK_OVERHEAD:
            raise MessageError(400, "the chunked body is framing rather than content")
        return content

    def _stumbled(self, error: Exception) -> None:
        if not self.done:
            raise MessageError(400, "the chunked body is malformed") from error
        self.excess = True

    def on_message_begin(self) -> None:
        """A second message behind the first is more than the body."""
        self.excess = self._started
        self._started = True

    def on_body(self, data: bytes) -> None:
        """Content, as llhttp cuts it."""
        if not self.done:
            self._content.append(data)

    def on_message_complete(self) -> None:
        """The last chunk and its trailers are over."""
        self.done = True


REASONS: Final = {
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 400: "Bad Request", 401: "Unauthorized",
    402: "Payment Required", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 408: "Request Timeout",
    409: "Conflict", 413: "Content Too Large", 417: "Expectation Failed", 422: "Unprocessable Content",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    505: "HTTP Version Not Supported", 529: "Overloaded",
}  # fmt: skip
"""529 is Anthropic's. A status without a row goes out without a reason, which RFC 9112 section 4 allows."""


def lines(headers: Iterable[Header]) -> bytes:
    """Headers as lines, each with its end. They come from a parsed head or from us: nothing is checked here."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


@functools.lru_cache(maxsize=64)
def status_line(status: int, reason: str = "") -> bytes:
    """`HTTP/1.1 200 OK` with its end, and with the usual reason, if there is one, where none is given."""
    return f"HTTP/1.1 {status} {reason or REASONS.get(status, '')}\r\n".encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; empty data is the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)
