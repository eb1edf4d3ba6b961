"""One replica's parts together: what runs beside the election, and what its probes say, without a cluster."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest
from kubernetes.aio import client

from llmgov import snapshot
from llmgov.instants import SECOND, Instant
from llmgov_operator import kinds, main, metrics
from llmgov_operator.api import Api
from llmgov_operator.cluster import Cluster, Listing
from llmgov_operator.configuring import Configurator
from llmgov_operator.electing import Election
from llmgov_operator.looking import Looking
from llmgov_operator.operator import STUCK_SECONDS, Leader
from llmgov_operator.settings import Settings
from llmgov_operator.switching import Switching
from llmgov_operator.telling import Telling
from llmgov_store import opening
from llmgov_store.memory import MemoryStore
from llmgov_store.opening import Opened
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder

NOBODY = "http://127.0.0.1:9"
"""An API server that is not there."""

SETTINGS = Settings("sqlite:///none", identity="operator-1", admin_host="127.0.0.1", admin_port=0)


async def _announce() -> None:
    """Nobody lends."""


def test_the_ledger_s_clock_is_kept_right_while_it_waits_and_the_ledger_closed_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def run() -> None:
        kept, closed = asyncio.Event(), asyncio.Event()

        async def keep() -> None:
            kept.set()
            await asyncio.Event().wait()

        async def close() -> None:
            closed.set()

        async def open_store(url: str) -> Opened:
            return Opened(MemoryStore(), lambda: 0, _announce, keep, close)

        monkeypatch.setattr(opening, "open_store", open_store)
        async with client.ApiClient(client.Configuration(host=NOBODY)) as connection, asyncio.TaskGroup() as group:
            replica = main._Replica(SETTINGS, snapshot.PricePart())
            election = Election(client.CoordinationV1Api(connection), "llm-governance", "operator-1")
            working = group.create_task(replica._work(connection, election))
            async with asyncio.timeout(10):
                await kept.wait()
                working.cancel()
                await closed.wait()

    asyncio.run(run())


def test_its_probe_of_life_says_when_its_leader_is_stuck() -> None:
    async def run() -> None:
        now: list[Instant] = [1]
        replica = main._Replica(SETTINGS, snapshot.PricePart())
        async with client.ApiClient(client.Configuration(host=NOBODY)) as connection, replica._probes() as port:
            assert await _ask(port, "/livez") == (200, "ok\n")
            leader, wake = _leader(connection, lambda: now[0])
            replica._leader = leader
            wake()
            now[0] += (STUCK_SECONDS - 1) * SECOND
            assert await _ask(port, "/livez") == (200, "ok\n")
            now[0] += 2 * SECOND
            assert await _ask(port, "/livez") == (503, f"a change has waited for {STUCK_SECONDS + 1} s\n")

    asyncio.run(run())


def _leader(connection: client.ApiClient, clock: Callable[[], Instant]) -> tuple[Leader, Callable[[], None]]:
    """One that knows of everything, and does not run; and how something changes."""
    cluster = Cluster(kinds.ALL)
    for kind in kinds.ALL:
        cluster.compare(kind, Listing("1", {}), 0)
    counted, store = metrics.metrics(), MemoryStore()
    requests = Api(connection, counted)
    telling = Telling(
        Looking(store, "c", "llm-governance"), requests, cluster, lambda: True, clock, counted,
        instance="operator-1", observe_seconds=5,
    )  # fmt: skip
    publisher = Switching(Publisher(store, Recorder("operator"), clock, _announce), store, "c")
    configurator = Configurator("c", "llm-governance", snapshot.PricePart())
    leader = Leader(cluster, requests, configurator, publisher, telling, clock, counted)
    return leader, leader._reconciler.wake


async def _ask(port: int, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status, await answer.text()
