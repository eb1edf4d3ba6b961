"""The primary server is killed for good and its standby takes over: what the ledger keeps, loses, and does then.

Hubs reach both servers by one URL, `postgresql://...@FIRST,SECOND/...?target_session_attrs=primary`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

from llmgov import instants
from llmgov.ledger import balances, epochs
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Holding,
    Holdings,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recount,
    Why,
)
from llmgov.ledger.store import StoreError
from llmgov.snapshot import Account
from llmgov_hub.hub import Hub
from llmgov_store.postgres import connecting
from llmgov_store.postgres.store import PostgresStore
from tests.support import ledger_queries, ledger_traffic, ledgers, machine, postgres, postgres_pair
from tests.support.ledgers import CENT, NOW, USD
from tests.support.postgres import Database
from tests.support.postgres_pair import Pair

pytestmark = machine.requires("postgres of its own")

PLENTY = 10_000 * USD
"""A limit that no run reaches: then nobody is refused but by a ledger that does not lend."""

MANY = 100
"""Attempts that are settled when the primary dies."""

_HALF_A_MINUTE = 31 * instants.SECOND

_BEGUN = "records WHERE kind = 'ledgerBegun'"
_SETTLED = "attempts WHERE settlement IS NOT NULL"


class Replica:
    """One replica, which lives through the failover; `now` is its clock."""

    def __init__(self, store: PostgresStore) -> None:
        self.now = NOW
        self.store = store
        self.hub = Hub(store, lambda: self.now, writer="kept", recall_wait_seconds=0)

    async def looks(self) -> bool:
        """Look as it does every second, while the database is away or not; whether it lends."""
        while True:
            with contextlib.suppress(StoreError):
                return await self.hub.recovery.look()
            await asyncio.sleep(0.02)

    async def why_not(self, sidecar: "Sidecar") -> Why | None:
        """Why a sidecar is lent nothing; `None` where it is."""
        while True:
            with contextlib.suppress(StoreError):
                reply = await sidecar.ask(CENT)
                return reply.why if isinstance(reply, LeaseRefusal) else None
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def replica(database: Database) -> AsyncIterator[Replica]:
    store = await PostgresStore.open(database.hub)
    try:
        yield Replica(store)
    finally:
        await store.close()


class Sidecar:
    """What a sidecar holds, and what it answers when it is asked for that."""

    def __init__(self, hub: Hub, epoch: Epoch, accounts: Sequence[Account], path: tuple[str, ...]) -> None:
        self._hub = hub
        self.epoch = epoch
        self._accounts, self._path = accounts, path
        self._request = 0
        self.leases: list[Lease] = []
        self.spent: dict[str, int] = {}

    @classmethod
    async def start(cls, hub: Hub, holder: str, accounts: Sequence[Account], path: tuple[str, ...]) -> "Sidecar":
        return cls(hub, await hub.register(holder), accounts, path)

    async def ask(self, amount: int) -> LeaseGrant | LeaseRefusal:
        self._request += 1
        needs = tuple(Need(account.key, account, amount, amount) for account in self._accounts)
        reply = await self._hub.lease(LeaseRequest(self.epoch, self._request, needs, self._path))
        if isinstance(reply, LeaseGrant):
            self.leases += reply.leases
        return reply

    async def lent(self, amount: int) -> Lease:
        """A lease of the first account."""
        reply = await self.ask(amount)
        assert isinstance(reply, LeaseGrant), reply
        return reply.leases[0]

    async def spend(self, lease: Lease, hold: int, cost: int) -> None:
        attempt = f"{self.epoch}/{self._request}"
        charged = (Charged(lease.id, lease.key, hold),)
        await self._hub.deliver([ledgers.intent(attempt, hold, charged), ledgers.settlement(attempt, cost)])
        self.spent[lease.id] = self.spent.get(lease.id, 0) + cost

    async def give_back(self, lease: Lease) -> None:
        """All that is not spent of a lease, for the last time."""
        rest = lease.amount - self.spent.get(lease.id, 0)
        await self._hub.give_back(LeaseReturn(self.epoch, lease.id, 1, rest, final=True))
        self.leases.remove(lease)

    async def answer(self) -> None:
        """Connect, wait until the hub asks what is held, and say it."""
        stream = self._hub.recalls(self.epoch)
        asked = await anext(stream)
        assert isinstance(asked, Recount), asked
        accounts = {account.key: account for account in self._accounts}
        holdings = tuple(
            Holding(lease, self.spent.get(lease.id, 0), 0, 0, 0, accounts[lease.key], ledgers.PATH)
            for lease in self.leases
        )
        await self._hub.holdings(Holdings(self.epoch, asked.ledger, holdings, self._request + 1))


async def answered(replica: Replica, *sidecars: Sidecar) -> bool:
    """Look until each of the sidecars was asked and has answered; whether the ledger lends then."""
    async with asyncio.TaskGroup() as group:
        answers = [group.create_task(sidecar.answer()) for sidecar in sidecars]

        async def all_have() -> bool:
            await replica.looks()
            return all(answer.done() for answer in answers)

        await postgres_pair.until(all_have)
    return await replica.looks()


async def count(url: str, rows: str) -> int:
    connection = await connecting.connect(url)
    try:
        return int(await connection.fetchval(f"SELECT count(*) FROM {rows}"))  # noqa: S608 - written here
    finally:
        await connection.close()


async def killed_under_load(pair: Pair, database: Database) -> ledger_traffic.Tally:
    """Clients run over two replicas while the primary dies and its standby takes over; what they were acknowledged."""

    async def has_settled_many() -> bool:
        return await count(database.owner, _SETTLED) >= MANY

    async with asyncio.TaskGroup() as group:
        load = group.create_task(ledger_traffic.run(database.hub, range(16), rounds=25, limit=PLENTY))
        await postgres_pair.until(has_settled_many)
        assert await pair.state() == "sync"
        assert not load.done()
        await pair.fail_over()
    return load.result()


def test_a_failover_to_a_synchronous_standby_loses_nothing_that_was_acknowledged() -> None:
    async def check(pair: Pair) -> None:
        async with postgres.database(pair.url()) as database, replica(database) as kept:
            accounts, path = ledger_traffic.accounts(0, PLENTY), ledger_traffic.path(0)
            holders = [await Sidecar.start(kept.hub, f"keeper-{number}", accounts, path) for number in range(3)]
            for holder in holders:
                await holder.lent(USD)
            before = await kept.store.database()
            whole = await killed_under_load(pair, database)
            assert whole.failures > 0
            assert whole.refused > 0, "a ledger that begins another life lends nothing"
            assert len(whole.costs) >= MANY

            assert await kept.store.database() == before.replace("/00000001", "/00000002")
            assert await kept.why_not(holders[0]) is Why.RECOVERING
            kept.now += _HALF_A_MINUTE
            assert not await kept.looks(), "nobody has reported"
            assert not await answered(kept, *holders[1:]), "one has not reported"
            assert await answered(kept, holders[0])
            assert await count(database.owner, _BEGUN) == 1

            again = await ledger_traffic.run(database.hub, range(16, 24), rounds=3, name="after", limit=PLENTY)
            assert (again.refused, again.failures) == (0, 0)
            whole += again
            whole.leases += [lease.id for holder in holders for lease in holder.leases]
            await ledger_traffic.check(database.owner, whole, PLENTY)

    with postgres_pair.running(synchronous=True) as pair:
        asyncio.run(check(pair))


def test_nothing_is_acknowledged_before_a_synchronous_standby_has_it() -> None:
    async def check(pair: Pair) -> None:
        async with postgres.database(pair.url()) as database, replica(database) as kept:
            sidecar = await Sidecar.start(kept.hub, "pod-1", [ledgers.account()], ledgers.PATH)
            await pair.cut_off()
            async with asyncio.TaskGroup() as group:
                lending = group.create_task(sidecar.lent(USD))
                await asyncio.sleep(0.5)  # much longer than a commit takes
                assert not lending.done()
                await pair.join_again()
            assert await sums(kept) == (0, lending.result().amount, 0)

    with postgres_pair.running(synchronous=True) as pair:
        asyncio.run(check(pair))


async def sums(kept: Replica) -> tuple[int, int, int]:
    """What is spent, leased and unknown in the only window."""
    (window,) = await kept.store.windows(kept.now)
    return window.spent, window.leased, window.unknown


def test_what_an_asynchronous_standby_has_lost_is_counted_as_held_until_somebody_says_otherwise() -> None:
    """A settlement, a last return, two grants and a registration were acknowledged and are gone."""
    account = ledgers.account()

    async def check(pair: Pair) -> None:
        async with postgres.database(pair.url()) as database, replica(database) as kept:
            payer, giver, silent = [
                await Sidecar.start(kept.hub, name, [account], ledgers.PATH) for name in ("payer", "giver", "silent")
            ]
            known, given, missing = await payer.lent(USD), await giver.lent(USD), await silent.lent(20 * CENT)
            await pair.cut_off()
            await payer.spend(known, 40 * CENT, 30 * CENT)
            lost = await payer.lent(50 * CENT)
            await giver.give_back(given)
            newcomer = await Sidecar.start(kept.hub, "newcomer", [account], ledgers.PATH)
            unheard = await newcomer.lent(50 * CENT)
            assert await sums(kept) == (
                30 * CENT,
                known.amount - 30 * CENT + lost.amount + unheard.amount + missing.amount,
                0,
            )
            await pair.fail_over()

            assert await kept.why_not(payer) is Why.RECOVERING
            assert await sums(kept) == (0, known.amount + given.amount + missing.amount, 0), "what the standby has"
            kept.now += _HALF_A_MINUTE
            assert not await answered(kept, payer, giver, newcomer), "one is gone, and cannot report"
            lent = known.amount + lost.amount + unheard.amount + missing.amount
            assert await sums(kept) == (0, lent, given.amount), "nothing counts less than it is"
            await kept.hub.recovery.accept_loss("root", "its node is gone")
            assert await kept.why_not(newcomer) is None

            for sidecar in (payer, newcomer):
                for lease in list(sidecar.leases):
                    await sidecar.give_back(lease)
            assert await sums(kept) == (0, 30 * CENT + missing.amount, given.amount), "at rest"
            assert (await kept.hub.register("newcomer")).number > epochs.BOOTS, "no boot's number is given twice"
            assert list(balances.differences(await kept.store.balances())) == []
            assert await ledger_queries.findings(database.owner) == [0] * len(ledger_queries.QUERIES)

    with postgres_pair.running(synchronous=False) as pair:
        asyncio.run(check(pair))
