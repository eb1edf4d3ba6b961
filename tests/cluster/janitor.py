"""Whatever a cluster starts is put on its janitor's list, and the janitor ends it, by process id.

A test's janitor is a process that waits for its owner to let go of a pipe: the owner ends the cluster or dies, killed
even, and the same happens. The janitor of a cluster that is kept has its list in a file, for whoever ends it later.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

from tests.cluster import janitor_process

_PROGRAM = [sys.executable, "-I", janitor_process.__file__]


class Janitor:
    """A list of what has to be ended."""

    def __init__(self, entries: IO[bytes], process: subprocess.Popen[bytes] | None = None) -> None:
        self._entries = entries
        self._process = process
        self._children: list[subprocess.Popen[bytes]] = []

    @classmethod
    def watching(cls) -> "Janitor":
        """One that ends everything when this process ends, at the latest."""
        # A session of its own: what interrupts the tests from a terminal does not reach it.
        process = subprocess.Popen(_PROGRAM, stdin=subprocess.PIPE, start_new_session=True)
        assert process.stdin is not None
        return cls(process.stdin, process)

    @classmethod
    def keeping(cls, file: pathlib.Path) -> "Janitor":
        """One that ends nothing until `end_kept` is called for its file."""
        return cls(file.open("ab"))

    def start(
        self, log: pathlib.Path, *command: str | os.PathLike[str], pass_fds: Sequence[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a process that ends with the rest; its output is appended to `log`."""
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                cwd=log.parent,
                pass_fds=pass_fds,
            )
        self._children.append(process)
        since = janitor_process.started(process.pid)
        if since is not None:
            self._write(process=process.pid, started=since)
        return process

    def folder(self, path: pathlib.Path) -> None:
        """Remove a folder at the end."""
        self._write(folder=str(path))

    def cgroup(self, name: str) -> None:
        """Remove cgroups at the end: those of this name in every hierarchy."""
        self._write(cgroup=name)

    def command(self, *command: str) -> None:
        """Run a command at the end."""
        self._write(command=command)

    def _write(self, **entry: object) -> None:
        self._entries.write(json.dumps(entry).encode() + b"\n")
        self._entries.flush()

    def let_go(self) -> None:
        """Forget the list without ending what is on it; only for one that is kept."""
        assert self._process is None
        self._entries.close()
        for child in self._children:
            child.returncode = 0  # not ours to wait for: it outlives this process

    def end(self) -> None:
        """End everything that is on the list, and wait until it has ended."""
        self._entries.close()
        assert self._process is not None
        self._process.wait()
        for child in self._children:
            child.wait()


def end_kept(file: pathlib.Path) -> None:
    """End everything that is on the list in a file."""
    with file.open("rb") as entries:
        subprocess.run(_PROGRAM, stdin=entries, check=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    """End one process at once."""
    process.send_signal(signal.SIGKILL)
    process.wait()
