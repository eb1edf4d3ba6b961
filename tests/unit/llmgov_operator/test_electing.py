"""Who leads: one at a time, through blips, hangs, pauses, lost Leases and ends on purpose, in virtual time."""

import asyncio
import copy
import datetime
import types
from collections.abc import Callable, Coroutine
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection import leaderelection

from llmgov_operator import electing
from llmgov_operator.electing import GIVE_UP_SECONDS, LEASE_SECONDS, Election, LeaseLostError
from tests.support import virtual

TAKE_OVER_SECONDS = LEASE_SECONDS + 5


class Leases:
    """The API server's Lease, with versions; `mood` is what it does instead of answering, `writing` only to writes.

    `seen` is another way to the same Lease, with moods of its own.
    """

    def __init__(self, seen: "Leases | None" = None) -> None:
        self._kept: dict[str, Any] = {"version": 0, "lease": None} if seen is None else seen._kept
        self.mood: Callable[[], Coroutine[Any, Any, None]] | None = None
        self.writing: Callable[[], Coroutine[Any, Any, None]] | None = None

    @property
    def lease(self) -> client.V1Lease | None:
        return self._kept["lease"]

    async def read_namespaced_lease(self, name: str, namespace: str) -> client.V1Lease:
        await self._think()
        if self.lease is None:
            error = ApiException(status=404, reason="Not Found")
            error.body = '{"code": 404}'
            raise error
        return copy.deepcopy(self.lease)

    async def create_namespaced_lease(self, namespace: str, body: client.V1Lease) -> None:
        await self._think()
        if self.lease is not None:
            raise ApiException(status=409, reason="Conflict")
        self._keep(body)

    async def replace_namespaced_lease(self, name: str, namespace: str, body: client.V1Lease) -> None:
        await self._think()
        if self.writing is not None:
            await self.writing()
        if self.lease is None or body.metadata.resource_version != self.lease.metadata.resource_version:
            raise ApiException(status=409, reason="Conflict")
        self._keep(body)

    def holder(self) -> str:
        return "" if self.lease is None else self.lease.spec.holder_identity or ""

    def _keep(self, body: client.V1Lease) -> None:
        self._kept["version"] += 1
        kept = self._kept["lease"] = copy.deepcopy(body)
        kept.metadata.resource_version = str(self._kept["version"])
        for name in ("acquire_time", "renew_time"):
            value = getattr(kept.spec, name)
            if isinstance(value, str):
                setattr(kept.spec, name, datetime.datetime.fromisoformat(value))

    async def _think(self) -> None:
        await asyncio.sleep(0.01)
        if self.mood is not None:
            await self.mood()


async def refuses() -> None:
    raise aiohttp.ClientConnectionError("connection refused")


async def hangs() -> None:
    await asyncio.sleep(3600)


async def fails() -> None:
    raise ApiException(status=500, reason="etcd has no leader")


async def is_slow() -> None:
    await asyncio.sleep(2.9)


class Replica:
    """One that notes when it began and ended to lead."""

    def __init__(self, leases: Leases, name: str, group: asyncio.TaskGroup) -> None:
        self.election = Election(leases, "llm-governance", name)
        self.leading = False
        self.was_lost = False
        self.task = group.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self.election.run(self._lead)
        except* LeaseLostError:
            self.was_lost = True

    async def _lead(self) -> None:
        self.leading = True
        try:
            await asyncio.sleep(10_000)
        finally:
            self.leading = False


def play(story: Callable[[Leases, asyncio.TaskGroup], Coroutine[Any, Any, None]]) -> None:
    async def tell() -> None:
        async with asyncio.TaskGroup() as group:
            await story(Leases(), group)

    virtual.run(tell())


