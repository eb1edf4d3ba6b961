"""A report of leases that nobody lent: whoever sends it may be anybody's sidecar, and charges nobody by it."""

import asyncio

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import epochs, lives, windows
from llmgov.ledger.book import Lock
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Epoch, Holding, Holdings, Lease, LeaseGrant, LeaseRequest, Need
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, OrganizationPart, Period, Target, TargetKind, user_account_key
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import NOW, PATH, USD, on_every_store

MINE = ledgers.account()
VICTIM = ledgers.account(Target(TargetKind.TEAM, "victims"))
EACH = ledgers.account(Target(TargetKind.USER))
OLD = msgspec.structs.replace(ledgers.account(), key="test|team/payments|Day|UTC")


class World:
    """A hub by whose configuration two teams and each user have budgets, and a sidecar that it knows."""

    def __init__(self) -> None:
        self.now = NOW
        self.store = MemoryStore()
        self.hub = Hub(self.store, lambda: self.now, recall_wait_seconds=0)

    async def begin(self) -> None:
        await self.hub.recovery.look()
        parts = {"organization": OrganizationPart("test", accounts=(MINE, VICTIM, EACH))}
        await self.hub.configuration.publish(parts)
        assert await self.hub.register("evil") == Epoch("evil", 1)

    async def report(
        self,
        account: Account = MINE,
        path: tuple[str, ...] = PATH,
        epoch: Epoch | None = None,
        key: str = "",
        amount: int = 4 * USD,
    ) -> None:
        epoch = epoch or Epoch("evil", 1)
        span = windows.current(account.period, account.time_zone, self.now)
        lease = Lease(f"{epoch}/77/0", key or account.key, *span, amount, self.now)
        told = Holdings(epoch, "", (Holding(lease, 0, amount, 0, 0, account, path),))
        await self.hub.holdings(told)

    async def refused(self, field: str, account: Account = MINE, **told: object) -> None:
        before = await self.store.balances()
        with pytest.raises(BadInputError) as raised:
            await self.report(account, **told)  # type: ignore[arg-type]
        assert (raised.value.fault, raised.value.field) == (Fault.FOREIGN, f"holdings[0].{field}")
        assert await self.store.balances() == before


def test_a_lease_that_was_never_lent_is_refused_on_every_account() -> None:
    """Also of a holder that nobody knows, which a forger can think of; but not where the ledger began of late."""

    async def main() -> None:
        world = World()
        await world.begin()
        for account in (MINE, VICTIM):
            await world.refused("lease.id", account)
        world.now += epochs.BELIEVED + 1
        await world.refused("lease.id", epoch=Epoch("ghost", 1))
        assert await world.store.windows(world.now) == []

    asyncio.run(main())


@pytest.mark.parametrize("recovering", [True, False], ids=["the ledger recovers", "a ledger that began empty of late"])
def test_what_may_have_been_lost_comes_back_along_its_path_alone(recovering: bool) -> None:
    async def main() -> None:
        world = World()
        await world.begin()
        if recovering:
            await world.hub.recovery.begin("root", "restored")
        epoch = Epoch("evil" if recovering else "older", 1)
        await world.refused("path", VICTIM, epoch=epoch)
        await world.refused("path", MINE, path=(), epoch=epoch)
        await world.refused("path", EACH, key=user_account_key(EACH.key, "jane"), epoch=epoch)
        assert await world.store.windows(NOW) == []
        for _ in range(2):
            await world.report(epoch=epoch)
        (window,) = await world.store.windows(NOW)
        assert (window.account, window.leased) == (MINE.key, 4 * USD)

    asyncio.run(main())


def test_a_lease_of_an_account_that_never_was_in_force_limits_nothing_and_keeps_nobody_from_reporting() -> None:
    async def main() -> None:
        world = World()
        await world.begin()
        await world.report(OLD, epoch=Epoch("older", 7))
        await world.report(ledgers.account(Target(TargetKind.USER, "joe")), epoch=Epoch("older", 7))
        assert await world.store.windows(NOW) == []
        request = LeaseRequest(Epoch("older", 7), 78, (Need(MINE.key, MINE, USD, USD),), PATH)
        assert isinstance(await world.hub.lease(request), LeaseGrant)

    asyncio.run(main())


def test_a_users_account_whose_definition_was_in_force_comes_back() -> None:
    async def main() -> None:
        world = World()
        await world.begin()
        await world.hub.configuration.publish({"organization": OrganizationPart("test", accounts=(MINE,))})
        await world.hub.recovery.begin("root", "restored")
        key = user_account_key(EACH.key, "jane")
        await world.report(EACH, path=(*PATH, "user/jane"), key=key)
        assert [(row.account, row.leased) for row in await world.store.windows(NOW)] == [(key, 4 * USD)]

    asyncio.run(main())


