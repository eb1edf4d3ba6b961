"""Events that name as much as they may are taken; what names more is put aside, alone, and told to administrators."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import pytest

from llmgov.ledger import bounds
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import (
    Charged,
    Event,
    Inventory,
    LeaseGrant,
    LeaseRequest,
    Need,
    Settlement,
    Violated,
)
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience, OrganizationPart
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from llmgov_store.postgres import batch, connecting, locking
from llmgov_store.postgres.batch import Job
from llmgov_store.postgres.store import PostgresStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import CENT, NOW, on_every_store

T = TypeVar("T")

ACCOUNT = ledgers.account()
PATH = (*ledgers.PATH, *(f"team/x{number}" for number in range(bounds.MAX_PATH - len(ledgers.PATH))))
WIDEST = tuple(
    Violation(f"p{number}", Action.FLAG, "r", "m", notify=tuple(Audience)) for number in range(bounds.MAX_VIOLATIONS)
)


async def serving(store: Store) -> Hub:
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(ACCOUNT,))})
    return hub


async def leases(hub: Hub, amount: int) -> tuple[Charged, ...]:
    """As many parts of a hold, each of a lease of its own."""
    epoch = await hub.register("pod-1")
    lent: list[Charged] = []
    for number in range(1, amount + 1):
        request = LeaseRequest(epoch, number, (Need(ACCOUNT.key, ACCOUNT, 1, 1),), ledgers.PATH, closed=number)
        grant = await hub.lease(request)
        assert isinstance(grant, LeaseGrant)
        lent.append(Charged(grant.leases[0].id, ACCOUNT.key, 1))
    return tuple(lent)


@on_every_store
async def test_the_widest_events_are_on_record(store: Store) -> None:
    hub = await serving(store)
    charged = await leases(hub, bounds.MAX_PARTS)
    events: list[Event] = [
        ledgers.intent("pod-1:1/1", len(charged), charged, who=ledgers.subject(path=PATH)),
        ledgers.settlement("pod-1:1/1", len(charged)),
        Violated("pod-1:1/2", NOW, "r", None, ledgers.subject(path=PATH), WIDEST),
    ]
    assert await hub.deliver(events) == ()
    assert await store.spent(PATH[-1], 0, 2 * NOW) == len(charged)
    assert sum(window.spent for window in await store.windows(NOW)) == len(charged)
    assert len(await store.violations(0, 2 * NOW)) == len(WIDEST)
    assert len(await store.outbox()) == 2 * len(WIDEST)


@on_every_store
async def test_wider_ones_are_put_aside_and_those_beside_them_are_taken(store: Store) -> None:
    hub, many = await serving(store), tuple(Charged(f"pod-1:1/{n}/0", ACCOUNT.key, 0) for n in range(257))
    wide: list[Event] = [
        ledgers.intent("pod-1:1/1", 0, who=ledgers.subject(path=(*PATH, "team/more"))),
        ledgers.intent("pod-1:1/2", 0, many),
        Violated("pod-1:1/3", NOW, "r", None, ledgers.subject(), (*WIDEST, WIDEST[0])),
    ]
    good = [ledgers.intent(f"pod-2:1/{number}", CENT) for number in range(100)]
    assert await hub.deliver([*good[:50], *wide, *good[50:]]) == tuple(event.id for event in wide)
    assert len(await store.attempts(NOW, NOW + 1)) == len(good)
    told = [row.message for row in await store.violations(0, 2 * NOW)]
    assert all("entries, more than 256" in message for message in told), told
    assert len(told) == len(wide)


@on_every_store
async def test_an_inventory_of_all_that_it_may_name_keeps_what_it_names(store: Store) -> None:
    hub = await serving(store)
    lent = [part.lease for part in await leases(hub, 40)]
    epoch = await hub.register("pod-1")
    others = (f"pod-1:1/other{number}/0" for number in range(bounds.MAX_LIST - 20))
    await hub.inventory(Inventory(epoch, (*others, *lent[20:])))
    kept = {lease.id for lease in await store.leases("pod-1")}
    assert kept == set(lent[20:])


@machine.requires("postgres")
def test_what_one_sidecar_says_leaves_another_replica_room_for_its_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 attempts of 250 targets each, none of them twice; and their settlements, which name nothing themselves."""
    counts: list[int] = []
    run = batch.run

    async def noted(connection: connecting.Connection, jobs: list[Job], *rest: Any) -> bool:
        wrote = await run(connection, jobs, *rest)
        held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
        counts.append(await connection.fetchval(held))
        return wrote

    def wide(number: int) -> Event:
        path = (*ledgers.PATH, *(f"team/x{number}-{index}" for index in range(250)))
        return ledgers.intent(f"pod-1:1/{number}", CENT, who=ledgers.subject(path=path))

    async def check() -> None:
        async with postgres.database() as database:
            stores = [await PostgresStore.open(database.hub) for _ in range(2)]
            hub, other = [await serving(store) for store in stores]
            monkeypatch.setattr(batch, "run", noted)
            settled: list[Settlement] = [ledgers.settlement(f"pod-1:1/{number}", CENT) for number in range(256)]
            for events in ([wide(number) for number in range(256)], settled):
                aside, *_ = await asyncio.gather(
                    hub.deliver(events), *(other.register(f"pod-{number}") for number in range(50))
                )
                assert aside == ()
            assert await stores[1].spent(ledgers.PATH[0], 0, 2 * NOW) == 256 * CENT
            for store in stores:
                await store.close()

    asyncio.run(check())
    assert max(counts) <= locking.MAX_NAMES + 1


class Counting(MemoryStore):
    """Counts transactions."""

    transactions = 0

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        self.transactions += 1
        return await super().transact(lock, step)


def test_one_bad_event_among_many_costs_few_transactions() -> None:
    async def check() -> None:
        store = Counting()
        events: list[Event] = [ledgers.intent(f"pod-1:1/{number}", CENT) for number in range(256)]
        events[100] = msgspec.structs.replace(events[100], snapshot=("x",) * 257)
        assert await Hub(store, lambda: NOW).deliver(events) == ("pod-1:1/100",)
        assert store.transactions < 32
        assert len(await store.attempts(NOW, NOW + 1)) == 255

    asyncio.run(check())
