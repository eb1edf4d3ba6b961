"""The purse's surroundings, at the moments that sockets do not hit by themselves."""

import asyncio
import pathlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from llmgov.ledger import epochs
from llmgov.ledger.commands import Held
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Epoch,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recalled,
    Recount,
    Why,
)
from llmgov.ledger.purse import Wish
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account, OrganizationPart, Target, TargetKind, user_account_key
from llmgov_hub.hub import Hub as RealHub
from llmgov_sidecar.calls import Calls, Waits
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.leasing import Leasing, NoMoneyError
from llmgov_sidecar.sidecar import system_clock
from llmgov_sidecar.tasks import Tasks
from llmgov_store.memory import MemoryStore
from tests.bench.bench_hub import BenchHub
from tests.support.ledgers import USD
from tests.unit.llmgov_sidecar import harness, world

WAITS = Waits(lease=0.2, call=0.1, retry=0.01, retry_at_most=0.02, tick=0.02)
ACCOUNT = world.budget("100")


class Lender(BenchHub):
    """Lends at once, and remembers; the first `faults` calls fail."""

    def __init__(self, faults: list[BaseException] | None = None) -> None:
        super().__init__()
        self.faults = faults or []
        self.returned: list[LeaseReturn] = []
        self.told: asyncio.Queue[Holdings | Inventory] = asyncio.Queue()
        self.recalled_by: asyncio.Queue[Recall | Recount] = asyncio.Queue()

    async def lease(self, request: LeaseRequest) -> LeaseGrant:
        if self.faults:
            raise self.faults.pop()
        return await super().lease(request)

    async def give_back(self, message: LeaseReturn) -> None:
        self.returned.append(message)

    async def holdings(self, message: Holdings) -> None:
        self.told.put_nowait(message)

    async def inventory(self, message: Inventory) -> None:
        self.told.put_nowait(message)

    async def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        while True:
            yield await self.recalled_by.get()


class Setup:
    """One epoch's leasing over a lender, or a hub."""

    def __init__(self, hub: Lender | RealHub, folder: pathlib.Path, waits: Waits = WAITS) -> None:
        self.failures: list[str] = []
        self.tasks = Tasks(lambda name, _: self.failures.append(name))
        self.journal = Journal(folder, 1_000_000, 10_000_000)
        calls = Calls(waits, lambda where, _: self.failures.append(where))
        self.leasing = Leasing(Epoch("pod-1", 1), hub, self.journal, system_clock, self.tasks, calls)
        self.leasing.start()

    async def stop(self) -> None:
        await self.leasing.stop(1)
        await self.tasks.stop()
        self.journal.close()


def wish(attempt: str, amount: int = 1_000) -> Wish:
    return Wish(attempt, (Charge(ACCOUNT, ACCOUNT.key),), amount, amount)


