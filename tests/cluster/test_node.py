"""The node that the tests start runs pods as any other: sidecars, names, Services, logs, commands, tokens."""

import json
import pathlib
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster.cluster import Cluster
from tests.support.machine import requires

_ROOT = pathlib.Path(__file__).parents[2]
_AUDIENCE = "llmgov"
_TOKEN = "/var/run/llmgov/token"
_SIDECAR = "http://127.0.0.1:4010/"
_OWNER = """
import signal
from tests.cluster.node import running
with running.running() as cluster:
    print(cluster.kubeconfig.parent, flush=True)
    signal.pause()
"""


def _serving(content: str, at: str) -> str:
    return f"mkdir /tmp/www; echo {content} > /tmp/www/index.html; exec httpd -fv -p {at} -h /tmp/www"


def _pod(image: str) -> dict[str, Any]:
    """A web server as the application, and beside it a native sidecar with a token of an audience of its own."""
    token = {"serviceAccountToken": {"audience": _AUDIENCE, "path": "token", "expirationSeconds": 600}}
    sidecar = {
        "name": "sidecar",
        "image": image,
        "restartPolicy": "Always",
        "command": ["sh", "-c", f"echo the sidecar starts; {_serving('the sidecar', '127.0.0.1:4010')}"],
        "startupProbe": {"exec": {"command": ["wget", "-qO-", _SIDECAR]}, "periodSeconds": 1},
        "volumeMounts": [{"name": "token", "mountPath": str(pathlib.PurePosixPath(_TOKEN).parent), "readOnly": True}],
    }
    application = {
        "name": "application",
        "image": image,
        # It fails for good if the sidecar does not answer before it starts.
        "command": ["sh", "-ec", f"wget -qO- {_SIDECAR}; {_serving('the application', '8080')}"],
        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "labels": {"app": "web"}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "runAsGroup": 65532, "fsGroup": 65532},
            "initContainers": [sidecar],
            "containers": [application],
            "volumes": [{"name": "token", "projected": {"sources": [token]}}],
        },
    }


def _service() -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 8080}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": ports},
    }


@pytest.fixture
def web(node_cluster: Cluster, node_namespace: str) -> Iterator[str]:
    """The namespace in which the pod `web` is ready, with a Service of its name."""
    for document in (_pod(node_cluster.image), _service()):
        document["metadata"]["namespace"] = node_namespace
        node_cluster.apply(document)
    node_cluster.kubectl("wait", "--for=condition=Ready", "--timeout=60s", "--namespace", node_namespace, "pod/web")
    yield node_namespace
    node_cluster.kubectl("delete", "pod", "web", "--namespace", node_namespace, "--timeout=60s")


def _in(container: str, cluster: Cluster, namespace: str, *command: str) -> str:
    return cluster.kubectl("exec", "web", "--namespace", namespace, "--container", container, "--", *command)


def test_a_pod_with_a_native_sidecar_runs_and_answers_by_its_service_s_name(node_cluster: Cluster, web: str) -> None:
    pod = node_cluster.get("pod", "web", "--namespace", web)
    assert {container["name"]: container["ready"] for container in pod["status"]["initContainerStatuses"]} == {
        "sidecar": True
    }
    address = f"http://web.{web}.svc.cluster.local/"
    assert _in("application", node_cluster, web, "wget", "-qO-", address) == "the application\n"
    logs = node_cluster.kubectl("logs", "web", "--namespace", web, "--container", "application")
    assert "response:200" in logs
    logs = node_cluster.kubectl("logs", "web", "--namespace", web, "--container", "sidecar")
    assert "the sidecar starts" in logs


def test_a_projected_token_proves_its_pod_to_its_audience_alone(node_cluster: Cluster, web: str) -> None:
    token = _in("sidecar", node_cluster, web, "cat", _TOKEN)
    accepted = _review(node_cluster, token, _AUDIENCE)
    assert accepted["authenticated"] is True
    assert accepted["user"]["username"] == f"system:serviceaccount:{web}:default"
    pod = node_cluster.get("pod", "web", "--namespace", web)
    assert accepted["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [pod["metadata"]["uid"]]
    assert "authenticated" not in _review(node_cluster, token, "https://kubernetes.default.svc")


def _review(cluster: Cluster, token: str, audience: str) -> dict[str, Any]:
    spec = {"token": token, "audiences": [audience]}
    review = json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec})
    answer = json.loads(cluster.kubectl("create", "--filename=-", "--output=json", stdin=review))
    status: dict[str, Any] = answer["status"]
    return status


@requires("kubernetes node of its own")
def test_sigkill_of_the_owner_leaves_nothing_of_a_node() -> None:
    settings = {
        path: path.read_text()
        for path in map(pathlib.Path, ("/proc/sys/vm/overcommit_memory", "/proc/sys/kernel/panic"))
    }
    with subprocess.Popen([sys.executable, "-c", _OWNER], cwd=_ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        folder = pathlib.Path(owner.stdout.readline().strip())
        assert _traces(folder)
        owner.kill()
    end = time.monotonic() + 20
    while _traces(folder) and time.monotonic() < end:
        time.sleep(0.1)
    assert _traces(folder) == []
    assert {path: path.read_text() for path in settings} == settings


def _traces(folder: pathlib.Path) -> list[str]:
    """What there still is of a node: processes, cgroups, mounts and files, by its folder's name."""
    name = folder.name
    processes = [path for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if name.encode() in _read(path)]
    cgroups = [path for pattern in (name, f"*/{name}") for path in pathlib.Path("/sys/fs/cgroup").glob(pattern)]
    mounts = [line for line in pathlib.Path("/proc/self/mounts").read_text().splitlines() if name in line]
    return [*map(str, [*processes, *cgroups]), *mounts, *([str(folder)] if folder.exists() else [])]


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
