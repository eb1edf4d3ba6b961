"""A connection's heads: one that is remembered says exactly what a parser says, and whoever else differs is parsed."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmgov_sidecar import heads, http1

LIMITS = http1.Limits(head=512, headers=8, body=1024)
START = b"POST /v1/x HTTP/1.1\r\nHost: a\r\n"
LINES = (
    b"Content-Length: 12\r\n",
    b"content-length:7\r\n",
    b"Content-Length: 007 \r\n",
    b"CONTENT-LENGTH: \t5\t\r\n",
    b"Content-Length: \r\n",
    b"Content-Length: +1\r\n",
    b"Content-Length: 1, 1\r\n",
    b"Content-Length: 999999999999999\r\n",
    b"Content-Length: 9999999999999999\r\n",
    b"Content-Length: \xb2\r\n",
    b"X-Content-Length: 9\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"X-Y: z\r\n",
)
HEADS = st.lists(st.sampled_from(LINES), max_size=4).map(lambda lines: START + b"".join(lines) + b"\r\n")


def understood(raw: bytes, reader: heads.Heads | None = None) -> object:
    """What a head says, without what is kept with it; or how it is refused."""
    try:
        head = http1.parse_head(raw, LIMITS) if reader is None else reader.read(raw)
    except http1.MessageError as error:
        return error.status, error.words
    return head.method, head.target, head.headers, head.length, head.keep_alive, head.expects_continue


@given(st.lists(HEADS, min_size=1, max_size=6))
@example([START + b"Content-Length: 12\r\n\r\n", START + b"Content-Length: 9999999999999999\r\n\r\n"])
@example(
    [START + b"Content-Length: 12\r\nX: y\r\n\r\n", START + b"Content-Length: 1\r\nContent-Length: 2\r\nX: y\r\n\r\n"]
)
def test_on_one_connection_every_head_is_read_as_if_it_were_the_first(sent: list[bytes]) -> None:
    reader = heads.Heads(LIMITS)
    for raw in sent:
        assert understood(raw, reader) == understood(raw)


@given(st.integers(0, 10**16), st.data())
def test_a_head_like_the_one_before_but_for_a_byte_is_read_anew(length: int, data: st.DataObject) -> None:
    before = START + b"Content-Length: 12\r\nX-Y: z\r\n\r\n"
    raw = bytearray(START + b"Content-Length: %d\r\nX-Y: z\r\n\r\n" % length)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    reader = heads.Heads(LIMITS)
    reader.read(before)
    assert understood(bytes(raw), reader) == understood(bytes(raw))


def test_what_is_kept_with_a_head_is_shared_by_those_that_differ_in_the_length_alone() -> None:
    reader = heads.Heads(LIMITS)
    first = reader.read(START + b"Content-Length: 12\r\n\r\n")
    second = reader.read(START + b"Content-Length: 345\r\n\r\n")
    third = reader.read(START + b"Content-Length: 345\r\nX-Y: z\r\n\r\n")
    assert second.known is first.known
    assert (second.length, third.length) == (345, 345)
    assert third.known is not first.known


@pytest.mark.parametrize("line", [b"", b"Transfer-Encoding: chunked\r\n"], ids=["no body", "chunked"])
def test_a_head_without_a_length_is_read_each_time(line: bytes) -> None:
    reader = heads.Heads(LIMITS)
    raw = START + line + b"\r\n"
    assert reader.read(raw).known is not reader.read(raw).known
