"""A database that began another life, and what it lost: nothing is lent before it is known what is lent already."""

import asyncio
import contextlib
import copy
from collections.abc import AsyncIterator

import pytest

from llmgov import instants
from llmgov.audit import record
from llmgov.ledger import balances, epochs, lives, windows
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.commands import Held, Send
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Holding,
    Holdings,
    Inventory,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recount,
    Why,
)
from llmgov.ledger.purse import Purse, Wish
from llmgov.ledger.rows import AccountRow, LeaseRow, LeaseState, Window
from llmgov.ledger.store import Store
from llmgov.snapshot import OrganizationPart, Target, TargetKind, user_account_key
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

ACCOUNT = ledgers.account()
LIFE = "2:life-2"
WINDOW = windows.current(ACCOUNT.period, ACCOUNT.time_zone, NOW)


class World:
    """A hub over a store that can be put back to an earlier state, and the clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore("life-1")
        self.hub = Hub(self.store, lambda: self.now, recall_wait_seconds=0)

    async def keep(self) -> MemoryStore:
        """The state that a copy of the database is in, which a hub has looked at."""
        await self.hub.recovery.look()
        return copy.deepcopy(self.store)

    def fail_over(self, to: MemoryStore) -> None:
        """The copy takes over; what was committed since is lost."""
        to.begin_life("life-2")
        self.store = to
        self.hub = Hub(to, lambda: self.now, recall_wait_seconds=0)

    def wait(self, seconds: int) -> None:
        self.now += seconds * instants.SECOND

    async def lend(self, amount: int, number: int = 1, epoch: Epoch | None = None) -> LeaseGrant | LeaseRefusal:
        needs = (Need(ACCOUNT.key, ACCOUNT, amount, amount),)
        return await ledgers.lease(self.hub, LeaseRequest(epoch or ledgers.epoch(), number, needs, ledgers.PATH))

    async def lent(self, amount: int, number: int = 1, epoch: Epoch | None = None) -> Lease:
        reply = await self.lend(amount, number, epoch)
        assert isinstance(reply, LeaseGrant), reply
        return reply.leases[0]

    async def report(self, *holdings: Holding, epoch: Epoch | None = None, closed: int = 100) -> None:
        await self.hub.holdings(Holdings(epoch or ledgers.epoch(), LIFE, holdings, closed))

    async def why(self, number: int, amount: int = CENT, epoch: Epoch | None = None) -> Why | None:
        """Why nothing is lent; `None` where it is."""
        reply = await self.lend(amount, number, epoch)
        return reply.why if isinstance(reply, LeaseRefusal) else None

    async def sums(self) -> tuple[int, int, int]:
        (row,) = await self.store.windows(self.now)
        return row.spent, row.leased, row.unknown


def holding(lease: Lease, spent: int = 0, held: int = 0, returned: int = 0, serial: int = 0) -> Holding:
    return Holding(lease, spent, held, returned, serial, ACCOUNT, ledgers.PATH)


def test_what_a_lost_transaction_lent_counts_again_before_more_is_lent() -> None:
    async def main() -> None:
        world = World()
        await world.lent(10 * CENT)
        copied = await world.keep()
        lost = await world.lent(4 * USD, 2)
        world.fail_over(copied)
        assert await world.why(3) is Why.RECOVERING
        assert (await world.sums())[1] < USD, "the ledger does not know yet"
        first = (await world.store.leases("pod-1"))[0]
        for _ in range(2):
            await world.report(lent_again(first), holding(lost), closed=4)
        assert (await world.sums())[1] == first.amount + lost.amount
        assert await world.why(4) is Why.RECOVERING, "others may not have found their way back yet"
        world.wait(31)
        assert await world.why(5) is Why.RECOVERING, "this look opens it"
        assert await world.why(6) is None
        assert await world.why(7, 5 * USD - first.amount - lost.amount) is Why.EXHAUSTED
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


def test_a_holder_that_has_not_reported_keeps_everybody_waiting_until_the_loss_is_accepted() -> None:
    async def main() -> None:
        world = World()
        await world.lent(10 * CENT, epoch=Epoch("silent", 1))
        world.fail_over(await world.keep())
        assert await world.why(1) is Why.RECOVERING
        world.wait(3600)
        await world.report(closed=2)
        assert not await world.hub.recovery.look()
        with pytest.raises(BadInputError, match="reason"):
            await world.hub.recovery.accept_loss("root", " ")
        row = await world.hub.recovery.accept_loss("root", "the node is gone")
        assert (row.open, row.generation) == (True, 2)
        assert await world.why(2) is None
        kinds = [each.kind for each in await world.store.records("hub")]
        assert kinds == ["ledgerBegun", "lossAccepted"]
        accepted = record.decode((await world.store.records("hub"))[-1].data).facts
        assert (accepted["generation"], accepted["waiting"]) == (2, 1)
        with pytest.raises(BadInputError) as raised:
            await world.hub.recovery.accept_loss("root", "again")
        assert raised.value.fault is Fault.STATE

    asyncio.run(main())


def test_returns_that_were_lost_or_are_on_their_way_count_once() -> None:
    async def main() -> None:
        world = World()
        lease = await world.lent(USD)
        copied = await world.keep()
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, 30 * CENT, final=False))
        world.fail_over(copied)
        await world.why(2)
        await world.report(holding(lease, returned=50 * CENT, serial=2))
        assert (await world.sums())[1] == lease.amount - 50 * CENT
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 2, 20 * CENT, final=False))
        await world.report(holding(lease, returned=30 * CENT, serial=1))
        assert (await world.sums())[1] == lease.amount - 50 * CENT, "a late copy of a report gives nothing back"
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 3, lease.amount - 50 * CENT, final=True))
        assert await world.sums() == (0, 0, 0)

    asyncio.run(main())


def test_an_open_lease_that_its_holder_does_not_name_was_returned_or_spent_and_counts_as_unknown() -> None:
    async def main() -> None:
        world = World()
        lease = await world.lent(USD)
        world.fail_over(await world.keep())
        await world.why(2)
        await world.report()
        assert await world.sums() == (0, 0, lease.amount)
        (row,) = await world.store.leases("pod-1")
        assert row.state is LeaseState.LOST

    asyncio.run(main())


def test_what_is_still_on_its_way_to_the_holder_is_not_lost() -> None:
    async def main() -> None:
        world = World()
        lease = await world.lent(USD)
        world.fail_over(await world.keep())
        await world.why(2)
        await world.report(closed=1)
        assert await world.sums() == (0, lease.amount, 0)

    asyncio.run(main())


def test_attempts_that_arrive_before_the_report_bring_their_lease_back() -> None:
    async def main() -> None:
        world = World()
        await world.lent(CENT)
        copied = await world.keep()
        lost = await world.lent(USD, 2)
        world.fail_over(copied)
        charged = (Charged(lost.id, ACCOUNT.key, 20 * CENT),)
        await world.hub.deliver([ledgers.intent("pod-1:1/7", 20 * CENT, charged)])
        known = (await world.sums())[1]
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lost.id, 1, 10 * CENT, final=False))
        assert (await world.sums())[1] == known, "nothing comes back of a lease whose size is not known"
        await world.hub.deliver([ledgers.settlement("pod-1:1/7", 15 * CENT)])
        await world.why(3)
        await world.report(holding(lost, spent=15 * CENT, returned=10 * CENT, serial=1))
        spent, leased, unknown = await world.sums()
        assert (spent, leased) == (15 * CENT, lost.amount - 25 * CENT)
        assert unknown > 0, "the first lease, which was not named"
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


def test_attempts_of_a_lease_that_came_back_add_up_until_it_is_reported() -> None:
    async def main() -> None:
        world = World()
        await world.lent(CENT)
        copied = await world.keep()
        lost = await world.lent(USD, 2)
        world.fail_over(copied)
        before = (await world.sums())[1]
        for number in (7, 8):
            charged = (Charged(lost.id, ACCOUNT.key, 20 * CENT),)
            await world.hub.deliver([ledgers.intent(f"pod-1:1/{number}", 20 * CENT, charged)])
        assert (await world.sums())[1] == before + 40 * CENT
        await world.hub.deliver([ledgers.settlement(f"pod-1:1/{number}", 20 * CENT) for number in (7, 8)])
        assert (await world.sums())[:2] == (40 * CENT, before)
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


@on_every_store
async def test_an_attempt_of_a_lost_lease_brings_its_window_back_too_and_counts_once(store: Store) -> None:
    """Beside it, in the same window and the same delivery, one that held from nothing counts for its path."""
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await store.transact(Lock(), define_account)
    await hub.recovery.begin("root", "the latest was lost")
    lost = Lease(f"{ledgers.epoch()}/2/0", ACCOUNT.key, *WINDOW, USD, NOW + instants.MINUTE)
    intent = ledgers.intent("pod-1:1/7", 20 * CENT, (Charged(lost.id, ACCOUNT.key, 20 * CENT),))
    other = ledgers.intent("pod-1:1/8", 3 * CENT, ())
    halves = [other, ledgers.settlement(other.id, 3 * CENT), intent, ledgers.settlement(intent.id, 15 * CENT)]
    for _ in range(2):
        await hub.deliver(halves)
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (18 * CENT, 5 * CENT)
    for _ in range(2):
        await hub.holdings(Holdings(ledgers.epoch(), LIFE, (holding(lost, spent=15 * CENT),), 100))
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (18 * CENT, USD - 15 * CENT)
    assert list(balances.differences(await store.balances())) == []


def test_an_attempt_of_a_users_first_lease_brings_the_users_account_back_too() -> None:
    """The ledger knows nothing of the user any more; what accounts each user has is in force."""

    async def main() -> None:
        world = World()
        each = ledgers.account(Target(TargetKind.USER))
        await world.hub.configuration.publish({"organization": OrganizationPart("test", accounts=(each,))})
        world.fail_over(await world.keep())
        await world.hub.configuration.resume()
        key = user_account_key(each.key, "jane")
        lost = Lease(f"{ledgers.epoch()}/2/0", key, *WINDOW, USD, NOW + instants.MINUTE)
        jane = ledgers.subject(user="jane", path=(*ledgers.PATH, "user/jane"))
        intent = ledgers.intent("pod-1:1/7", 20 * CENT, (Charged(lost.id, key, 20 * CENT),), who=jane)
        await world.hub.deliver([intent, ledgers.settlement(intent.id, 15 * CENT)])
        assert await world.sums() == (15 * CENT, 5 * CENT, 0)
        await world.report(Holding(lost, 15 * CENT, 0, 0, 0, each, jane.path))
        assert await world.sums() == (15 * CENT, USD - 15 * CENT, 0)
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("late", "key"),
    [(31 * instants.DAY, ACCOUNT.key), (0, "test|team/unknown|Month|UTC")],
    ids=["the window has ended", "nobody defines the account"],
)
def test_no_window_is_opened_again_that_may_have_been_pruned_or_nobody_knows(late: int, key: str) -> None:
    async def main() -> None:
        world = World()
        await world.store.transact(Lock(), define_account)
        world.fail_over(await world.keep())
        world.now += late
        charged = (Charged("pod-1:1/2/0", key, 20 * CENT),)
        await world.hub.deliver([ledgers.intent("pod-1:1/7", 20 * CENT, charged)])
        found = await world.store.balances()
        assert (found.windows, found.leases) == ((), ())
        assert len(found.attempts) == 1

    asyncio.run(main())


@pytest.mark.parametrize("attempts", [0, 1], ids=["the ledger does not know the lease", "attempts brought it back"])
def test_a_report_that_arrives_after_the_last_return_lends_nothing_again(attempts: int) -> None:
    """An older boot's report was delayed; a newer one has accounted for its leases from the spool meanwhile."""

    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        await world.store.transact(Lock(), define)
        for number in range(attempts):
            charged = (Charged(lost.id, ACCOUNT.key, 20 * CENT),)
            id_ = f"pod-1:1/{number}"
            await world.hub.deliver([ledgers.intent(id_, 20 * CENT, charged), ledgers.settlement(id_, 20 * CENT)])
        newer = await world.hub.register("pod-1")
        rest = lost.amount - attempts * 20 * CENT
        for _ in range(2):
            await world.hub.give_back(LeaseReturn(newer, lost.id, 1, rest, final=True))
        await world.report(holding(lost, spent=attempts * 20 * CENT))
        assert (await world.sums())[1:] == (0, 0)
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


