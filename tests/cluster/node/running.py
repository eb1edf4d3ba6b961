"""A control plane and a node that runs real pods, all in namespaces of their own."""

import contextlib
import functools
import os
import pathlib
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

from tests.cluster import binary, control_plane
from tests.cluster.certificates import Authority
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import ControlPlane, Place
from tests.cluster.janitor import Janitor
from tests.cluster.node import configuration, images, namespaces
from tests.cluster.node.inside import ADDRESS, NODE

_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "nft": "nftables",
    "ip": "iproute2",
    "unshare": "util-linux",
    "nsenter": "util-linux",
}
"""What a node needs beside what is built, and Debian's names of the packages that have it."""

_NETWORK = "10.244.0.0/16"
_API, _ETCD, _ETCD_PEER = 6443, 2379, 2380
_READY_SECONDS = 60


def lacking() -> str | None:
    """Why this machine cannot run a node; `None` where it can."""
    if os.geteuid() != 0:
        return "a Kubernetes node needs root"
    if not binary.OWN.programs.exists() and not shutil.which("go"):
        return "no Go to build a Kubernetes node"
    missing = {package for program, package in _PROGRAMS.items() if not shutil.which(program)}
    missing |= set() if configuration.cni_programs() else {"containernetworking-plugins"}
    missing |= set() if images.busybox() else {"busybox-static"}
    if missing:
        return f"a Kubernetes node needs {', '.join(sorted(missing))}"
    return None if _may_unshare() else "root here may not make namespaces, which a Kubernetes node needs"


@functools.cache
def _may_unshare() -> bool:
    command = ["unshare", "--net", "--mount", "--pid", "--uts", "--ipc", "--fork", "mount", "--make-rprivate", "/"]
    return subprocess.run(command, capture_output=True).returncode == 0


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster whose node is ready; it ends with this process at the latest, and leaves nothing behind."""
    janitor, folder = Janitor.watching(), control_plane.scratch_folder()
    janitor.folder(folder)
    try:
        yield _Node(folder, janitor).start()
    finally:
        janitor.end()


class _Node:
    def __init__(self, folder: pathlib.Path, janitor: Janitor) -> None:
        self._folder = folder
        self._janitor = janitor
        self._space = namespaces.make(folder, janitor)
        self._plane = self._control_plane(Authority(folder / "certificates"))
        self._write_configuration()

    def start(self) -> Cluster:
        self._run(self._space.all, "containerd", "containerd", f"--config={self._folder}/containerd.toml")
        self._plane.start_all()
        self._load_images()
        cluster = self._plane.cluster(images.BUSYBOX, self._load_image)
        self._start_node()
        cluster.apply(*configuration.dns_service())
        self._wait("the node", lambda: self._is_ready(cluster))
        return cluster

    def _control_plane(self, authority: Authority) -> ControlPlane:
        kubelet_client = authority.client("kube-apiserver-kubelet-client", ["system:masters"])
        place = Place(
            etcd=_ETCD,
            etcd_peer=_ETCD_PEER,
            api=_API,
            outside=namespaces.open_port(self._space, _API, self._folder, self._janitor),
            entering=self._space.network,
            names=(ADDRESS,),
            api_flags=(
                "--bind-address=0.0.0.0",
                f"--advertise-address={ADDRESS}",
                f"--kubelet-client-certificate={kubelet_client.certificate}",
                f"--kubelet-client-key={kubelet_client.key}",
                f"--kubelet-certificate-authority={authority.pair.certificate}",
                # By its name it would be looked up in the machine's DNS.
                "--kubelet-preferred-address-types=InternalIP",
            ),
            controller_flags=("--allocate-node-cidrs=true", f"--cluster-cidr={_NETWORK}"),
        )
        return ControlPlane(self._folder, self._janitor, place, authority)

    def _write_configuration(self) -> None:
        folder = self._folder
        (folder / "cni").mkdir()
        (folder / "resolv.conf").touch()
        (folder / "containerd.toml").write_text(configuration.containerd(folder))
        (folder / "cni" / "10-bridge.conflist").write_text(configuration.cni())
        (folder / "kubelet.json").write_text(configuration.kubelet(folder, self._space.cgroup))
        self._plane.authority.server(NODE, [NODE, ADDRESS])

    def _start_node(self) -> None:
        proxy = ["--proxy-mode=nftables", f"--cluster-cidr={_NETWORK}", f"--hostname-override={NODE}"]
        # Limits of connection tracking are the machine's: left as they are.
        limits = ("max-per-core", "tcp-timeout-established", "tcp-timeout-close-wait")
        proxy += [f"--conntrack-{limit}=0" for limit in limits]
        self._run_component("kubelet", self._identity(f"system:node:{NODE}", "system:nodes"),
                            f"--config={self._folder}/kubelet.json", f"--root-dir={self._folder}/kubelet",
                            f"--hostname-override={NODE}", f"--node-ip={ADDRESS}")  # fmt: skip
        self._run_component("kube-proxy", self._identity("system:kube-proxy"), *proxy)
        self._run_component("kube-scheduler", self._identity("system:kube-scheduler"), "--leader-elect=false")
        corefile = self._folder / "Corefile"
        corefile.write_text(configuration.coredns(self._identity("coredns", "system:masters")))
        self._run(self._space.network, "coredns", binary.coredns(), "-conf", corefile)

    def _identity(self, user: str, *groups: str) -> pathlib.Path:
        pair = self._plane.authority.client(user, groups)
        return self._plane.write_kubeconfig(f"{user.replace(':', '-')}.kubeconfig", _API, pair)

    def _run_component(self, name: str, kubeconfig: pathlib.Path, *flags: str) -> None:
        program = binary.built(binary.OWN) / name
        self._run(self._space.all, name, program, f"--kubeconfig={kubeconfig}", *flags)

    def _run(self, entering: tuple[str, ...], name: str, *command: str | pathlib.Path) -> None:
        self._janitor.start(self._folder / f"{name}.log", *entering, *command)

    def _load_images(self) -> None:
        program = images.busybox()
        assert program is not None
        for name, command in ((images.PAUSE, ["sleep", "2147483647"]), (images.BUSYBOX, ["sh"])):
            archive = self._folder / "image.tar"
            images.write(archive, name, program, command)
            self._load_image(archive)

    def _load_image(self, archive: pathlib.Path) -> None:
        socket = self._folder / "containerd.sock"
        self._wait("containerd", socket.is_socket)
        command = ["ctr", f"--address={socket}", "--namespace=k8s.io", "images", "import", "--digests", str(archive)]
        subprocess.run(command, check=True, capture_output=True)

    def _is_ready(self, cluster: Cluster) -> bool:
        nodes = cluster.get("nodes")["items"]
        return any(
            condition["type"] == "Ready" and condition["status"] == "True"
            for node in nodes
            for condition in node["status"].get("conditions", ())
        )

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _READY_SECONDS
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not become ready\n{control_plane.ends_of_logs(self._folder)}")
            time.sleep(0.1)
