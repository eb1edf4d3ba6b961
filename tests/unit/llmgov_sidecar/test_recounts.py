"""A sidecar whose ledger began another life, and messages that the ledger refuses for what they say."""

import asyncio
import json

from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import LeaseReturn
from llmgov_sidecar.calls import Calls, Waits
from tests.unit.llmgov_sidecar import harness, world


def test_while_the_ledger_waits_for_reports_clients_are_told_to_come_back() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script) as made:
            await made.hub.recovery.look()
            made.store.begin_life("another")
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 503
            assert json.loads(reply.body)["error"]["code"] == "governance_unavailable"
            assert "waits for what every sidecar still holds" in json.loads(reply.body)["error"]["message"]
            assert reply.header("retry-after") is not None
            assert made.provider.seen == []
            await made.hub.recovery.accept_loss("root", "a test")
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await client.close()

    harness.run(main())


def test_what_is_held_already_is_spent_meanwhile_and_reported() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            made.store.begin_life("another")
            assert not await made.hub.recovery.look()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            epoch = await made.store.ledger_epoch()
            assert epoch is not None
            assert not epoch.open
            async with asyncio.timeout(5):
                while await made.store.unreported(epoch.name):  # noqa: ASYNC110 - until the sidecar had its turn
                    await asyncio.sleep(0.01)
            spent, leased = await made.account()
            assert (spent, leased > 0) == (150, True)
            await client.close()

    harness.run(main())


def test_what_the_ledger_refuses_for_what_it_says_is_reported_and_not_sent_again() -> None:
    async def main() -> None:
        failures: list[str] = []
        calls = Calls(Waits(retry=0.001), lambda where, error: failures.append(f"{where}: {error}"))
        outcomes: list[Exception | None] = [ConnectionError("away"), BadInputError(Fault.FOREIGN, "lease", "not yours")]

        async def send(_: LeaseReturn | None = None) -> None:
            outcome = outcomes.pop(0)
            if outcome is not None:
                raise outcome

        await calls.until_taken(send)
        assert outcomes == []
        assert failures == ["a message that the ledger refused: lease: not yours"]

    harness.run(main())