@pytest.mark.parametrize("reported_late", [False, True], ids=["no report", "a report that is late"])
def test_what_is_left_of_a_lease_that_ends_before_its_report_is_lost_and_not_lent_for_ever(reported_late: bool) -> None:
    """Only what attempts held of it is known: of that, what they did not spend may have been returned, or not."""

    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        await world.store.transact(Lock(), define)
        charged = (Charged(lost.id, ACCOUNT.key, 20 * CENT),)
        await world.hub.deliver([ledgers.intent("pod-1:1/7", 20 * CENT, charged)])
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lost.id, 1, USD - 15 * CENT, final=True))
        assert await world.sums() == (0, 0, 20 * CENT)
        await world.hub.deliver([ledgers.settlement("pod-1:1/7", 15 * CENT)])
        if reported_late:
            await world.report(holding(lost, held=20 * CENT))
        assert await world.sums() == (15 * CENT, 0, 5 * CENT)
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


@on_every_store
async def test_it_is_lost_as_well_where_its_attempts_arrive_after_its_last_return(store: Store) -> None:
    """Returns and events go separate ways; what is on record in the end does not depend on which was quicker."""
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    needs = (Need(ACCOUNT.key, ACCOUNT, CENT, CENT),)
    other = await ledgers.lease(hub, LeaseRequest(ledgers.epoch("pod-2"), 1, needs, ledgers.PATH))
    assert isinstance(other, LeaseGrant)
    await hub.recovery.begin("root", "the latest was lost")
    lost = Lease(f"{ledgers.epoch()}/2/0", ACCOUNT.key, *WINDOW, USD, NOW + instants.MINUTE)
    for _ in range(2):
        await hub.give_back(LeaseReturn(ledgers.epoch(), lost.id, 1, USD - 25 * CENT, final=True))
    intents = [ledgers.intent(f"pod-1:1/{n}", 20 * CENT, (Charged(lost.id, ACCOUNT.key, 20 * CENT),)) for n in (7, 8)]
    sums = [(0, 0, 40 * CENT), (15 * CENT, 0, 25 * CENT), (25 * CENT, 0, 15 * CENT)]
    ends = [(), (ledgers.settlement(intents[0].id, 15 * CENT),), (ledgers.settlement(intents[1].id, 10 * CENT),)]
    for expected, ended in zip(sums, ends, strict=True):
        await hub.deliver([*intents, *ended])
        await hub.holdings(Holdings(ledgers.epoch(), LIFE, (holding(lost, held=20 * CENT),), 100))
        (window,) = await store.windows(NOW)
        assert (window.spent, window.leased - other.leases[0].amount, window.unknown) == expected
    assert [row.state for row in await store.unaccounted()] == [LeaseState.LOST], "it can be corrected"
    assert list(balances.differences(await store.balances())) == []


