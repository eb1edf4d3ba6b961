"""One sidecar in the test's own process, between the SDKs and a mock, with its admin port open."""

import asyncio
import contextlib
import pathlib
from collections.abc import AsyncIterator
from typing import BinaryIO

from aiohttp import web

from llmgov import snapshot
from llmgov.policy.decision import Workload
from llmgov_cli import prices
from llmgov_cli.local import folder as folder_
from llmgov_cli.mock_provider import server as mock_provider
from llmgov_hub.hub import Hub
from llmgov_sidecar import settings as sidecar_settings
from llmgov_sidecar.sidecar import Sidecar, system_clock
from llmgov_store.memory import MemoryStore
from tests.sdk import system as system_

NAMESPACE = "watched"


@contextlib.asynccontextmanager
async def sidecar(folder: pathlib.Path) -> AsyncIterator[Sidecar]:
    """Everything up, and down again."""
    async with contextlib.AsyncExitStack() as exits:
        runner = web.AppRunner(mock_provider.app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place = system_.resources(folder / "resources", runner.addresses[0][1])
        store = MemoryStore()
        exits.push_async_callback(store.close)
        hub = Hub(store, system_clock)
        loaded = folder_.load(place, prices.prices(), [NAMESPACE], 0)
        assert not loaded.rejected
        whole = loaded.compiled.snapshot(NAMESPACE)
        parts: dict[str, snapshot.Part] = {"organization": whole.organization, "prices": whole.prices}
        parts[f"namespace/{NAMESPACE}"] = whole.namespace
        await hub.configuration.publish(parts)
        log = exits.enter_context((folder / "log.jsonl").open("ab"))
        made = _sidecar(folder, hub, log)
        await made.configuration.apply(whole, snapshot.Directory(), loaded.keys)
        await made.start()
        exits.push_async_callback(made.stop)
        yield made


def _sidecar(folder: pathlib.Path, hub: Hub, log: BinaryIO) -> Sidecar:
    volume = folder / "volume"
    volume.mkdir()
    settings = sidecar_settings.Settings(
        namespace=NAMESPACE, service_account="app", pod="pod-1", port=0, admin_host="127.0.0.1", admin_port=0,
        volume=volume, drain_seconds=1.0,
    )  # fmt: skip
    return Sidecar(settings, Workload(NAMESPACE, "app", pod="pod-1"), hub, log_stream=log)


async def get(port: int, path: str) -> tuple[int, str]:
    """Status and body of what the admin port answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split(b" ")[1]), body.decode()
