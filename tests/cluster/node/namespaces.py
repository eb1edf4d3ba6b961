"""A node's namespaces: made by unshare, entered by nsenter, gone when their first process is killed."""

import dataclasses
import pathlib
import socket
import sys
import time

from tests.cluster import ports
from tests.cluster.janitor import Janitor
from tests.cluster.node import forward, inside

_CGROUPS = pathlib.Path("/sys/fs/cgroup")
_CONTROLLERS = ("cpuset", "cpu", "io", "memory", "hugetlb", "pids")
_START_SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Namespaces:
    """Those of one node; `init` is the id of their first process as the machine has it."""

    init: int
    cgroup: str
    """The name of the cgroup that all pods are below."""

    @property
    def network(self) -> tuple[str, ...]:
        """The command in front of one that only needs the node's network."""
        return ("nsenter", f"--target={self.init}", "--net", "--")

    @property
    def all(self) -> tuple[str, ...]:
        """The command in front of one that needs all of the node; it ends with the node's first process."""
        return ("nsenter", f"--target={self.init}", "--net", "--mount", "--pid", "--uts", "--ipc", "--")


def make(folder: pathlib.Path, janitor: Janitor) -> Namespaces:
    """Make namespaces whose files are in a folder, and cgroups of the folder's name."""
    cgroup = folder.name
    janitor.cgroup(cgroup)
    _make_cgroups(cgroup)
    flags = ["--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    log = folder / "namespaces.log"
    process = janitor.start(log, "unshare", *flags, sys.executable, "-I", inside.__file__, str(folder))
    end = time.monotonic() + _START_SECONDS
    while not (folder / inside.ENTERED).exists():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"the node's namespaces could not be made:\n{log.read_text()}")
        time.sleep(0.02)
    (child,) = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return Namespaces(int(child), cgroup)


def open_port(namespaces: Namespaces, port: int, folder: pathlib.Path, janitor: Janitor) -> int:
    """Connect a port of the node's loopback address with one of the machine's; the latter."""
    with socket.create_server((ports.HOST, 0)) as listening:
        descriptor = listening.fileno()
        command = [*namespaces.network, sys.executable, "-I", forward.__file__, str(descriptor), str(port)]
        janitor.start(folder / f"port-{port}.log", *command, pass_fds=[descriptor])
        return int(listening.getsockname()[1])


def _make_cgroups(name: str) -> None:
    """Make the cgroup in which the kubelet puts its own: it wants to find it."""
    if (_CGROUPS / "cgroup.controllers").exists():
        available = (_CGROUPS / "cgroup.controllers").read_text().split()
        wanted = [f"+{controller}" for controller in _CONTROLLERS if controller in available]
        (_CGROUPS / "cgroup.subtree_control").write_text(" ".join(wanted))
        (_CGROUPS / name).mkdir()
        return
    for hierarchy in _CGROUPS.iterdir():
        if hierarchy.is_dir() and not hierarchy.is_symlink() and hierarchy.name != "unified":
            (hierarchy / name).mkdir()
