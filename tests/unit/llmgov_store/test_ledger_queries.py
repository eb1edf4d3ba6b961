"""docs/ledger.md: its queries return nothing while all is well, and each shows what it is there for."""

import asyncio

import pytest

from tests.support import ledger_traffic, machine, postgres
from tests.support.ledger_queries import QUERIES, findings

pytestmark = machine.requires("postgres")

DAMAGE = {
    "leased money that no lease has": "UPDATE windows SET leased = leased + 1",
    "spent money that no attempt cost": "UPDATE windows SET spent = spent + 1 WHERE scope = 'organization'",
    "a scope's sum that attempts do not add up to": "UPDATE sums SET cost = cost - 1 WHERE scope = 'organization'",
    "a lease that paid too little": "UPDATE leases SET spent = spent - 1 WHERE id IN"
    " (SELECT id FROM leases WHERE spent > 0 LIMIT 1)",
    "a claim that no open attempt has": "UPDATE leases SET strict_in = 1, claimed = claimed + 1",
    "a record that is gone": "DELETE FROM records WHERE seq = 2",
    "an intent without a record": "DELETE FROM records WHERE kind = 'intent'",
    "an account beyond its limit": "UPDATE accounts SET account = jsonb_set(account, '{limit}', '1')",
}
"""What is done by hand, in the order of the queries: each query shows its own."""


def test_the_page_has_a_query_for_each_damage() -> None:
    assert len(QUERIES) == len(DAMAGE)


def test_the_queries_return_nothing_during_and_after_traffic() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            async with asyncio.TaskGroup() as group:
                traffic = group.create_task(ledger_traffic.run(database.hub, range(8), rounds=6))
                while not traffic.done():
                    assert await findings(database.owner) == [0] * len(QUERIES)
                    await asyncio.sleep(0.05)
            assert traffic.result().costs
            assert await findings(database.owner) == [0] * len(QUERIES)

    asyncio.run(check())


@pytest.mark.parametrize("what", DAMAGE)
def test_a_query_shows_what_it_is_there_for(what: str) -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await ledger_traffic.run(database.hub, range(4), rounds=2)
            await postgres.execute(database.owner, DAMAGE[what])
            assert (await findings(database.owner))[list(DAMAGE).index(what)] > 0

    asyncio.run(check())
