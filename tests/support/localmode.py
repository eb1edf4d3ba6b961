"""Local mode as a user runs it: a process over a folder of YAML, on free ports, with a state folder of the test's."""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

from llmgov_cli.local import state

ROOT = pathlib.Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
QUICKSTART = EXAMPLES / "01-quickstart"
START_SECONDS = 60


class Local:
    """A running `llmgov local`."""

    def __init__(self, process: subprocess.Popen[str], folder: pathlib.Path, state_folder: pathlib.Path) -> None:
        self.process = process
        self.folder = folder
        self.state_folder = state_folder

    def run(self) -> state.Run:
        """What it says of itself."""
        return state.read_run(self.state_folder)

    def port(self, workload: str = "default/default") -> int:
        """Where a workload's proxy listens."""
        return self.run().sidecars[workload]

    def stop(self) -> int:
        """End it as Kubernetes would; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


def command(*arguments: str | pathlib.Path, cwd: pathlib.Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `llmgov` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "llmgov_cli.main", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"COLUMNS": "200"},
    )


@contextlib.contextmanager
def serving(
    folder: pathlib.Path, state_folder: pathlib.Path, *workloads: str, environment: dict[str, str] | None = None
) -> Iterator[Local]:
    """Serve `folder` until the block ends."""
    log = state_folder.with_suffix(".out")
    arguments = [part for workload in workloads or ("default/default",) for part in ("--as", f"{workload}=0")]
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "llmgov_cli.main", "local", folder, "--state", state_folder, *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | (environment or {}),
        )
    local = Local(process, folder, state_folder)
    try:
        _wait_for(local, log)
        yield local
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def copy_of(example: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
    """A copy of an example, to be edited."""
    shutil.copytree(example, target)
    return target


def _wait_for(local: Local, log: pathlib.Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if local.process.poll() is not None:
            raise AssertionError(f"llmgov local ended with {local.process.returncode}:\n{log.read_text()}")
        if (local.state_folder / "run.json").exists() and local.run().pid == local.process.pid:
            return
        time.sleep(0.02)
    raise AssertionError(f"llmgov local did not start:\n{log.read_text()}")
