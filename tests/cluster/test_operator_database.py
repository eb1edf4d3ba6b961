"""The operator as a process with its ledger in PostgreSQL: what it does there, and what it keeps to itself."""

import asyncio
import dataclasses
import pathlib
import secrets
import urllib.parse
from collections.abc import Iterator

import pytest

from llmgov_store.postgres import connecting, recalls
from tests.cluster import operators, telling_rig
from tests.cluster.cluster import Cluster
from tests.support import postgres
from tests.support.machine import requires

pytestmark = [pytest.mark.cluster_versions, requires("postgres")]


@dataclasses.dataclass(frozen=True)
class Ledger:
    """A database, and a login of the operator's alone, whose password is found in no text by chance."""

    owner: str
    url: str
    password: str


@pytest.fixture(scope="module")
def ledger() -> Iterator[Ledger]:
    login, password = f"operator_{secrets.token_hex(4)}", secrets.token_hex(12)
    with postgres.kept_database() as database:
        made = f"CREATE ROLE {login} LOGIN PASSWORD '{password}' IN ROLE llmgov_hub"
        asyncio.run(postgres.execute(database.owner, made))
        parts = urllib.parse.urlsplit(database.owner)
        place = parts.netloc.rpartition("@")[2]
        url = parts._replace(netloc=f"{login}:{password}@{place}").geturl()
        yield Ledger(database.owner, url, password)
        asyncio.run(postgres.execute(database.owner, f"DROP OWNED BY {login}", f"DROP ROLE {login}"))


def test_what_it_publishes_is_of_its_term_and_wakes_hubs_and_its_log_has_no_password(
    cluster: Cluster, namespace: str, ledger: Ledger, tmp_path: pathlib.Path
) -> None:
    async def run(operator: operators.Operator) -> None:
        connection = await connecting.connect(ledger.owner)
        woken = asyncio.Event()
        try:
            await connection.add_listener(recalls.CONFIGURATION, lambda *_: woken.set())
            policy = {"modelAccess": {"deny": ["*-preview"]}}
            cluster.apply(telling_rig.document("LLMPolicy", "access", policy, namespace))
            async with asyncio.timeout(20):
                await woken.wait()
            terms = await connection.fetch("SELECT term, holder FROM clusters")
            assert [tuple(row) for row in terms] == [(1, operator.name)]
        finally:
            await connection.close()

    with operators.working(cluster, ledger.url, tmp_path, "on-postgresql") as operator:
        operator.wait("the namespace is in force", lambda: operator.said(f"in force: namespace/{namespace} "))
        asyncio.run(run(operator))
    assert ledger.password not in operator.log.read_text()


def test_what_it_says_of_a_database_that_it_cannot_open_has_no_password(
    cluster: Cluster, ledger: Ledger, tmp_path: pathlib.Path
) -> None:
    away = urllib.parse.urlsplit(ledger.url)._replace(path="/no_such_database").geturl()
    environment = {"KUBECONFIG": str(operators.install(cluster)), "LLMGOV_DATABASE_URL": away}
    with operators.started("without-ledger", tmp_path, environment) as operator:
        operator.wait("it says so", lambda: operator.said("the ledger cannot be opened"))
        status, lacks = operator.ask("/readyz")
        assert status == 503
        assert operator.ask("/livez") == (200, "ok\n")
        assert operator.end() == 0
    assert ledger.password not in lacks + operator.log.read_text()
