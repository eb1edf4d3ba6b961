"""Ends of attempts that the disk refuses: their money is held until they are on record, also by a restart."""

import asyncio
import shutil

import pytest

from llmgov.ledger.messages import Intent, Outcome, Settlement
from tests.unit.llmgov_sidecar import harness, world
from tests.unit.llmgov_sidecar.test_bad_disks import full_beyond
from tests.unit.llmgov_sidecar.test_recovery import abandon

ANSWER = harness.says(harness.whole(world.chat_answer()))


@pytest.mark.parametrize("restarts", [False, True], ids=["the disk recovers", "the process dies before"])
def test_an_end_that_the_disk_refuses_holds_its_money_until_it_is_on_record(restarts: bool) -> None:
    async def main() -> None:
        async with world.world(ANSWER) as made:
            leasing = made.sidecar._services.leasing
            assert leasing is not None
            full = full_beyond(0)

            def at_step(step: str) -> None:
                if step == "dispatched":
                    full.__enter__()

            made.at_step = at_step
            client = await made.client()
            try:
                assert (await client.ask(world.CHAT, world.chat())).status == 200
                assert made.sidecar._services.ends.waiting == 1
                assert leasing._purse.holding == 1
                assert not await made.sidecar.delivered(0.05)
            finally:
                full.__exit__(None, None, None)
            made.at_step = made.steps.append
            if restarts:
                crashed = made.folder.parent / f"{made.folder.name}-crashed"
                shutil.copytree(made.folder, crashed)
                await abandon(made.sidecar)
                made.sidecar = made.make(volume=crashed)
                await made.sidecar.start()
            else:
                while made.sidecar._services.ends.waiting:  # noqa: ASYNC110 - nothing else says when
                    await asyncio.sleep(0.01)
                assert leasing._purse.holding == 0
            settlement = await made.only(Settlement)
            intent = await made.only(Intent)
            expected = (Outcome.UNKNOWN, intent.hold) if restarts else (Outcome.SETTLED, 75)
            assert (settlement.outcome, settlement.cost) == expected
            await client.close()
            await made.sidecar.stop()
            (window,) = await made.store.windows(world.system_clock())
            assert (window.spent, window.leased) == (settlement.cost, 0)

    harness.run(main())


def test_ends_behind_a_refused_one_are_recorded_in_order_and_at_last() -> None:
    async def main() -> None:
        async with world.world(ANSWER) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            ends = made.sidecar._services.ends
            told: list[str] = []

            def end(number: int) -> None:
                id_ = f"pod-1:9/{number}"
                ends.put(Settlement(id_, 0, Outcome.FREE, 0, {}, 0, "gpt-4o"), lambda: told.append(id_))

            with full_beyond(0):
                for number in range(3):
                    end(number)
                assert (ends.waiting, told) == (3, [])
            while ends.waiting:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.01)
            end(3)
            assert told == [f"pod-1:9/{number}" for number in range(4)]
            await client.close()

    harness.run(main())