@on_every_store
async def test_an_attempt_of_a_pod_that_was_written_off_brings_back_no_lease_that_is_waited_for(store: Store) -> None:
    """Nobody reports it: as lent it would keep everybody waiting until somebody accepts the loss."""
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await store.transact(Lock(), define)
    await hub.recovery.begin("root", "the latest was lost")
    await hub.leases.lose("pod-1")
    charged = (Charged(f"{ledgers.epoch()}/2/0", ACCOUNT.key, 20 * CENT),)
    await hub.deliver([ledgers.intent("pod-1:1/7", 20 * CENT, charged), ledgers.settlement("pod-1:1/7", 15 * CENT)])
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased, window.unknown) == (15 * CENT, 0, 5 * CENT)
    assert await store.unreported(LIFE) == []
    assert list(balances.differences(await store.balances())) == []


@pytest.mark.parametrize("known", [True, False], ids=["the ledger knows the pod", "the ledger lost the pod"])
def test_a_report_of_a_pod_that_was_written_off_counts_and_is_waited_for_no_more(known: bool) -> None:
    async def main() -> None:
        world = World()
        if known:
            await world.hub.register("pod-1")
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        await world.hub.recovery.look()
        await world.hub.leases.lose("pod-1")
        for _ in range(2):
            await world.report(holding(lost, spent=20 * CENT))
        assert await world.sums() == (0, 0, lost.amount)
        world.wait(31)
        assert await world.hub.recovery.look(), "nobody is left to report"
        assert await world.why(1) is Why.FENCED
        assert await world.why(1, epoch=ledgers.epoch("pod-2")) is None
        assert list(balances.differences(await world.store.balances())) == []

    asyncio.run(main())


