"""Which cluster the tests get, and how its programs come about."""

import concurrent.futures
import os
import pathlib
import secrets
import socket
import subprocess
import sys

import pytest
import yaml

from tests.cluster import binary, existing, kind, ports, ways
from tests.cluster.cluster import Cluster, KubectlError
from tests.support.machine import requires

_ROOT = pathlib.Path(__file__).parents[2]


def _program(folder: pathlib.Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


@pytest.fixture
def path(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A folder that is the whole PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_a_docker_client_without_its_daemon_is_no_docker(path: pathlib.Path) -> None:
    _program(path, "kind", "exit 0")
    _program(path, "docker", "exit 1")
    assert not kind.is_usable()
    _program(path, "docker", '[ "$1" = info ]')
    assert kind.is_usable()


def test_docker_without_kind_is_not_asked(path: pathlib.Path) -> None:
    _program(path, "docker", "exit 0")
    assert not kind.is_usable()


def test_kind_is_told_where_the_audit_log_goes(tmp_path: pathlib.Path) -> None:
    (node,) = yaml.safe_load(kind.configuration(tmp_path))["nodes"]
    arguments = yaml.safe_load(node["kubeadmConfigPatches"][0])["apiServer"]["extraArgs"]
    mounted = {mount["containerPath"]: mount["hostPath"] for mount in node["extraMounts"]}
    assert mounted[str(pathlib.PurePosixPath(arguments["audit-log-path"]).parent)] == str(tmp_path)
    policy = yaml.safe_load(pathlib.Path(mounted[arguments["audit-policy-file"]]).read_text())
    assert policy["kind"] == "Policy"


def test_a_machine_without_go_is_told_what_it_lacks(
    path: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(binary.ASSETS, raising=False)
    lack = ways.lacking(None)
    assert lack is not None
    assert lack.startswith("no Go to build a Kubernetes control plane")
    assert ways.lacking(tmp_path / "kubeconfig") is None


def test_ready_programs_are_used_without_a_build(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(binary.ASSETS, str(tmp_path))
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
        assert not binary.is_ready()
        _program(tmp_path, name, "exit 0")
    assert binary.is_ready()
    assert binary.program("etcd") == tmp_path / "etcd"


def test_whoever_comes_during_a_build_waits_for_it(tmp_path: pathlib.Path) -> None:
    _program(
        tmp_path, "go", f'echo build >> {tmp_path}/builds; sleep 0.3; while [ "$1" != -o ]; do shift; done; touch "$2"'
    )
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-c", "from tests.cluster import binary; binary.built(binary.OWN)"]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        ends = [pool.submit(subprocess.run, command, cwd=_ROOT, env=environment) for _ in range(3)]
        assert [end.result().returncode for end in ends] == [0, 0, 0]
    assert (tmp_path / "builds").read_text() == "build\n"
    (folder,) = (tmp_path / "cache" / "llm-governance").glob("kubernetes-*-????????????")
    assert (folder / "kubectl").exists()


def test_the_programs_of_changed_sources_are_other_ones(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "controlplane"
    folder.mkdir()
    (folder / "go.mod").write_text("module x\n\nrequire (\n\tk8s.io/kubernetes v1.31.2\n)\n")
    before = binary.Source(folder).programs
    assert before.name.startswith("kubernetes-v1.31.2-")
    assert binary.Source(folder).programs == before
    (folder / "main.go").write_text("package main\n")
    assert binary.Source(folder).programs != before
    assert binary.Source(folder, tags=("node",)).programs != binary.Source(folder).programs


def test_a_reserved_port_is_taken_to_everybody_but_who_shares_it() -> None:
    reserved = ports.Reserved(1)
    try:
        (port,) = reserved.ports
        with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
            stranger.bind((ports.HOST, port))
        with socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            server.bind((ports.HOST, port))
            server.listen()
            with socket.create_connection((ports.HOST, port)):
                pass
    finally:
        reserved.release()


@requires("kubernetes of its own")
def test_a_cluster_that_is_named_is_used_with_its_users_own_rights(cluster: Cluster) -> None:
    with existing.opened(cluster.kubeconfig) as named:
        assert named.get("namespace", "default")["metadata"]["name"] == "default"
        nobody = named.user_kubeconfig(f"user-{secrets.token_hex(4)}", "some-group")
        with pytest.raises(KubectlError, match="cannot list resource"):
            named.get("secrets", as_user=nobody)
        assert not named.has_audit
    assert cluster.get("namespace", "default")["status"]["phase"] == "Active"
