"""Kubeconfig files: where an API server is and who somebody is to it."""

import base64
import pathlib
from collections.abc import Mapping
from typing import Any

import yaml

from tests.cluster.certificates import Pair


def write(path: pathlib.Path, server: str, authority: bytes, user: Mapping[str, Any]) -> pathlib.Path:
    """Write one with a single context; `authority` is PEM, `user` as kubeconfig has it."""
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    return _write(path, cluster, user)


def with_user(path: pathlib.Path, source: pathlib.Path, user: Mapping[str, Any]) -> pathlib.Path:
    """Write one for another user of the cluster that `source` is about."""
    cluster, _ = current(source)
    return _write(path, cluster, user)


def current(path: pathlib.Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster and the user of a file's current context."""
    document = yaml.safe_load(path.read_text())
    context = _named(document["contexts"], document["current-context"])["context"]
    cluster = _named(document["clusters"], context["cluster"])["cluster"]
    return cluster, _named(document["users"], context["user"])["user"]


def certificate(pair: Pair) -> dict[str, str]:
    """The user of a kubeconfig who has a certificate."""
    return {
        "client-certificate-data": _base64(pair.certificate.read_bytes()),
        "client-key-data": _base64(pair.key.read_bytes()),
    }


def _write(path: pathlib.Path, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> pathlib.Path:
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [{"name": "test", "cluster": dict(cluster)}],
        "users": [{"name": "test", "user": dict(user)}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
