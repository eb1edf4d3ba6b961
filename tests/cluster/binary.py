"""The programs of a cluster, built once a machine: etcd, control plane and kubectl are one Go binary (controlplane/).

It is kept in a cache folder by Kubernetes' version and what it is made of, beside a link for each of its names. A build
takes minutes, runs at the lowest priority and under a lock, so that whoever comes meanwhile waits for it instead of
building too. `python -m tests.cluster.binary` builds what is missing.
"""

import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator

ASSETS = "KUBEBUILDER_ASSETS"
"""The environment variable with a folder of ready programs (etcd, kube-apiserver, …), as envtest has it."""

_COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl")
_NODE_COMPONENTS = ("kube-scheduler", "kube-proxy", "kubelet")
_COREDNS = "github.com/coredns/coredns@v1.12.4"
_VERSION = "k8s.io/component-base/version"


@dataclasses.dataclass(frozen=True)
class Source:
    """A Go module that is a control plane; with the build tag `node`, it is a node's components, too."""

    folder: pathlib.Path
    tags: tuple[str, ...] = ()

    @functools.cached_property
    def version(self) -> str:
        """Kubernetes' version, as `v1.34.4`."""
        found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (self.folder / "go.mod").read_text(), re.MULTILINE)
        assert found is not None
        return found[1]

    @property
    def programs(self) -> pathlib.Path:
        """The folder that has its programs once it is built."""
        digest = hashlib.sha256(repr((self.tags, self._flags())).encode())
        for name in ("main.go", "node.go", "go.mod", "go.sum"):
            path = self.folder / name
            digest.update(name.encode() + path.read_bytes() if path.exists() else b"")
        return cache() / f"kubernetes-{self.version}-{digest.hexdigest()[:12]}"

    @property
    def names(self) -> tuple[str, ...]:
        """What the binary can be run as."""
        return (*_COMPONENTS, *_NODE_COMPONENTS) if "node" in self.tags else _COMPONENTS

    def build(self, programs: pathlib.Path) -> None:
        """Build it into a folder; takes minutes where Go has not built it before."""
        binary = programs / "controlplane"
        go(
            "build",
            "-trimpath",
            "-tags",
            ",".join(self.tags),
            "-ldflags",
            self._flags(),
            "-o",
            binary,
            folder=self.folder,
        )
        for name in self.names:
            (programs / name).symlink_to(binary.name)

    def _flags(self) -> str:
        major, minor = self.version.removeprefix("v").split(".")[:2]
        values = {"gitVersion": self.version, "gitMajor": major, "gitMinor": minor}
        return " ".join(["-s", "-w", *(f"-X {_VERSION}.{name}={value}" for name, value in values.items())])


OWN = Source(pathlib.Path(__file__).parent / "controlplane", tags=("node",))
"""The version that the tests run on. 1.34 is the newest whose kubelet runs on cgroup v1, too."""


def cache() -> pathlib.Path:
    """The folder that keeps what is built, outside the work tree."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "llm-governance"


def program(name: str) -> pathlib.Path:
    """A program of the control plane: from the folder that `KUBEBUILDER_ASSETS` names if it is there, else built."""
    ready = _asset(name)
    return ready if ready is not None else built(OWN) / name


def built(source: Source) -> pathlib.Path:
    """The folder with a source's programs, built first where they are missing."""
    return _made(source.programs, source.build, f"Kubernetes {source.version}")


def coredns() -> pathlib.Path:
    """CoreDNS, built first where it is missing."""

    def build(folder: pathlib.Path) -> None:
        go("install", "-trimpath", "-ldflags", "-s -w", _COREDNS, folder=folder, GOBIN=str(folder))

    return _made(cache() / f"coredns-{_COREDNS.rpartition('@')[2]}", build, "CoreDNS") / "coredns"


def go(*arguments: str | os.PathLike[str], folder: pathlib.Path, **environment: str) -> str:
    """Run Go in a folder, at the lowest priority; its output. Raises RuntimeError with what it said."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOWORK": "off", **environment}
    command = ["nice", "-n", "19", "go", *arguments]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if process.returncode != 0:
        raise RuntimeError(f"go {arguments[0]} failed:\n{process.stderr}")
    return process.stdout


def is_ready() -> bool:
    """Whether a control plane can start without a build."""
    return OWN.programs.exists() or are_given()


def are_given() -> bool:
    """Whether `KUBEBUILDER_ASSETS` names a folder with all that a control plane needs."""
    return all(_asset(name) for name in _COMPONENTS)


def lacking() -> str | None:
    """Why this machine cannot run a control plane; `None` where it can."""
    if is_ready() or shutil.which("go"):
        return None
    return (
        f"no Go to build a Kubernetes control plane (https://go.dev/dl; or set {ASSETS} to a folder with its programs)"
    )


def _asset(name: str) -> pathlib.Path | None:
    folder = os.environ.get(ASSETS)
    path = pathlib.Path(folder or "", name).absolute()
    return path if folder and path.is_file() else None


def _made(folder: pathlib.Path, make: Callable[[pathlib.Path], None], what: str) -> pathlib.Path:
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(f"{folder.name}.lock")):
        if not folder.exists():
            print(f"Building {what} for the tests into {folder}: some minutes, once", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix="building-") as scratch:
                unfinished = pathlib.Path(scratch, "programs")
                unfinished.mkdir()
                make(unfinished)
                unfinished.rename(folder)
    return folder


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """Build what is missing, where it can be built; a failure is said, and fails the tests that need it later."""
    try:
        if lacking() is None:
            program("kube-apiserver")
        if os.geteuid() == 0 and shutil.which("go") and shutil.which("containerd"):
            coredns()
    except RuntimeError as error:
        print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
