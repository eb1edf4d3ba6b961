"""What is told: over a ledger in memory and an API server of a few lines, in virtual time."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest

from llmgov import instants, snapshot
from llmgov.instants import SECOND, Instant
from llmgov.ledger import publishing
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.publishing import Publication
from llmgov.ledger.rows import AccountRow, Window
from llmgov.ledger.store import StoreError
from llmgov.ledger.windows import current
from llmgov.snapshot import Period
from llmgov_operator import kinds, metrics
from llmgov_operator.api import ApiError
from llmgov_operator.cluster import Body, Change, Cluster
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.kinds import Kind
from llmgov_operator.looking import Looking
from llmgov_operator.telling import AT_A_TIME, Telling
from llmgov_store.memory import MemoryStore

START = instants.from_rfc3339("2026-11-24T08:30:10Z")
ROOT = "llm-governance"
USD = 1_000_000


class ApiServer:
    """Keeps objects; applies a status as the API server does: what its manager does not name is left alone."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        self.writes: list[tuple[str, dict[str, Any]]] = []
        self.events: list[Mapping[str, Any]] = []
        self.refuses: ApiError | None = None
        self.refuses_events: ApiError | None = None
        self.at_once = self.most_at_once = 0
        self.awaited = 4
        self.wrote = asyncio.Event()
        self._versions = itertools.count(1)

    def put(self, kind: str, name: str, spec: dict[str, Any] | None = None, namespace: str = "") -> dict[str, Any]:
        """Create an object, or change its spec."""
        place = (kind, namespace, name)
        old = self.objects.get(place)
        metadata = {
            "name": name, "uid": old["metadata"]["uid"] if old else f"{kind}-{namespace}-{name}",
            "resourceVersion": str(next(self._versions)),
            "generation": (old["metadata"]["generation"] if old else 0) + 1,
        } | ({"namespace": namespace} if namespace else {})  # fmt: skip
        api = "v1" if kind == "Namespace" else "llmgov.dev/v1alpha1"
        body: dict[str, Any] = {"apiVersion": api, "kind": kind, "metadata": metadata, "spec": spec or {}}
        self.objects[place] = body | ({"status": old["status"]} if old and "status" in old else {})
        return self.objects[place]

    async def apply_status(self, kind: Kind, body: Body, status: Mapping[str, Any]) -> Body | None:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        if self.refuses is not None:
            raise self.refuses
        place = (kind.name, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        old = self.objects.get(place)
        if old is None:
            return None
        theirs = [each for each in (old.get("status") or {}).get("conditions", ()) if each["type"].startswith("Theirs")]
        conditions = [*theirs, *status["conditions"]]
        if len(conditions) > 16:
            raise ApiError("status.conditions: Too many", 422)
        self.writes.append((body["metadata"]["name"], dict(status)))
        if len(self.writes) == self.awaited:
            self.wrote.set()
        metadata = old["metadata"] | {"resourceVersion": str(next(self._versions))}
        made = (old.get("status") or {}) | dict(status) | {"conditions": conditions}
        self.objects[place] = old | {"metadata": metadata, "status": made}
        return self.objects[place]

    async def clear_conditions(self, kind: Kind, body: Body) -> Body | None:
        place = (kind.name, body["metadata"].get("namespace", ""), body["metadata"]["name"])
        del self.objects[place]["status"]["conditions"]
        return self.objects[place]

    async def create(self, path: str, body: Mapping[str, Any]) -> None:
        if self.refuses_events is not None:
            raise self.refuses_events
        assert path.startswith("/apis/events.k8s.io/v1/namespaces/")
        self.events.append(body)


class Replica:
    """An operator's part that tells, with all it needs."""

    def __init__(self, server: ApiServer, store: MemoryStore, now: Instant = START) -> None:
        self.now = now
        self.leads = True
        self.known = Cluster(kinds.ALL)
        self.metrics = metrics.metrics()
        self._server = server
        self._store = store
        self._configurator = Configurator("c", ROOT, snapshot.PricePart())
        self.telling = Telling(
            Looking(store, "c", ROOT), server, self.known, lambda: self.leads, lambda: self.now, self.metrics,
            instance="operator-1", observe_seconds=5,
        )  # fmt: skip

    async def reconcile(self) -> Configured:
        """Hear of everything, configure, publish and tell."""
        for (kind, _, _), body in self._server.objects.items():
            self.telling.heard(kinds.ALL[kind], body, self.known.see(kind, body))
        configured = self._configurator.configure(self.known)
        changes = [] if configured.whole_held else await self._publish(configured)
        await self.telling.told(configured, changes)
        return configured

    async def _publish(self, configured: Configured) -> list[publishing.Change]:
        versions = {name: snapshot.version(part) for name, part in configured.parts.items()}
        wanted = Publication("c", configured.parts, versions, configured.held)
        return await self._store.transact(publishing.lock("c"), lambda book: publishing.publish(book, wanted, self.now))

    def counted(self, kind: str, outcome: str) -> float:
        """How often that came of writing statuses, or events."""
        labels = {"kind": kind, "outcome": outcome}
        return self.metrics.registry.get_sample_value("llmgov_operator_status_writes_total", labels) or 0

    async def step(self, seconds: float = 5) -> None:
        """Time passes; a look, and all that is due is written."""
        self.now += int(seconds * SECOND)
        await self.telling.look()
        while await self.telling.write():
            pass


def _server() -> ApiServer:
    server = ApiServer()
    for name in (ROOT, "shop"):
        server.put("Namespace", name)
    server.put("Team", "sellers", {"namespaces": {"names": ["shop"]}})
    server.put("Budget", "shop", {"target": {"namespace": "shop"}, "limit": "10", "period": "Month"}, "shop")
    server.put("LLMPolicy", "models", {"modelAccess": {"allow": ["openai/*"]}}, "shop")
    server.put("LLMRole", "reader", {"permissions": ["users.view"]})
    return server


def _conditions(server: ApiServer, kind: str, namespace: str, name: str) -> dict[str, tuple[str, str]]:
    status = server.objects[kind, namespace, name]["status"]
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


async def _spend(store: MemoryStore, amount: int, now: Instant) -> None:
    (row,) = await store.accounts()
    span = current(Period.MONTH, "UTC", now)

    def step(book: Book) -> None:
        book.put_account(AccountRow(row.key, row.scope, row.account))
        book.put_window(Window(row.key, row.scope, *span, 10**9, amount))

    await store.transact(Lock(), step)


def test_every_object_is_told_once_and_a_second_operator_writes_nothing() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        first = Replica(server, store)
        await first.reconcile()
        for _ in range(5):
            await first.step()
        assert sorted(name for name, _ in server.writes) == ["models", "reader", "sellers", "shop"]
        assert server.objects["Budget", "shop", "shop"]["status"]["remaining"] == "10.00"
        second = Replica(server, store, first.now)
        await second.reconcile()
        for _ in range(5):
            await second.step()
        assert len(server.writes) == 4
        assert server.events == []

    asyncio.run(run())


def test_spend_reaches_the_budget_at_the_next_look_and_no_other_object() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        await replica.step()
        server.writes.clear()
        await _spend(store, 4 * USD, replica.now)
        await replica.step()
        assert [(name, status["spent"], status["used"]) for name, status in server.writes] == [("shop", "4.00", "40%")]
        await _spend(store, 10 * USD, replica.now)
        await replica.step()
        assert _conditions(server, "Budget", "shop", "shop")["Exhausted"] == ("True", "LimitReached")
        assert [event["reason"] for event in server.events] == ["LimitReached"]

    asyncio.run(run())


def test_an_object_is_not_written_twice_within_five_seconds() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        written: list[Instant] = []
        for number in range(40):
            await _spend(store, number * 1000, replica.now)
            before = len(server.writes)
            await replica.step(1.3)
            written += [replica.now] * sum(name == "shop" for name, _ in server.writes[before:])
        assert len(written) > 5
        assert min(later - earlier for earlier, later in itertools.pairwise(written)) >= 5 * SECOND

    asyncio.run(run())


def test_the_next_leader_does_not_write_right_after_the_last_one_did() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        first = Replica(server, store)
        await first.reconcile()
        await _spend(store, USD, first.now)
        await first.step()
        server.writes.clear()
        await _spend(store, 2 * USD, first.now)
        server.put("LLMPolicy", "new", {"modelAccess": {"allow": ["openai/*"]}}, "shop")
        second = Replica(server, store, first.now + SECOND)
        await second.reconcile()
        await second.step(3.9)
        assert [name for name, _ in server.writes] == ["new"]
        await second.step(1.1)
        assert [(name, status.get("spent")) for name, status in server.writes[1:]] == [("shop", "2.00")]

    asyncio.run(run())


def test_a_paused_leader_writes_nothing_and_goes_on_when_it_leads() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        replica.leads = False
        await replica.step()
        assert server.writes == []
        replica.leads = True
        await replica.step(11)
        assert len(server.writes) == 4

    asyncio.run(run())


def test_an_api_server_that_asks_to_be_left_alone_is() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        server.refuses = ApiError("429 too many", 429, 60.0)
        await replica.step()
        assert replica.counted("Budget", "failed") <= 1
        server.refuses = None
        await replica.step(50)
        assert server.writes == []
        await replica.step(15)
        assert len(server.writes) == 4

    asyncio.run(run())


def test_at_most_eight_requests_are_under_way() -> None:
    async def run() -> None:
        server = _server()
        for number in range(50):
            server.put("LLMRole", f"r{number}", {"permissions": ["users.view"]})
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step()
        assert len(server.writes) == 54
        assert server.most_at_once == AT_A_TIME == 8

    asyncio.run(run())


def test_an_object_that_is_gone_is_forgotten() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        del server.objects["LLMRole", "", "reader"]
        await replica.step()
        await replica.step()
        assert replica.counted("LLMRole", "gone") == 1
        assert len(server.writes) == 3

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        pytest.param(ApiError("409 there", 409), "there", id="an event that is there is no second one"),
        pytest.param(ApiError("403 forbidden", 403), "failed", id="an event that fails is counted"),
    ],
)
def test_events_never_stop_statuses(error: ApiError, outcome: str) -> None:
    async def run() -> None:
        server = _server()
        server.put("LLMPolicy", "lost", {"fromTemplate": {"name": "none"}}, "shop")
        server.refuses_events = error
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step()
        assert len(server.writes) == 5
        assert replica.counted("Event", outcome) == 1

    asyncio.run(run())


