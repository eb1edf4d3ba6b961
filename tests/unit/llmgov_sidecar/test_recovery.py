"""What a crash at each step costs: a new sidecar starts from the disk as it was at that moment, at the same hub."""

import asyncio
import json
import shutil

import pytest

from llmgov.ledger.commands import Send
from llmgov.ledger.messages import Holdings, Intent, Inventory, Outcome, Recount, Settlement
from llmgov.snapshot import AuditMode
from llmgov_sidecar.sidecar import Sidecar
from tests.unit.llmgov_sidecar import harness, world

CRASHES = [("held", 0), ("intent", None), ("dispatched", None), ("first_byte", None), ("usage", None), ("settled", 75)]


async def abandon(sidecar: Sidecar) -> None:
    """What is left of a sidecar whose process was killed: nothing more is said by it."""
    await sidecar._listener.drain(0)
    await sidecar._tasks.stop()
    sidecar._services.pool.close()


@pytest.mark.parametrize(("step", "cost"), CRASHES, ids=[f"after {step}" for step, _ in CRASHES])
def test_a_crash_charges_what_was_dispatched_and_returns_the_rest(step: str, cost: int | None) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            crashed = made.folder.parent / f"{made.folder.name}-{step}"
            reached = asyncio.Event()

            def at_step(now: str) -> None:
                if now == step and not crashed.exists():
                    shutil.copytree(made.folder, crashed)
                    made.away = True
                    reached.set()

            made.at_step = at_step
            client = await made.client()
            client.send(harness.request(world.CHAT, world.chat()))
            await reached.wait()
            await abandon(made.sidecar)
            first, made.events, made.away = made.sidecar, [], False
            made.sidecar = made.make(volume=crashed)
            await made.sidecar.start()
            assert made.sidecar.epoch.number == first.epoch.number + 1
            await made.on_record()
            intents = [event for event in made.events if isinstance(event, Intent)]
            settlements = [event for event in made.events if isinstance(event, Settlement)]
            assert len(intents) == len(settlements) == (0 if step == "held" else 1)
            if settlements:
                expected = Outcome.SETTLED if cost == 75 else Outcome.UNKNOWN
                assert settlements[0].outcome is expected
            now = await made.account_when_nothing_is_lent()
            assert now == (intents[0].hold if cost is None else cost, 0)
            await client.close()
            shutil.rmtree(crashed)

    harness.run(main())


@pytest.mark.parametrize("interrupted", ["before it is registered", "before its returns arrive", "never"])
def test_money_that_a_torn_spool_cannot_tell_of_is_never_lent_again(interrupted: str) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            torn = made.folder.parent / f"{made.folder.name}-torn"
            client = await made.client()
            await client.ask(world.CHAT, world.chat())
            _, lent = await made.account()
            assert lent > 0
            shutil.copytree(made.folder, torn)
            await client.close()
            await abandon(made.sidecar)
            boot = json.loads((torn / "boot.json").read_text())
            (torn / "boot.json").write_text(json.dumps(boot | {"machine": "another"}))
            if interrupted != "never":
                made.away = interrupted == "before it is registered"
                made.takes_returns = False
                between = made.make(volume=torn, register_seconds=0.05)
                await between.start()
                await asyncio.sleep(0.05)
                await abandon(between)
            made.away, made.takes_returns = False, True
            made.sidecar = made.make(volume=torn)
            await made.sidecar.start()
            assert await made.account_when_nothing_is_lent() == (75, 0)
            (window,) = await made.store.windows(world.system_clock())
            assert window.unknown == lent
            while json.loads((torn / "boot.json").read_text())["torn"]:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.01)
            shutil.rmtree(torn)

    harness.run(main())


def test_a_restart_serves_from_its_own_volume_while_the_hub_is_away() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            await made.sidecar.stop()
            made.away = True
            made.sidecar = made.make(register_seconds=0.05, lease_seconds=0.1)
            await made.sidecar.start()
            assert made.sidecar.configuration.current is not None
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 503
            assert b"key of ProviderCredential" in reply.body
            await client.close()
            made.away = False

    harness.run(main())


