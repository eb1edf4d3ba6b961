"""One event that the store cannot hold for what it says does not keep the others from the record."""

import asyncio
import pathlib

import msgspec
import pytest

from llmgov.ledger.messages import Event, Settlement
from llmgov.ledger.store import Store, StoreError
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import NOW, USD

POISON = msgspec.structs.replace(ledgers.settlement("a/1", 7), cost=2**63)


async def settled(store: Store) -> dict[str, Settlement | None]:
    return {attempt.id: attempt.settlement for attempt in await store.attempts(NOW, NOW + 1)}


def test_what_a_store_cannot_hold_is_put_aside_and_told_once(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        async with ledgers.opened("sqlite", tmp_path) as store:
            hub = Hub(store, lambda: NOW)
            good = ledgers.settlement("a/2", 7)
            events: list[Event] = [ledgers.intent("a/1", USD), ledgers.intent("a/2", USD), POISON, good]
            await hub.deliver(events)
            await hub.deliver(events)
            assert await settled(store) == {"a/1": None, "a/2": good}
            assert [row.kind for row in await store.records("hub")] == ["intent", "intent", "violated", "settlement"]
            (violation,) = await store.violations(0, 2**62)
            assert violation.reason == "event_refused"
            assert (
                "settlement a/1 could not be put on record (cost: 9223372036854775808 micro-USD is more than"
                in violation.message
            )
            (notice,) = await hub.outbox.pending()
            assert notice.audience == "Admins"

    asyncio.run(main())


def test_an_outage_puts_nothing_aside(tmp_path: pathlib.Path) -> None:
    async def main() -> None:
        async with ledgers.opened("sqlite", tmp_path) as store:
            hub = Hub(store, lambda: NOW)
        with pytest.raises(StoreError):
            await hub.deliver([ledgers.intent("a/1", USD), POISON])

    asyncio.run(main())