def test_problems_reach_their_authors() -> None:
    async def run() -> None:
        server = _server()
        server.put("Team", "a", {"parent": "b"})
        server.put("Team", "b", {"parent": "a"})
        server.put("Team", "thieves", {"namespaces": {"names": ["shop"]}})
        server.put("LLMPolicy", "regex", {"contentFilter": {"patterns": [{"name": "x", "regex": "("}]}}, "shop")
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step()
        assert _conditions(server, "Team", "", "a") == {
            "Accepted": ("False", "TeamCycle"), "Ready": ("False", "TeamCycle"), "Cycle": ("True", "TeamCycle"),
            "Conflicted": ("False", "NoConflict"),
        }  # fmt: skip
        assert _conditions(server, "Team", "", "thieves")["Conflicted"] == ("True", "NamespaceClaimedTwice")
        assert _conditions(server, "LLMPolicy", "shop", "regex")["Accepted"][0] == "False"
        unread = server.objects["LLMPolicy", "shop", "regex"]["status"]["conditions"][0]
        assert "spec.contentFilter" in unread["message"]

    asyncio.run(run())


def test_what_waits_for_another_is_held_back_also_for_an_operator_that_starts_then() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        await replica.step()
        server.put("LLMPolicy", "broken", {"fromTemplate": {"name": "none"}}, "shop")
        server.put("Budget", "shop", {"target": {"namespace": "shop"}, "limit": "20", "period": "Month"}, "shop")
        await replica.reconcile()
        await replica.step()
        assert _conditions(server, "Budget", "shop", "shop")["Ready"] == ("False", "HeldBack")
        assert _conditions(server, "LLMPolicy", "shop", "models")["Ready"] == ("True", "Ready")
        assert [event["reason"] for event in server.events if event["regarding"]["name"] == "shop"] == ["HeldBack"]
        server.writes.clear()
        second = Replica(server, store, replica.now)
        await second.reconcile()
        await second.step()
        assert server.writes == []
        del server.objects["LLMPolicy", "shop", "broken"]
        second.known.forget("LLMPolicy", "LLMPolicy-shop-broken")
        await second.reconcile()
        await second.step()
        assert _conditions(server, "Budget", "shop", "shop")["Ready"] == ("True", "Ready")

    asyncio.run(run())


