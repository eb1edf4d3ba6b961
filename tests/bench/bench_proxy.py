"""What a request costs in the sidecar: CPU, added latency, memory, cold start. `python -m tests.bench.bench_proxy`.

A provider, a hub and a load generator run in this process; the sidecar runs in one of its own, with ten policies on,
money held, intents spooled and metrics written, so that its CPU time is its own. Beside it, in the same rounds, a bare
proxy by the same libraries (bytes copied, nothing looked at) says what the machine is worth at the moment.
"""

import asyncio
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

import uvloop

from tests.unit.llmgov_sidecar import harness, world

ROUNDS = 3
REQUESTS = 3_000
CONNECTIONS = 16


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Resident memory of a process."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


async def load(port: int, requests: int, body: bytes) -> list[float]:
    """Latencies in ms of requests over some connections, one after the other on each."""
    latencies: list[float] = []
    raw = harness.request(world.CHAT, body)

    async def one(count: int) -> None:
        client = await harness.Client.to(port)
        for _ in range(count):
            began = time.perf_counter()
            client.send(raw)
            reply = await client.reply()
            latencies.append((time.perf_counter() - began) * 1000)
            if reply.status != 200:
                raise RuntimeError(reply.body)
        await client.close()

    await asyncio.gather(*[one(requests // CONNECTIONS) for _ in range(CONNECTIONS)])
    return latencies


async def start(module: str, *arguments: str) -> tuple[asyncio.subprocess.Process, int, float]:
    """A process that prints its port, and how long that took."""
    began = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    line = await process.stdout.readline()
    return process, int(line), time.perf_counter() - began


async def measure(name: str, module: str, url: str, folder: str) -> None:
    """One subject: warm up, then rounds."""
    process, port, cold = await start(module, url, folder)
    body = world.chat("x" * 900)
    await load(port, 500, body)
    costs, latencies = [], []
    for _ in range(ROUNDS):
        before = cpu_seconds(process.pid)
        found = await load(port, REQUESTS, body)
        costs.append((cpu_seconds(process.pid) - before) / len(found) * 1e6)
        latencies += await load(port, CONNECTIONS * 20, body)
    latencies.sort()
    print(
        f"{name:10} cpu/request {statistics.median(costs):7.1f} µs   p50 {statistics.median(latencies):6.2f} ms   "
        f"p99 {latencies[int(len(latencies) * 0.99)]:6.2f} ms   memory {resident_mb(process.pid):5.1f} MB   "
        f"cold start {cold:5.2f} s"
    )
    process.terminate()
    await process.wait()


async def main() -> None:
    """Both subjects beside each other."""
    answer = harness.whole(world.chat_answer("y" * 600), headers=b"Content-Type: application/json\r\n")
    async with harness.Provider(harness.says(answer)).running() as provider:
        with tempfile.TemporaryDirectory() as folder:
            await measure("bare", "tests.bench.bare_proxy", provider.url, folder)
            await measure("sidecar", "tests.bench.bench_sidecar", provider.url, folder)
    print(json.dumps({"requests": REQUESTS * ROUNDS, "connections": CONNECTIONS}))


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
