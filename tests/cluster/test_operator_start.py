"""The operator where a definition is missing: it says so, publishes nothing, and goes on by itself."""

import asyncio
import pathlib

from llmgov.ledger.rows import PartVersion
from llmgov_store.sqlite.store import SqliteReader
from tests.cluster import contents, control_plane, operators
from tests.support.machine import requires

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
            assert _published(tmp_path / "ledger.db") != []
            cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", "--filename", str(late))
            cluster.apply(TEAM)
            cluster.kubectl("wait", "--for=condition=Ready", "--timeout=30s", "team/payments")
            assert operator.metric("llmgov_operator_missed_changes_total") == 0, "kopf watches what was late"
            assert operator.end() == 0
