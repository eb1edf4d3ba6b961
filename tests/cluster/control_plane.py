"""Tier 1: etcd, the API server and the controller manager as processes on loopback, without root and without nodes.

The same control plane, entered into a network of its own, is what a node joins in tier 2.
"""

import contextlib
import dataclasses
import http.client
import pathlib
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator

from tests.cluster import binary, janitor, kubeconfig, ports
from tests.cluster.audit_log import AuditLog
from tests.cluster.certificates import Authority, Pair
from tests.cluster.cluster import Cluster, ImageLoader
from tests.cluster.janitor import Janitor

AUDIT_POLICY = pathlib.Path(__file__).parent / "audit-policy.yaml"

_SERVICE_ADDRESSES = "10.96.0.0/16"
_START_SECONDS = 90
_LOG_LINES = 15


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a control plane runs: on loopback, where nothing else is asked for."""

    etcd: int
    etcd_peer: int
    api: int
    """Ports."""

    outside: int
    """The loopback port at which tests reach the API server."""

    entering: tuple[str, ...] = ()
    """The command in front of each component's own, which enters the place."""

    names: tuple[str, ...] = ()
    """What the API server is called beside localhost, for its certificate."""

    api_flags: tuple[str, ...] = (f"--bind-address={ports.HOST}", f"--advertise-address={ports.HOST}",
                                  "--endpoint-reconciler-type=none")  # fmt: skip
    controller_flags: tuple[str, ...] = ()


