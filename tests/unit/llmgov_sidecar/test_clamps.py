"""What a lowered output maximum is put down to, in the header and on record."""

import json

import msgspec
import pytest

from llmgov.ledger.messages import Intent, Violated
from llmgov.snapshot import Account, CostLimit, Policy, Target, TargetKind
from tests.unit.llmgov_sidecar import harness, world

OPEN = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'


def budget(name: str, usd: str, *, dry_run: bool = False) -> Account:
    """A budget of the organization (`all`) or of the tests' namespace."""
    target = Target(TargetKind.ORGANIZATION) if name == "all" else world.SHOP
    return msgspec.structs.replace(world.budget(usd, target), source=f"Budget/root/{name}", dry_run=dry_run)


TIGHTEST = [
    ("the namespace", [budget("all", "50"), budget("shop", "0.01")], [], "Budget/root/shop"),
    ("the organization", [budget("all", "0.01"), budget("shop", "50")], [], "Budget/root/all"),
    (
        "a policy's maximum for one request",
        [budget("all", "50")],
        [Policy("root/one", 1, CostLimit(max_request_cost=10_000))],
        "root/one",
    ),
    (
        "a policy's output maximum",
        [budget("all", "50")],
        [Policy("root/out", 1, CostLimit(max_output_tokens=500))],
        "root/out",
    ),
]


@pytest.mark.parametrize(
    ("accounts", "policies", "named"), [case[1:] for case in TIGHTEST], ids=[case[0] for case in TIGHTEST]
)
def test_names_what_is_tightest(accounts: list[Account], policies: list[Policy], named: str) -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, policies, accounts) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, OPEN)
            assert (reply.status, reply.header("x-llmgov-decision")) == (200, "clamp"), reply.body
            assert reply.header("x-llmgov-policy") == named
            (violation,) = (await made.only(Violated)).violations
            assert violation.policy == named
            assert named in violation.message
            await client.close()

    harness.run(main())


def test_an_account_in_dry_run_lowers_nothing() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        accounts = [budget("all", "50"), budget("shop", "0.01", dry_run=True)]
        async with world.world(script, accounts=accounts) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, OPEN)
            assert (reply.status, reply.header("x-llmgov-clamped")) == (200, None)
            assert json.loads(made.provider.seen[0].body) == json.loads(OPEN)
            assert (await made.only(Intent)).hold > 16_384 * 10
            await client.close()

    harness.run(main())
