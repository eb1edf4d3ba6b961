"""The program that ends what a cluster started: reads a list, and when the list ends, ends everything on it.

Its input is one JSON object a line; a pipe ends when its writer dies, however it dies, so what is on the list is ended
after SIGKILL, too. The entries, in the order in which they are dealt with:

    {"process": 123, "started": "4567"}   SIGKILL, if that process (by its start time) still lives
    {"command": ["kind", "delete", …]}    run it
    {"cgroup": "name"}                    remove these cgroups in every hierarchy
    {"folder": "/tmp/…"}                  remove the folder

It knows nothing of the project, and needs Python's standard library alone.
"""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable

_PATIENCE_SECONDS = 10
_CGROUPS = pathlib.Path("/sys/fs/cgroup")


def started(pid: int) -> str | None:
    """When a process started, in ticks since boot; `None` where it has ended (a zombie has)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else fields[19]


def _entries(lines: Iterable[str]) -> list[dict[str, object]]:
    entries = []
    for line in lines:
        try:
            entries.append(json.loads(line))
        except ValueError:  # cut short: its writer died as it wrote
            continue
    return entries


def _kill(processes: list[tuple[int, str]]) -> None:
    for pid, since in processes:
        if started(pid) == since:
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + _PATIENCE_SECONDS
    while any(started(pid) == since for pid, since in processes) and time.monotonic() < end:
        time.sleep(0.01)


def _remove_cgroups(name: str) -> None:
    end = time.monotonic() + _PATIENCE_SECONDS
    while folders := [folder for folder in (_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")) if folder.is_dir()]:
        for folder in folders:
            for inner, _, _ in os.walk(folder, topdown=False):
                try:
                    pathlib.Path(inner).rmdir()
                except OSError:  # its processes are on their way out
                    continue
        if time.monotonic() > end:
            return
        time.sleep(0.02)


def end(entries: list[dict[str, object]]) -> None:
    """End everything on the list."""
    _kill([(int(str(entry["process"])), str(entry["started"])) for entry in entries if "process" in entry])
    for entry in entries:
        if isinstance(command := entry.get("command"), list):
            subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)
    for entry in entries:
        if "cgroup" in entry:
            _remove_cgroups(str(entry["cgroup"]))
    for entry in entries:
        if "folder" in entry:
            shutil.rmtree(str(entry["folder"]), ignore_errors=True)


if __name__ == "__main__":
    end(_entries(sys.stdin))