def test_a_pod_that_starts_again_after_it_was_written_off_is_waited_for() -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        await world.hub.recovery.look()
        await world.hub.leases.lose("pod-1")
        newer = await world.hub.register("pod-1")
        await world.report(holding(lost))
        assert (await world.sums())[1] == lost.amount
        assert await world.store.unreported(LIFE) == ["pod-1"]
        await world.report(epoch=newer)
        assert await world.store.unreported(LIFE) == []

    asyncio.run(main())


def test_a_late_copy_of_an_answered_request_is_lent_nothing_though_the_ledger_lost_the_answer() -> None:
    """Its lease is spent and over, or the request was refused; nobody waits for it any more."""

    async def main() -> None:
        world = World()
        await world.lent(CENT)
        copied = await world.keep()
        lost = await world.lent(USD, 2)
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lost.id, 1, lost.amount, final=True))
        world.fail_over(copied)
        await world.hub.recovery.look()
        await world.report(lent_again((await world.store.leases("pod-1"))[0]), closed=3)
        world.wait(31)
        await world.hub.recovery.look()
        known = await world.sums()
        assert await world.why(2, USD) is Why.CLOSED
        assert await world.sums() == known
        await world.report(closed=2)
        assert await world.why(2, USD) is Why.CLOSED, "an earlier report says less, and arrives late"
        assert await world.why(3) is None, "what nobody has asked for before"

    asyncio.run(main())


