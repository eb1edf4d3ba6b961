"""A proxy that looks at nothing: bytes from one socket to another, on the same loop; `bench_proxy` compares with it."""

import asyncio
import sys
from typing import cast
from urllib import parse

import uvloop


class Side(asyncio.Protocol):
    """One end of a pair."""

    def __init__(self, other: "Side | None" = None) -> None:
        self.transport: asyncio.Transport | None = None
        self.other = other
        self.early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        if self.other is None:
            asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        _, self.other = await loop.create_connection(lambda: Side(self), UPSTREAM.hostname, UPSTREAM.port)
        assert self.other.transport is not None
        self.other.transport.writelines(self.early)

    def data_received(self, data: bytes) -> None:
        if self.other is None or self.other.transport is None:
            self.early.append(data)
        else:
            self.other.transport.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.close()


async def main() -> None:
    """Serve until terminated."""
    server = await asyncio.get_running_loop().create_server(Side, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


UPSTREAM = parse.urlsplit(sys.argv[1] if len(sys.argv) > 1 else "")

if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
