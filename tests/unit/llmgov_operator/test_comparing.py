"""Comparisons in virtual time: how often, of what, and what they find."""

import asyncio
from collections.abc import Mapping

import pytest

from llmgov.instants import SECOND
from llmgov_operator import kinds, metrics
from llmgov_operator.api import ApiError
from llmgov_operator.cluster import PATIENCE, Body, Change, Cluster, Listing, Reference, RewoundError
from llmgov_operator.comparing import Comparing
from llmgov_operator.kinds import Kind
from tests.support import virtual


class Server:
    """What an API server holds, by kind and UID; `unserved` kinds it does not know."""

    def __init__(self) -> None:
        self.version = 1
        self.objects: dict[str, dict[str, Body]] = {kind: {} for kind in kinds.ALL}
        self.unserved: set[str] = set()
        self.undiscovered: set[str] = set()
        self.fails = False
        self.listed: list[tuple[float, str]] = []

    def put(self, kind: str, name: str) -> Mapping[str, object]:
        self.version += 1
        metadata = {"name": name, "uid": name, "resourceVersion": str(self.version)}
        self.objects[kind][name] = {"metadata": metadata, "spec": {}}
        return self.objects[kind][name]

    async def listing(self, kind: Kind) -> Listing | None:
        self.listed.append((asyncio.get_running_loop().time(), kind.name))
        await asyncio.sleep(0.01)
        if self.fails:
            raise ApiError("no route to host")
        if kind.name in self.unserved:
            return None
        metadata = [body["metadata"] for body in self.objects[kind.name].values()]
        return Listing(
            str(self.version), {each["uid"]: Reference("", each["name"], each["resourceVersion"]) for each in metadata}
        )

    async def discovers(self, kind: Kind) -> bool:
        return kind.name not in self.undiscovered

    async def read(self, kind: Kind, namespace: str, name: str) -> Body | None:
        return self.objects[kind.name].get(name)


class Rig:
    def __init__(self) -> None:
        self.server = Server()
        self.cluster = Cluster(kinds.ALL)
        self.heard_of: list[str] = []
        self.compared = 0
        self.distrusted = 0
        self.metrics = metrics.metrics()
        self.comparing = Comparing(
            self.server, self.cluster, self._heard, self._compared, self._distrusted, self._now, self.metrics
        )  # fmt: skip

    def _heard(self, _: Kind, body: Body, __: Change) -> None:
        self.heard_of.append(body["metadata"]["name"])

    def _compared(self) -> None:
        self.compared += 1

    def _distrusted(self) -> None:
        self.distrusted += 1

    @staticmethod
    def _now() -> int:
        return int(asyncio.get_running_loop().time() * SECOND)

    async def run_for(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.comparing.run()
        except TimeoutError:
            return

    def missed(self, kind: str) -> float:
        return self.metrics.missed.labels(kind)._value.get()


def test_an_empty_cluster_is_complete_at_once_and_then_compared_each_minute() -> None:
    rig = Rig()
    virtual.run(rig.run_for(130))
    assert rig.cluster.is_complete
    assert rig.compared == 1
    assert len(rig.server.listed) == 3 * len(kinds.ALL)


def test_only_what_is_missing_is_asked_for_and_said_once(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.server.unserved = {"Team"}
    virtual.run(rig.run_for(21))
    assert rig.cluster.missing() == ["Team"]
    asked = [kind for _, kind in rig.server.listed]
    assert (asked.count("Team"), asked.count("Budget")) == (11, 1)
    assert caplog.text.count("does not know teams.llmgov.dev") == 1
    rig.server.unserved, rig.server.undiscovered = set(), {"Team"}
    virtual.run(rig.run_for(3))
    assert not rig.cluster.is_complete, "no watch would find it yet"
    assert rig.distrusted == 0
    rig.server.undiscovered = set()
    virtual.run(rig.run_for(3))
    assert rig.cluster.is_complete
    assert rig.distrusted == 1, "the watches begin anew"


def test_what_the_watch_misses_is_read_after_its_patience() -> None:
    rig = Rig()

    async def story() -> None:
        await rig.run_for(5)
        rig.server.put("Budget", "unheard")
        await rig.run_for(PATIENCE / SECOND + 5)

    virtual.run(story())
    assert rig.heard_of == ["unheard"]
    assert rig.cluster.counts()["Budget"] == 1
    assert rig.missed("Budget") == 1
    assert rig.distrusted == 1


def test_what_is_gone_is_found_and_told() -> None:
    rig = Rig()
    rig.cluster.see("Budget", rig.server.put("Budget", "gone"))
    virtual.run(rig.run_for(1))
    rig.server.objects["Budget"].clear()
    rig.server.version += 1
    virtual.run(rig.run_for(1))
    assert rig.cluster.counts()["Budget"] == 0
    assert rig.compared == 2
    assert rig.missed("Budget") == 1


def test_an_api_server_that_is_away_is_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig()
    rig.server.fails = True

    async def story() -> None:
        await rig.run_for(5)
        assert not rig.cluster.is_complete
        rig.server.fails = False
        await rig.run_for(5)

    virtual.run(story())
    assert rig.cluster.is_complete
    assert "budgets could not be compared: no route to host" in caplog.text


def test_a_rewound_history_ends_it() -> None:
    rig = Rig()
    rig.server.version = 9
    virtual.run(rig.run_for(1))
    rig.server.version = 8
    with pytest.raises(RewoundError):
        virtual.run(rig.run_for(1))
