"""The kill switch while everything is held back: compiled, published into a ledger and told of, in virtual time."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import msgspec

from llmgov import snapshot
from llmgov.instants import SECOND
from llmgov.ledger.publishing import Change
from llmgov_operator import kinds, metrics
from llmgov_operator.cluster import Cluster, Listing
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.looking import Looking
from llmgov_operator.reconciling import Reconciler
from llmgov_operator.switching import Switching
from llmgov_store.memory import MemoryStore
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder
from tests.support import virtual

ROOT = "llm-governance"
FAULTY_ROLE = {"permissions": ["users.view"], "inherits": ["nobody"]}
SWITCHED = {"requests": {"killSwitch": True}}


class Rig:
    """A leader's part that configures, publishes and says what statuses should be, on a ledger that it may find."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.cluster = Cluster(kinds.ALL)
        for kind in kinds.ALL:
            self.cluster.compare(kind, Listing("1", {}), 0)
        self.metrics = metrics.metrics()
        self.changes: list[Change] = []
        self._versions = itertools.count(2)
        self._configurator = Configurator("c", ROOT, snapshot.PricePart())
        self._looking = Looking(self.store, "c", ROOT)
        publisher = Publisher(self.store, Recorder("operator"), self._now, _announced)
        switching = Switching(publisher, self.store, "c")
        self._reconciler = Reconciler(
            self.cluster, self._configure, switching, self._told, self._now, self.metrics
        )  # fmt: skip

    def put(self, kind: str, name: str, spec: object = None, namespace: str = "") -> None:
        version = next(self._versions)
        metadata = {"name": name, "uid": f"{kind}-{name}", "resourceVersion": str(version), "generation": version}
        metadata |= {"namespace": namespace} if namespace else {}
        api = "v1" if kind == "Namespace" else "llmgov.dev/v1alpha1"
        self.cluster.see(kind, {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec or {}})

    def delete(self, kind: str, name: str) -> None:
        self.cluster.forget(kind, f"{kind}-{name}")

    async def reconcile(self) -> None:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._reconciler.run())
            self._reconciler.wake()
            await asyncio.sleep(1)
            running.cancel()

    async def in_force(self) -> dict[str, bytes]:
        return {row.part: row.document for row in await self.store.parts(2**62)}

    async def organization(self) -> snapshot.OrganizationPart:
        return msgspec.json.decode((await self.in_force())["organization"], type=snapshot.OrganizationPart)

    async def ready(self) -> dict[str, tuple[str, str]]:
        """By kind and name what `Ready` should say."""
        said = await self._looking.look(self._now())
        found = {each.uid: each.status["conditions"] for each in said}
        return {uid: next((c["reason"], c["message"]) for c in cs if c["type"] == "Ready") for uid, cs in found.items()}

    async def _configure(self) -> Configured:
        return self._configurator.configure(self.cluster)

    async def _told(self, configured: Configured, changes: Sequence[Change]) -> None:
        self.changes = list(changes)
        self._looking.told(configured, changes, self._now())

    def _now(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND) + 1


async def _announced() -> None:
    """Nobody lends."""