class ControlPlane:
    """A control plane, whose components a test may kill and start again."""

    def __init__(self, folder: pathlib.Path, janitor: Janitor, place: Place, authority: Authority) -> None:
        self.folder = folder
        self.authority = authority
        self._janitor = janitor
        self._place = place
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._flags = {
            "etcd": self._etcd_flags(),
            "kube-apiserver": [*self._api_flags(), *place.api_flags],
            "kube-controller-manager": [*self._controller_flags(), *place.controller_flags],
        }
        self._admin = self.authority.client("admin", ["system:masters"])
        self.kubeconfig = self.write_kubeconfig("kubeconfig", place.outside, self._admin)

    def write_kubeconfig(self, name: str, port: int, identity: Pair) -> pathlib.Path:
        """Write a kubeconfig for the API server at a loopback port; its path."""
        user, authority = kubeconfig.certificate(identity), self.authority.pair.certificate.read_bytes()
        return kubeconfig.write(self.folder / name, f"https://{ports.HOST}:{port}", authority, user)

    def start_all(self) -> None:
        """Start it, and wait until the API is ready and the controllers work."""
        self.start("etcd")
        self.start("kube-apiserver")
        self.start("kube-controller-manager")
        self._wait("the controllers", lambda: self.ask("/api/v1/namespaces/default/serviceaccounts/default") == 200)

    def start(self, component: str) -> None:
        """Start one component; the API server is waited for."""
        log = self.folder / f"{component}.log"
        command = [*self._place.entering, str(binary.program(component)), *self._flags[component]]
        self._processes[component] = self._janitor.start(log, *command)
        if component == "kube-apiserver":
            self._wait("the API", lambda: self.ask("/readyz") == 200)

    def kill(self, component: str) -> None:
        """Kill one component."""
        janitor.kill(self._processes.pop(component))

    def ask(self, path: str) -> int | None:
        """GET as the administrator; the status, or `None` where nobody answers."""
        cluster, _ = kubeconfig.current(self.kubeconfig)
        host = urllib.parse.urlsplit(cluster["server"]).netloc
        connection = http.client.HTTPSConnection(host, timeout=10, context=self._tls())
        try:
            connection.request("GET", path)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def cluster(self, image: str = "", image_loader: ImageLoader | None = None) -> Cluster:
        """What tests see of it; where it has nodes, with an image that pods can use, and what loads others."""
        return Cluster(
            kubeconfig=self.kubeconfig,
            kubectl=binary.program("kubectl"),
            scratch=self.folder,
            users=lambda name, groups: kubeconfig.certificate(self.authority.client(name, groups)),
            audit=AuditLog(self.folder / "audit.log"),
            image=image,
            image_loader=image_loader,
        )

    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.authority.pair.certificate)
        context.load_cert_chain(self._admin.certificate, self._admin.key)
        return context

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + _START_SECONDS
        while not condition():
            ended = [name for name, process in self._processes.items() if process.poll() is not None]
            if ended or time.monotonic() > end:
                raise RuntimeError(f"{what} did not become ready\n{ends_of_logs(self.folder)}")
            time.sleep(0.05)

    def _etcd_flags(self) -> list[str]:
        client, peer = (f"http://{ports.HOST}:{port}" for port in (self._place.etcd, self._place.etcd_peer))
        return [
            f"--data-dir={self.folder / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--socket-reuse-port",
            "--log-level=warn",
        ]

    def _api_flags(self) -> list[str]:
        names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", ports.HOST, "10.96.0.1"]
        server = self.authority.server("kube-apiserver", [*names, *self._place.names])
        tokens = self.authority.signing_key("tokens")
        return [
            f"--etcd-servers=http://{ports.HOST}:{self._place.etcd}",
            f"--secure-port={self._place.api}",
            "--permit-port-sharing",
            f"--tls-cert-file={server.certificate}",
            f"--tls-private-key-file={server.key}",
            f"--client-ca-file={self.authority.pair.certificate}",
            f"--service-account-key-file={tokens}",
            f"--service-account-signing-key-file={tokens}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-cluster-ip-range={_SERVICE_ADDRESSES}",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged=true",
            f"--audit-policy-file={AUDIT_POLICY}",
            f"--audit-log-path={self.folder / 'audit.log'}",
            "--audit-log-mode=blocking",
        ]

    def _controller_flags(self) -> list[str]:
        identity = self.authority.client("system:kube-controller-manager", ["system:masters"])
        path = self.write_kubeconfig("controllers.kubeconfig", self._place.api, identity)
        authority = self.authority.pair
        return [
            f"--kubeconfig={path}",
            f"--service-account-private-key-file={self.folder / 'certificates' / 'tokens.key'}",
            f"--root-ca-file={authority.certificate}",
            f"--cluster-signing-cert-file={authority.certificate}",
            f"--cluster-signing-key-file={authority.key}",
            "--leader-elect=false",
            "--secure-port=0",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        ]


@contextlib.contextmanager
def running() -> Iterator[ControlPlane]:
    """A control plane in a temporary folder, which ends with this process at the latest."""
    janitor, folder = Janitor.watching(), scratch_folder()
    janitor.folder(folder)
    reserved = ports.Reserved(3)
    try:
        plane = on_loopback(folder, janitor, reserved)
        plane.start_all()
        yield plane
    finally:
        janitor.end()
        reserved.release()


def on_loopback(folder: pathlib.Path, janitor: Janitor, reserved: ports.Reserved) -> ControlPlane:
    """A control plane on three reserved ports, not started."""
    etcd, peer, api = reserved.ports
    place = Place(etcd=etcd, etcd_peer=peer, api=api, outside=api)
    return ControlPlane(folder, janitor, place, Authority(folder / "certificates"))


def scratch_folder() -> pathlib.Path:
    """A folder for a cluster: below /tmp, since a node's /var is not the machine's, and paths of sockets are short."""
    return pathlib.Path(tempfile.mkdtemp(prefix="llmgov-cluster-", dir="/tmp"))


def ends_of_logs(folder: pathlib.Path) -> str:
    """The last lines of every log in a cluster's folder."""
    parts = []
    for log in sorted(folder.glob("*.log")):
        if log.name != "audit.log":
            parts += ["", f"{log.name}:", *log.read_text(errors="replace").splitlines()[-_LOG_LINES:]]
    return "\n".join(parts)
