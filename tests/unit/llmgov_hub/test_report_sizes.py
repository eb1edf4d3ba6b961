"""What one message may make a replica do is bounded, also where each of its parts is."""

import asyncio
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.ledger import bounds, recovery, reporting
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Holding,
    Holdings,
    Lease,
    LeaseGrant,
    LeaseRequest,
    Need,
)
from llmgov.ledger.rows import LeaseState
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from llmgov_store.postgres import locking
from llmgov_store.postgres.batch import Job
from tests.support import ledgers
from tests.support.ledgers import NOW, USD

MINE = ledgers.account()


def holdings(leases: int, serial: int) -> Holdings:
    epoch = ledgers.epoch()
    lease = Lease("", MINE.key, NOW - instants.HOUR, NOW + instants.HOUR, USD, NOW)
    return Holdings(
        epoch,
        "1:life",
        tuple(
            Holding(msgspec.structs.replace(lease, id=f"{epoch}/{index}/0"), 0, 0, 0, serial, MINE, ledgers.PATH)
            for index in range(leases)
        ),
    )


def held(lease: Lease) -> Holding:
    return Holding(lease, 0, 0, 0, 0, MINE, ledgers.PATH)


def test_a_report_of_millions_of_returns_is_refused_before_they_are_named() -> None:
    async def check() -> None:
        hub = Hub(MemoryStore(), lambda: NOW)
        began = time.process_time()
        with pytest.raises(BadInputError, match="holdings: 3000000 returns, more than 32768") as refused:
            await hub.recovery.report(holdings(300, recovery.MAX_RETURNS))
        assert refused.value.fault is Fault.RANGE
        assert time.process_time() - began < 1

    asyncio.run(check())


@pytest.mark.parametrize("unnamed", [0, 3, 6])
def test_a_report_in_several_messages_is_one_report(unnamed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is named in any of them is held; what in none of them, was returned, and the return is lost."""
    monkeypatch.setattr(bounds, "MAX_HOLDINGS", 2)

    async def check() -> None:
        store = MemoryStore()
        hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
        epoch, lent = await hub.register("pod-1"), []
        for number in range(1, 8):
            grant = await hub.lease(LeaseRequest(epoch, number, (Need(MINE.key, MINE, 1, 1),), ledgers.PATH))
            assert isinstance(grant, LeaseGrant)
            lent.append(grant.leases[0])
        store.begin_life("life-2")
        await hub.recovery.look()
        known = await store.ledger_epoch()
        assert known is not None
        lost = lent.pop(unnamed).id
        for message in reporting.messages(epoch, known.name, [held(lease) for lease in lent], 8):
            assert await store.unreported(known.name) == ["pod-1"]
            await hub.holdings(message)
        assert await store.unreported(known.name) == []
        states = {lease.id: lease.state for lease in await store.leases("pod-1")}
        assert len(states) == 7
        assert [id_ for id_, state in states.items() if state is not LeaseState.OPEN] == [lost]

    asyncio.run(check())


SERIALS = st.lists(st.integers(0, 12), max_size=30)


@given(SERIALS)
def test_each_message_of_a_report_is_one_that_the_ledger_takes(serials: list[int]) -> None:
    epoch = ledgers.epoch()
    told = [msgspec.structs.replace(one, serial=serial) for one, serial in
            zip(holdings(len(serials), 0).holdings, serials, strict=True)]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "MAX_HOLDINGS", 5)
        patch.setattr(bounds, "MAX_ALL_RETURNS", 12)
        sent = list(reporting.messages(epoch, "2:life", told, 9))
    assert [one for message in sent for one in message.holdings] == told
    assert [message.ledger for message in sent] == [""] * (len(sent) - 1) + ["2:life"]
    assert {message.closed for message in sent} == {9}
    assert list(sent[-1].before) == [one.lease.id for message in sent[:-1] for one in message.holdings]
    for message in sent:
        assert len(message.holdings) <= 5
        assert sum(one.serial for one in message.holdings) <= 12
    assert bounds.MAX_ALL_RETURNS >= recovery.MAX_RETURNS, "one lease's returns always fit"


def test_what_a_report_names_is_what_it_weighs() -> None:
    async def weight(message: Holdings) -> int:
        lock = recovery.lock(message, {MINE.key: MINE})
        job = Job(lock, lambda _book: None, asyncio.get_running_loop().create_future(), locking.stated(lock))
        return job.weight

    assert asyncio.run(weight(holdings(2, 1000))) > 2000
