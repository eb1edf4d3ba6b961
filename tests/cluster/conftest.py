"""The one cluster that tests share, and a namespace of a test's own in it."""

import contextlib
import pathlib
import secrets
import time
from collections.abc import Iterator

import pytest

from tests.cluster import binary, contents, ways
from tests.cluster.audit_log import AuditLog
from tests.cluster.cluster import Cluster
from tests.support import machine

_ACCOUNT_SECONDS = 30
_START_SECONDS, _BUILD_SECONDS = 300, 3600
_FOLDER = pathlib.Path(__file__).parent


_LAST = _FOLDER / "test_rbac.py"
"""Reads what all the others had the operator ask for."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep all cluster tests on one worker, so that there is one cluster; its start or build may take its time."""
    items.sort(key=lambda item: item.path == _LAST)
    for item in items:
        if item.path.is_relative_to(_FOLDER):
            item.add_marker(pytest.mark.xdist_group("cluster"))
            item.add_marker(pytest.mark.timeout(_START_SECONDS if binary.is_ready() else _BUILD_SECONDS))


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with this project's CRDs, shared by all tests: `--kubeconfig`'s, kind's, or an own control plane."""
    named = _named(request)
    _skip_for(ways.lacking(named))
    with ways.opened(named) as cluster:
        contents.install(cluster)
        yield cluster


@pytest.fixture(scope="session")
def audit(cluster: Cluster) -> AuditLog:
    """The audit log of the API server of `cluster`; the test is skipped where it is out of reach."""
    _skip_for(None if cluster.has_audit else "the audit log of a cluster that was named is out of reach")
    return cluster.audit


@pytest.fixture(scope="session")
def node_cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with this project's CRDs that runs pods: `--kubeconfig`'s, kind's, or one with an own node."""
    named = _named(request)
    _skip_for(ways.lacking_nodes(named))
    with ways.opened_with_nodes(named) as cluster:
        contents.install(cluster)
        yield cluster


def _named(request: pytest.FixtureRequest) -> pathlib.Path | None:
    option = request.config.getoption("--kubeconfig")
    return None if option is None else pathlib.Path(option)


def _skip_for(lack: str | None) -> None:
    if lack is not None:
        pytest.skip(f"{machine.REASON}{lack}")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """The name of a new namespace in `cluster`, deleted after the test."""
    with _new_namespace(cluster) as name:
        yield name


@pytest.fixture
def node_namespace(node_cluster: Cluster) -> Iterator[str]:
    """The name of a new namespace in `node_cluster`, deleted after the test."""
    with _new_namespace(node_cluster) as name:
        yield name


@contextlib.contextmanager
def _new_namespace(cluster: Cluster) -> Iterator[str]:
    name = f"test-{secrets.token_hex(4)}"
    cluster.kubectl("create", "namespace", name)
    end = time.monotonic() + _ACCOUNT_SECONDS
    while not cluster.kubectl("get", "serviceaccount", "default", "--namespace", name, "--ignore-not-found"):
        assert time.monotonic() < end, f"no ServiceAccount in {name}"
        time.sleep(0.05)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
