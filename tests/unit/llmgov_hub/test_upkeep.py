"""Pruning over every store: what may be asked for stays, the rest goes, and the sums agree before and after."""

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import balances, pruning
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, LeaseReturn, Need
from llmgov.ledger.rows import EpochRow, LeaseRow, LeaseState, Window
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, Period, Target, TargetKind
from llmgov_hub.hub import Hub
from llmgov_hub.upkeep import Upkeep
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, on_every_store

HOURLY = ledgers.account(period=Period.HOUR)
YEARLY = ledgers.account(Target(TargetKind.ORGANIZATION), period=Period.YEAR)
LATER = NOW + pruning.KEEP + 2 * instants.HOUR


class World:
    """A hub, its upkeep, and the clock of both."""

    def __init__(self, store: Store) -> None:
        self.now = NOW
        self.store = store
        self.hub = Hub(store, lambda: self.now, recall_wait_seconds=0)
        self.upkeep = Upkeep(store, lambda: self.now)

    async def spend(self, number: int, *accounts: Account, settled: bool = True) -> None:
        needs = tuple(Need(each.key, each, CENT, CENT) for each in accounts)
        grant = await ledgers.lease(self.hub, LeaseRequest(ledgers.epoch(), number, needs, ledgers.PATH))
        assert isinstance(grant, LeaseGrant)
        charged = tuple(Charged(lease.id, lease.key, CENT) for lease in grant.leases)
        id_ = f"pod-1:1/{number}"
        await self.hub.deliver([ledgers.intent(id_, CENT, charged, at=self.now), ledgers.settlement(id_, 7)])
        for lease in grant.leases if settled else ():
            await self.hub.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, lease.amount - 7, final=True))

    async def names(self) -> list[str]:
        return [row.account for row in (await self.store.balances()).windows]


@on_every_store
async def test_a_window_that_ended_goes_with_its_leases_and_the_sums_still_agree(store: Store) -> None:
    world = World(store)
    await world.spend(1, HOURLY, YEARLY)
    assert await world.upkeep.prune() == 0
    world.now = LATER
    assert await world.upkeep.prune() == 1
    assert await world.names() == [YEARLY.key]
    given = await store.balances()
    assert [lease.account for lease in given.leases] == [YEARLY.key]
    assert list(balances.differences(given)) == []
    assert await world.upkeep.prune() == 0


@on_every_store
async def test_what_comes_late_for_a_removed_window_harms_nothing(store: Store) -> None:
    world = World(store)
    await world.spend(1, HOURLY, YEARLY)
    world.now = LATER
    await world.upkeep.prune()
    charged = (Charged("pod-1:1/1/0", HOURLY.key, CENT), Charged("pod-1:1/1/1", YEARLY.key, CENT))
    await world.hub.give_back(LeaseReturn(ledgers.epoch(), "pod-1:1/1/0", 1, 5, final=True))
    await world.hub.deliver([ledgers.intent("pod-1:1/9", CENT, charged), ledgers.settlement("pod-1:1/9", 3)])
    (window,) = await store.windows(NOW)
    assert (window.account, window.spent) == (YEARLY.key, 10)
    assert list(balances.differences(await store.balances())) == []


@on_every_store
async def test_money_that_is_lent_or_unknown_keeps_its_window(store: Store) -> None:
    world = World(store)
    await world.spend(1, HOURLY, settled=False)
    world.now = LATER
    assert await world.upkeep.prune() == 0
    await world.hub.leases.lose("pod-1")
    assert await world.upkeep.prune() == 0
    assert await world.names() == [HOURLY.key]


@on_every_store
async def test_a_holder_that_is_gone_is_forgotten_with_its_events(store: Store) -> None:
    world = World(store)
    await world.spend(1, HOURLY)
    await world.hub.leases.lose("pod-1")
    await store.transact(Lock(), lambda book: book.put_event("pod-1:1/4"))
    world.now = NOW + pruning.KEEP
    assert await world.upkeep.prune() == 0
    world.now = LATER
    assert await world.upkeep.prune() == 2
    book = await store.transact(Lock(holders=("pod-1",), events=("pod-1:1/4",)), lambda book: book)
    assert (book.epochs, book.events) == ({}, set())


@on_every_store
async def test_more_than_one_transaction_may_hold_goes_in_several(store: Store) -> None:
    world = World(store)
    await world.spend(1, HOURLY)
    (window,) = await store.windows(NOW)

    def many(book: Book) -> None:
        for index in range(pruning.BATCH + 1):
            book.put_window(msgspec.structs.replace(window, start=index, end=index + 1, spent=0))

    await store.transact(Lock(), many)
    world.now = LATER
    assert await world.upkeep.prune() == pruning.BATCH + 2


LEASE = LeaseRow("L", "A", 0, 10, "pod-1", 1, 5, 9, 5, state=LeaseState.FINAL)
WINDOW = Window("A", "A", 0, 10, 1)
GONE = EpochRow("pod-1", 1, gone=5)
FAR = pruning.KEEP + 100


@pytest.mark.parametrize(
    ("window", "lease", "epoch", "now", "removed"),
    [
        (WINDOW, LEASE, GONE, FAR, 2),
        (WINDOW, LEASE, GONE, pruning.KEEP + 7, 1),
        (msgspec.structs.replace(WINDOW, leased=1), LEASE, GONE, FAR, 1),
        (msgspec.structs.replace(WINDOW, unknown=1), LEASE, GONE, FAR, 1),
        (WINDOW, msgspec.structs.replace(LEASE, returned=4), GONE, FAR, 0),
        (WINDOW, msgspec.structs.replace(LEASE, state=LeaseState.OPEN), GONE, FAR, 0),
        (WINDOW, LEASE, msgspec.structs.replace(GONE, gone=None), FAR, 1),
    ],
    ids=[
        "all is over",
        "the window has not been over for long enough",
        "something is lent",
        "something is unknown",
        "a lease has money outstanding",
        "a lease is open",
        "the holder may come back",
    ],
)
def test_the_rule_itself(window: Window, lease: LeaseRow, epoch: EpochRow, now: int, removed: int) -> None:
    """Whatever a store loads, what may be asked for is not removed."""
    book = Book(windows={("A", 0): window}, leases={"L": lease}, epochs={"pod-1": epoch})
    assert pruning.prune(book, now) == removed