def test_who_is_cancelled_at_the_moment_of_the_grant_holds_nothing(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        made = Setup(Lender(), tmp_path)
        asking = asyncio.get_running_loop().create_task(made.leasing.hold(wish("1")))
        answer = made.leasing._answer

        def answer_and_cancel(attempt: str, found: Held | LeaseRefusal) -> None:
            answer(attempt, found)
            asking.cancel()

        made.leasing._answer = answer_and_cancel  # type: ignore[method-assign]
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert made.leasing._purse.holding == 0
        assert made.leasing.waiting == 0
        await made.stop()

    harness.run(main())


@pytest.mark.parametrize("fault", [ConnectionError("away"), TimeoutError(), RuntimeError("a bug")])
def test_a_call_that_fails_is_tried_again(tmp_path: pathlib.Path, fault: BaseException) -> None:
    async def main() -> None:
        made = Setup(Lender([fault, fault]), tmp_path)
        assert isinstance(await made.leasing.hold(wish("1")), Held)
        assert made.failures == (["a call to the hub"] * 2 if isinstance(fault, RuntimeError) else [])
        await made.stop()

    harness.run(main())


def test_a_request_that_the_ledger_does_not_take_is_refused_at_once_and_reported_once(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        made = Setup(Lender([BadInputError(Fault.FOREIGN, "needs[0].key", "not yours")]), tmp_path)
        answer = await made.leasing.hold(wish("1"))
        assert isinstance(answer, LeaseRefusal)
        assert answer.why is Why.NOT_TAKEN
        assert made.failures == ["a request that the ledger refused"]
        assert isinstance(await made.leasing.hold(wish("2")), Held)
        await made.stop()

    harness.run(main())


def test_a_boot_that_the_ledger_does_not_know_waits_until_it_does(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        unknown = BadInputError(Fault.UNKNOWN, "epoch", "register first")
        made = Setup(Lender([unknown, unknown]), tmp_path)
        assert isinstance(await made.leasing.hold(wish("1")), Held)
        assert made.failures == ["a call to the hub"] * 2
        await made.stop()

    harness.run(main())


def test_who_asks_for_many_that_are_refused_hears_so_for_each_and_the_first_gets_what_others_return(
    tmp_path: pathlib.Path,
) -> None:
    """All ask at once, when none is answered yet; the first waits for the ledger to ask another sidecar."""

    async def main() -> None:
        each = world.budget("1", Target(TargetKind.USER))
        store = MemoryStore()
        hub = RealHub(store, system_clock, recall_wait_seconds=5)
        await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(each,))})
        other, _ = await hub.register("other"), await hub.register("pod-1")
        path = ("workload/shop/app", "namespace/shop", "user/ann")
        needs = (Need(user_account_key(each.key, "ann"), each, USD, USD),)
        lent = await hub.lease(LeaseRequest(other, 1, needs, path))
        assert isinstance(lent, LeaseGrant)
        recalls = hub.recalls(other)
        many = epochs.MAX_REFUSED + 30
        made = Setup(hub, tmp_path, Waits(lease=20, call=10, retry=0.01, retry_at_most=0.02, tick=0.02))
        names = ("ann", *(f"bob-{number}" for number in range(many)))
        asking = [
            asyncio.get_running_loop().create_task(
                made.leasing.hold(a_users(each, name, USD // 2 + (name != "ann") * USD))
            )
            for name in names
        ]
        recall = await anext(recalls)
        while sum(task.done() for task in asking) < epochs.MAX_REFUSED:  # noqa: ASYNC110 - until no more are remembered
            await asyncio.sleep(0.001)
        (lease,) = lent.leases
        await hub.give_back(LeaseReturn(other, lease.id, 1, lease.amount, final=True))
        await hub.recalled(Recalled(other, recall.key, lease.amount, recall.ask))
        first, *rest = await asyncio.gather(*asking)
        assert isinstance(first, Held)
        assert [each.why for each in rest if isinstance(each, LeaseRefusal)] == [Why.EXHAUSTED] * many
        made.leasing.settle(first.attempt, 0)
        await made.stop()
        assert made.failures == []

    harness.run(main())


def a_users(each: Account, name: str, amount: int) -> Wish:
    path = ("workload/shop/app", "namespace/shop", f"user/{name}")
    return Wish(name, (Charge(each, user_account_key(each.key, name)),), amount, amount, path)


def test_nothing_is_spent_from_a_lease_before_it_is_synced(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        made = Setup(Lender(), tmp_path)
        synced = asyncio.Event()

        async def sync() -> None:
            await synced.wait()

        made.journal.sync = sync  # type: ignore[method-assign]
        first = asyncio.get_running_loop().create_task(made.leasing.hold(wish("1")))
        await asyncio.sleep(0.05)
        second = asyncio.get_running_loop().create_task(made.leasing.hold(wish("2")))
        await asyncio.sleep(0.05)
        assert not first.done()
        assert not second.done()
        synced.set()
        assert isinstance(await first, Held)
        assert isinstance(await second, Held)
        await made.stop()

    harness.run(main())


def test_a_lease_that_comes_too_late_serves_the_next(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        hub = Lender([ConnectionError("away")] * 40)
        made = Setup(hub, tmp_path)
        with pytest.raises(NoMoneyError):
            await made.leasing.hold(wish("1"))
        hub.faults.clear()
        assert isinstance(await made.leasing.hold(wish("2")), Held)
        assert made.leasing._purse.holding == 1
        await made.stop()

    harness.run(main())


def test_a_recall_returns_what_is_idle_and_no_more(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        hub = Lender()
        made = Setup(hub, tmp_path)
        held = await made.leasing.hold(wish("1"))
        assert isinstance(held, Held)
        hub.recalled_by.put_nowait(Recall(made.leasing.epoch, ACCOUNT.key))
        while not hub.returned:  # noqa: ASYNC110 - nothing else says when
            await asyncio.sleep(0.005)
        (message,) = hub.returned
        assert (message.amount, message.final) == (1_000_000_000 - 1_000, False)
        made.leasing.settle("1", 400)
        await made.stop()
        assert (hub.returned[-1].amount, hub.returned[-1].final) == (600, True)

    harness.run(main())


def test_a_boot_that_has_recovered_says_too_that_it_holds_nothing_of_earlier_ones(tmp_path: pathlib.Path) -> None:
    """Before it has, what is theirs may have been spent; as soon as it has, it says so to whoever has asked."""

    async def main() -> None:
        lender = Lender()
        made = Setup(lender, tmp_path)
        epoch = made.leasing.epoch
        report, nothing = Holdings(epoch, "2:life", (), 1), Inventory(epoch, ())
        lender.recalled_by.put_nowait(Recount(epoch, "2:life"))
        assert await lender.told.get() == report
        made.leasing.recovered()
        assert await lender.told.get() == nothing
        for asked in (Epoch("pod-1", 7), epoch):
            lender.recalled_by.put_nowait(Recount(asked, "2:life"))
        assert [await lender.told.get(), await lender.told.get()] == [report, nothing]
        await made.stop()
        assert lender.told.empty(), "it was asked twice"

    asyncio.run(main())


def test_a_boot_that_nobody_has_asked_says_nothing_of_earlier_ones(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        lender = Lender()
        made = Setup(lender, tmp_path)
        made.leasing.recovered()
        await made.stop()
        assert lender.told.empty()

    asyncio.run(main())


def test_a_lease_that_is_granted_while_it_stops_is_returned_whole(tmp_path: pathlib.Path) -> None:
    """Nobody would give it back later, where the pod is gone for good."""

    class Slow(Lender):
        async def lease(self, request: LeaseRequest) -> LeaseGrant:
            await asyncio.sleep(0.05)
            return await super().lease(request)

    async def main() -> None:
        hub = Slow()
        made = Setup(hub, tmp_path)
        waiting = asyncio.get_running_loop().create_task(made.leasing.hold(wish("1")))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await made.stop()
        assert [(message.amount, message.final) for message in hub.returned] == [(1_000_000_000, True)]

    harness.run(main())


def test_the_hub_has_what_was_given_back_before_it_is_asked_for_more(tmp_path: pathlib.Path) -> None:
    class Slow(Lender):
        def __init__(self) -> None:
            super().__init__()
            self.events: list[str] = []

        async def lease(self, request: LeaseRequest) -> LeaseGrant:
            self.events.append(f"asked {request.request}")
            return await super().lease(request)

        async def give_back(self, message: LeaseReturn) -> None:
            await asyncio.sleep(0.03)
            self.events.append(f"got back from {message.lease}")

    async def main() -> None:
        hub = Slow()
        made = Setup(hub, tmp_path)
        made.leasing.define({ACCOUNT.key: ACCOUNT})
        first = await made.leasing.hold(wish("1"))
        assert isinstance(first, Held)
        made.leasing.settle("1", 0)
        made.leasing.define({ACCOUNT.key: msgspec.structs.replace(ACCOUNT, limit=1)})
        second = await made.leasing.hold(wish("2"))
        assert isinstance(second, Held)
        assert hub.events == ["asked 1", f"got back from {first.charged[0].lease}", "asked 2"]
        await made.stop()

    harness.run(main())
