"""Money under load, from several processes through several sidecars: exact to the last cent, and not too careful.

Everything is counted outside of the system: by its clients, by the provider's memory, and by SQL.
"""

import asyncio
import collections
import contextlib
import json
import pathlib
import sqlite3
import threading
from collections.abc import Iterator

import pytest

from tests.support import load_client, localmode, raw_http
from tests.support.crash_client import Provider
from tests.support.load_client import Answered, Load

WORKLOADS = ("orders/app", "reports/app", "search/app")
MODEL = "gpt-4o-exact"
"""No model of the pinned prices, so that nothing is known of it but the credential's price (no dearer tiers)."""
LIMIT = 5_000_000
CENTS_10 = 100_000
DOLLAR = 1_000_000
RECALL_WAIT = 500_000
"""Microseconds for which the hub waits for idle money of others (`llmgov_hub.recalls`)."""
TENTH_OF_A_DOLLAR_SAID = "mock: say " + "four" * 100
"""An answer of 100 tokens."""

RESOURCES = """\
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: llm-governance}
type: llmgov.dev/provider-key
stringData: {openai: mock-openai-key}
---
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: openai, namespace: llm-governance}
spec:
  provider: openai
  secretRef: {name: keys, key: openai}
  baseURL: http://127.0.0.1:%d/v1
  prices: [{model: gpt-4o-exact, rates: {input: "0", output: "1000"}, contextWindow: 100000, maxOutputTokens: 9000}]
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: organization, namespace: llm-governance}
spec: {target: {organization: {}}, limit: "5", period: Year}
"""


