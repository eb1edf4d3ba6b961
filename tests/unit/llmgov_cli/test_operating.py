"""`llmgov operator`: how it ends where it cannot begin, in one sentence each."""

import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest


def _operator(folder: pathlib.Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LLMGOV_", "KUBE", "POD_"))}
    return subprocess.run(
        [sys.executable, "-m", "llmgov_cli.main", "operator"],
        env={**inherited, "LLMGOV_ADMIN_HOST": "127.0.0.1", "LLMGOV_ADMIN_PORT": "0", **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_setting_that_is_missing_is_named(tmp_path: pathlib.Path) -> None:
    done = _operator(tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("llmgov: LLMGOV_DATABASE_URL: write postgresql://")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param(
            {"KUBECONFIG": "no-such-file"}, "the API server's address and credentials", id="no such kubeconfig"
        ),
        pytest.param({}, "the API server's address and credentials: Service host/port is not set.", id="no cluster"),
    ],
)
def test_without_a_cluster_it_says_so(environment: dict[str, str], said: str, tmp_path: pathlib.Path) -> None:
    done = _operator(tmp_path, LLMGOV_DATABASE_URL=f"sqlite:///{tmp_path / 'ledger.db'}", **environment)
    assert done.returncode == 1
    line = json.loads(done.stderr.splitlines()[-1])
    assert line["message"].startswith(f"the operator ends: {said}")
    assert "exc_info" not in line


def test_a_port_that_is_taken_is_a_setting_that_cannot_be(tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = _operator(tmp_path, LLMGOV_DATABASE_URL=f"sqlite:///{tmp_path / 'ledger.db'}", LLMGOV_ADMIN_PORT=port)
    assert done.returncode == 2
    line = json.loads(done.stderr.splitlines()[-1])
    assert line["message"].startswith(f"the operator ends: LLMGOV_ADMIN_HOST, LLMGOV_ADMIN_PORT: 127.0.0.1:{port}:")
