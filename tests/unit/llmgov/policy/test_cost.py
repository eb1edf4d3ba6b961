"""What is held, how the output maximum is chosen, and what cannot be bounded."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import money
from llmgov.policy import cost, terms
from llmgov.policy.decision import Action, Clamp, CostPlan, Decision, Principal, Workload
from llmgov.snapshot import (
    Account,
    CostLimit,
    Dimension,
    Directory,
    Match,
    ModelPrice,
    Period,
    Provider,
    Settings,
    Target,
    TargetKind,
    Written,
    approval_id,
)
from llmgov.wire.events import CostFacts, Operation, Reason, Refused, Request, SetNumber
from tests.support.policies import GPT, configure, decide, policy, request

MICRO = money.PICO_PER_MICRO


def account(kind: TargetKind, name: str = "", **fields: object) -> Account:
    target = Target(kind, name)
    return Account(f"prod|{target}|Month|UTC", target, 10**9, Period.MONTH, "UTC", f"Budget/ns/{kind.value}", **fields)  # type: ignore[arg-type]


ORGANIZATION = account(TargetKind.ORGANIZATION)


def plan_of(found: Decision) -> CostPlan:
    assert found.refusal is None, found.refusal
    assert found.plan is not None
    return found.plan


def test_a_clients_own_maximum_stands_and_bounds_the_cost() -> None:
    found = decide(configure(accounts=(ORGANIZATION,)), request("x" * 1000, asked=500))
    plan = plan_of(found)
    assert plan.least == plan.want == money.round_up(1000 * 2_500_000 + 500 * 10_000_000)
    assert plan.field is None
    assert found.edits == ()
    assert cost.lower(plan, plan.want) is None


def test_without_a_maximum_the_models_own_is_wanted_and_less_is_enough() -> None:
    plan = plan_of(decide(configure(accounts=(ORGANIZATION,)), request("x" * 1000)))
    assert (plan.min_output, plan.max_output) == (terms.LEAST_OUTPUT, 16_384)
    assert plan.want == money.round_up(1000 * 2_500_000 + 16_384 * 10_000_000)
    assert plan.least == money.round_up(1000 * 2_500_000 + 64 * 10_000_000)
    assert plan.field == "max_completion_tokens"


def test_a_reasoning_model_gets_no_less_than_it_needs_to_think() -> None:
    plan = plan_of(decide(configure(accounts=(ORGANIZATION,)), request(model="o3")))
    assert plan.min_output == terms.LEAST_REASONING_OUTPUT


def test_policies_say_the_least_and_the_most() -> None:
    configured = configure(
        policy(CostLimit(max_output_tokens=900, min_output_tokens=200), "a"),
        policy(CostLimit(max_output_tokens=800, min_output_tokens=300), "b"),
        accounts=(ORGANIZATION,),
    )
    plan = plan_of(decide(configured))
    assert (plan.min_output, plan.max_output, plan.policy) == (300, 800, "ns/b")


def test_the_money_held_decides_the_maximum_that_is_set() -> None:
    plan = plan_of(decide(configure(accounts=(ORGANIZATION,)), request("x" * 1000)))
    held = money.round_up(1000 * 2_500_000 + 400 * 10_000_000)
    assert cost.affords(plan, held) == 400
    assert cost.lower(plan, held) == (
        Clamp("max_completion_tokens", None, 400, "Budget/ns/organization"),
        SetNumber("max_completion_tokens", 400),
    )
    assert cost.affords(plan, plan.least - 1) is None
    assert cost.lower(plan, plan.want) is None, "the model's own maximum need not be set"


@settings(max_examples=150)
@given(
    size=st.integers(0, 5000),
    choices=st.integers(1, 4),
    money_held=st.integers(0, 3_000_000),
    rate=st.integers(1, 30_000_000),
)
def test_the_maximum_that_is_set_never_costs_more_than_is_held(
    size: int, choices: int, money_held: int, rate: int
) -> None:
    price = ModelPrice("openai", "m", {Dimension.INPUT: 777_777, Dimension.OUTPUT: rate}, 10**6, 16_384)
    facts = CostFacts(size, choices=choices)
    plan = plan_of(decide(configure(accounts=(ORGANIZATION,), prices=(price,)), request(model="m", cost=facts)))
    tokens = cost.affords(plan, money_held)
    if tokens is None:
        assert money_held < plan.least
        return
    exact = size * 777_777 + tokens * choices * rate
    assert exact <= money_held * MICRO or (tokens == plan.min_output and money.round_up(exact) <= money_held)
    more = exact + choices * rate
    assert tokens == plan.max_output or more > money_held * MICRO


def test_a_policy_lowers_the_clients_maximum_and_says_so() -> None:
    found = decide(configure(policy(CostLimit(max_output_tokens=100), "cap")), request(asked=5000))
    assert found.action is Action.CLAMP
    assert found.clamp == Clamp("max_completion_tokens", 5000, 100, "ns/cap")
    assert found.edits == (SetNumber("max_completion_tokens", 100),)
    assert [(v.action, v.path) for v in found.violations] == [(Action.CLAMP, "max_completion_tokens")]
    assert plan_of(found).want == money.round_up(5 * 2_500_000 + 100 * 10_000_000)


def test_a_policy_that_forbids_clamping_refuses() -> None:
    refusal = decide(
        configure(policy(CostLimit(max_output_tokens=100, clamp=False), "cap")), request(asked=5000)
    ).refusal
    assert refusal is not None
    assert refusal.reason is Reason.DENIED
    assert refusal.message == (
        "llmgov: policy ns/cap allows at most 100 output tokens and max_completion_tokens is 5000; lower it"
    )


def test_a_policys_maximum_is_set_where_the_client_has_none_even_without_a_budget() -> None:
    found = decide(configure(policy(CostLimit(max_output_tokens=100), "cap")))
    plan = plan_of(found)
    assert cost.lower(plan, plan.want) == (
        Clamp("max_completion_tokens", None, 100, "ns/cap"),
        SetNumber("max_completion_tokens", 100),
    )


def test_a_dry_run_clamps_nothing() -> None:
    found = decide(configure(policy(CostLimit(max_output_tokens=100), dry_run=True)), request(asked=5000))
    assert (found.action, found.edits) == (Action.ALLOW, ())
    assert [v.dry_run for v in found.violations] == [True]


def test_where_nothing_is_limited_nothing_is_set() -> None:
    found = decide(configure())
    assert plan_of(found).field is None
    assert found.edits == ()


def test_a_request_above_the_maximum_for_one_is_told_what_would_fit() -> None:
    configured = configure(policy(CostLimit(max_request_cost=10_000), "dear"))
    refusal = decide(configured, request("x" * 1000, asked=2000)).refusal
    assert refusal is not None
    assert refusal.message == (
        "llmgov: policy ns/dear allows $0.01 a request and this one may cost $0.0225;"
        " set an output maximum of at most 750 tokens"
    )
    assert decide(configured, request("x" * 1000, asked=750)).refusal is None


@pytest.mark.parametrize(
    ("written", "said"),
    [
        pytest.param(
            Written(10_000, "EUR", 1_080_000_001), "0.01 EUR a request and this one may cost 0.020834 EUR", id="euros"
        ),
        pytest.param(
            Written(1_000_000, "JPY", 6_700_003), "1.00 JPY a request and this one may cost 3.358208 JPY", id="yen"
        ),
    ],
)
def test_a_maximum_in_another_currency_is_shown_as_written_and_the_cost_rounded_up(written: Written, said: str) -> None:
    limit = CostLimit(max_request_cost=money.in_usd(written.units, written.nano_usd), written=written)
    refusal = decide(configure(policy(limit, "dear")), request("x" * 1000, asked=2000)).refusal
    assert refusal is not None
    assert f"llmgov: policy ns/dear allows {said}; " in refusal.message


def test_the_maximum_for_one_request_lowers_an_output_that_the_client_left_open() -> None:
    plan = plan_of(decide(configure(policy(CostLimit(max_request_cost=10_000))), request("x" * 1000)))
    assert (plan.max_output, plan.want) == (750, 10_000)


@pytest.mark.parametrize(
    ("tokens", "tightest", "named"),
    [
        (400, "prod|namespace/shop|Month|UTC", "Budget/ns/namespace"),
        (400, "prod|organization|Month|UTC", "Budget/ns/organization"),
        (600, "", "ns/one"),
    ],
    ids=["the one with the least money", "whichever that is", "the policy where there is money enough"],
)
def test_what_lowers_the_maximum_is_named(tokens: int, tightest: str, named: str) -> None:
    dear = CostLimit(max_request_cost=money.round_up(600 * 10_000_000) + 1)
    accounts = (ORGANIZATION, account(TargetKind.NAMESPACE, "shop"))
    configured = configure(policy(dear, "one"), policy(CostLimit(max_output_tokens=900), "two"), accounts=accounts)
    plan = plan_of(decide(configured, request("")))
    assert plan.max_output == 600
    lowered = cost.lower(plan, money.round_up(plan.base_pico + tokens * 10_000_000), tightest)
    assert lowered is not None
    assert (lowered[0].value, lowered[0].policy) == (tokens, named)


def test_a_text_that_is_too_dear_by_itself_is_refused_without_false_hope() -> None:
    refusal = decide(configure(policy(CostLimit(max_request_cost=100))), request("x" * 1000)).refusal
    assert refusal is not None
    assert refusal.message.endswith("send less or use a cheaper model")


def test_a_model_without_a_price_is_refused_under_a_budget_with_what_to_do() -> None:
    refusal = decide(configure(accounts=(ORGANIZATION,)), request(model="gpt-9")).refusal
    assert refusal is not None
    assert refusal.message == (
        "llmgov: model openai/gpt-9 has no known price and Budget/ns/organization limits costs; use a priced model,"
        " or ask for prices on the ProviderCredential or a fallbackPrice on the costLimit"
    )


def test_a_model_without_a_price_passes_where_nothing_is_limited() -> None:
    found = decide(configure(), request(model="gpt-9"))
    assert (found.refusal, found.plan) == (None, None)


UNBOUNDABLE = {
    "a model without a price": request(model="gpt-9"),
    "a field that nothing bounds": request(cost=CostFacts(1, refused=(Refused("tools[0]", "why"),))),
    "a service tier without a price": request(cost=CostFacts(1, service_tier="warp")),
}


@pytest.mark.parametrize("asked", UNBOUNDABLE.values(), ids=UNBOUNDABLE.keys())
def test_what_cannot_be_bounded_is_on_record_under_the_name_of_what_limits_it(asked: Request) -> None:
    dry = policy(CostLimit(), "dry", dry_run=True)
    enforced = decide(configure(dry, accounts=(ORGANIZATION,)), asked)
    assert enforced.refusal is not None
    assert [(v.policy, v.dry_run) for v in enforced.violations] == [("Budget/ns/organization", False)]
    for watched in (
        decide(configure(accounts=(ORGANIZATION,), observe=True), asked),
        decide(configure(accounts=(account(TargetKind.ORGANIZATION, dry_run=True),)), asked),
    ):
        assert watched.refusal is None
        assert [(v.policy, v.dry_run) for v in watched.violations] == [("Budget/ns/organization", True)]
    alone = decide(configure(dry), asked)
    assert (alone.refusal, [(v.policy, v.dry_run) for v in alone.violations]) == (None, [("ns/dry", True)])
    assert decide(configure(), asked).violations == ()


def test_a_fallback_price_in_dry_run_opens_nothing() -> None:
    fallback = ModelPrice("", "", {Dimension.INPUT: 1, Dimension.OUTPUT: 1}, 10_000, 1000)
    dry = policy(CostLimit(fallback_price=fallback), dry_run=True)
    assert decide(configure(dry, accounts=(ORGANIZATION,)), request(model="gpt-9")).refusal is not None
    assert decide(configure(dry), request(model="gpt-9")).refusal is None


def test_a_fallback_price_bounds_what_is_not_known() -> None:
    fallback = ModelPrice("", "", {Dimension.INPUT: 10**7, Dimension.OUTPUT: 10**8}, 10_000, 1000)
    configured = configure(policy(CostLimit(fallback_price=fallback)), accounts=(ORGANIZATION,))
    assert plan_of(decide(configured, request(model="gpt-9"))).price == fallback


def test_a_credentials_own_price_goes_before_the_known_one() -> None:
    dearer = ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 9, Dimension.OUTPUT: 9}, 128_000, 50)
    provider = Provider("ns/openai", "openai", "https://x.example", prices=(dearer,))
    assert plan_of(decide(configure(providers=(provider,)))).price == dearer


def test_prices_are_found_by_exact_alias_only() -> None:
    assert plan_of(decide(configure(), request(model="gpt-4o-2024-08-06"))).price == GPT
    assert decide(configure(), request(model="gpt-4o-2024-08")).plan is None


def test_a_field_whose_cost_nothing_bounds_is_refused_under_a_budget_only() -> None:
    facts = CostFacts(10, refused=(Refused("tools[0]", "a container of unknown price"),))
    refusal = decide(configure(accounts=(ORGANIZATION,)), request(cost=facts)).refusal
    assert refusal is not None
    assert (refusal.param, refusal.reason) == ("tools[0]", Reason.DENIED)
    assert decide(configure(), request(cost=facts)).refusal is None


def test_content_that_only_the_provider_sees_needs_a_context_window() -> None:
    blind = ModelPrice("openai", "gpt-4o", {Dimension.INPUT: 1, Dimension.OUTPUT: 1}, None, 100)
    facts = CostFacts(10, opaque_context=True)
    configured = configure(accounts=(ORGANIZATION,), prices=(blind,))
    refusal = decide(configured, request(cost=facts)).refusal
    assert refusal is not None
    assert "context window" in refusal.message


def test_a_model_that_overran_is_stopped_under_cost_limits_only() -> None:
    stopped = frozenset({"openai/gpt-4o"})
    refusal = decide(configure(accounts=(ORGANIZATION,)), stopped=stopped).refusal
    assert refusal is not None
    assert f"`llmgov approvals approve {approval_id('openai/gpt-4o')}`" in refusal.message
    assert decide(configure(), stopped=stopped).refusal is None
    again = configure(accounts=(ORGANIZATION,), directory=Directory(askings={"openai/gpt-4o": 3}))
    refusal = decide(again, stopped=stopped).refusal
    assert refusal is not None
    assert f"`llmgov approvals approve {approval_id('openai/gpt-4o')}-3`" in refusal.message


def test_embeddings_have_no_output_to_bound() -> None:
    plan = plan_of(decide(configure(accounts=(ORGANIZATION,)), request("x" * 8, operation=Operation.EMBEDDINGS)))
    assert plan.least == plan.want == money.round_up(8 * 2_500_000)
    assert plan.field is None


def test_lists_of_models_cost_nothing() -> None:
    found = decide(configure(accounts=(ORGANIZATION,)), request(model="", texts=(), operation=Operation.OPENAI_MODELS))
    assert (found.refusal, found.plan) == (None, None)


JANE = Principal(Workload("shop", "checkout"), "jane", True, teams=("web", "all"))

CHARGED = [
    ("the organization", account(TargetKind.ORGANIZATION), "prod|organization|Month|UTC"),
    ("the team of the namespace", account(TargetKind.TEAM, "web"), "prod|team/web|Month|UTC"),
    ("a parent of the team", account(TargetKind.TEAM, "all"), "prod|team/all|Month|UTC"),
    ("another team", account(TargetKind.TEAM, "ops"), None),
    ("the namespace", account(TargetKind.NAMESPACE, "shop"), "prod|namespace/shop|Month|UTC"),
    ("another namespace", account(TargetKind.NAMESPACE, "bank"), None),
    ("the workload", account(TargetKind.WORKLOAD, "shop/checkout"), "prod|workload/shop/checkout|Month|UTC"),
    ("each user", account(TargetKind.USER), "prod|user|Month|UTC|jane"),
    ("one user", account(TargetKind.USER, "jane"), "prod|user/jane|Month|UTC"),
    ("another user", account(TargetKind.USER, "joe"), None),
    (
        "a policy's requests",
        account(TargetKind.POLICY, "ns/p", match=Match(models=("gpt-*",))),
        "prod|policy/ns/p|Month|UTC",
    ),
    ("not a policy's requests", account(TargetKind.POLICY, "ns/p", match=Match(models=("o3",))), None),
]


@pytest.mark.parametrize(("charged", "key"), [row[1:] for row in CHARGED], ids=[row[0] for row in CHARGED])
def test_accounts_on_the_path_are_charged(charged: Account, key: str | None) -> None:
    plan = plan_of(decide(configure(accounts=(charged,)), principal=JANE))
    assert [charge.key for charge in plan.accounts] == ([key] if key else [])


def test_a_user_who_only_says_so_has_no_account() -> None:
    claimed = Principal(Workload("shop", "checkout"), "jane", verified=False)
    found = decide(configure(accounts=(account(TargetKind.USER),)), principal=claimed)
    assert plan_of(found).accounts == ()
    assert not any(target.startswith("user") for target in found.path)


def test_the_path_goes_from_the_user_up_to_the_organization() -> None:
    found = decide(configure(accounts=(account(TargetKind.POLICY, "ns/p"),)), principal=JANE)
    assert found.path == (
        "user/jane", "workload/shop/checkout", "namespace/shop", "team/web", "team/all", "organization", "policy/ns/p",
    )  # fmt: skip


def test_accounts_in_dry_run_or_observed_are_charged_and_not_enforced() -> None:
    dry = account(TargetKind.TEAM, "web", dry_run=True)
    found = decide(configure(accounts=(ORGANIZATION, dry)), principal=JANE)
    assert [charge.enforced for charge in plan_of(found).accounts] == [True, False]
    observed = decide(configure(accounts=(ORGANIZATION,), settings=Settings(kill_switch=True)), principal=JANE)
    assert [charge.enforced for charge in plan_of(observed).accounts] == [False]
    assert plan_of(observed).field is None


def test_what_is_lent_while_nothing_is_enforced_is_lent_under_another_definition() -> None:
    enforcing, observing = configure(accounts=(ORGANIZATION,)), configure(accounts=(ORGANIZATION,), observe=True)
    assert enforcing.definitions() == {ORGANIZATION.key: ORGANIZATION}
    assert observing.definitions() == {ORGANIZATION.key: msgspec.structs.replace(ORGANIZATION, dry_run=True)}