class System:
    """Local mode with three sidecars and one account of $5; a token of output costs $0.001, all else nothing."""

    def __init__(self, local: localmode.Local, provider: Provider) -> None:
        self.local = local
        self.ports = tuple(local.run().sidecars[workload] for workload in WORKLOADS)
        self._provider = provider

    def received(self) -> int:
        """How many requests reached the provider."""
        listed = asyncio.run(raw_http.get(self._provider.port, "/mock/requests"))
        return sum(entry["method"] == "POST" for entry in json.loads(listed.body))

    def query(self, sql: str) -> list[tuple[int, ...]]:
        """Ask the ledger's database."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.local.state_folder / 'ledger.db'}?mode=ro", uri=True)
        ) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture
def system(provider: Provider, tmp_path: pathlib.Path) -> Iterator[System]:
    place = tmp_path / "place"
    place.mkdir()
    (place / "resources.yaml").write_text(RESOURCES % provider.port)
    asyncio.run(raw_http.delete(provider.port, "/mock/requests"))
    with localmode.serving(place, tmp_path / "state", *WORKLOADS) as local:
        yield System(local, provider)


@contextlib.contextmanager
def watching(system: System) -> Iterator[list[int]]:
    """Looks at the account all the time; the most that was spent, lent and unknown together at any moment."""
    used: list[int] = []
    stopped = threading.Event()

    def watch() -> None:
        while not stopped.is_set():
            used.extend(row[0] for row in system.query("SELECT spent + leased + unknown FROM windows"))
            stopped.wait(0.002)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield used
    finally:
        stopped.set()
        thread.join()


def statuses(answers: list[Answered]) -> dict[int, int]:
    return dict(collections.Counter(answer.status for answer in answers))


def in_the_end(system: System) -> tuple[int, ...]:
    """`(spent, leased, unknown)` once everything has ended."""
    assert system.local.stop() == 0
    (row,) = system.query("SELECT spent, leased, unknown FROM windows")
    return row


def test_of_a_thousand_at_once_exactly_as_many_pass_as_the_money_pays(system: System) -> None:
    load = Load(system.ports, 250, 250, MODEL, "mock: spend max", 100)
    with watching(system) as used:
        answers = load_client.send_all([load] * 4)
    assert statuses(answers) == {200: 50, 402: 950}
    assert system.received() == 50
    assert max(used) <= LIMIT
    shown = localmode.command("get", "budgets", "--state", system.local.state_folder, "-o", "json")
    (budget,) = json.loads(shown.stdout)["items"]
    assert budget["status"]["spent"] == "5.00"
    assert in_the_end(system) == (LIMIT, 0, 0)
    verified = localmode.command("audit", "verify", "--state", system.local.state_folder)
    assert verified.returncode == 0, verified.stdout


def test_one_after_the_other_spends_down_to_the_last_worst_case(system: System) -> None:
    """A request may cost $1 and costs $0.10: it passes as long as $1 is left, whichever sidecar holds it idle."""
    (answers,) = [load_client.send_all([Load(system.ports, 60, 1, MODEL, TENTH_OF_A_DOLLAR_SAID, 1000)])]
    passed = 1 + (LIMIT - DOLLAR) // CENTS_10
    assert [answer.status for answer in answers] == [200] * passed + [402] * (60 - passed)
    assert in_the_end(system) == (passed * CENTS_10, 0, 0)


def test_as_many_at_once_as_the_money_pays_all_pass(system: System) -> None:
    """Four hold $1 each while at most $0.80 are spent: that is never more than $5, so nobody is refused."""
    load = Load(system.ports, 3, 1, MODEL, "mock: delay 10ms\n" + TENTH_OF_A_DOLLAR_SAID, 1000)
    with watching(system) as used:
        answers = load_client.send_all([load] * 4)
    assert statuses(answers) == {200: 12}
    assert max(used) <= LIMIT
    assert in_the_end(system) == (12 * CENTS_10, 0, 0)


def test_more_at_once_than_the_money_pays_are_refused_only_where_it_is_held(system: System) -> None:
    """A refusal is right if, at some moment while it was decided, less than its worst case was neither spent nor held.

    Held is what attempts under way hold, and what is on its way to one that asked for it; not what else sidecars have
    borrowed: idle money must be found wherever it is, unless its sidecar does not answer within the hub's bounded wait.
    """
    text = "mock: delay 10ms\n" + TENTH_OF_A_DOLLAR_SAID
    with watching(system) as used:
        answers = load_client.send_all([Load(system.ports, 60, 3, MODEL, text, 1000)] * 4)
        last = load_client.send_all([Load(system.ports, 60, 1, MODEL, text, 1000)])
    assert max(used) <= LIMIT
    assert statuses([*answers, *last]) == {200: 41, 402: 300 - 41}, "as long as $1 was left, one more passed"
    assert in_the_end(system) == (41 * CENTS_10, 0, 0)
    unheld = history(system)
    wrong = [answer for answer in (*answers, *last) if answer.status == 402 and least(unheld, answer) >= DOLLAR]
    assert [answer for answer in wrong if answer.answered - answer.sent < RECALL_WAIT] == []


def history(system: System) -> list[tuple[int, int]]:
    """When the money that is neither spent nor held changed, and to what, by the ledger's own words."""
    moves = system.query(_MOVES)
    left = LIMIT
    changes = [(0, left)]
    for at, change in moves:
        left += change
        changes.append((at, left))
    return changes


# A lease ends ten minutes after its grant (`llmgov.ledger.grants`); it has arrived when an attempt holds from it.
_MOVES = """
WITH on_its_way AS (
    SELECT l.amount, l.deadline - 600000000 AS granted, min(json_extract(a.intent, '$.at')) AS arrived
    FROM attempts AS a, json_each(a.intent, '$.charged') AS part
    JOIN leases AS l ON l.id = json_extract(part.value, '$.lease')
    GROUP BY l.id
)
SELECT json_extract(intent, '$.at'), -json_extract(intent, '$.hold') FROM attempts
UNION ALL
SELECT json_extract(settlement, '$.at'), json_extract(intent, '$.hold') - json_extract(settlement, '$.cost')
FROM attempts
UNION ALL
SELECT granted, -amount FROM on_its_way
UNION ALL
SELECT arrived, amount FROM on_its_way ORDER BY 1
"""


def least(unheld: list[tuple[int, int]], answer: Answered) -> int:
    """The least of it between the request and its answer."""
    before = [left for at, left in unheld if at <= answer.sent]
    during = [left for at, left in unheld if answer.sent < at <= answer.answered]
    return min((before[-1], *during))