def test_an_older_boots_report_closes_no_request_of_the_newest_one() -> None:
    async def main() -> None:
        world = World()
        await world.lent(CENT)
        newer = await world.hub.register("pod-1")
        await world.lent(CENT, 1, newer)
        world.fail_over(await world.keep())
        await world.hub.recovery.look()
        await world.report(closed=100)
        await world.report(epoch=newer, closed=2)
        world.wait(31)
        await world.hub.recovery.look()
        assert await world.why(2, epoch=newer) is None

    asyncio.run(main())


@pytest.mark.parametrize("noticed", [False, True], ids=["before the failover is noticed", "after that"])
def test_what_an_inventory_does_not_name_may_have_been_spent_where_the_ledger_lost_its_end(noticed: bool) -> None:
    """The holder spent all of it, and was told that this is known; so its spool has no trace of the lease any more."""

    async def main() -> None:
        world = World()
        lease = await world.lent(USD)
        copied = await world.keep()
        charged = (Charged(lease.id, ACCOUNT.key, lease.amount),)
        ended = [ledgers.intent("pod-1:1/7", lease.amount, charged), ledgers.settlement("pod-1:1/7", lease.amount)]
        await world.hub.deliver(ended)
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, 0, final=True))
        world.fail_over(copied)
        if noticed:
            await world.hub.recovery.look()
        newer = await world.hub.register("pod-1")
        for _ in range(2):
            await world.hub.inventory(Inventory(newer, ()))
            assert await world.sums() == (0, 0, lease.amount)
        await world.hub.deliver(ended)
        assert await world.sums() == (lease.amount, 0, 0)

    asyncio.run(main())


def test_what_was_lent_after_it_and_never_used_is_freed_by_an_inventory() -> None:
    async def main() -> None:
        world = World()
        world.fail_over(await world.keep())
        await world.hub.recovery.look()
        world.wait(31)
        await world.hub.recovery.look()
        first = await world.hub.register("pod-1")
        await world.lent(USD, epoch=first)
        await world.hub.inventory(Inventory(await world.hub.register("pod-1"), ()))
        assert await world.sums() == (0, 0, 0)

    asyncio.run(main())


def test_what_came_back_for_the_last_time_is_not_freed_by_an_inventory() -> None:
    """What is left of it was spent: the settlement is on its way, or the ledger lost it."""

    async def main() -> None:
        world = World()
        lease = await world.lent(USD)
        await world.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, lease.amount - USD, final=True))
        await world.hub.inventory(Inventory(await world.hub.register("pod-1"), ()))
        assert await world.sums() == (0, USD, 0)

    asyncio.run(main())


def test_what_a_torn_spool_could_not_account_for_is_taken_up_from_a_late_report() -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        newer = await world.hub.register("pod-1")
        await world.hub.give_back(LeaseReturn(newer, lost.id, -2, 0, final=True, unaccounted=True))
        await world.report(holding(lost))
        assert (await world.sums())[1] == lost.amount

    asyncio.run(main())