@pytest.fixture(autouse=True)
def one_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's election goes by the wall clock; here that is the loop's."""

    def now() -> float:
        return 1_800_000_000 + asyncio.get_running_loop().time()

    monkeypatch.setattr(leaderelection, "time", types.SimpleNamespace(time=now))


def test_a_leader_s_last_try_ends_before_the_lease_does() -> None:
    """Its last request may get to the API server when it gives up, and be answered only then."""
    assert GIVE_UP_SECONDS + electing._REQUEST_SECONDS <= LEASE_SECONDS
    assert electing.RENEW_SECONDS <= GIVE_UP_SECONDS


def test_one_of_two_leads_and_the_other_waits() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one, other = Replica(leases, "one", group), Replica(leases, "other", group)
        for _ in range(60):
            await asyncio.sleep(1)
            assert (one.leading, other.leading) in [(True, False), (False, True)]
            assert [one.election.leads(), other.election.leads()] == [one.leading, other.leading]
        one.task.cancel()
        other.task.cancel()

    play(story)


def test_one_of_two_leads_also_where_both_have_one_name() -> None:
    """Two containers of one host's network have the host's name."""

    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "host", group)
        await asyncio.sleep(5)
        other = Replica(leases, "host", group)
        for _ in range(60):
            await asyncio.sleep(1)
            assert (one.leading, other.leading) == (True, False)
        assert leases.holder().startswith("host_"), "administrators see who it is"
        one.task.cancel()
        await asyncio.wait([one.task])
        await other.election.release()
        assert leases.holder() != "", "it is not the other's to give back"
        await one.election.release()
        await asyncio.sleep(1.5)
        assert other.leading
        other.task.cancel()

    play(story)


@pytest.mark.parametrize("mood", [refuses, hangs, fails])
def test_a_blip_of_three_seconds_changes_nothing(mood: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        leases.mood = mood
        await asyncio.sleep(3)
        leases.mood = None
        await asyncio.sleep(60)
        assert one.leading
        one.task.cancel()

    play(story)


@pytest.mark.parametrize("mood", [refuses, hangs, fails])
def test_a_leader_without_its_api_server_stops_before_anybody_else_may_begin(
    mood: Callable[[], Coroutine[Any, Any, None]],
) -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        leases.mood = mood
        await asyncio.sleep(GIVE_UP_SECONDS + 0.1)
        assert not one.leading
        assert one.was_lost
        assert not one.election.leads()

    play(story)


@pytest.mark.parametrize(
    ("mood", "writing"),
    [
        pytest.param(refuses, None, id="nobody answers"),
        pytest.param(hangs, None, id="answers never come"),
        pytest.param(is_slow, hangs, id="reads are slow, and writes never end"),
    ],
)
def test_two_never_lead_at_once_where_one_is_cut_off(
    mood: Callable[[], Coroutine[Any, Any, None]], writing: Callable[[], Coroutine[Any, Any, None]] | None
) -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        way = Leases(leases)
        one = Replica(way, "one", group)
        await asyncio.sleep(5)
        other = Replica(leases, "other", group)
        await asyncio.sleep(5)
        way.mood, way.writing = mood, writing
        for _ in range(300):
            await asyncio.sleep(0.1)
            assert not (one.leading and other.leading)
        assert other.leading
        other.task.cancel()

    play(story)


def test_who_waits_takes_over_from_one_that_vanished() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        other = Replica(leases, "other", group)
        await asyncio.sleep(5)
        one.task.cancel()
        await asyncio.sleep(LEASE_SECONDS - 2)
        assert not other.leading
        await asyncio.sleep(TAKE_OVER_SECONDS - LEASE_SECONDS)
        assert other.leading
        other.task.cancel()

    play(story)


def test_a_lease_that_is_given_back_is_taken_at_once() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        other = Replica(leases, "other", group)
        await asyncio.sleep(5)
        one.task.cancel()
        await asyncio.wait([one.task])
        await one.election.release()
        assert leases.holder() == ""
        await asyncio.sleep(1.5)
        assert other.leading
        other.task.cancel()

    play(story)


def test_only_the_holder_gives_a_lease_back() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        assert leases.lease is not None
        leases.lease.spec.holder_identity = "usurper"
        await one.election.release()
        assert leases.holder() == "usurper"
        one.task.cancel()

    play(story)


def test_an_api_server_that_hangs_does_not_hold_up_the_end() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        leases.mood = hangs
        one.task.cancel()
        began = asyncio.get_running_loop().time()
        await asyncio.wait([one.task])
        await one.election.release()
        assert asyncio.get_running_loop().time() - began <= 3

    play(story)


def test_a_leader_whose_lease_somebody_took_stops() -> None:
    async def story(leases: Leases, group: asyncio.TaskGroup) -> None:
        one = Replica(leases, "one", group)
        await asyncio.sleep(5)
        thief = Replica(leases, "thief", group)
        assert leases.lease is not None
        leases.lease.spec.holder_identity = ""
        leases.lease.metadata.resource_version = "taken"
        thief.election._lock.lease_reference = leases.lease
        await asyncio.sleep(GIVE_UP_SECONDS + 1)
        assert one.leading != thief.leading
        one.task.cancel()
        thief.task.cancel()

    play(story)


def test_what_goes_wrong_while_leading_is_raised_and_ends_the_election() -> None:
    async def story() -> None:
        async def lead() -> None:
            await asyncio.sleep(1)
            raise ValueError("broken")

        election = Election(Leases(), "llm-governance", "one")
        await election.run(lead)

    with pytest.raises(ExceptionGroup) as raised:
        virtual.run(story())
    assert raised.group_contains(ValueError, match="broken")
