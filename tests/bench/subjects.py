"""What `bench_proxy` measures, each as a process that listens on a port: nginx, a bare proxy, the sidecar."""

import asyncio
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence

ROOT = pathlib.Path(__file__).parents[2]
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
START_SECONDS = 10

_NGINX_CONFIGURATION = """
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log combined buffer=64k flush=1s;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f;
  uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  keepalive_requests 1000000;
  upstream provider {{ server 127.0.0.1:{upstream}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off;
    }}
  }}
}}
"""


class Subject:
    """A running process, pinned to the first core where there are several."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, port: int) -> None:
        self.name = name
        self.port = port
        self._pid = process.pid

    def cpu_seconds(self) -> float:
        """What all its threads ran, from the scheduler, which counts nanoseconds."""
        threads = pathlib.Path(f"/proc/{self._pid}/task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9

    def resident_mb(self) -> float:
        """Resident memory."""
        status = pathlib.Path(f"/proc/{self._pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


@contextlib.asynccontextmanager
async def process(
    arguments: Sequence[str], cores: set[int], **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process on these cores, ended at the end."""
    started = await asyncio.create_subprocess_exec(
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **environment},
    )
    os.sched_setaffinity(started.pid, cores)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.send_signal(signal.SIGTERM)
        await started.wait()


@contextlib.asynccontextmanager
async def python(
    module: str, *arguments: str, cores: set[int]
) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A module of ours that prints its port, and the port."""
    async with process((sys.executable, "-m", module, *arguments), cores) as started:
        assert started.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            port = int(await started.stdout.readline())
        yield started, port


@contextlib.asynccontextmanager
async def ours(name: str, module: str, upstream: int, folder: str, cores: set[int]) -> AsyncIterator[Subject]:
    """The bare proxy, or the sidecar."""
    async with python(module, f"http://127.0.0.1:{upstream}", folder, cores=cores) as (started, port):
        yield Subject(name, started, port)


@contextlib.asynccontextmanager
async def nginx(upstream: int, folder: str, cores: set[int]) -> AsyncIterator[Subject]:
    """Debian's nginx as a plain proxy with an access log."""
    assert NGINX is not None
    port = free_port()
    configuration = pathlib.Path(folder) / "nginx.conf"
    configuration.write_text(_NGINX_CONFIGURATION.format(folder=folder, port=port, upstream=upstream))
    async with process((NGINX, "-p", folder, "-c", str(configuration)), cores) as started:
        await listening(port)
        yield Subject("nginx", started, port)


async def cold_start(folder: pathlib.Path, number: int, cores: set[int]) -> tuple[float, float]:
    """Seconds, and of them CPU seconds, from starting `llmgov sidecar` until its port answers.

    Bytecode is kept from one start to the next, as an image has it.
    """
    port = free_port()
    environment = {
        "LLMGOV_PORT": str(port),
        "LLMGOV_ADMIN_PORT": "-1",
        "LLMGOV_VOLUME": str(folder / str(number)),
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    command = str(pathlib.Path(sys.executable).with_name("llmgov"))
    began = time.perf_counter()
    async with process((command, "sidecar"), cores, **environment) as started:
        await listening(port)
        return time.perf_counter() - began, Subject("start", started, port).cpu_seconds()


async def listening(port: int) -> None:
    """Wait until something listens there."""
    async with asyncio.timeout(START_SECONDS):
        while True:
            with contextlib.suppress(ConnectionRefusedError), socket.socket() as client:
                client.connect(("127.0.0.1", port))
                return
            await asyncio.sleep(0.002)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
