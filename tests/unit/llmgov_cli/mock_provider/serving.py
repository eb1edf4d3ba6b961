"""The mock on a real port, in the test's own event loop, and the SDKs pointed at it."""

import contextlib
from collections.abc import AsyncIterator

import anthropic
import msgspec
import openai
from aiohttp import web

from llmgov_cli.mock_provider import server


class Served(msgspec.Struct, frozen=True):
    """Where it listens, and its state."""

    base: str
    mock: server.endpoint.Mock


@contextlib.asynccontextmanager
async def serving(seed: int = 0) -> AsyncIterator[Served]:
    """Serve until the block ends."""
    application = server.app(seed=seed)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield Served(f"http://127.0.0.1:{runner.addresses[0][1]}", application[server.MOCK])
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def openai_client(served: Served, key: str = server.OPENAI_KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    """The official SDK, without retries."""
    plain = openai.DefaultAsyncHttpxClient(verify=False)
    async with openai.AsyncOpenAI(
        base_url=f"{served.base}/v1", api_key=key, max_retries=0, timeout=5, http_client=plain
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def anthropic_client(served: Served, key: str = server.ANTHROPIC_KEY) -> AsyncIterator[anthropic.AsyncAnthropic]:
    """The official SDK, without retries."""
    plain = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with anthropic.AsyncAnthropic(
        base_url=served.base, api_key=key, max_retries=0, timeout=5, http_client=plain
    ) as client:
        yield client