def test_a_fault_that_may_concern_everybody_holds_back_nobody_who_is_in_force_as_applied() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        server.put("LLMPolicy", "everywhere", {"modelAccess": {"deny": ["*-preview"]}}, ROOT)
        server.put("ProviderCredential", "openai", {"provider": "openai", "secretRef": {"name": "k", "key": "k"}}, ROOT)
        server.put("GovernanceSettings", "default", {"requests": {"budgetStatusCode": 429}})
        replica = Replica(server, store)
        await replica.reconcile()
        await replica.step()
        assert len(server.writes) == 7
        server.writes.clear()
        server.put("Team", "self", {"parent": "self"})
        configured = await replica.reconcile()
        assert configured.whole_held
        assert "prices" in configured.parts
        await replica.step()
        assert [name for name, _ in server.writes] == ["self"]
        server.writes.clear()
        second = Replica(server, store, replica.now)
        await second.reconcile()
        await second.step()
        assert server.writes == []

    asyncio.run(run())


TARGET = {"namespace": "shop"}


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        pytest.param({"target": TARGET, "limit": "ten", "period": "Month"}, "InvalidAmount", id="it cannot be read"),
        pytest.param({"target": {"team": "nobody"}, "limit": "20", "period": "Month"}, "RootNamespaceOnly",
                     id="it means nothing"),
    ],
)  # fmt: skip
def test_amounts_of_what_is_still_in_force_stay_in_the_status_of_a_budget_that_became_faulty(
    spec: dict[str, Any], code: str
) -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        await _spend(store, 4 * USD, replica.now)
        await replica.step()
        server.put("Budget", "shop", spec, "shop")
        await replica.reconcile()
        await replica.step()
        for each in (replica, Replica(server, store, replica.now)):
            server.writes.clear()
            await each.reconcile()
            await each.step()
            assert server.writes == []
            status = server.objects["Budget", "shop", "shop"]["status"]
            assert (status["spent"], status["remaining"], status["used"]) == ("4.00", "6.00", "40%")
            assert _conditions(server, "Budget", "shop", "shop")["Ready"] == ("False", code)
            message = next(one["message"] for one in status["conditions"] if one["type"] == "Ready")
            assert message.endswith("its earlier state stays in force")
        await _spend(store, 10 * USD, replica.now)
        await replica.step()
        assert _conditions(server, "Budget", "shop", "shop")["Exhausted"] == ("True", "LimitReached")
        server.put("Budget", "shop", {"target": TARGET, "limit": "20", "period": "Month"}, "shop")
        await replica.reconcile()
        await replica.step()
        status = server.objects["Budget", "shop", "shop"]["status"]
        assert (status["spent"], status["used"]) == ("10.00", "50%")
        assert _conditions(server, "Budget", "shop", "shop")["Ready"] == ("True", "Ready")

    asyncio.run(run())