def define(book: Book) -> None:
    """The ledger knows the account and its window, though not what was lent of it."""
    define_account(book)
    book.put_window(Window(ACCOUNT.key, str(ACCOUNT.target), *WINDOW, 10**9, currency="USD"))


def define_account(book: Book) -> None:
    """The ledger knows the account alone."""
    book.put_account(AccountRow(ACCOUNT.key, str(ACCOUNT.target), ACCOUNT))


def test_boots_after_it_are_numbered_above_all_that_may_have_been_lost() -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        await world.lent(CENT)
        await world.hub.register("pod-1")
        world.fail_over(copied)
        await world.why(1)
        assert (await world.hub.register("pod-1")).number == 1_000_001
        assert (await world.hub.register("pod-1")).number == 1_000_002

    asyncio.run(main())


def test_a_boot_whose_registration_was_lost_is_lent_to_by_its_number_of_an_earlier_life() -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        epoch = await world.hub.register("pod-1")
        world.fail_over(copied)
        needs = (Need(ACCOUNT.key, ACCOUNT, CENT, CENT),)
        refused = await world.hub.lease(LeaseRequest(epoch, 1, needs, ledgers.PATH))
        assert isinstance(refused, LeaseRefusal)
        assert refused.why is Why.RECOVERING
        world.wait(31)
        await world.hub.recovery.look()
        assert isinstance(await world.hub.lease(LeaseRequest(epoch, 2, needs, ledgers.PATH)), LeaseGrant)
        for number in (epochs.BOOTS + 1, 2 * epochs.BOOTS):
            with pytest.raises(BadInputError, match="was never given out; register first"):
                await world.hub.lease(LeaseRequest(Epoch("pod-1", number), 1, needs, ledgers.PATH))

    asyncio.run(main())


def test_a_boot_that_a_ledger_begun_anew_does_not_know_reports_and_is_lent_to() -> None:
    """No life of the database says that anything was lost: what the boot holds stands in for its registration."""

    async def main() -> None:
        world = World()
        purse = Purse(ledgers.epoch(number=7))
        (ask,) = purse.hold(Wish("a", (ledgers.charge(ACCOUNT),), USD, USD, ledgers.PATH), NOW)
        assert isinstance(ask, Send)
        assert isinstance(ask.message, LeaseRequest)
        with pytest.raises(BadInputError, match="epoch: pod-1:7 was never given out"):
            await world.hub.lease(ask.message)
        async with listening(world.hub, purse), asyncio.timeout(5):
            reply: LeaseGrant | None = None
            while reply is None:
                with contextlib.suppress(BadInputError):
                    lent = await world.hub.lease(ask.message)
                    assert isinstance(lent, LeaseGrant)
                    reply = lent
                await asyncio.sleep(0)
        assert any(isinstance(command, Held) for command in purse.on_grant(reply, NOW))

    asyncio.run(main())


def test_an_older_epochs_report_counts_and_does_not_speak_for_its_holder() -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        newer = await world.hub.register("pod-1")
        await world.hub.recovery.look()
        await world.lend(CENT, 1, newer)
        await world.report(holding(lost))
        assert (await world.sums())[1] == lost.amount
        assert await world.store.unreported(LIFE) == ["pod-1"]
        await world.lend(CENT, 1, newer)
        assert (await world.store.leases("pod-1"))[0].id == lost.id

    asyncio.run(main())


@pytest.mark.parametrize(
    ("told", "fault"),
    [
        ({"epoch": Epoch("pod-2", 1)}, Fault.FOREIGN),
        ({"spent": 0, "returned": -1}, Fault.NEGATIVE),
        ({"returned": 10 * USD}, Fault.RANGE),
        ({"serial": 10**9}, Fault.RANGE),
    ],
    ids=["somebody else's lease", "a negative return", "more returned than lent", "returns without end"],
)
def test_a_report_that_cannot_be_changes_nothing(told: dict[str, object], fault: Fault) -> None:
    async def main() -> None:
        world = World()
        copied = await world.keep()
        lost = await world.lent(USD)
        world.fail_over(copied)
        await world.why(1)
        before = await world.store.balances()
        fields = {name: value for name, value in told.items() if name != "epoch"}
        epoch = told.get("epoch", ledgers.epoch())
        assert isinstance(epoch, Epoch)
        with pytest.raises(BadInputError) as raised:
            await world.report(holding(lost, **fields), epoch=epoch)  # type: ignore[arg-type]
        assert raised.value.fault is fault
        assert await world.store.balances() == before

    asyncio.run(main())