def play(story: Callable[[Rig], Coroutine[Any, Any, None]]) -> None:
    """With a policy of everybody's and a namespace's budget in force."""

    async def tell() -> None:
        rig = Rig()
        for name in (ROOT, "shop", "games"):
            rig.put("Namespace", name)
        rig.put("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}, ROOT)
        rig.put("Budget", "month", {"target": {"namespace": "shop"}, "limit": "10", "period": "Month"}, "shop")
        await rig.reconcile()
        assert rig.metrics.held._value.get() == 0
        await story(rig)

    virtual.run(tell())


def test_the_kill_switch_alone_comes_into_force_while_everything_else_waits() -> None:
    async def story(rig: Rig) -> None:
        before, organization = await rig.in_force(), await rig.organization()
        rig.put("LLMRole", "typo", FAULTY_ROLE)
        rig.put("LLMPolicy", "models", {"modelAccess": {"allow": ["*"]}}, ROOT)
        rig.put("Budget", "month", {"target": {"namespace": "shop"}, "limit": "99", "period": "Month"}, "shop")
        rig.put("Namespace", "new")
        rig.delete("Namespace", "games")
        await rig.reconcile()
        assert (rig.changes, await rig.in_force()) == ([], before)
        rig.put("GovernanceSettings", "default", SWITCHED)
        await rig.reconcile()
        after = await rig.in_force()
        assert [change.part for change in rig.changes] == ["organization"]
        assert {name: after[name] for name in after if name != "organization"} == {
            name: before[name] for name in before if name != "organization"
        }
        settings = msgspec.structs.replace(organization.settings, kill_switch=True)
        assert await rig.organization() == msgspec.structs.replace(organization, settings=settings)
        ready = await rig.ready()
        assert ready["GovernanceSettings-default"][0] == "Ready"
        assert ready["LLMPolicy-models"][0] == "HeldBack"
        await rig.reconcile()
        assert rig.changes == [], "it is set once"

    play(story)


def test_it_is_taken_back_as_it_was_set_also_by_the_next_leader() -> None:
    async def story(rig: Rig) -> None:
        before = await rig.in_force()
        rig.put("LLMRole", "typo", FAULTY_ROLE)
        rig.put("GovernanceSettings", "default", SWITCHED)
        await rig.reconcile()
        assert (await rig.organization()).settings.kill_switch
        next_leader = Rig(rig.store)
        for name in (ROOT, "shop", "games"):
            next_leader.put("Namespace", name)
        next_leader.put("LLMRole", "typo", FAULTY_ROLE)
        next_leader.put("GovernanceSettings", "default", SWITCHED)
        await next_leader.reconcile()
        assert next_leader.changes == []
        assert (await next_leader.ready())["GovernanceSettings-default"][0] == "Ready"
        next_leader.delete("GovernanceSettings", "default")
        await next_leader.reconcile()
        assert await rig.in_force() == before

    play(story)


def test_faulty_settings_switch_nothing() -> None:
    async def story(rig: Rig) -> None:
        before = await rig.in_force()
        rig.put("GovernanceSettings", "default", {"requests": {"killSwitch": True, "budgetStatusCode": 999}})
        await rig.reconcile()
        assert (rig.changes, await rig.in_force()) == ([], before)
        rig.put("GovernanceSettings", "default", SWITCHED)
        await rig.reconcile()
        rig.put("GovernanceSettings", "default", {"requests": {"killSwitch": False, "budgetStatusCode": 999}})
        await rig.reconcile()
        assert (await rig.organization()).settings.kill_switch, "neither on nor off"

    play(story)


def test_what_else_the_settings_say_waits_and_they_say_so() -> None:
    async def story(rig: Rig) -> None:
        rig.put("LLMRole", "typo", FAULTY_ROLE)
        rig.put("GovernanceSettings", "default", {"requests": {"killSwitch": True, "budgetStatusCode": 429}})
        await rig.reconcile()
        settings = (await rig.organization()).settings
        assert (settings.kill_switch, settings.budget_status) == (True, 402)
        reason, message = (await rig.ready())["GovernanceSettings-default"]
        assert reason == "HeldBack"
        assert "waits until LLMRole/typo (" in message
        assert message.endswith("stays in force. The kill switch alone does not wait")
        rig.delete("LLMRole", "typo")
        await rig.reconcile()
        settings = (await rig.organization()).settings
        assert (settings.kill_switch, settings.budget_status) == (True, 429)
        assert (await rig.ready())["GovernanceSettings-default"][0] == "Ready"

    play(story)


def test_where_nothing_is_in_force_it_waits_too_and_says_so() -> None:
    async def run() -> None:
        rig = Rig()
        rig.put("Namespace", ROOT)
        rig.put("LLMRole", "typo", FAULTY_ROLE)
        rig.put("GovernanceSettings", "default", SWITCHED)
        await rig.reconcile()
        assert await rig.in_force() == {}
        reason, message = (await rig.ready())["GovernanceSettings-default"]
        assert reason == "HeldBack"
        assert "kill switch" not in message

    virtual.run(run())