AMOUNTS = {"target", "limit", "currency", "period", "spent", "held", "used", "window", "state"}


def test_a_budget_that_waits_shows_the_limit_that_is_in_force_until_it_waits_no_longer() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        await _spend(store, 4 * USD, replica.now)
        server.put("LLMPolicy", "broken", {"fromTemplate": {"name": "none"}}, "shop")
        server.put("Budget", "shop", {"target": TARGET, "limit": "20", "period": "Month"}, "shop")
        await replica.reconcile()
        for each in (replica, Replica(server, store, replica.now)):
            await each.reconcile()
            await each.step()
            status = server.objects["Budget", "shop", "shop"]["status"]
            assert (status["limit"], status["spent"], status["used"]) == ("10.00", "4.00", "40%")
            assert _conditions(server, "Budget", "shop", "shop")["Ready"] == ("False", "HeldBack")
        del server.objects["LLMPolicy", "shop", "broken"]
        replica.known.forget("LLMPolicy", "LLMPolicy-shop-broken")
        await replica.reconcile()
        await replica.step()
        status = server.objects["Budget", "shop", "shop"]["status"]
        assert (status["limit"], status["spent"], status["used"]) == ("20.00", "4.00", "20%")

    asyncio.run(run())


def test_a_budget_that_was_never_in_force_shows_no_amounts_before_a_refused_edit_or_after_it() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        replica = Replica(server, store)
        await replica.reconcile()
        server.put("LLMPolicy", "broken", {"fromTemplate": {"name": "none"}}, "shop")
        day = {"target": TARGET, "limit": "20", "period": "Day"}
        for spec, reason in ((day, "HeldBack"), (day | {"currency": "GBP"}, "NoCurrencyRate")):
            server.put("Budget", "day", spec, "shop")
            await replica.reconcile()
            await replica.step()
            status = server.objects["Budget", "shop", "day"]["status"]
            assert AMOUNTS.isdisjoint(status)
            said = _conditions(server, "Budget", "shop", "day")
            assert said["Ready"] == ("False", reason)
            assert "Exhausted" not in said

    asyncio.run(run())


