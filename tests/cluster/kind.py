"""A cluster that kind makes, with real nodes, where a Docker daemon and kind are."""

import contextlib
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator

import yaml

from tests.cluster import existing
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import AUDIT_POLICY
from tests.cluster.janitor import Janitor

_POLICY = "/etc/kubernetes/llmgov-audit-policy.yaml"
_LOGS = "/var/log/kubernetes"
_DOCKER_SECONDS = 20


def is_usable() -> bool:
    """Whether kind is here and a Docker daemon answers: the client alone is no Docker."""
    if not shutil.which("kind") or not shutil.which("docker"):
        return False
    try:
        asked = subprocess.run(["docker", "info"], capture_output=True, timeout=_DOCKER_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


@contextlib.contextmanager
def running() -> Iterator[Cluster]:
    """A cluster of its own name, which is deleted when this process ends, at the latest."""
    name = f"llmgov-{secrets.token_hex(4)}"
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="llmgov-cluster-"))
    janitor = Janitor.watching()
    janitor.command("kind", "delete", "cluster", "--name", name)
    janitor.folder(scratch)
    try:
        path = scratch / "kind.kubeconfig"
        _create(name, scratch, path)
        log = scratch / "logs" / "audit.log"
        # The API server writes it as root, and for root alone.
        audit = AuditLog(log) if os.access(log, os.R_OK) else None
        yield existing.cluster(
            path, scratch, audit, lambda archive: _run("load", "image-archive", archive, "--name", name)
        )
    finally:
        janitor.end()


def configuration(logs: pathlib.Path) -> str:
    """What kind is told: the audit policy, and a folder of ours for the audit log."""
    volumes = [
        {"name": "audit-policy", "hostPath": _POLICY, "mountPath": _POLICY, "readOnly": True, "pathType": "File"},
        {"name": "audit-logs", "hostPath": _LOGS, "mountPath": _LOGS, "pathType": "DirectoryOrCreate"},
    ]
    arguments = {
        "audit-policy-file": _POLICY,
        "audit-log-path": f"{_LOGS}/audit.log",
        "audit-log-mode": "blocking",
    }
    patch = {"kind": "ClusterConfiguration", "apiServer": {"extraArgs": arguments, "extraVolumes": volumes}}
    node = {
        "role": "control-plane",
        "kubeadmConfigPatches": [yaml.safe_dump(patch)],
        "extraMounts": [
            {"hostPath": str(AUDIT_POLICY), "containerPath": _POLICY, "readOnly": True},
            {"hostPath": str(logs), "containerPath": _LOGS},
        ],
    }
    return yaml.safe_dump({"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4", "nodes": [node]})


def _create(name: str, scratch: pathlib.Path, path: pathlib.Path) -> None:
    logs, config = scratch / "logs", scratch / "kind.yaml"
    logs.mkdir()
    config.write_text(configuration(logs))
    _run("create", "cluster", "--name", name, "--config", config, "--kubeconfig", path, "--wait", "120s")


def _run(*arguments: str | pathlib.Path) -> None:
    subprocess.run(["kind", *arguments], check=True, capture_output=True)
