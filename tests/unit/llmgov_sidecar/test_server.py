"""The listening side over real sockets: bounds, keep-alive, hang-ups, backpressure, drain."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from llmgov_sidecar import http1, server, tasks
from tests.unit.llmgov_sidecar import harness

BOUNDS = server.Bounds(
    message=http1.Limits(head=1024, headers=20, body=1000),
    connections=3,
    head_seconds=0.2,
    body_seconds=0.2,
    idle_seconds=0.3,
    linger_seconds=0.2,
    sweep_seconds=0.02,
)


class Echo:
    """Answers with the request's own body, or by the function it was made with."""

    def __init__(self, answer: Callable[[server.Exchange], Awaitable[None]] | None = None) -> None:
        self.answer = answer
        self.served = 0
        self.events: list[str] = []

    async def serve(self, exchange: server.Exchange) -> None:
        self.served += 1
        if self.answer is not None:
            await self.answer(exchange)
        else:
            exchange.respond(200, b"x-path: %b\r\n" % exchange.head.target.encode(), exchange.body)

    def fault(self, head: http1.Head | None, fault: http1.MessageError) -> server.Answer:
        return server.Answer(fault.status, b"", fault.words.encode())


@contextlib.asynccontextmanager
async def listening(
    application: Echo, bounds: server.Bounds = BOUNDS, failures: list[BaseException] | None = None
) -> AsyncIterator[tuple[server.Listener, int]]:
    seen: list[BaseException] = [] if failures is None else failures
    listener = server.Listener(application, bounds, tasks.Tasks(lambda _, failure: seen.append(failure)))
    port = await listener.listen("127.0.0.1", 0)
    try:
        yield listener, port
    finally:
        await listener.drain(0.1)
        await asyncio.sleep(0)
    if failures is None:
        assert seen == []


def test_requests_follow_each_other_on_one_connection() -> None:
    async def main() -> None:
        async with listening(Echo()) as (_, port):
            client = await harness.Client.to(port)
            for body in (b"one", b"", b"three"):
                reply = await client.ask("/x", body)
                assert (reply.status, reply.body) == (200, body)
                assert reply.header("connection") is None
            await client.close()

    harness.run(main())


@pytest.mark.parametrize("size", range(1, 60, 7))
def test_a_request_cut_into_pieces_is_the_same_request(size: int) -> None:
    raw = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n3\r\nefg\r\n0\r\n\r\n"

    async def main() -> None:
        async with listening(Echo()) as (_, port):
            client = await harness.Client.to(port)
            client.writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(raw), size):
                client.send(raw[at : at + size])
                await asyncio.sleep(0)
            assert (await client.reply()).body == b"abcdefg"
            await client.close()

    harness.run(main())


def test_a_request_that_ends_early_at_any_byte_is_never_served() -> None:
    raw = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd"
    application = Echo()

    async def main() -> None:
        async with listening(application, BOUNDS_WIDE) as (_, port):
            for at in range(len(raw)):
                client = await harness.Client.to(port)
                client.send(raw[:at])
                client.writer.write_eof()
                assert await client.reader.read() == b""
                await client.close()

    harness.run(main())
    assert application.served == 0


BOUNDS_WIDE = server.Bounds(message=BOUNDS.message)