def test_what_waits_in_one_namespace_and_is_in_force_in_another_shows_what_is_spent_of_it() -> None:
    async def run() -> None:
        server, store = _server(), MemoryStore()
        server.put("Namespace", "bank", {})
        replica = Replica(server, store)
        await replica.reconcile()
        server.put("LLMPolicy", "broken", {"fromTemplate": {"name": "none"}}, "shop")
        limits = {"costLimit": {"limits": [{"amount": "7", "period": "Day"}]}}
        server.put("LLMPolicy", "cap", {"appliesTo": {"namespaces": {"names": ["bank", "shop"]}}} | limits, ROOT)
        await replica.reconcile()
        await replica.step()
        assert _conditions(server, "LLMPolicy", ROOT, "cap")["Ready"] == ("False", "HeldBack")
        assert server.objects["LLMPolicy", ROOT, "cap"]["status"]["limit"] == "7.00"

    asyncio.run(run())


def test_what_somebody_else_wrote_into_a_status_is_put_right_and_their_fields_stay() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step()
        body = server.objects["LLMRole", "", "reader"]
        status = {"observedGeneration": 0, "conditions": [], "keyFingerprint": "ab"}
        body = server.objects["LLMRole", "", "reader"] = body | {
            "metadata": body["metadata"] | {"resourceVersion": "999"}, "status": status,
        }  # fmt: skip
        replica.telling.heard(kinds.ALL["LLMRole"], body, replica.known.see("LLMRole", body))
        await replica.step()
        assert server.objects["LLMRole", "", "reader"]["status"]["keyFingerprint"] == "ab"
        assert _conditions(server, "LLMRole", "", "reader")["Ready"] == ("True", "Ready")

    asyncio.run(run())


class _Away(MemoryStore):
    away = False

    async def nearest_windows(self, at: Instant) -> list[Window]:
        if self.away:
            raise StoreError("the database does not answer")
        return await super().nearest_windows(at)


@pytest.mark.parametrize(("others", "left"), [(3, 3), (16, 0)], ids=["some", "as many as there may be"])
def test_conditions_of_others_stay_where_there_is_room_for_ours(others: int, left: int) -> None:
    async def run() -> None:
        server = _server()
        theirs = [{"type": f"Theirs{number}", "status": "True"} for number in range(others)]
        server.objects["Budget", "shop", "shop"]["status"] = {"conditions": theirs}
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step(6)
        await replica.step(6)
        found = [each["type"] for each in server.objects["Budget", "shop", "shop"]["status"]["conditions"]]
        assert {"Accepted", "Ready", "Exhausted"} <= set(found)
        assert len(found) == left + 3

    asyncio.run(run())


def test_a_ledger_that_is_away_makes_statuses_old_and_nothing_else() -> None:
    async def run() -> None:
        server, store = _server(), _Away()
        replica = Replica(server, store)
        await replica.reconcile()
        store.away = True
        await replica.step()
        assert server.writes == []
        store.away = False
        await replica.step()
        assert len(server.writes) == 4

    asyncio.run(run())


def test_its_own_echo_is_no_news() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        await replica.reconcile()
        await replica.step()
        for (kind, _, _), body in server.objects.items():
            assert replica.known.see(kind, body) is Change.NOTHING

    asyncio.run(run())


def test_it_runs_until_it_is_cancelled() -> None:
    async def run() -> None:
        server = _server()
        replica = Replica(server, MemoryStore())
        async with asyncio.timeout(5), asyncio.TaskGroup() as group:
            running = group.create_task(replica.telling.run())
            await replica.reconcile()
            await server.wrote.wait()
            running.cancel()
        assert len(server.writes) == 4

    asyncio.run(run())
