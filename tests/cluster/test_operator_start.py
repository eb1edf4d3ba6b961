"""How the operator starts: where a definition is missing it says so, publishes nothing, and goes on by itself; and
under `make cluster`."""

import asyncio
import pathlib
import subprocess
import sys

import pytest

from llmgov.ledger.rows import PartVersion
from llmgov_store.sqlite.store import SqliteReader
from tests.cluster import contents, control_plane, keep, operators
from tests.support.machine import requires

pytestmark = pytest.mark.cluster_versions

_ROOT = pathlib.Path(__file__).parents[2]

TEAM = {
    "apiVersion": "llmgov.dev/v1alpha1",
    "kind": "Team",
    "metadata": {"name": "payments"},
    "spec": {"namespaces": {"names": ["default"]}},
}


def _published(path: pathlib.Path) -> list[PartVersion]:
    async def read() -> list[PartVersion]:
        reader = SqliteReader.open(path)
        try:
            return await reader.part_versions()
        finally:
            await reader.close()

    return asyncio.run(read())


@requires("kubernetes of its own")
def test_a_definition_that_is_missing_at_the_start_holds_everything_back_until_it_is_applied(
    tmp_path: pathlib.Path,
) -> None:
    late = contents.CRDS / "llmgov.dev_teams.yaml"
    with control_plane.running() as plane:
        cluster = plane.cluster()
        for path in sorted(contents.CRDS.glob("*.yaml")):
            if path != late:
                cluster.kubectl("apply", "--server-side", "--filename", str(path))
        environment = {
            "KUBECONFIG": str(operators.install(cluster)),
            "LLMGOV_DATABASE_URL": f"sqlite:///{tmp_path / 'ledger.db'}",
        }
        with operators.started("early", tmp_path, environment) as operator:
            missing = "not listed yet, or not known to the API server: teams\n"
            operator.wait("it lacks teams alone", lambda: operator.ask("/readyz") == (503, missing))
            assert operator.said("the API server does not know teams.llmgov.dev")
            assert operator.ask("/livez") == (200, "ok\n")
            assert _published(tmp_path / "ledger.db") == []

            cluster.kubectl("apply", "--server-side", "--filename", str(late))
            operator.wait("it works", operator.is_working)
            operator.wait("it publishes", lambda: _published(tmp_path / "ledger.db") != [])
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(late))
            cluster.apply(TEAM)
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "team/payments")
            assert operator.metric("llmgov_operator_missed_changes_total") == 0, "kopf watches what was late"
            assert operator.end() == 0


@requires("kubernetes of its own")
def test_a_kept_cluster_has_an_operator_and_the_quickstart_in_force(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "kept"
    try:
        subprocess.run([sys.executable, "-m", "tests.cluster.keep", "up", folder], cwd=_ROOT, check=True)
        kubectl = [f"{folder}/kubectl", f"--kubeconfig={folder}/kubeconfig", f"--cache-dir={tmp_path}/cache"]
        columns = "custom-columns=NAME:.metadata.name,STATE:.status.conditions[?(@.type=='Ready')].status"
        shown = subprocess.run(
            [*kubectl, "get", "budgets", "--all-namespaces", "--no-headers", f"--output={columns}"],
            check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
        assert [line.split() for line in shown.splitlines()] == [["organization", "True"], ["reports", "True"]]
        assert len(_operators_of(folder)) == 1
    finally:
        keep.down(folder)
    assert _operators_of(folder) == []


def _operators_of(folder: pathlib.Path) -> list[str]:
    """The processes whose environment names the folder's ledger."""
    marker = f"LLMGOV_DATABASE_URL=sqlite:///{folder}/".encode()
    return [path.parent.name for path in pathlib.Path("/proc").glob("[0-9]*/environ") if marker in _read(path)]


def _read(path: pathlib.Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