@contextlib.asynccontextmanager
async def listening(hub: Hub, purse: Purse) -> AsyncIterator[None]:
    """A sidecar that answers what the hub asks it for."""

    async def follow() -> None:
        async for asked in hub.recalls(purse.epoch):
            told = purse.on_recall(asked, NOW) if isinstance(asked, Recall) else purse.on_recount(asked, NOW)
            for command in told:
                if isinstance(command, Send) and isinstance(command.message, Holdings):
                    await hub.holdings(command.message)

    async with asyncio.TaskGroup() as group:
        follower = group.create_task(follow())
        await asyncio.sleep(0)
        yield
        follower.cancel()


def test_a_sidecar_that_listens_is_asked_and_answers_from_its_purse() -> None:
    async def main() -> None:
        world = World()
        purse = Purse(ledgers.epoch())
        (ask,) = purse.hold(Wish("a", (ledgers.charge(ACCOUNT),), USD, USD, ledgers.PATH), NOW)
        copied = await world.keep()
        assert isinstance(ask, Send)
        assert isinstance(ask.message, LeaseRequest)
        grant = await ledgers.lease(world.hub, ask.message)
        assert isinstance(grant, LeaseGrant)
        assert any(isinstance(command, Held) for command in purse.on_grant(grant, NOW))
        world.fail_over(copied)
        async with listening(world.hub, purse):
            assert not await world.hub.recovery.look()
            async with asyncio.timeout(5):
                while not await world.store.leases("pod-1"):  # noqa: ASYNC110 - until the sidecar had its turn
                    await asyncio.sleep(0)
        assert (await world.sums())[1] == grant.leases[0].amount
        world.wait(31)
        assert await world.hub.recovery.look()

    asyncio.run(main())


def test_it_is_asked_again_only_after_a_while() -> None:
    async def main() -> None:
        world = World()
        await world.lent(CENT)
        world.fail_over(await world.keep())
        stream = world.hub.recalls(ledgers.epoch())
        first = asyncio.ensure_future(anext(stream))  # noqa: TID251 - a listener that does not answer
        await asyncio.sleep(0)
        for _ in range(3):
            await world.hub.recovery.look()
        assert await first == Recount(ledgers.epoch(), LIFE)
        second = asyncio.ensure_future(anext(stream))  # noqa: TID251 - the same
        await asyncio.sleep(0)
        assert not second.done()
        world.wait(6)
        await world.hub.recovery.look()
        assert await second == Recount(ledgers.epoch(), LIFE)

    asyncio.run(main())


def lent_again(row: LeaseRow) -> Holding:
    """A lease that its holder has not touched."""
    return holding(Lease(row.id, row.account, row.window_start, row.window_end, row.amount, row.deadline))


@on_every_store
async def test_who_restored_a_backup_says_so_where_the_database_cannot_tell(store: Store) -> None:
    now = [NOW]
    hub = Hub(store, lambda: now[0], recall_wait_seconds=0)
    request = LeaseRequest(ledgers.epoch(), 1, (Need(ACCOUNT.key, ACCOUNT, CENT, CENT),), ledgers.PATH)
    assert isinstance(await ledgers.lease(hub, request), LeaseGrant)
    row = await hub.recovery.begin("root", "restored from last night's backup")
    assert (row.generation, row.open) == (2, False)
    refused = await ledgers.lease(hub, LeaseRequest(ledgers.epoch(), 2, request.needs, ledgers.PATH))
    assert isinstance(refused, LeaseRefusal)
    assert refused.why is Why.RECOVERING
    leases = await store.leases("pod-1")
    told = tuple(
        Holding(
            Lease(each.id, each.account, each.window_start, each.window_end, each.amount, each.deadline), 0, 0, 0, 0
        )
        for each in leases
    )
    await hub.holdings(Holdings(ledgers.epoch(), row.name, told))
    now[0] += lives.RECOVERY_AT_LEAST
    assert await hub.recovery.look()
    again = await ledgers.lease(hub, LeaseRequest(ledgers.epoch(), 3, request.needs, ledgers.PATH))
    assert isinstance(again, LeaseGrant)
    assert [each.kind for each in await store.records("hub")] == ["ledgerBegun"]
