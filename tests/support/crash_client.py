"""The processes around a crash: one that is started and killed again and again, and a provider that outlives it."""

import contextlib
import os
import pathlib
import select
import signal
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import msgspec

from tests.support import crash_process
from tests.support.crash_process import Boot

ROOT = pathlib.Path(__file__).parents[2]
SECONDS = 30.0
"""How long anything may take before the run is a failure."""


class Crashable:
    """Starts lives of `crash_process`, one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.crash_process"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self.pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.pid:
            self.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(SECONDS)
        self._process.stdout.close()

    def start(self, boot: Boot) -> dict[str, int] | None:
        """Begin a life; the workloads' ports, or `None` where it ended before it served (see `wait`)."""
        run = pathlib.Path(boot.state) / "run.json"
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(boot) + b"\n")
        self.pid = self._hear(SECONDS)["pid"]
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if run.exists() and (found := msgspec.json.decode(run.read_bytes()))["pid"] == self.pid:
                return dict(found["sidecars"])
            if self._speaks(0.002):
                return None
        raise AssertionError(f"it does not serve:\n{(run.parent.parent / 'output').read_text()}")

    def kill(self) -> None:
        """Kill it from outside, if it still lives."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it as Kubernetes would; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Its exit code, as soon as it has one."""
        code = self._hear(SECONDS)["exit"]
        self.pid = 0
        return code

    @property
    def ended(self) -> bool:
        """Whether it has ended (and `wait` returns at once)."""
        return self._speaks(0)

    def _speaks(self, seconds: float) -> bool:
        assert self._process.stdout is not None
        return bool(select.select([self._process.stdout], [], [], seconds)[0])

    def _hear(self, seconds: float) -> dict[str, int]:
        assert self._process.stdout is not None
        if not self._speaks(seconds):
            raise AssertionError(f"process {self.pid} says nothing within {seconds:g} s")
        heard: dict[str, int] = msgspec.json.decode(self._process.stdout.readline())
        return heard


class Provider:
    """`llmgov mock-provider`, a process of its own: what it has received is beyond the reach of any bug of ours."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "llmgov_cli.main", "mock-provider", "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # it tells of every connection that a killed client left
            text=True,
        )
        assert self._process.stdout is not None
        base = self._process.stdout.readline().split()[0].removesuffix("/v1")
        self._process.stdout.readline()
        self.port = int(base.rpartition(":")[2])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(SECONDS)
        assert self._process.stdout is not None
        self._process.stdout.close()


def lose_what_was_not_synced(state: pathlib.Path) -> None:
    """Make of a killed process a machine that lost power: segments as their last fsync left them, another boot."""
    synced: dict[str, int] = {}
    noted = state.parent / crash_process.SYNCED
    for line in noted.read_text().splitlines() if noted.exists() else ():
        path, _, size = line.partition("\t")
        synced[path] = int(size)
    for segment in state.glob("sidecars/*/spool/*.spool"):
        os.truncate(segment, min(segment.stat().st_size, synced.get(str(segment), 0)))
    for boot in state.glob("sidecars/*/boot.json"):
        known = msgspec.json.decode(boot.read_bytes())
        boot.write_bytes(msgspec.json.encode(known | {"machine": "the same machine, started again"}))
