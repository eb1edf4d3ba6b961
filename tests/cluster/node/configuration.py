"""What a node's programs are told, as they read it; flags and values without which they fail are explained here."""

import json
import pathlib
import shutil

from tests.cluster.node import images
from tests.cluster.node.inside import ADDRESS, PODS

DNS_ADDRESS = "10.96.0.10"
DOMAIN = "cluster.local"

_CNI_FOLDERS = ("/usr/lib/cni", "/opt/cni/bin")


def cni_programs() -> pathlib.Path | None:
    """The folder with the CNI plugins; `None` where they are not installed."""
    return next((pathlib.Path(folder) for folder in _CNI_FOLDERS if shutil.which(f"{folder}/bridge")), None)


def containerd(folder: pathlib.Path) -> str:
    """containerd's, with its files and its socket in `folder`."""
    return f"""\
version = 2
root = "{folder}/containerd"

[grpc]
address = "{folder}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{images.PAUSE}"
# Without CAP_SYS_RESOURCE no process may be given a lower score than containerd's own.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni_programs()}"
conf_dir = "{folder}/cni"
"""


def cni() -> str:
    """The network of pods: a bridge, and addresses from the node's range."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": PODS}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    return json.dumps({"cniVersion": "1.0.0", "name": "bridge", "plugins": [bridge]})


def kubelet(folder: pathlib.Path, cgroup: str) -> str:
    """The kubelet's, which keeps its files in `folder` and its pods' cgroups below `cgroup`."""
    certificates = folder / "certificates"
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{cgroup}",
            "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
            "clusterDNS": [DNS_ADDRESS],
            "clusterDomain": DOMAIN,
            "resolvConf": str(folder / "resolv.conf"),
            "podLogsDir": str(folder / "pods"),
            "evictionHard": {"memory.available": "50Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "authentication": {
                "x509": {"clientCAFile": str(certificates / "ca.crt")},
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificates / "node1.crt"),
            "tlsPrivateKeyFile": str(certificates / "node1.key"),
        }
    )


def coredns(kubeconfig: pathlib.Path) -> str:
    """CoreDNS's: the cluster's names, on the node's address."""
    return f"""\
.:53 {{
  bind {ADDRESS}
  errors
  kubernetes {DOMAIN} in-addr.arpa {{
    kubeconfig {kubeconfig} test
  }}
}}
"""


def dns_service() -> list[dict[str, object]]:
    """The Service by which pods reach CoreDNS, which is no pod."""
    meta = {"name": "kube-dns", "namespace": "kube-system"}
    both = [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"clusterIP": DNS_ADDRESS, "ports": both}},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**meta, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [ADDRESS], "conditions": {"ready": True}}],
            "ports": both,
        },
    ]
