"""The load of data path measurements: `python -m tests.bench.load PORT MODE ...` prints one line of JSON.

    saturate CONNECTIONS REQUESTS   each connection asks as soon as it is answered; latencies in ms
    paced RATE REQUESTS             asks at fixed times, whatever is answered; latencies from those times, in ms
    streams COUNT                   so many streams at once, begun one after another; times to the first event, in ms

An answer other than 200 ends it: what is measured is the whole way through.
"""

import asyncio
import json
import sys
import time
from typing import Any, cast

import uvloop

SECONDS = 60
"""No measurement takes longer."""

SPREAD_SECONDS = 0.4

_HEADERS = (
    b"Host: 127.0.0.1\r\nAccept: application/json\r\nUser-Agent: OpenAI/Python 3.54.0\r\n"
    b"Authorization: Bearer sk-placeholder\r\nContent-Type: application/json\r\nX-Stainless-Read-Timeout: 600\r\n"
)


def request(**more: Any) -> bytes:
    """A chat request with a body of 1 KB."""
    messages = [{"role": "user", "content": "some words of a question " * 36}]
    body = json.dumps({"model": "gpt-4o", "messages": messages, "max_tokens": 100, **more}).encode()
    return b"POST /v1/chat/completions HTTP/1.1\r\n%bContent-Length: %d\r\n\r\n%b" % (_HEADERS, len(body), body)


class Client(asyncio.Protocol):
    """One connection: `ask` answers when the answer is whole, `first` when the first byte behind its head is here."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._whole: asyncio.Future[None] | None = None
        self.first = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, raw: bytes) -> asyncio.Future[None]:
        """Send a request."""
        assert self._transport is not None
        self._buffer, self.first = b"", 0.0
        self._whole = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return self._whole

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not self.first and body:
            self.first = time.perf_counter()
        if found and self._ends(head.lower(), body):
            assert self._whole is not None
            if head.startswith(b"HTTP/1.1 200 "):
                self._whole.set_result(None)
            else:
                self._whole.set_exception(RuntimeError(self._buffer.decode()))

    def _ends(self, head: bytes, body: bytes) -> bool:
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return len(body) >= int(length) if length else body.endswith(b"\r\n0\r\n\r\n")


async def connect(port: int, count: int) -> list[Client]:
    """Connections that stand."""
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(Client, "127.0.0.1", port))[1] for _ in range(count)]


async def saturate(port: int, connections: int, requests: int) -> list[float]:
    """As many as go through."""
    found: list[float] = []
    raw = request()

    async def one(client: Client) -> None:
        for _ in range(requests // connections):
            began = time.perf_counter()
            await client.ask(raw)
            found.append(time.perf_counter() - began)

    await asyncio.gather(*[one(client) for client in await connect(port, connections)])
    return found


async def paced(port: int, rate: int, requests: int) -> list[float]:
    """An open loop: a request that is answered late does not hold the next one up."""
    found: list[float] = []
    raw = request()
    free = await connect(port, 16)
    began = time.perf_counter() + 0.05

    async def one(at: float) -> None:
        client = free.pop(0) if free else (await connect(port, 1))[0]
        await client.ask(raw)
        found.append(time.perf_counter() - at)
        free.append(client)

    async with asyncio.TaskGroup() as group:
        for number in range(requests):
            at = began + number / rate
            if (left := at - time.perf_counter()) > 0:
                await asyncio.sleep(left)
            group.create_task(one(time.perf_counter()))
    return found


async def streams(port: int, count: int) -> list[float]:
    """Each connection asks for three in a row; the first ones begin within the time that a stream takes."""
    found: list[float] = []
    raw = request(stream=True, stream_options={"include_usage": True})

    async def one(number: int, client: Client) -> None:
        await asyncio.sleep(number * SPREAD_SECONDS / count)
        for _ in range(3):
            began = time.perf_counter()
            await client.ask(raw)
            found.append(client.first - began)

    await asyncio.gather(*[one(number, client) for number, client in enumerate(await connect(port, count))])
    return found


async def main(port: int, mode: str, numbers: list[int]) -> None:
    """Measure and print."""
    async with asyncio.timeout(SECONDS):
        found = sorted(await {"saturate": saturate, "paced": paced, "streams": streams}[mode](port, *numbers))
    of = {"count": len(found), "p50": found[len(found) // 2], "p99": found[int(len(found) * 0.99)]}
    sys.stdout.write(json.dumps({name: value * (1 if name == "count" else 1000) for name, value in of.items()}) + "\n")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2], [int(each) for each in sys.argv[3:]]))
