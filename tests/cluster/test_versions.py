"""Which versions of Kubernetes the tests run on, and the Go module of each."""

import pytest

from tests.cluster import versions

_GO_MOD = """\
module k8s.io/kubernetes

go 1.22.0

require (
	go.etcd.io/etcd/server/v3 v3.5.10
	k8s.io/api v0.0.0
	k8s.io/utils v0.0.0-20230726121419-3b25d923346b
)

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/kubectl => ./staging/src/k8s.io/kubectl
)
"""


def test_the_oldest_is_the_latest_patch_and_the_newest_no_release_candidate() -> None:
    listed = ["v1.9.0", "v1.29.99", "v1.30.2", "v1.30.14", "v1.30.15-rc.0", "v1.31.0", "v1.37.2", "v1.38.0-alpha.1"]
    assert versions.oldest_and_newest(listed) == ["v1.30.14", "v1.37.2"]


def test_without_the_oldest_there_is_an_error_instead_of_another() -> None:
    with pytest.raises(LookupError, match=r"1\.30"):
        versions.oldest_and_newest(["v1.29.0", "v1.31.0"])


def test_each_library_that_kubernetes_develops_gets_its_release() -> None:
    lines = versions.module("v1.30.14", _GO_MOD).splitlines()
    assert "require k8s.io/kubernetes v1.30.14" in lines
    assert "go 1.22.0" in lines
    replaced = [line for line in lines if line.startswith("replace ")]
    assert replaced == [
        "replace k8s.io/api => k8s.io/api v0.30.14",
        "replace k8s.io/kubectl => k8s.io/kubectl v0.30.14",
    ]
