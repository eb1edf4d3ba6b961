"""The calling side against a scripted provider over real sockets: framing, pooling, cuts, time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from llmgov_sidecar import upstream
from tests.unit.llmgov_sidecar import harness

MESSAGE = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
QUICK = upstream.Times(connect=0.5, first_byte=0.2, between_bytes=0.2, sweep=0.02)


@contextlib.asynccontextmanager
async def pool(times: upstream.Times = QUICK) -> AsyncIterator[upstream.Pool]:
    made = upstream.Pool(times)
    made.start()
    try:
        yield made
    finally:
        made.close()
        await asyncio.sleep(0)


async def ask(pool: upstream.Pool, to: upstream.Origin) -> tuple[int, bytes]:
    connection = await pool.connect(to)
    try:
        head = await connection.ask("POST", MESSAGE)
        body = b""
        while piece := await connection.read():
            body += piece
        return head.status, body
    finally:
        pool.release(to, connection)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1/", upstream.Origin(True, "api.openai.com", 443, "/v1")),
        ("http://127.0.0.1:4000", upstream.Origin(False, "127.0.0.1", 4000, "")),
        ("https://[::1]:8443/x", upstream.Origin(True, "::1", 8443, "/x")),
    ],
)
def test_a_base_url_is_read(url: str, expected: upstream.Origin) -> None:
    assert upstream.origin(url) == expected


@pytest.mark.parametrize("url", ["ftp://a", "https://", "https://u:p@a/", "https://a/?x=y", "https://a/#f", "a/b"])
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="a base URL is"):
        upstream.origin(url)


def test_the_authority_names_the_port_only_where_it_is_unusual() -> None:
    assert upstream.origin("https://a.example").authority == b"a.example"
    assert upstream.origin("https://a.example:80").authority == b"a.example:80"
    assert upstream.origin("http://[::1]:80").authority == b"[::1]"


GOOD = [
    ("a length", [harness.whole(b"hello")], b"hello", 1),
    ("chunks", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"], b"hello", 1),
    ("interim answers first", [b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", harness.whole(b"hello")], b"hello", 1),
    ("a wish to close", [harness.whole(b"hello", headers=b"Connection: close\r\n")], b"hello", 3),
    ("an empty body", [harness.whole(b"")], b"", 1),
]


@pytest.mark.parametrize(("pieces", "body", "connections"), [c[1:] for c in GOOD], ids=[c[0] for c in GOOD])
def test_answers_are_read_and_connections_used_again(pieces: list[bytes], body: bytes, connections: int) -> None:
    async def main() -> None:
        async with harness.Provider(harness.says(*pieces)).running() as provider, pool() as connected:
            to = upstream.origin(provider.url)
            for _ in range(3):
                assert await ask(connected, to) == (200, body)
            assert provider.connections == connections

    harness.run(main())


def test_a_body_may_end_with_the_connection() -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nhello")
        writer.close()

    async def main() -> None:
        async with harness.Provider(script).running() as provider, pool() as connected:
            assert await ask(connected, upstream.origin(provider.url)) == (200, b"hello")

    harness.run(main())


BAD = [
    ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", upstream.Cause.AMBIGUOUS),
    ("a switch of protocols", b"HTTP/1.1 101 Switch\r\nUpgrade: h2c\r\n\r\n", upstream.Cause.AMBIGUOUS),
    ("garbage", b"\x00\x01\x02\r\n\r\n", upstream.Cause.AMBIGUOUS),
    ("broken chunks", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", upstream.Cause.AMBIGUOUS),
    ("silence", b"", upstream.Cause.TIMEOUT),
    ("half a head", b"HTTP/1.1 200 OK\r\n", upstream.Cause.TIMEOUT),
    ("half a body", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", upstream.Cause.TIMEOUT),
    ("a head without end", b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000, upstream.Cause.AMBIGUOUS),
]


@pytest.mark.parametrize(("raw", "cause"), [c[1:] for c in BAD], ids=[c[0] for c in BAD])
def test_an_answer_in_doubt_is_a_failure_of_known_cause(raw: bytes, cause: upstream.Cause) -> None:
    async def main() -> None:
        async with harness.Provider(harness.says(raw)).running() as provider, pool() as connected:
            with pytest.raises(upstream.UpstreamError) as failed:
                await ask(connected, upstream.origin(provider.url))
            assert failed.value.cause is cause
            assert len(provider.seen) == 1

    harness.run(main())


@pytest.mark.parametrize("at", range(0, 44, 3))
def test_an_answer_cut_at_any_byte_is_lost(at: int) -> None:
    raw = harness.whole(b"hello")

    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(raw[:at])
        writer.close()

    async def main() -> None:
        async with harness.Provider(script).running() as provider, pool() as connected:
            with pytest.raises(upstream.UpstreamError) as failed:
                await ask(connected, upstream.origin(provider.url))
            assert failed.value.cause is upstream.Cause.LOST

    assert at < len(raw)
    harness.run(main())


def test_nobody_listening_costs_nothing() -> None:
    async def main() -> None:
        async with harness.Provider(harness.says()).running() as provider:
            to = upstream.origin(provider.url)
        async with pool() as connected:
            with pytest.raises(upstream.UpstreamError) as failed:
                await connected.connect(to)
            assert failed.value.cause is upstream.Cause.CONNECT

    harness.run(main())


def test_a_pooled_connection_that_the_provider_closed_is_replaced_before_anything_is_written() -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(harness.whole(b"once"))
        writer.close()

    async def main() -> None:
        async with harness.Provider(script).running() as provider, pool() as connected:
            to = upstream.origin(provider.url)
            for turn in range(1, 4):
                assert await ask(connected, to) == (200, b"once")
                await provider.left.wait()
                assert len(provider.seen) == turn

    harness.run(main())


def test_bytes_that_nobody_asked_for_end_a_pooled_connection() -> None:
    async def main() -> None:
        raw = harness.whole(b"one") + b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"
        async with harness.Provider(harness.says(raw)).running() as provider, pool() as connected:
            to = upstream.origin(provider.url)
            assert await ask(connected, to) == (200, b"one")
            assert await ask(connected, to) == (200, b"one")
            assert provider.connections == 2

    harness.run(main())


def test_giving_up_wakes_who_reads() -> None:
    async def main() -> None:
        async with harness.Provider(harness.says(b"")).running() as provider, pool() as connected:
            to = upstream.origin(provider.url)
            connection = await connected.connect(to)
            asyncio.get_running_loop().call_soon(connection.abort)
            with pytest.raises(upstream.UpstreamError) as failed:
                await connection.ask("POST", MESSAGE)
            assert failed.value.cause is upstream.Cause.ABORTED

    harness.run(main())


def test_a_reader_that_waits_holds_the_provider_back_and_loses_nothing() -> None:
    big = b"x" * (16 * 1024 * 1024)

    async def main() -> None:
        times = upstream.Times(read_ahead=64 * 1024, between_bytes=0.2, sweep=0.02)
        async with harness.Provider(harness.says(harness.whole(big))).running() as provider, pool(times) as connected:
            connection = await connected.connect(upstream.origin(provider.url))
            await connection.ask("POST", MESSAGE)
            await asyncio.sleep(0.4)
            got = 0
            while piece := await connection.read():
                assert len(piece) < 1024 * 1024
                got += len(piece)
            assert got == len(big)

    harness.run(main())