CASES = [
    ("a head that is too long", b"GET /" + b"x" * 2000, 431, True),
    ("a body that says it is too long", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413, True),
    (
        "a chunked body that becomes too long",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + b"x" * 1001,
        413,
        True,
    ),
    ("a head that never ends", b"GET / HTTP/1.1\r\nHost: a\r\n", 408, True),
    ("a body that never ends", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", 408, True),
    ("nonsense", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400, True),
    ("a smuggled length", harness.request("/", b"abc", "Transfer-Encoding: chunked\r\n"), 400, True),
    ("the wish to close", harness.request("/", b"abc", "Connection: close\r\n"), 200, True),
    ("a plain request", harness.request("/", b"abc"), 200, False),
    ("a pipelined request, which is not served", harness.request("/", b"abc") * 2, 200, True),
]


@pytest.mark.parametrize(("raw", "status", "closes"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_bytes_in_answer_out(raw: bytes, status: int, closes: bool) -> None:
    application = Echo()

    async def main() -> None:
        async with listening(application) as (_, port):
            client = await harness.Client.to(port)
            client.send(raw)
            reply = await client.reply()
            assert (reply.status, reply.header("connection")) == (status, "close" if closes else None)
            if closes:
                assert await client.reader.read() == b""
            await client.close()

    harness.run(main())
    assert application.served == (status == 200)


def test_a_client_that_waits_for_100_continue_gets_it_first() -> None:
    async def main() -> None:
        async with listening(Echo()) as (_, port):
            client = await harness.Client.to(port)
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(b"ab")
            assert (await client.reply()).body == b"ab"
            await client.close()

    harness.run(main())


def test_a_client_that_expects_and_is_too_large_is_refused_without_a_100() -> None:
    async def main() -> None:
        async with listening(Echo()) as (_, port):
            client = await harness.Client.to(port)
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n")
            assert (await client.reply()).status == 413
            await client.close()

    harness.run(main())


def test_one_connection_too_many_is_told_so() -> None:
    async def main() -> None:
        async with listening(Echo(), BOUNDS_WIDE_FEW) as (_, port):
            clients = [await harness.Client.to(port) for _ in range(3)]
            for client in clients:
                assert (await client.ask("/", b"")).status == 200
            extra = await harness.Client.to(port)
            assert (await extra.reply()).status == 503
            for client in [*clients, extra]:
                await client.close()

    harness.run(main())


BOUNDS_WIDE_FEW = server.Bounds(message=BOUNDS.message, connections=3)


def test_an_idle_connection_is_closed() -> None:
    async def main() -> None:
        async with listening(Echo()) as (_, port):
            client = await harness.Client.to(port)
            await client.ask("/", b"")
            with contextlib.suppress(ConnectionResetError):
                assert await client.reader.read() == b""
            await client.close()

    harness.run(main())


def test_who_answers_learns_that_the_client_is_gone() -> None:
    async def main() -> None:
        started, gone = asyncio.Event(), asyncio.Event()

        async def answer(exchange: server.Exchange) -> None:
            exchange.on_gone = gone.set
            started.set()
            await gone.wait()
            assert exchange.gone
            exchange.begin(200, b"")
            exchange.write(b"nobody reads this")
            await exchange.drained()
            exchange.end()

        async with listening(Echo(answer)) as (_, port):
            client = await harness.Client.to(port)
            client.send(harness.request("/"))
            await started.wait()
            client.reset()
            await gone.wait()

    harness.run(main())


def test_a_failing_application_cuts_the_connection_and_is_reported() -> None:
    failures: list[BaseException] = []

    async def answer(exchange: server.Exchange) -> None:
        exchange.begin(200, b"")
        exchange.write(b"half")
        raise RuntimeError("a bug")

    async def main() -> None:
        async with listening(Echo(answer), failures=failures) as (_, port):
            client = await harness.Client.to(port)
            client.send(harness.request("/"))
            with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                await client.reply()
            await client.close()

    harness.run(main())
    assert [str(failure) for failure in failures] == ["a bug"]


def test_a_slow_reader_holds_the_writer_back() -> None:
    piece = b"x" * 65536
    written: list[int] = []

    async def answer(exchange: server.Exchange) -> None:
        exchange.begin(200, b"")
        for turn in range(400):
            exchange.write(piece)
            written.append(turn)
            await exchange.drained()
        exchange.end()

    async def main() -> None:
        async with listening(Echo(answer), BOUNDS_WIDE) as (_, port):
            client = await harness.Client.to(port)
            client.send(harness.request("/"))
            await client.head()
            for _ in range(200):
                await asyncio.sleep(0.001)
            assert len(written) < 400
            total = 0
            while data := await client.piece():
                total += len(data)
            assert total == 400 * len(piece)
            await client.close()

    harness.run(main())


def test_draining_lets_an_answer_end_and_takes_no_new_ones() -> None:
    async def main() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def answer(exchange: server.Exchange) -> None:
            started.set()
            await release.wait()
            exchange.respond(200, b"", b"done")

        async with listening(Echo(answer), BOUNDS_WIDE) as (listener, port):
            client = await harness.Client.to(port)
            idle = await harness.Client.to(port)
            client.send(harness.request("/"))
            await started.wait()
            draining = asyncio.get_running_loop().create_task(listener.drain(5))
            assert await idle.reader.read() == b""
            release.set()
            reply = await client.reply()
            assert (reply.body, reply.header("connection")) == (b"done", "close")
            await draining
            with pytest.raises(ConnectionRefusedError):
                await harness.Client.to(port)
            await client.close()
            await idle.close()

    harness.run(main())


def test_a_request_sent_before_the_answer_to_the_last_is_not_served() -> None:
    async def main() -> None:
        started, release = asyncio.Event(), asyncio.Event()

        async def answer(exchange: server.Exchange) -> None:
            started.set()
            await release.wait()
            exchange.respond(200, b"", b"first")

        application = Echo(answer)
        async with listening(application, BOUNDS_WIDE) as (_, port):
            client = await harness.Client.to(port)
            client.send(harness.request("/"))
            await started.wait()
            client.send(harness.request("/"))
            await asyncio.sleep(0.05)
            release.set()
            reply = await client.reply()
            assert (reply.body, reply.header("connection")) == (b"first", "close")
            assert await client.reader.read() == b""
            assert application.served == 1
            await client.close()

    harness.run(main())
