"""What is believed of leases that the ledger may have lost: of whom, until when, and up to which amount.

A failover lost commits. Whoever was lent in them is heard for an hour; whoever comes later is served and charged all
the same, so that an honest sidecar is not hurt by the bound that ends what a lying one can make of it.
"""

import msgspec
import pytest

from llmgov import instants
from llmgov.instants import Instant
from llmgov.ledger import balances, epochs, grants, windows
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Holding,
    Holdings,
    Lease,
    LeaseGrant,
    LeaseRequest,
    LeaseReturn,
    Need,
)
from llmgov.ledger.store import Store
from llmgov.snapshot import OrganizationPart
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, PATH, USD, on_every_store

ACCOUNT = ledgers.account()
LIMIT = 5 * USD
WINDOW = windows.current(ACCOUNT.period, ACCOUNT.time_zone, NOW)
LOST = Lease("pod-1:1/77/0", ACCOUNT.key, *WINDOW, 2 * USD, NOW + instants.MINUTE)
HUGE = msgspec.structs.replace(LOST, amount=10**12)
LIFE = "2:"


class World:
    """A ledger with one account of USD 5, in another life since `NOW`; pod-1 is known to it, as its only boot."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now: Instant = NOW
        self.hub = Hub(store, lambda: self.now, recall_wait_seconds=0)

    async def begin(self) -> None:
        await self.hub.recovery.look()
        await self.hub.configuration.publish({"organization": OrganizationPart("test", accounts=(ACCOUNT,))})
        await self.hub.register("pod-1")

    async def fail_over(self) -> None:
        await self.hub.recovery.begin("root", "the latest was lost")

    async def open_after(self, duration: Instant) -> None:
        self.now += duration
        await self.hub.recovery.accept_loss("root", "they are gone")

    async def report(self, lease: Lease, **told: int) -> None:
        epoch = Epoch("pod-1", int(lease.id.split("/")[0].partition(":")[2]))
        facts = {"spent": 0, "held": 0, "returned": 0, "serial": 0, **told}
        held = Holding(lease, **facts, account=ACCOUNT, path=PATH)
        known = await self.store.ledger_epoch()
        await self.hub.holdings(Holdings(epoch, known.name if known is not None else "", (held,), 100))

    async def attempt(self, number: int, held: int, cost: int | None = None, lease: Lease = LOST) -> tuple[str, ...]:
        id_ = f"{lease.id.split('/')[0]}/{number}"
        intent = ledgers.intent(id_, held, (Charged(lease.id, lease.key, held),), at=self.now)
        ends = [] if cost is None else [ledgers.settlement(id_, cost, at=self.now)]
        return await self.hub.deliver([intent, *ends])

    async def lent(self, number: int, epoch: Epoch) -> Lease:
        reply = await self.hub.lease(LeaseRequest(epoch, number, (Need(ACCOUNT.key, ACCOUNT, CENT, CENT),), PATH))
        assert isinstance(reply, LeaseGrant), reply
        return reply.leases[0]

    async def sums(self) -> tuple[int, int, int]:
        """What is spent, leased and unknown; checked against what leases and attempts add up to."""
        found = await self.store.balances()
        assert list(balances.differences(found)) == []
        (row,) = found.windows or [None]
        return (0, 0, 0) if row is None else (row.spent, row.leased, row.unknown)


@on_every_store
async def test_who_reports_within_an_hour_is_believed_and_who_comes_later_is_not(store: Store) -> None:
    world = World(store)
    await world.begin()
    await world.fail_over()
    await world.open_after(epochs.BELIEVED + 1)
    for boot in (1, 5, epochs.BOOTS):
        await world.report(msgspec.structs.replace(LOST, id=f"pod-1:{boot}/77/0"))
    assert await world.sums() == (0, 0, 0)
    world.now -= 1
    await world.report(LOST)
    assert await world.sums() == (0, LOST.amount, 0)


@on_every_store
async def test_who_reports_while_it_recovers_is_believed_however_long_that_takes(store: Store) -> None:
    world = World(store)
    await world.begin()
    await world.fail_over()
    world.now += instants.DAY
    await world.report(LOST)
    assert await world.sums() == (0, LOST.amount, 0)


@on_every_store
async def test_a_sidecar_that_comes_too_late_is_lent_to_and_what_it_did_is_charged_once(store: Store) -> None:
    """It was cut off, its registration is lost like its lease; an attempt that it had begun ends after hours."""
    world = World(store)
    await world.begin()
    epoch = await world.hub.register("pod-2")
    lease = msgspec.structs.replace(LOST, id=f"{epoch}/77/0")
    await world.fail_over()
    await world.open_after(5 * instants.HOUR)
    held = Holding(lease, 30 * CENT, 20 * CENT, 0, 0, ACCOUNT, PATH)
    for _ in range(2):
        assert await world.attempt(1, 30 * CENT, 25 * CENT, lease) == ()
        assert await world.attempt(2, 20 * CENT, None, lease) == ()
        await world.hub.holdings(Holdings(epoch, LIFE, (held,), 100))
        assert (await store.balances()).leases == ()
    new = await world.lent(100, epoch)
    assert await world.sums() == (25 * CENT, new.amount, 0)
    for _ in range(2):
        await world.hub.deliver([ledgers.settlement(f"{epoch}/2", 20 * CENT, at=world.now)])
        await world.hub.give_back(LeaseReturn(epoch, lease.id, 1, LOST.amount - 45 * CENT, final=True))
        assert await world.sums() == (45 * CENT, new.amount, 0)


@on_every_store
async def test_a_lease_that_is_known_is_not_enlarged_by_a_report_that_comes_too_late(store: Store) -> None:
    world = World(store)
    await world.begin()
    known = await world.lent(1, Epoch("pod-1", 1))
    await world.fail_over()
    await world.attempt(1, 20 * CENT)
    await world.open_after(epochs.BELIEVED + 1)
    more = msgspec.structs.replace(known, amount=known.amount + CENT)
    await world.report(more)
    await world.report(LOST)
    assert await world.sums() == (0, known.amount + 20 * CENT, 0)
    await world.hub.give_back(LeaseReturn(Epoch("pod-1", 1), known.id, 1, known.amount, final=True))
    await world.hub.give_back(LeaseReturn(Epoch("pod-1", 1), LOST.id, 1, LOST.amount - 20 * CENT, final=True))
    assert await world.sums() == (0, 0, 20 * CENT)


@on_every_store
async def test_an_attempt_brings_its_lease_back_within_the_hour_alone(store: Store) -> None:
    """One that is known from attempts in time goes on with those that come later: each is counted in one way."""
    world = World(store)
    await world.begin()
    await world.fail_over()
    await world.open_after(epochs.BELIEVED)
    await world.attempt(1, 20 * CENT)
    world.now += 1
    other = msgspec.structs.replace(LOST, id="pod-1:1/78/0")
    assert await world.attempt(2, 10 * CENT) + await world.attempt(3, 40 * CENT, None, other) == ()
    assert await world.sums() == (0, 30 * CENT, 0)
    await world.hub.deliver([ledgers.settlement(f"pod-1:1/{number}", 10 * CENT, at=world.now) for number in (1, 2, 3)])
    assert await world.sums() == (30 * CENT, 10 * CENT, 0)


@on_every_store
async def test_what_came_back_of_a_lost_lease_before_its_report_came_back_once(store: Store) -> None:
    """The return may have been lost with the lease, or be on its way; the report has it already."""
    world = World(store)
    await world.begin()
    await world.fail_over()
    for _ in range(2):
        await world.report(LOST, returned=30 * CENT, serial=1)
        await world.hub.give_back(LeaseReturn(Epoch("pod-1", 1), LOST.id, 1, 30 * CENT, final=False))
        assert await world.sums() == (0, LOST.amount - 30 * CENT, 0)
    await world.hub.give_back(LeaseReturn(Epoch("pod-1", 1), LOST.id, 2, LOST.amount - 30 * CENT, final=True))
    assert await world.sums() == (0, 0, 0)


@on_every_store
async def test_no_lost_lease_has_more_outstanding_than_its_accounts_limit(store: Store) -> None:
    """What its attempts cost counts whole, and what its holder returns is not refused."""
    world = World(store)
    await world.begin()
    await world.fail_over()
    for _ in range(2):
        await world.report(HUGE)
        assert await world.sums() == (0, LIMIT, 0)
    await world.attempt(1, 7 * USD)
    assert await world.sums() == (0, LIMIT, 0)
    await world.hub.deliver([ledgers.settlement("pod-1:1/1", 7 * USD)])
    assert (await world.sums())[0] == 7 * USD
    await world.hub.give_back(LeaseReturn(Epoch("pod-1", 1), HUGE.id, 1, HUGE.amount - 7 * USD, final=True))
    assert await world.sums() == (7 * USD, 0, 0)


@on_every_store
async def test_nor_has_one_that_is_known_from_its_attempts(store: Store) -> None:
    world = World(store)
    await world.begin()
    await world.fail_over()
    for number, outstanding in enumerate((3 * USD, LIMIT, LIMIT), 1):
        await world.attempt(number, 3 * USD)
        assert await world.sums() == (0, outstanding, 0)
    await world.report(HUGE)
    assert await world.sums() == (0, LIMIT, 0)
    await world.hub.leases.lose("pod-1")
    assert await world.sums() == (0, 0, LIMIT)
    await world.hub.deliver([ledgers.settlement(f"pod-1:1/{number}", 2 * USD) for number in (1, 2, 3)])
    assert (await world.sums())[0] == 6 * USD


@on_every_store
async def test_what_is_known_to_be_lent_is_not_lessened_by_the_limit(store: Store) -> None:
    """It was lent under a limit that was lowered since, in whatever life of the database."""
    world = World(store)
    await world.begin()
    known = await world.lent(1, Epoch("pod-1", 1))
    low = msgspec.structs.replace(ACCOUNT, limit=known.amount // 2)
    await world.hub.configuration.publish({"organization": OrganizationPart("test", accounts=(low,))})
    await world.fail_over()
    await world.report(msgspec.structs.replace(known, amount=2 * known.amount))
    assert await world.sums() == (0, known.amount, 0)


@on_every_store
async def test_a_boot_of_this_life_that_the_ledger_never_lent_to_lies_at_any_time(store: Store) -> None:
    world = World(store)
    await world.begin()
    await world.fail_over()
    await world.open_after(instants.MINUTE)
    epoch = await world.hub.register("pod-1")
    forged = msgspec.structs.replace(LOST, id=f"{epoch}/77/0")
    for _ in range(2):
        with pytest.raises(BadInputError) as raised:
            await world.report(forged)
        assert (raised.value.fault, raised.value.field) == (Fault.FOREIGN, "holdings[0].lease.id")
        assert await world.attempt(1, CENT, None, forged) == (f"{epoch}/1",)
        assert await world.sums() == (0, 0, 0)
        world.now += instants.DAY


def test_every_lease_that_may_have_been_lost_has_ended_before_it_is_not_believed_any_more() -> None:
    assert epochs.BELIEVED >= 5 * grants.LEASE_LIFE