def test_requests_go_on_from_leases_while_the_hub_is_away_and_are_delivered_later() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            made.away = True
            for _ in range(5):
                assert (await client.ask(world.CHAT, world.chat())).status == 200
            assert len([event for event in made.events if isinstance(event, Settlement)]) == 1
            made.away = False
            spent, _ = await made.account()
            assert spent == 6 * 75
            await client.close()

    harness.run(main())


def test_without_money_and_hub_a_request_waits_a_bounded_time() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer())), lease_seconds=0.1) as made:
            made.away = True
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 503
            assert b"governance_unavailable" in reply.body
            made.away = False
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            spent, _ = await made.account()
            assert spent == 75
            await client.close()

    harness.run(main())


def test_strict_audit_dispatches_nothing_that_is_not_on_record() -> None:
    strict = world.Settings(audit=AuditMode.STRICT)

    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, settings=strict, strict_seconds=0.1) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            made.away = True
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 503
            assert b"audit" in reply.body
            assert len(made.provider.seen) == 1
            made.away = False
            spent, _ = await made.account()
            assert spent == 75
            outcomes = [event.outcome for event in made.events if isinstance(event, Settlement)]
            assert outcomes == [Outcome.SETTLED, Outcome.FREE]
            await client.close()

    harness.run(main())


def test_stopping_gives_the_money_back() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat())
            await client.close()
            await made.sidecar.stop()
            (window,) = await made.store.windows(world.system_clock())
            assert (window.spent, window.leased) == (75, 0)

    harness.run(main())


@pytest.mark.parametrize("kept", [True, False], ids=["its volume was kept", "its volume is new"])
def test_only_who_has_the_spool_of_earlier_boots_says_after_a_failover_that_nothing_is_left_of_them(kept: bool) -> None:
    """Who has not may not know of what they spent: nothing may come back by that one's word."""

    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer()))) as made:
            again = made.folder.parent / f"{made.folder.name}-again"
            await made.on_record()
            if kept:
                shutil.copytree(made.folder, again)
            await abandon(made.sidecar)
            made.sidecar = made.make(volume=again)
            await made.sidecar.start()
            leasing, delivery = made.sidecar._services.leasing, made.sidecar._services.delivery
            assert leasing is not None
            assert delivery is not None
            while not delivery.recovered:  # noqa: ASYNC110 - nothing else says when
                await asyncio.sleep(0.01)
            asked = leasing._asked_for(Recount(leasing.epoch, "2:life"))
            said = [command.message for command in asked if isinstance(command, Send)]
            report = Holdings(leasing.epoch, "2:life", (), 1)
            assert said == ([report, Inventory(leasing.epoch, ())] if kept else [report])
            await made.sidecar.stop()
            shutil.rmtree(again)

    harness.run(main())


def test_a_full_spool_stops_new_requests_and_loses_nothing() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, spool_bytes=20_000, spool_segment_bytes=4_000) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            made.away = True
            statuses = [(await client.ask(world.CHAT, world.chat())).status for _ in range(60)]
            assert statuses[0] == 200
            assert statuses[-1] == 503
            made.away = False
            spent, _ = await made.account()
            assert spent == 75 * (statuses.count(200) + 1)
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


def test_a_sidecar_that_was_written_off_dispatches_no_strict_attempt_from_money_that_came_back() -> None:
    strict = world.Settings(audit=AuditMode.STRICT)

    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, settings=strict) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            (window,) = await made.store.windows(world.system_clock())
            assert window.leased
            assert await made.hub.leases.lose(made.sidecar.epoch.holder) == 0
            (window,) = await made.store.windows(world.system_clock())
            assert (window.spent, window.leased, window.unknown) == (75, 0, 0)
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 503
            assert b"audit" in reply.body
            assert len(made.provider.seen) == 1
            await made.on_record()
            (window,) = await made.store.windows(world.system_clock())
            assert (window.spent, window.leased, window.unknown) == (75, 0, 0)
            await client.close()

    harness.run(main())