def test_a_report_defines_no_account_that_was_in_force() -> None:
    """Neither its limit nor whom it counts: the next request would be decided by what the report said."""

    async def main() -> None:
        world = World()
        await world.begin()
        await world.hub.configuration.publish({"organization": OrganizationPart("test", accounts=(EACH,))})
        await world.hub.recovery.begin("root", "restored")
        await world.report(msgspec.structs.replace(VICTIM, target=MINE.target, limit=10**15))
        await world.report(msgspec.structs.replace(MINE, limit=10**15))
        assert [(row.account, row.scope) for row in await world.store.windows(NOW)] == [(MINE.key, "team/payments")]
        book = await world.store.transact(Lock(leases=("evil:1/77/0",)), lambda book: book)
        assert [row.account for row in book.accounts.values()] == [MINE]

    asyncio.run(main())


def test_a_lease_that_was_lent_is_no_larger_than_that_and_of_no_other_account() -> None:
    async def main() -> None:
        world = World()
        await world.begin()
        request = LeaseRequest(Epoch("evil", 1), 77, (Need(MINE.key, MINE, USD, USD),), PATH)
        grant = await world.hub.lease(request)
        assert isinstance(grant, LeaseGrant)
        most = grant.leases[0].amount
        await world.report(amount=most)
        await world.refused("lease.amount", amount=most + 1)
        await world.refused("lease.key", VICTIM, amount=most)

    asyncio.run(main())


HOUR = ledgers.account(period=Period.HOUR)


@on_every_store
async def test_the_window_of_a_lost_lease_is_one_that_its_account_has(store: Store) -> None:
    """Else it would be in the way of the account's own: who is lent from one that lasts a microsecond has nothing."""
    now = NOW + 30 * instants.MINUTE
    hub = Hub(store, lambda: now, recall_wait_seconds=0)
    await hub.recovery.look()
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(HOUR,))})
    await hub.recovery.begin("root", "restored")
    next_ = windows.current(Period.HOUR, "UTC", NOW + instants.HOUR)
    wrong = {
        "one that lasts a microsecond": ((NOW, NOW + 1), Fault.RANGE, "window_end"),
        "one that lasts for hours": ((NOW, NOW + 3 * instants.HOUR), Fault.RANGE, "window_end"),
        "one that begins in the middle": ((NOW + 17, NOW + instants.HOUR), Fault.RANGE, "window_start"),
        "one that ended": ((NOW - 5 * instants.HOUR, NOW - 3 * instants.HOUR), Fault.RANGE, "window_end"),
        "the next one": (tuple(next_), Fault.FUTURE, "window_start"),
        "the next one, for a microsecond": ((next_.start, next_.start + 1), Fault.FUTURE, "window_start"),
    }
    before = await store.balances()
    for name, (span, fault, field) in wrong.items():
        with pytest.raises(BadInputError) as raised:
            await hub.holdings(told(HOUR, span))
        assert (raised.value.fault, raised.value.field) == (fault, f"holdings[0].lease.{field}"), name
        assert await store.balances() == before, name
    await hub.holdings(told(HOUR, windows.current(Period.HOUR, "UTC", now)))
    (window,) = await store.windows(now)
    assert (window.start, window.end, window.leased) == (NOW, NOW + instants.HOUR, USD)


@on_every_store
async def test_a_window_that_began_before_the_failover_is_believed_by_a_clock_that_is_behind(store: Store) -> None:
    """The database's clock may be set back by a failover, by as long as nothing is lent after it."""
    hub = Hub(store, lambda: NOW - lives.RECOVERY_AT_LEAST, recall_wait_seconds=0)
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(HOUR,))})
    await hub.recovery.begin("root", "restored")
    await hub.holdings(told(HOUR, (NOW, NOW + instants.HOUR)))
    (window,) = await store.windows(NOW)
    assert (window.start, window.end) == (NOW, NOW + instants.HOUR)


@on_every_store
async def test_the_window_of_a_lost_lease_that_may_have_been_pruned_is_not_opened_again(store: Store) -> None:
    """Nobody would remove it any more."""
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(HOUR,))})
    await hub.recovery.begin("root", "restored")
    for days, kept in ((36, False), (34, True)):
        await hub.holdings(told(HOUR, windows.current(Period.HOUR, "UTC", NOW - days * instants.DAY)))
        assert ((await store.balances()).windows != ()) is kept


def told(account: Account, span: tuple[int, ...]) -> Holdings:
    """The report of a boot that the ledger may have lost: of one lease of USD 1, in that window."""
    start, end = span
    lease = Lease("evil:1/77/0", account.key, start, end, USD, end)
    return Holdings(Epoch("evil", 1), "", (Holding(lease, 0, USD, 0, 0, account, PATH),))


def test_a_ledger_is_new_for_longer_than_leases_live() -> None:
    assert epochs.BELIEVED >= 30 * instants.MINUTE
