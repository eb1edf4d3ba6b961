"""The applications of a traffic file: one process for each SDK, started early because SDKs load slowly."""

import asyncio
import os
import sys
from typing import Self

import msgspec

from llmgov_cli import player, traffic

PLACEHOLDER = "llmgov-placeholder"
"""What stands where a provider's key would: the proxy puts the real one in its place."""


def environment(port: int) -> dict[str, str]:
    """The variables that injection sets in a container, for a sidecar on `port` (design section 5)."""
    base = f"http://127.0.0.1:{port}"
    return {
        "OPENAI_BASE_URL": f"{base}/v1",
        "OPENAI_API_KEY": PLACEHOLDER,
        "ANTHROPIC_BASE_URL": base,
        "ANTHROPIC_API_KEY": PLACEHOLDER,
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }


class Player:
    """One SDK's process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, sdk: traffic.Sdk) -> Self:
        """Start it; its SDK loads while the caller goes on."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "llmgov_cli.player",
            sdk.value,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=inherited,
            limit=16 * 1024 * 1024,
        )
        return cls(process)

    async def ready(self) -> None:
        """Wait until the SDK is loaded."""
        await self._line()

    async def play(self, step: traffic.Step, port: int) -> list[traffic.Result]:
        """Make the step's calls, as a container whose sidecar listens on `port`."""
        assert self._process.stdin is not None
        job = player.Job(environment(port), step.call, step.with_, step.repeat, step.concurrently)
        self._process.stdin.write(msgspec.json.encode(job) + b"\n")
        await self._process.stdin.drain()
        return msgspec.json.decode(await self._line(), type=list[traffic.Result])

    async def stop(self) -> None:
        """End the process: by closing its input, and by force where that does not help."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 2)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the application process ended with code {await self._process.wait()}")
        return line
