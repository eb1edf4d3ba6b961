"""The admin port: `/livez` and `/readyz` for Kubernetes, `/metrics` for Prometheus.

An answer to any of them says that the event loop turns; the rest is asked of whoever knows, who gives a reason or none.
"""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from llmgov_operator.settings import SettingsError

Reason = Callable[[], str | None]
"""Why a probe fails, in a sentence; `None` where it does not."""

Answer = Callable[[web.Request], Awaitable[web.Response]]


@contextlib.asynccontextmanager
async def serving(
    host: str, port: int, alive: Reason, ready: Reason, metrics: Callable[[], bytes]
) -> AsyncIterator[int]:
    """Serve them; the port, which was chosen by the system where `port` is 0.

    Raises:
        SettingsError: the address cannot be had.
    """
    application = web.Application()
    application.router.add_get("/livez", _probe(alive))
    application.router.add_get("/readyz", _probe(ready))
    application.router.add_get("/metrics", _metrics(metrics))
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise SettingsError(f"LLMGOV_ADMIN_HOST, LLMGOV_ADMIN_PORT: {host}:{port}: {error.strerror}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _probe(reason: Reason) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        found = reason()
        return web.Response(text="ok\n") if found is None else web.Response(text=f"{found}\n", status=503)

    return answer


def _metrics(rendered: Callable[[], bytes]) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=rendered(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    return answer
