"""The one queue, in virtual time: changes that come together are one round, a failed round is begun again."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from llmgov import snapshot
from llmgov.instants import SECOND
from llmgov.ledger.publishing import Change, OtherClusterError, SupersededError
from llmgov.ledger.store import StoreError
from llmgov_operator import kinds, metrics
from llmgov_operator.cluster import Cluster, Listing
from llmgov_operator.configuring import Configurator, Configured
from llmgov_operator.reconciling import APART_SECONDS, RETRY_SECONDS, Reconciler
from tests.support import virtual

ROOT = "llm-governance"


class Rig:
    """A reconciler whose rounds take as long as a test says, over a cluster that is known."""

    def __init__(self, *, complete: bool = True) -> None:
        self.cluster = Cluster(kinds.ALL)
        if complete:
            self.complete()
        self.rounds: list[float] = []
        self.told: list[Configured] = []
        self.held: list[frozenset[str]] = []
        self.failure: Exception | None = None
        self.round_seconds = 0.0
        self.metrics = metrics.metrics()
        self._configurator = Configurator("c", ROOT, snapshot.PricePart())
        self.reconciler = Reconciler(self.cluster, self._configure, self, self._tell, self.now, self.metrics)

    def complete(self) -> None:
        for kind in kinds.ALL:
            self.cluster.compare(kind, Listing("1", {}), 0)

    def now(self) -> int:
        return int(asyncio.get_running_loop().time() * SECOND)

    async def _configure(self) -> Configured:
        self.rounds.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.round_seconds)
        return self._configurator.configure(self.cluster)

    async def publish(self, parts: Mapping[str, snapshot.Part], held: frozenset[str]) -> list[Change]:
        if self.failure is not None:
            raise self.failure
        self.held.append(held)
        return [Change("organization", "v", None)]

    async def switch(self, kill_switch: bool) -> tuple[Mapping[str, snapshot.Part], list[Change]]:
        return {}, []

    async def _tell(self, configured: Configured, _: Sequence[Change]) -> None:
        self.told.append(configured)


def play(story: Callable[[Rig], Coroutine[Any, Any, None]], *, complete: bool = True) -> None:
    async def tell() -> None:
        rig = Rig(complete=complete)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(rig.reconciler.run())
            await story(rig)
            running.cancel()

    virtual.run(tell())


def test_changes_that_come_together_are_one_round() -> None:
    async def story(rig: Rig) -> None:
        for _ in range(10):
            rig.reconciler.wake()
        await asyncio.sleep(1)
        assert len(rig.rounds) == len(rig.told) == 1
        assert rig.metrics.published._value.get() == 1

    play(story)


def test_changes_without_an_end_leave_time_between_rounds() -> None:
    async def story(rig: Rig) -> None:
        for _ in range(1000):
            rig.reconciler.wake()
            await asyncio.sleep(0.01)
        apart = [later - earlier for earlier, later in zip(rig.rounds, rig.rounds[1:], strict=False)]
        assert len(apart) > 50
        assert min(apart) >= APART_SECONDS

    play(story)


def test_a_change_during_a_round_is_in_the_next_one() -> None:
    async def story(rig: Rig) -> None:
        rig.round_seconds = 1.0
        rig.reconciler.wake()
        await asyncio.sleep(0.5)
        rig.reconciler.wake()
        await asyncio.sleep(5)
        assert len(rig.told) == 2

    play(story)


def test_nothing_is_published_before_everything_is_known() -> None:
    async def story(rig: Rig) -> None:
        rig.reconciler.wake()
        await asyncio.sleep(100)
        assert rig.told == []
        assert rig.reconciler.age() >= 99 * SECOND
        assert rig.reconciler.stuck() == 0
        rig.complete()
        rig.reconciler.wake()
        await asyncio.sleep(1)
        assert len(rig.told) == 1
        assert rig.reconciler.age() == 0

    play(story, complete=False)


def test_a_database_that_is_away_is_asked_again_and_no_fault_of_this_process() -> None:
    async def story(rig: Rig) -> None:
        rig.failure = StoreError("gone")
        rig.reconciler.wake()
        await asyncio.sleep(100)
        assert 100 / RETRY_SECONDS * 0.8 < len(rig.rounds) < 100 / RETRY_SECONDS + 2
        assert rig.reconciler.age() >= 99 * SECOND
        assert rig.reconciler.stuck() <= RETRY_SECONDS * SECOND + SECOND
        rig.failure = None
        await asyncio.sleep(RETRY_SECONDS + 1)
        assert len(rig.told) == 1
        assert rig.reconciler.age() == 0
        assert rig.metrics.rounds.labels("failed")._value.get() == len(rig.rounds) - 1

    play(story)


def test_a_round_that_does_not_end_is_stuck() -> None:
    async def story(rig: Rig) -> None:
        rig.round_seconds = 1000.0
        rig.reconciler.wake()
        await asyncio.sleep(70)
        assert rig.reconciler.stuck() >= 69 * SECOND

    play(story)


@pytest.mark.parametrize(
    "failure", [SupersededError("term 1 is over"), OtherClusterError("it is west's")], ids=["a successor", "a cluster"]
)
def test_another_publisher_ends_it(failure: SupersededError | OtherClusterError) -> None:
    async def story() -> None:
        rig = Rig()
        rig.failure = failure
        rig.reconciler.wake()
        await rig.reconciler.run()

    with pytest.raises(type(failure)):
        virtual.run(story())


def test_a_faulty_policy_of_a_namespace_holds_that_namespace_and_one_of_the_root_everything() -> None:
    async def story(rig: Rig) -> None:
        rig.cluster.see("Namespace", {"metadata": {"name": "shop", "uid": "n", "resourceVersion": "2"}})
        rig.cluster.see("LLMPolicy", _faulty("shop", "3"))
        rig.reconciler.wake()
        await asyncio.sleep(1)
        assert rig.held == [frozenset({"namespace/shop"})]
        assert rig.metrics.problems.labels("error")._value.get() >= 1
        assert rig.metrics.objects.labels("LLMPolicy")._value.get() == 1
        rig.cluster.see("LLMPolicy", _faulty(ROOT, "4"))
        rig.reconciler.wake()
        await asyncio.sleep(1)
        assert len(rig.held) == 1, "nothing was published"
        assert len(rig.told) == 2, "and its author is told"

    play(story)


def test_the_log_and_a_metric_say_what_is_held_back_and_for_whom_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def story(rig: Rig) -> None:
        async def after(version: str, *faulty: str, gone: Sequence[str] = ()) -> tuple[float, list[str]]:
            for namespace in faulty:
                rig.cluster.see("LLMPolicy", _faulty(namespace, version))
            for namespace in gone:
                rig.cluster.forget("LLMPolicy", f"u-{namespace}")
            caplog.clear()
            rig.reconciler.wake()
            await asyncio.sleep(1)
            said = [record.getMessage() for record in caplog.records if "held back" in record.getMessage()]
            return rig.metrics.held._value.get(), said

        for number, name in enumerate((ROOT, "shop", *"abcd")):
            metadata = {"name": name, "uid": f"n{number}", "resourceVersion": "2"}
            rig.cluster.see("Namespace", {"metadata": metadata})
        assert await after("3") == (0, [])
        shop = "held back: namespace/shop, until this is mended: LLMPolicy/shop/p (ExactlyOneBody)"
        assert await after("4", "shop") == (1, [shop])
        assert await after("5", "shop") == (1, [])
        many = (
            "held back: namespace/a, namespace/b, namespace/c, 2 more, until this is mended:"
            " LLMPolicy/a/p (ExactlyOneBody), LLMPolicy/b/p (ExactlyOneBody), LLMPolicy/c/p (ExactlyOneBody), 2 more"
        )
        assert await after("6", *"abcd") == (5, [many])
        every = f"held back: every part, until this is mended: LLMPolicy/{ROOT}/p (ExactlyOneBody)"
        assert await after("7", ROOT) == (8, [every])
        nothing = "nothing is held back any more"
        assert await after("8", gone=(ROOT, "shop", *"abcd")) == (0, [nothing])

    play(story)


def _faulty(namespace: str, version: str) -> dict[str, Any]:
    metadata = {"name": "p", "namespace": namespace, "uid": f"u-{namespace}", "resourceVersion": version}
    return {"apiVersion": "llmgov.dev/v1alpha1", "kind": "LLMPolicy", "metadata": metadata, "spec": {"priority": "x"}}
