"""A leader against an API server that does what the real one does only when nobody looks: kopf's traps, and worse."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest
from kubernetes.aio import client

from llmgov import snapshot
from llmgov.ledger.publishing import Change as Published
from llmgov_operator import comparing, kinds, metrics, watching
from llmgov_operator.api import Api
from llmgov_operator.cluster import Body, Change, Cluster
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.kinds import Kind
from llmgov_operator.operator import Leader
from tests.support import api_stand_in
from tests.support.api_stand_in import ApiStandIn

ACCESS = {"priority": 1, "modelAccess": {"deny": ["*-preview"]}}


class Recording:
    """A publisher and teller that only remember."""

    def __init__(self) -> None:
        self.published: list[Mapping[str, snapshot.Part]] = []
        self.resources: list[set[str]] = []
        self.unread: list[set[str]] = []
        self.heard_of: list[str] = []

    async def publish(self, parts: Mapping[str, snapshot.Part], held: frozenset[str]) -> list[Published]:
        self.published.append(parts)
        return []

    async def switch(self, kill_switch: bool) -> tuple[Mapping[str, snapshot.Part], list[Published]]:
        return {}, []

    async def told(self, configured: Configured, published: Sequence[Published]) -> None:
        self.resources.append({str(body["metadata"]["name"]) for _, body in configured.parsed})
        self.unread.append({str(body["metadata"]["name"]) for body in configured.unread})

    def heard(self, kind: Kind, body: Body, change: Change) -> None:
        self.heard_of.append(body["metadata"]["name"])

    async def run(self) -> None:
        await asyncio.Event().wait()


PATIENT, IMPATIENT = 1_000, 2_000_000
"""Microseconds from one look at the clock to the next: a watch is waited for as long as it takes, or a moment."""


class Rig:
    """One leader, as it runs in the operator, but for who publishes and tells; time passes by `tick` at each look."""

    def __init__(self, connection: client.ApiClient) -> None:
        self.recording = Recording()
        self.metrics = metrics.metrics()
        self.signals = 0
        self.tick = PATIENT
        self._now = 0
        self._connection = connection
        self.leader = Leader(
            Cluster(kinds.ALL),
            Api(connection, self.metrics),
            Configurator("c", "llm-governance", snapshot.PricePart()),
            self.recording,
            self.recording,
            self._clock,
            self.metrics,
        )

    def in_force(self) -> set[str]:
        return self.recording.resources[-1] if self.recording.resources else set()

    def missed(self, kind: str) -> float:
        return self.metrics.missed.labels(kind)._value.get()

    def _clock(self) -> int:
        self._now += self.tick
        return self._now

    async def run(self, silent_seconds: float) -> None:
        await self.leader.run(watching.login(self._connection.configuration), self._count, silent_seconds)

    def _count(self) -> None:
        self.signals += 1


@contextlib.asynccontextmanager
async def leading(api: ApiStandIn, silent_seconds: float = 60) -> AsyncIterator[Rig]:
    configuration = client.Configuration(host=api.url)
    async with client.ApiClient(configuration) as connection, asyncio.TaskGroup() as group:
        rig = Rig(connection)
        running = group.create_task(rig.run(silent_seconds))
        yield rig
        running.cancel()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 (what it waits for is on the other side of a socket)
            await asyncio.sleep(0.01)


def run(test: Callable[[ApiStandIn], Coroutine[Any, Any, None]]) -> None:
    async def serve() -> None:
        async with api_stand_in.serving() as api:
            api.put("Namespace", "llm-governance", {}, told=False)
            await test(api)

    asyncio.run(serve())


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MINUTE_SECONDS", "PATIENT_SECONDS", "SOON_SECONDS"):
        monkeypatch.setattr(comparing, name, 0.2)


def test_what_is_there_at_the_start_is_published_and_what_changes_is_too() -> None:
    async def test(api: ApiStandIn) -> None:
        api.put("LLMPolicy", "old", ACCESS, told=False)
        async with leading(api) as rig:
            await until(lambda: rig.in_force() == {"old"})
            assert rig.leader.not_ready() is None
            assert rig.leader.not_alive() is None
            await until(lambda: api.watched() == set(api.served))
            new = api.put("LLMPolicy", "new", ACCESS)
            await until(lambda: rig.in_force() == {"old", "new"})
            api.delete("LLMPolicy", new)
            await until(lambda: rig.in_force() == {"old"})
            assert rig.missed("LLMPolicy") == 0
            assert rig.signals == 1, "kopf took the signals, and they were taken back"

    run(test)


def test_what_was_deleted_while_a_watch_ended_with_410_is_found_gone() -> None:
    async def test(api: ApiStandIn) -> None:
        gone = api.put("LLMPolicy", "gone", ACCESS, told=False)
        async with leading(api) as rig:
            await until(lambda: rig.in_force() == {"gone"} and api.watched() == set(api.served))
            rig.tick = IMPATIENT
            api.delete("LLMPolicy", gone, told=False)
            api.end_with_410("LLMPolicy")
            api.put("LLMPolicy", "new", ACCESS)
            await until(lambda: rig.in_force() == {"new"})
            assert rig.missed("LLMPolicy") >= 1

    run(test)


def test_what_a_silent_watch_keeps_to_itself_is_read() -> None:
    async def test(api: ApiStandIn) -> None:
        async with leading(api) as rig:
            await until(lambda: bool(rig.recording.published) and api.watched() == set(api.served))
            rig.tick = IMPATIENT
            api.put("LLMPolicy", "unheard", ACCESS, told=False)
            await until(lambda: rig.in_force() == {"unheard"})
            assert rig.missed("LLMPolicy") == 1

    run(test)


def test_a_silent_watch_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "MINUTE_SECONDS", 3600.0)

    async def test(api: ApiStandIn) -> None:
        async with leading(api, silent_seconds=0.5) as rig:
            await until(lambda: bool(rig.recording.published) and api.watched() == set(api.served))
            (before,) = api._watches["LLMPolicy"]
            await until(lambda: bool(api._watches["LLMPolicy"]) and before not in api._watches["LLMPolicy"])

    run(test)


def test_nothing_is_published_while_a_kind_is_not_known_and_everything_once_it_is() -> None:
    async def test(api: ApiStandIn) -> None:
        teams = api.served.pop("Team")
        api.put("LLMPolicy", "p", ACCESS, told=False)
        async with leading(api) as rig:
            await until(lambda: (rig.leader.not_ready() or "").endswith(": teams"))
            await until(lambda: api.watched() == set(api.served))
            assert rig.recording.published == []
            assert rig.leader.not_alive() is None
            api.served["Team"] = teams
            crd = {"group": "llmgov.dev", "names": {"plural": "teams"}}
            api.put("CustomResourceDefinition", "teams.llmgov.dev", crd)
            await until(lambda: rig.in_force() == {"p"})
            await until(lambda: "Team" in api.watched())
            assert rig.leader.not_ready() is None

    run(test)


def test_a_kind_that_kopf_looked_for_too_early_is_watched_all_the_same() -> None:
    async def test(api: ApiStandIn) -> None:
        teams = api.served.pop("Team")
        async with leading(api) as rig:
            await until(lambda: (rig.leader.not_ready() or "").endswith(": teams") and "Namespace" in api.watched())
            api.served["Team"], api.undiscovered = teams, {"Team"}
            looks = api.looks
            api.put("CustomResourceDefinition", "teams.llmgov.dev", {"group": "llmgov.dev"})
            await until(lambda: api.looks > looks)  # kopf looks, and finds nothing
            assert "Team" not in api.watched()
            api.undiscovered = set()
            await until(lambda: rig.signals == 2 and "Team" in api.watched())
            await until(lambda: bool(rig.recording.published))
            api.put("Team", "payments", {"namespaces": {"names": ["x"]}})
            await until(lambda: rig.in_force() == {"payments"})
            assert rig.missed("Team") == 0
            assert rig.signals == 2, "once"

    run(test)


def test_a_watch_that_was_lost_is_begun_anew_once_something_was_missed() -> None:
    async def test(api: ApiStandIn) -> None:
        async with leading(api) as rig:
            await until(lambda: bool(rig.recording.published) and api.watched() == set(api.served))
            (before,) = api._watches["Budget"]
            rig.tick = IMPATIENT
            api.put("LLMPolicy", "unheard", ACCESS, told=False)
            await until(lambda: rig.signals == 2 and api.watched() == set(api.served))
            rig.tick = PATIENT
            assert before not in api._watches["Budget"]
            api.put("LLMPolicy", "heard", ACCESS)
            await until(lambda: rig.in_force() == {"unheard", "heard"})
            assert rig.missed("LLMPolicy") == 1

    run(test)


def test_an_event_that_cannot_be_understood_costs_that_event_alone(caplog: pytest.LogCaptureFixture) -> None:
    async def test(api: ApiStandIn) -> None:
        async with leading(api) as rig:
            await until(lambda: bool(rig.recording.published) and api.watched() == set(api.served))
            nonsense = {"metadata": {"uid": "x", "name": "x", "resourceVersion": "1", "labels": []}}
            api.tell("LLMPolicy", {"type": "ADDED", "object": {"metadata": {"uid": "nameless"}}})
            api.tell("LLMPolicy", {"type": "ADDED", "object": nonsense})
            api.put("LLMPolicy", "good", ACCESS)
            await until(lambda: "good" in rig.in_force())

    run(test)
    assert "could not be understood" in caplog.text


@pytest.mark.parametrize("told", [True, False], ids=["a watch tells of it", "a list has it at the start"])
@pytest.mark.parametrize("levels", [100, 400, 3_000, 10_000])
def test_an_object_nested_however_deep_stops_no_other_and_is_known_by_its_name(levels: int, told: bool) -> None:
    deep = {"fromTemplate": {"name": "t", "parameters": {"N": api_stand_in.deep(levels)}}}

    async def test(api: ApiStandIn) -> None:
        if not told:
            api.put("LLMPolicy", "deep", deep, told=False)
        async with leading(api) as rig:
            if told:
                await until(lambda: api.watched() == set(api.served))
                api.put("LLMPolicy", "deep", deep)
            api.put("LLMPolicy", "flat", ACCESS)
            await until(lambda: rig.in_force() == {"flat"} and rig.recording.unread[-1] == {"deep"})
            api.put("LLMPolicy", "other", ACCESS)
            await until(lambda: rig.in_force() == {"flat", "other"})
            assert rig.leader.not_ready() is None
            assert rig.missed("LLMPolicy") == 0

    run(test)
