"""An approval is good for one attempt: also where nothing is charged, where the hub is away, and for two at once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence

import msgspec
import pytest

from llmgov.ledger.messages import Intent, Refused, Settlement
from llmgov.ledger.rows import ApprovalState
from llmgov.policy.decision import Action
from llmgov.snapshot import Account, Compliance, OnFailure, Policy, Settings, Threshold, ThresholdAction
from tests.unit.llmgov_sidecar import harness, world

ANSWER = harness.whole(world.chat_answer())
FAILING_OPEN = Settings(ledger_unavailable=OnFailure.OPEN)
SENSITIVE = [Policy("root/risk", 1, Compliance(sensitive_models=("openai/*",)))]

CHARGED = [
    ("a model without a price and no account", "gpt-unknown", []),
    ("a priced model and no account", "gpt-4o", []),
    ("a priced model and an account", "gpt-4o", [world.budget("50")]),
]
each_charge = pytest.mark.parametrize(
    ("model", "accounts"), [case[1:] for case in CHARGED], ids=[case[0] for case in CHARGED]
)


@contextlib.asynccontextmanager
async def approved(
    body: bytes, accounts: Sequence[Account], answer: bytes = ANSWER
) -> AsyncIterator[tuple[world.World, str]]:
    """A world whose sidecar knows of an approval of `body`, and goes on knowing it; and the approval's id."""
    async with world.world(harness.says(answer), SENSITIVE, accounts, FAILING_OPEN, lease_seconds=0.1) as made:
        client = await made.client()
        assert (await client.ask(world.CHAT, body)).status == 403
        await made.on_record()
        (pending,) = await made.hub.approvals.list()
        await made.hub.approvals.approve(pending.id, "admin")
        known = world.Directory(approvals=(await made.hub.approvals.directory()).approvals)
        document = world.document(made.provider.url, SENSITIVE, accounts, FAILING_OPEN)
        await made.sidecar.configuration.apply(document, known, world.KEYS)
        await client.close()
        yield made, pending.id


@each_charge
def test_the_approved_request_passes_once(model: str, accounts: Sequence[Account]) -> None:
    body = world.chat(model=model)

    async def main() -> None:
        async with approved(body, accounts) as (made, approval):
            client = await made.client()
            replies = [await client.ask(world.CHAT, body) for _ in range(3)]
            assert [reply.status for reply in replies] == [200, 403, 403]
            assert json.loads(replies[1].body)["error"]["code"] == "approval_required"
            assert len(made.provider.seen) == 1
            intent = await made.only(Intent)
            assert intent.approval == approval
            anew, row = sorted(await made.hub.approvals.list(), key=lambda row: row.state is ApprovalState.USED)
            assert (row.id, row.state) == (approval, ApprovalState.USED)
            assert (anew.id, anew.state) == (f"{approval}-2", ApprovalState.PENDING), "what was used is asked for anew"
            await client.close()

    harness.run(main())


@each_charge
def test_an_attempt_that_the_provider_answered_with_an_error_has_used_it_and_the_next_is_told(
    model: str, accounts: Sequence[Account]
) -> None:
    body = world.chat(model=model)

    async def main() -> None:
        async with approved(
            body, accounts, harness.whole(b'{"error": {"message": "overloaded"}}', "503 Unavailable")
        ) as (made, id_):
            client = await made.client()
            replies = [await client.ask(world.CHAT, body) for _ in range(2)]
            assert [reply.status for reply in replies] == [503, 403]
            message = json.loads(replies[1].body)["error"]["message"]
            assert "was used already: it covers one attempt, whether that succeeds or not" in message
            assert message.endswith(f"ask an approver to run `llmgov approvals approve {id_}-2`, then send it again")
            assert (await made.only(Settlement)).cost == 0
            (row,) = [row for row in await made.hub.approvals.list() if row.state is ApprovalState.PENDING]
            assert (row.id, "; approved before, at " in row.summary) == (f"{id_}-2", True)
            await client.close()

    harness.run(main())


@each_charge
def test_of_two_at_once_one_passes(model: str, accounts: Sequence[Account]) -> None:
    body = world.chat(model=model)

    async def main() -> None:
        async with approved(body, accounts) as (made, _):
            clients = [await made.client() for _ in range(4)]
            replies = await asyncio.gather(*(client.ask(world.CHAT, body) for client in clients))
            assert sorted(reply.status for reply in replies) == [200, 403, 403, 403]
            assert len(made.provider.seen) == 1
            for client in clients:
                await client.close()

    harness.run(main())


@each_charge
def test_while_the_hub_is_away_it_is_refused_even_where_money_fails_open(
    model: str, accounts: Sequence[Account]
) -> None:
    body = world.chat(model=model)

    async def main() -> None:
        async with approved(body, accounts) as (made, _):
            client = await made.client()
            made.away = True
            reply = await client.ask(world.CHAT, body)
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "governance_unavailable")
            assert made.provider.seen == []
            made.away = False
            await made.on_record()
            assert [one.reason for one in made.events if isinstance(one, Refused)][1:] == ["governance_unavailable"]
            await client.close()

    harness.run(main())


STEPS = (
    Threshold(1, (ThresholdAction.REQUIRE_APPROVAL,)),
    Threshold(90, (ThresholdAction.BLOCK,)),
)
WOULD = [
    ("an approval would be asked for", "0.10", Action.REQUIRE_APPROVAL, "threshold:1"),
    ("no approval would help", "0.001", Action.DENY, "threshold:90"),
]


@pytest.mark.parametrize("killed", [False, True], ids=["dry run", "kill switch"])
@pytest.mark.parametrize(("usd", "action", "reason"), [case[1:] for case in WOULD], ids=[case[0] for case in WOULD])
def test_what_is_not_enforced_records_what_enforcement_would_have_done(
    usd: str, action: Action, reason: str, killed: bool
) -> None:
    account = msgspec.structs.replace(world.budget(usd), thresholds=STEPS, dry_run=not killed)

    async def main() -> None:
        async with world.world(harness.says(ANSWER), (), [account], Settings(kill_switch=killed)) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            (row,) = await made.store.violations(0, 2**62)
            assert (row.policy, row.action, row.reason, row.dry_run) == (account.source, action, reason, True)
            percent = reason.partition(":")[2]
            assert f"with this request more than {percent} % of the limit" in row.message
            assert await made.hub.approvals.list() == []
            await client.close()

    harness.run(main())


def test_who_decides_about_a_threshold_is_told_the_id_that_the_client_has() -> None:
    async def main() -> None:
        account = msgspec.structs.replace(
            world.budget("0.10"), thresholds=(Threshold(1, (ThresholdAction.REQUIRE_APPROVAL,)),)
        )
        async with world.world(harness.says(harness.whole(world.chat_answer())), accounts=[account]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 403
            (row,) = await made.hub.approvals.list()
            what = f"spend beyond 1 % of {account.source} ($0.10), first for $"
            assert row.summary.startswith(what), row.summary
            assert row.summary.endswith(f" of shop/web; request {reply.header('x-request-id')}")
            await client.close()

    harness.run(main())
