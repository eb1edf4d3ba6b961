"""A request for money that the ledger refuses as nothing that can be meant: nobody waits for another answer."""

import json
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from llmgov.ledger.book import Lock
from llmgov.ledger.messages import Inventory
from llmgov.ledger.rows import EpochRow
from llmgov.snapshot import Account, Match, OnFailure, OrganizationPart, Settings, Target, TargetKind
from tests.unit.llmgov_sidecar import harness, world

COSTS = msgspec.structs.replace(
    world.budget("50", Target(TargetKind.POLICY, "root/costs")), source="LLMPolicy/root/costs"
)
"""Of a policy in the root namespace, for everybody."""

FOR_ROOT = msgspec.structs.replace(COSTS, match=Match(namespaces=("root",)))
"""The same for the root namespace alone: one of its policies was narrowed to that."""


def in_force(*accounts: Account) -> dict[str, OrganizationPart]:
    return {"organization": OrganizationPart("test", accounts=accounts)}


@pytest.mark.parametrize("settings", [Settings(), Settings(ledger_unavailable=OnFailure.OPEN)], ids=["closed", "open"])
def test_a_policy_that_was_narrowed_refuses_until_the_next_snapshot_is_here(settings: Settings) -> None:
    """What the ledger refuses is not out of reach: also who would go on without it does not then."""

    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, accounts=[COSTS], settings=settings, lease_seconds=20.0) as made:
            await made.hub.configuration.publish(in_force(FOR_ROOT))
            client, began = await made.client(), time.monotonic()
            reply = await client.ask(world.CHAT, world.chat())
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["code"]) == (503, "governance_unavailable")
            assert "the ledger does not take this request" in error["message"]
            assert reply.header("retry-after") is not None
            assert time.monotonic() - began < 10
            logged = [line for line in made._logged() if line["event"] == "failure"]
            assert [line["where"] for line in logged] == ["a request that the ledger refused"]
            given = world.document(made.provider.url, accounts=[FOR_ROOT], settings=settings)
            await made.sidecar.configuration.apply(given, world.NOBODY, world.KEYS)
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


def test_nobody_is_refused_for_it_where_nothing_is_enforced() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        noted = msgspec.structs.replace(COSTS, dry_run=True)
        async with world.world(script, accounts=[noted]) as made:
            await made.hub.configuration.publish(in_force(msgspec.structs.replace(FOR_ROOT, dry_run=True)))
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


async def stop(made: world.World) -> None:
    leasing = made.sidecar._services.leasing
    assert leasing is not None
    await leasing.stop(1)


async def close(made: world.World) -> None:
    """As if the sidecar had said that it has the answers to all requests up to some time."""
    leasing = made.sidecar._services.leasing
    assert leasing is not None
    row = EpochRow(leasing.epoch.holder, leasing.epoch.number, closed=1000)
    await made.store.transact(Lock(holders=(row.holder,)), lambda book: book.put_epoch(row))


async def fence(made: world.World) -> None:
    leasing = made.sidecar._services.leasing
    assert leasing is not None
    await made.hub.inventory(Inventory(await made.hub.register(leasing.epoch.holder), ()))


@pytest.mark.parametrize(
    ("happens", "why"),
    [
        (stop, "this sidecar is stopping"),
        (close, "the ledger takes this request for a late copy of one that it has answered"),
        (fence, "this sidecar's place at the ledger was taken by a newer one"),
    ],
    ids=["it stops", "its request was answered", "a newer boot has acted"],
)
def test_who_is_lent_nothing_for_want_of_no_money_hears_why(
    happens: Callable[[world.World], Awaitable[None]], why: str
) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            await happens(made)
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["code"]) == (503, "governance_unavailable")
            assert why in error["message"]
            await client.close()

    harness.run(main())
