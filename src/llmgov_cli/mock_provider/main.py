"""`llmgov mock-provider`: the mock as a process of its own, on loopback."""

import asyncio
import signal
import sys

from aiohttp import web

from llmgov_cli import errors
from llmgov_cli.mock_provider import server

HOST = "127.0.0.1"


def run(port: int, seed: int = 0) -> int:
    """Serve until SIGINT or SIGTERM; says where, once it listens. Returns the exit code.

    Raises:
        CommandError: the port cannot be had.
    """
    return asyncio.run(_serve(port, seed))


async def _serve(port: int, seed: int) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    runner = web.AppRunner(server.app(seed=seed), access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, HOST, port).start()
        base = f"http://{HOST}:{runner.addresses[0][1]}"
        sys.stdout.write(
            f"OPENAI_BASE_URL={base}/v1 OPENAI_API_KEY={server.OPENAI_KEY}\n"
            f"ANTHROPIC_BASE_URL={base} ANTHROPIC_API_KEY={server.ANTHROPIC_KEY}\n"
        )
        sys.stdout.flush()
        await stop.wait()
    except OSError as error:
        raise errors.CommandError(f"the mock provider cannot listen on {HOST}:{port}: {error.strerror}") from error
    finally:
        await runner.cleanup()
    return 0
