"""Two operators on one ledger, whose leader is killed or told to stop, again and again, while policies change.

Each replica is started under a name of its own, so what it wrote can be told from what others wrote: in the ledger by
who put a version in force, in the API server's audit log by the user agent. LLMGOV_DRILL is how often (`make drill`).
"""

import asyncio
import collections
import dataclasses
import itertools
import os
import pathlib
import re
import signal
import threading
import time
from collections.abc import Iterator, Sequence

import pytest

from llmgov.ledger.rows import PartVersion
from llmgov_store.postgres import connecting
from llmgov_store.postgres.store import PostgresReader
from tests.cluster import operators
from tests.cluster.audit_log import AuditLog, Request
from tests.cluster.cluster import Cluster
from tests.cluster.operators import Operator
from tests.support import postgres
from tests.support.machine import requires
from tests.support.postgres import Database

pytestmark = pytest.mark.cluster_versions

ROUNDS = int(os.environ.get("LLMGOV_DRILL", "4"))

MOST_SECONDS = {signal.SIGKILL: 20.0, signal.SIGTERM: 5.0}
"""From the signal to the next leader's first configuration."""

_POLICIES = 5
_AGENT = re.compile(r"llmgov-operator/\S+ \((?P<replica>\S+)\)")


class Changes(threading.Thread):
    """Applies one change after the other, until it is stopped; `last` is what each policy said in the end."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        super().__init__()
        self.last: dict[str, str] = {}
        self.failure: Exception | None = None
        self._cluster = cluster
        self._namespace = namespace
        self._ending = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self._ending.wait(0.3):
                return
            name, marker = f"policy-{number % _POLICIES}", f"marker-{number}-*"
            try:
                self._cluster.apply(_policy(self._namespace, name, marker))
            except Exception as error:  # noqa: BLE001 (a thread's failure is the test's)
                self.failure = error
                return
            self.last[name] = marker

    def end(self) -> None:
        self._ending.set()
        self.join()
        if self.failure is not None:
            raise self.failure


def _policy(namespace: str, name: str, deny: str) -> dict[str, object]:
    return {
        "apiVersion": "llmgov.dev/v1alpha1",
        "kind": "LLMPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"priority": 100, "modelAccess": {"deny": [deny]}},
    }


@dataclasses.dataclass
class Replicas:
    """The two that run, and the numbers of those that are to come."""

    folder: pathlib.Path
    environment: dict[str, str]
    running: list[Operator] = dataclasses.field(default_factory=list)
    numbers: Iterator[int] = dataclasses.field(default_factory=itertools.count)

    def start(self) -> Operator:
        name = f"replica-{next(self.numbers)}"
        self.running.append(Operator(name, self.folder / f"{name}.log", self.environment))
        return self.running[-1]

    def leader(self) -> Operator:
        (found,) = (each for each in self.running if each.said("elected: term"))
        return found

    def take_over(self, number: signal.Signals) -> float:
        """End the leader; the seconds until the other one has put everything in force."""
        leader = self.leader()
        (other,) = (each for each in self.running if each is not leader)
        other.wait("it waits", lambda: other.said("waiting to be elected"))
        began = time.monotonic()
        leader.process.send_signal(number)
        other.wait("take-over", lambda: other.metric("llmgov_operator_reconciles_total") > 0)
        seconds = time.monotonic() - began
        assert leader.process.wait(10) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        self.running.remove(leader)
        return seconds

    def kill(self) -> None:
        for each in self.running:
            each.process.kill()
            each.process.wait()


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with postgres.kept_database() as made:
        yield made


@requires("postgres")
@pytest.mark.timeout(120 + 60 * ROUNDS)
def test_another_takes_over_in_time_alone_and_nothing_is_lost(
    cluster: Cluster, audit: AuditLog, namespace: str, database: Database, tmp_path: pathlib.Path
) -> None:
    since = audit.position()
    environment = {"KUBECONFIG": str(operators.install(cluster)), "LLMGOV_DATABASE_URL": database.hub}
    replicas, changes = Replicas(tmp_path, environment), Changes(cluster, namespace)
    took: list[tuple[str, float]] = []
    try:
        first = replicas.start()
        first.wait("the first one works", first.is_working)
        changes.start()
        for number in itertools.islice(itertools.cycle([signal.SIGTERM, signal.SIGKILL]), ROUNDS):
            replicas.start()
            took.append((number.name, round(replicas.take_over(number), 1)))
        changes.end()
        last = replicas.leader()
        wanted = changes.last
        last.wait("every last change is in force", lambda: _in_force(database, namespace) == set(wanted.values()))
        assert last.end() == 0
    finally:
        replicas.kill()
    print("take-over:", took)
    assert [each for each in took if each[1] > MOST_SECONDS[signal.Signals[each[0]]]] == []
    assert len(wanted) == _POLICIES

    versions = asyncio.run(_versions(database))
    names = [f"replica-{number}" for number in range(ROUNDS + 1)]
    assert _one_after_the_other([each.actor for each in versions]) == names
    assert asyncio.run(_terms(database)) == ROUNDS + 1
    patches = [each for each in audit.requests(operators.ACCOUNT, since=since) if each.verb == "patch"]
    agents = [_AGENT.match(each.agent) for each in patches]
    writers = _one_after_the_other([found["replica"] for found in agents if found is not None])
    assert writers == sorted(writers, key=names.index), "nobody wrote a status after another one had begun to"
    assert len(writers) == len(set(writers))
    assert [each for each in _apart(patches) if each < 5] == [], "whoever writes, no status is written twice in 5 s"


def _apart(patches: Sequence[Request]) -> list[float]:
    """Seconds between two writes of one object."""
    at = collections.defaultdict(list)
    for each in patches:
        at[each.resource, each.namespace, each.name].append(each.at)
    pairs = itertools.chain.from_iterable(itertools.pairwise(times) for times in at.values())
    return [(later - earlier).total_seconds() for earlier, later in pairs]


def _one_after_the_other(names: Sequence[str]) -> list[str]:
    return [name for name, _ in itertools.groupby(names)]


def _in_force(database: Database, namespace: str) -> set[str]:
    document = asyncio.run(_document(database, f"namespace/{namespace}"))
    return set(re.findall(r"marker-\d+-\*", document))


async def _document(database: Database, part: str) -> str:
    reader = await PostgresReader.open(database.reader)
    try:
        return "".join(row.document.decode() for row in await reader.parts_now(part))
    finally:
        await reader.close()


async def _versions(database: Database) -> list[PartVersion]:
    reader = await PostgresReader.open(database.reader)
    try:
        return await reader.part_versions()
    finally:
        await reader.close()


async def _terms(database: Database) -> int:
    connection = await connecting.connect(database.owner)
    try:
        return int(await connection.fetchval("SELECT max(term) FROM clusters"))
    finally:
        await connection.close()
