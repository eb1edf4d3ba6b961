"""The running systems of the table: three local modes and two sidecars without a hub."""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import openai

from llmgov_cli.local import state
from tests.support import localmode

T = TypeVar("T")

GOLDEN = localmode.ROOT / "tests" / "golden" / "refusals"
BOUNDS = {"LLMGOV_BODY_BYTES": "4096", "LLMGOV_BODY_SECONDS": "2"}
"""Of the sidecars without a hub: small and short, so that they are reached soon."""

_RUNNING = "mock: pace 120s\nmock: say one two three four"


class System:
    """One of them. `ports` maps a workload to its proxy; where there is one sidecar only, every workload to it."""

    def __init__(self, ports: dict[str, int], folder: pathlib.Path, *, hub: bool) -> None:
        self._ports = ports
        self._folder = folder
        self._hub = hub

    def port(self, workload: str) -> int:
        """Where a workload's proxy listens."""
        return self._ports.get(workload) or self._ports[""]

    def recorded(self, ids: set[str], seconds: float = 20) -> set[str]:
        """Those of `ids` that are in the audit in the end; in the spool and log where no hub takes events."""
        until = time.monotonic() + seconds
        while not ids <= (found := self._records() if self._hub else self._spooled(ids)) and time.monotonic() < until:
            time.sleep(0.2)
        return ids & found

    def _records(self) -> set[str]:
        shown = localmode.command("audit", "show", "--state", self._folder, "--limit", "100000", "-o", "json")
        assert shown.returncode == 0, shown.stderr
        return {record["request"] for record in json.loads(shown.stdout) if "request" in record}

    def _spooled(self, ids: set[str]) -> set[str]:
        data = b"".join(path.read_bytes() for path in sorted((self._folder / "spool").iterdir()))
        return {one for one in ids if one.encode() in data}


@contextlib.contextmanager
def local(folder: pathlib.Path, workloads: Sequence[str], *, more: pathlib.Path | None = None) -> Iterator[System]:
    """`llmgov local` over the golden resources, and `more`."""
    place = shutil.copytree(GOLDEN / "resources", folder / "resources")
    if more is not None:
        shutil.copy(more, place)
    with localmode.serving(place, folder / "state", *workloads) as served:
        yield System(served.run().sidecars, folder / "state", hub=True)


@contextlib.contextmanager
def outage(folder: pathlib.Path, workloads: Sequence[str]) -> Iterator[tuple[System, sqlite3.Connection]]:
    """Local mode with little patience, and a connection to its ledger for locking it."""
    state_folder = folder / "state"
    module = [sys.executable, "-m", "tests.support.impatient_local"]
    command = [*module, str(GOLDEN / "resources"), str(state_folder), *workloads]
    with _process(command, folder / "out") as process:
        ports = _ports(process, state_folder)
        ledger = sqlite3.connect(state_folder / "ledger.db", isolation_level=None, check_same_thread=False)
        with contextlib.closing(ledger):
            yield System(ports, state_folder, hub=True), ledger


@contextlib.contextmanager
def alone(folder: pathlib.Path, snapshot: pathlib.Path | None = None) -> Iterator[System]:
    """`llmgov sidecar` without a hub; with `snapshot` on its volume as after a restart."""
    volume = folder / "volume"
    volume.mkdir(parents=True)
    if snapshot is not None:
        shutil.copy(snapshot, volume / "snapshot.json")
    own = {"LLMGOV_VOLUME": str(volume), "LLMGOV_PORT": "0", "LLMGOV_ADMIN_PORT": "-1", "LLMGOV_NAMESPACE": "cases"}
    with _process([sys.executable, "-m", "llmgov_sidecar"], folder / "log.jsonl", own | BOUNDS) as process:
        yield System({"": _listening(process, folder / "log.jsonl")}, volume, hub=False)


def pass_one(port: int) -> None:
    """Let one request pass."""
    with _client(port) as client:
        client.models.list()


@contextlib.contextmanager
def running(port: int) -> Iterator[None]:
    """Have one request under way for as long as the block runs."""
    with _client(port) as client:
        stream = client.chat.completions.create(
            model="gpt-4o-mini", messages=[{"role": "user", "content": _RUNNING}], stream=True, max_completion_tokens=50
        )
        next(iter(stream))
        yield
        stream.close()


def _client(port: int) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="placeholder", max_retries=0)


@contextlib.contextmanager
def _process(
    command: Sequence[str], log: pathlib.Path, environment: dict[str, str] | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LLMGOV_")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=localmode.ROOT, env=inherited | (environment or {})
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _ports(process: "subprocess.Popen[bytes]", state_folder: pathlib.Path) -> dict[str, int]:
    return _until(process, lambda: state.read_run(state_folder).sidecars if _started(state_folder) else None)


def _started(state_folder: pathlib.Path) -> bool:
    return (state_folder / "run.json").exists()


def _listening(process: "subprocess.Popen[bytes]", log: pathlib.Path) -> int:
    port: int = _until(process, lambda: next((one["port"] for one in _said(log) if one["event"] == "listening"), None))
    return port


def _said(log: pathlib.Path) -> Iterator[dict[str, Any]]:
    lines = log.read_text().splitlines(keepends=True)
    return (json.loads(line) for line in lines if line.endswith("\n"))


def _until(process: "subprocess.Popen[bytes]", found: Callable[[], T | None], seconds: float = 60) -> T:
    until = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < until:
        if (value := found()) is not None:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{process.args!r} did not start; it ended with {process.returncode}")
