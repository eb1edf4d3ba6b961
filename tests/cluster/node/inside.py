"""Process 1 of a node's namespaces: makes them a machine of their own, then buries what dies in them.

`python inside.py FOLDER`. Nothing is written outside FOLDER, and no setting of the real machine is changed. It needs
Python's standard library alone; when it is killed, the kernel ends everything in its namespaces.
"""

import os
import pathlib
import signal
import subprocess
import sys

NODE = "node1"
ADDRESS = "10.244.0.1"
"""The node's, on the bridge to which CNI connects pods."""

PODS = "10.244.0.0/24"
ENTERED = "entered"
"""The file in FOLDER that says that the namespaces are ready."""

_SYSCTL = pathlib.Path("/proc/sys")
_PRETENDED = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
"""What the kubelet would set for the whole machine, unless it finds it so."""


def _mount(*arguments: str | pathlib.Path) -> None:
    subprocess.run(["mount", *arguments], check=True)


def _make_mounts(folder: pathlib.Path) -> None:
    _mount("--make-rprivate", "/")  # or these mounts would reach the machine, where / is shared (systemd)
    _mount("-t", "proc", "proc", "/proc")
    _mount("-t", "tmpfs", "tmpfs", "/run")
    upper, work = folder / "var", folder / "var-work"
    for path in (upper, work, folder / "sysctl"):
        path.mkdir()
    # /var/lib/cni, /var/log/containers and others have no option. /sys stays: a new one would hide its cgroups.
    _mount("-t", "overlay", "overlay", "-o", f"lowerdir=/var,upperdir={upper},workdir={work}", "/var")
    for name, value in _PRETENDED.items():
        pretended = folder / "sysctl" / name.replace("/", ".")
        pretended.write_text(f"{value}\n")
        _mount("--bind", pretended, _SYSCTL / name)


def _make_network() -> None:
    for command in (
        "link set lo up",
        "link add cni0 type bridge",
        f"address add {ADDRESS}/{PODS.rpartition('/')[2]} dev cni0",
        "link set cni0 up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    (_SYSCTL / "net/ipv4/ip_forward").write_text("1")
    # Answers between pods of one bridge have to come by the Service's translation, too.
    filtered = _SYSCTL / "net/bridge/bridge-nf-call-iptables"
    if not filtered.exists():
        subprocess.run(["modprobe", "br_netfilter"], check=True)
    filtered.write_text("1")


def _bury() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})


def main(folder: pathlib.Path) -> None:
    """Set up the namespaces, say so, and stay."""
    _make_mounts(folder)
    subprocess.run(["hostname", NODE], check=True)
    _make_network()
    (folder / ENTERED).touch()
    _bury()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
