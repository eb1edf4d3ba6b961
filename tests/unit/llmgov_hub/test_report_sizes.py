"""What one message may make a replica do is bounded, also where each of its parts is."""

import asyncio
import time

import msgspec
import pytest

from llmgov import instants
from llmgov.ledger import recovery
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Holding, Holdings, Lease
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


def test_a_report_of_millions_of_returns_is_refused_before_they_are_named() -> None:
    async def check() -> None:
        hub = Hub(MemoryStore(), lambda: NOW)
        began = time.process_time()
        with pytest.raises(BadInputError, match="holdings: 3000000 returns, more than 131072") as refused:
            await hub.recovery.report(holdings(300, recovery.MAX_RETURNS))
        assert refused.value.fault is Fault.RANGE
        assert time.process_time() - began < 1

    asyncio.run(check())


def test_what_a_report_names_is_what_it_weighs() -> None:
    async def weight(message: Holdings) -> int:
        lock = recovery.lock(message, {MINE.key: MINE})
        job = Job(lock, lambda _book: None, asyncio.get_running_loop().create_future(), locking.stated(lock))
        return job.weight

    assert asyncio.run(weight(holdings(2, 1000))) > 2000
