"""Heads and bodies: the smuggling and conformance tables, and cutting at every byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov_sidecar import http1

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
LIMITS = http1.Limits(head=512, headers=8, body=1024)

BROKEN_REQUESTS = [
    ("a request line of HTTP/0.9", b"GET /\r\n\r\n", 400),
    ("HTTP/1.0", b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 505),
    ("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\n", 505),
    ("two blanks in the request line", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a lower-case method", b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("the absolute form", b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("the asterisk form", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("a fragment in the target", b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("bytes beyond ASCII in the target", b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no Host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400),
    ("an empty Host", b"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("a Host with a path", b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    ("a Host with a user", b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    ("a bare LF at the end of a header", b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("a bare LF at the end of the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    ("a bare CR in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n", 400),
    ("a NUL in a value", b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("a folded header", b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n", 400),
    ("a blank before the colon", b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("a header without a name", b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", 400),
    ("a header without a colon", b"GET / HTTP/1.1\r\nHost: a\r\nnothing\r\n\r\n", 400),
    ("Content-Length twice, equal", POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400),
    ("Content-Length twice, different", POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
    ("a list as Content-Length", POST + b"Content-Length: 1, 1\r\n\r\n", 400),
    ("a signed Content-Length", POST + b"Content-Length: +1\r\n\r\n", 400),
    ("a negative Content-Length", POST + b"Content-Length: -1\r\n\r\n", 400),
    ("a hexadecimal Content-Length", POST + b"Content-Length: 0x1\r\n\r\n", 400),
    ("an empty Content-Length", POST + b"Content-Length:\r\n\r\n", 400),
    ("a Content-Length beyond 64 bits", POST + b"Content-Length: 99999999999999999999\r\n\r\n", 400),
    ("a length and chunked", POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("chunked and a length", POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400),
    ("chunked twice", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ("gzip, chunked", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("chunked, identity", POST + b"Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    ("identity", POST + b"Transfer-Encoding: identity\r\n\r\n", 400),
    ("chunked with a vertical tab", POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    ("an expectation nobody knows", POST + b"Expect: 200-ok\r\n\r\n", 417),
    ("too many headers", b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 9 + b"\r\n", 431),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "status"), [case[1:] for case in BROKEN_REQUESTS], ids=[c[0] for c in BROKEN_REQUESTS])
def test_refuses(raw: bytes, status: int) -> None:
    with pytest.raises(http1.MessageError) as refused:
        http1.parse_head(raw, LIMITS)
    assert refused.value.status == status


def test_a_plain_request_is_understood() -> None:
    head = http1.parse_head(
        b"POST /v1/x?y=%20z HTTP/1.1\r\nhOsT: a:80\r\nContent-Length: 12\r\n"
        b"X-Y:  b c \r\nConnection: Keep-Alive, X-Y\r\n\r\n",
        LIMITS,
    )
    assert (head.method, head.target, head.length, head.keep_alive) == ("POST", "/v1/x?y=%20z", 12, True)
    assert http1.header(head.headers, b"x-y") == b"b c"
    assert http1.connection_tokens(head.headers) == {b"keep-alive", b"x-y"}


def test_an_offered_upgrade_is_not_taken_and_the_body_stays() -> None:
    head = http1.parse_head(POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\n", LIMITS)
    assert head.length == 3


def test_a_head_is_refused_as_soon_as_it_is_too_long() -> None:
    assert http1.find_head(b"x" * 512, LIMITS) == 0
    with pytest.raises(http1.MessageError) as refused:
        http1.find_head(b"x" * 513, LIMITS)
    assert refused.value.status == 431


BROKEN_REPLIES = [
    ("HTTP/2", b"HTTP/2 200 OK\r\n\r\n"),
    ("a status of two digits", b"HTTP/1.1 20 OK\r\n\r\n"),
    ("a status of four digits", b"HTTP/1.1 2000 OK\r\n\r\n"),
    ("a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n"),
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"),
    ("a length and chunked", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("gzip, chunked", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
    ("no HTTP at all", b"SSH-2.0-x\r\n\r\n"),
]


@pytest.mark.parametrize("raw", [case[1] for case in BROKEN_REPLIES], ids=[case[0] for case in BROKEN_REPLIES])
def test_an_ambiguous_answer_is_a_failure(raw: bytes) -> None:
    with pytest.raises(http1.MessageError) as refused:
        http1.parse_reply_head(raw, "POST", LIMITS)
    assert refused.value.status == 502


@pytest.mark.parametrize(
    ("raw", "method", "length", "until_close", "keep_alive"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "POST", 5, False, True, id="a length"),
        pytest.param(b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n", "POST", None, False, True, id="chunked"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", "POST", None, True, False, id="until the connection ends"),
        pytest.param(b"HTTP/1.1 204 OK\r\n\r\n", "POST", 0, False, True, id="no content"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "HEAD", 0, False, True, id="the answer to HEAD"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "POST", 5, False, False, id="HTTP/1.0"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", "POST", 5, False, False, id="close"
        ),
    ],
)
def test_an_answer_is_framed(raw: bytes, method: str, length: int | None, until_close: bool, keep_alive: bool) -> None:
    head = http1.parse_reply_head(raw, method, LIMITS)
    assert (head.length, head.until_close, head.keep_alive) == (length, until_close, keep_alive)


@given(content=st.binary(max_size=200), sizes=st.lists(st.integers(1, 40), min_size=1), cuts=st.integers(1, 50))
def test_a_chunked_body_is_the_same_however_it_is_cut(content: bytes, sizes: list[int], cuts: int) -> None:
    raw, rest, turn = b"", content, 0
    while rest:
        size = sizes[turn % len(sizes)]
        raw += b"%x;ext=1\r\n%b\r\n" % (len(rest[:size]), rest[:size])
        rest, turn = rest[size:], turn + 1
    raw += b"0\r\nTrailer: x\r\n\r\n"
    body = http1.ChunkedBody()
    got = b"".join(body.feed(raw[at : at + cuts]) for at in range(0, len(raw), cuts))
    assert (got, body.done, body.excess) == (content, True, False)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"5\nhello\r\n0\r\n\r\n", id="a bare LF behind the size"),
        pytest.param(b"5\r\nhello\n0\r\n\r\n", id="a bare LF behind the content"),
        pytest.param(b"5\r\nhelloX\r\n0\r\n\r\n", id="more content than the size says"),
        pytest.param(b"0x5\r\nhello\r\n0\r\n\r\n", id="a prefixed size"),
        pytest.param(b"-5\r\nhello\r\n0\r\n\r\n", id="a negative size"),
        pytest.param(b"\r\nhello\r\n0\r\n\r\n", id="no size"),
        pytest.param(b"FFFFFFFFFFFFFFFFFF\r\n", id="a size beyond 64 bits"),
        pytest.param(b"5 \r\nhello\r\n0\r\n\r\n", id="a blank behind the size"),
    ],
)
def test_broken_chunks_are_refused(raw: bytes) -> None:
    with pytest.raises(http1.MessageError):
        http1.ChunkedBody().feed(raw)


def test_a_body_of_framing_is_refused() -> None:
    body = http1.ChunkedBody()
    with pytest.raises(http1.MessageError, match="framing"):
        body.feed(b"1;" + b"x" * 20_000 + b"\r\na\r\n0\r\n\r\n")


@pytest.mark.parametrize("rest", [b"GET / HTTP/1.1\r\n", b"x", b"\r\n\0"], ids=["a request", "a byte", "garbage"])
def test_what_follows_a_body_is_excess(rest: bytes) -> None:
    chunked, counted = http1.ChunkedBody(), http1.LengthBody(2)
    assert chunked.feed(b"2\r\nab\r\n0\r\n\r\n" + rest) == b"ab"
    assert counted.feed(b"ab" + rest) == b"ab"
    assert chunked.excess
    assert counted.excess
