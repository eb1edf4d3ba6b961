"""More refused requests of one sidecar than are remembered: nobody is refused for that whose money is there."""

import asyncio

import pytest

from llmgov.ledger import epochs
from llmgov.ledger.book import Lock
from llmgov.ledger.messages import (
    Epoch,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recalled,
    Why,
)
from llmgov.ledger.rows import EpochRow
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import OrganizationPart, Target, TargetKind, user_account_key
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, PATH, USD, on_every_store

EACH = ledgers.account(Target(TargetKind.USER), limit=USD)


def asks(epoch: Epoch, number: int, user: str, least: int, closed: int = 1) -> LeaseRequest:
    needs = (Need(user_account_key(EACH.key, user), EACH, least, least),)
    return LeaseRequest(epoch, number, needs, (*PATH, f"user/{user}"), closed=closed)


@on_every_store
async def test_who_waits_for_idle_money_gets_it_however_many_others_are_refused_meanwhile(store: Store) -> None:
    hub = Hub(store, lambda: NOW, recall_wait_seconds=20)
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(EACH,))})
    other, gate = await hub.register("other"), await hub.register("gate")
    idle = await hub.lease(asks(other, 1, "ann", USD))
    assert isinstance(idle, LeaseGrant)
    stream = hub.recalls(other)

    async def give_back() -> None:
        recall = await anext(stream)
        assert isinstance(recall, Recall)
        replies = await asyncio.gather(
            *(hub.lease(asks(gate, number, f"bob-{number}", 2 * USD)) for number in range(2, epochs.MAX_REFUSED + 30)),
            return_exceptions=True,
        )
        refused = [reply for reply in replies if isinstance(reply, LeaseRefusal)]
        assert [reply.why for reply in refused] == [Why.EXHAUSTED] * epochs.MAX_REFUSED
        assert {type(reply) for reply in replies} == {LeaseRefusal, StoreError}
        await hub.give_back(LeaseReturn(other, idle.leases[0].id, 1, idle.leases[0].amount, final=True))
        await hub.recalled(Recalled(other, recall.key, idle.leases[0].amount, recall.ask))

    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(give_back())
        await asyncio.sleep(0)
        reply = await hub.lease(asks(gate, 1, "ann", 50 * CENT))
    assert isinstance(reply, LeaseGrant)


@on_every_store
async def test_a_request_that_cannot_be_refused_is_decided_once_others_are_closed(store: Store) -> None:
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(EACH,))})
    gate = await hub.register("gate")
    last = epochs.MAX_REFUSED
    for number in range(1, last + 1):
        assert isinstance(await hub.lease(asks(gate, number, f"bob-{number}", 2 * USD)), LeaseRefusal)
    before = await remembered(store)
    with pytest.raises(StoreError, match="ask again"):
        await hub.lease(asks(gate, last + 1, "joe", 2 * USD))
    assert await remembered(store) == before
    assert isinstance(await hub.lease(asks(gate, last + 2, "ann", CENT)), LeaseGrant), "her money is there"
    late = await hub.lease(asks(gate, last, f"bob-{last}", CENT))
    assert isinstance(late, LeaseRefusal)
    assert late.why is Why.CLOSED
    refused = await hub.lease(asks(gate, last + 1, "joe", 2 * USD, closed=last + 1))
    assert isinstance(refused, LeaseRefusal)
    assert refused.why is Why.EXHAUSTED


async def remembered(store: Store) -> EpochRow:
    book = await store.transact(Lock(holders=("gate",)), lambda book: book)
    return book.epochs["gate"]
