"""What must be on record, and approvals that cover exactly one request."""

import msgspec

from llmgov import money
from llmgov.policy import state
from llmgov.policy.decision import Action, Principal, Workload
from llmgov.snapshot import Approval, Compliance, Denial, Directory, OnExceed, RateLimit, Subject, approval_id
from llmgov.wire.events import CostFacts, Operation, Reason
from tests.support.policies import GPT, PRINCIPAL, configure, decide, policy, request

SENSITIVE = Compliance(sensitive_models=("openai/o3",))
DEAR = Compliance(approve_cost_above=money.parse_amount("0.05"))


def test_a_sensitive_model_needs_approval() -> None:
    found = decide(configure(policy(SENSITIVE, "risk")), request(model="o3"))
    assert found.action is Action.REQUIRE_APPROVAL
    assert found.refusal is not None
    assert found.refusal.reason is Reason.APPROVAL
    assert found.approval_request is not None
    assert found.refusal.message == (
        "llmgov: policy ns/risk requires approval: openai/o3 is a sensitive model; ask an approver to run"
        f" `llmgov approvals approve {approval_id(found.approval_request.digest)}`, then send it again"
    )
    assert found.approval_request.summary == (
        "shop/checkout wants openai/o3 (up to $0.80001, no output maximum set): openai/o3 is a sensitive model"
    )
    assert [v.action for v in found.violations] == [Action.REQUIRE_APPROVAL]


def test_an_approver_is_told_what_tells_two_requests_apart() -> None:
    configured = configure(policy(SENSITIVE))
    asked = [decide(configured, request(model="o3", asked=most)).approval_request for most in (100, 200)]
    told = [each.summary.partition(" (")[2].partition(")")[0] for each in asked if each is not None]
    assert told == ["up to $0.00081, at most 100 output tokens", "up to $0.00161, at most 200 output tokens"]
    unknown = decide(configure(policy(DEAR)), request(model="gpt-9", asked=3)).approval_request
    assert unknown is not None
    assert "wants openai/gpt-9 (cost not known, at most 3 output tokens): what the request" in unknown.summary


def test_what_was_used_is_named_as_its_next_asking() -> None:
    wanted = request(model="o3")
    first = decide(configure(policy(SENSITIVE)), wanted)
    assert first.approval_request is not None
    mark = first.approval_request.digest
    again = decide(configure(policy(SENSITIVE), directory=Directory(askings={mark: 3})), wanted)
    assert again.refusal is not None
    assert f"`llmgov approvals approve {approval_id(mark)}-3`" in again.refusal.message


def test_a_dear_request_needs_approval_and_a_cheap_one_does_not() -> None:
    configured = configure(policy(DEAR))
    assert decide(configured, request(asked=4000)).refusal is None
    refusal = decide(configured, request(asked=10_000)).refusal
    assert refusal is not None
    assert "the request may cost $0.100013, and above $0.05 it needs approval" in refusal.message


def test_a_cost_that_is_not_known_counts_as_high() -> None:
    refusal = decide(configure(policy(DEAR)), request(model="gpt-9")).refusal
    assert refusal is not None
    assert refusal.reason is Reason.APPROVAL


def test_an_approval_opens_exactly_the_request_it_was_asked_for() -> None:
    rule = policy(SENSITIVE)
    wanted = request("text", model="o3", asked=100)
    asked = decide(configure(rule), wanted).approval_request
    assert asked is not None
    approval = Approval("a-1", asked.digest, expires=1000)
    configured = configure(rule, directory=Directory(approvals=(approval,)))
    found = decide(configured, wanted, now=999)
    assert found.refusal is None
    assert found.approval == approval
    assert found.approval_request == asked
    others = [
        decide(configured, wanted, now=1000),
        decide(configured, request("texT", model="o3", asked=100)),
        decide(configured, wanted, Principal(Workload("shop", "other"))),
        decide(configured, wanted, Principal(PRINCIPAL.workload, "jane")),
    ]
    assert all(other.refusal is not None for other in others)


def test_a_denial_is_told_with_its_reason_until_it_expires() -> None:
    rule, wanted = policy(SENSITIVE, "risk"), request("text", model="o3")
    asked = decide(configure(rule), wanted).approval_request
    assert asked is not None
    denial = Denial("apr-1", asked.digest, expires=1_000_000, reason="use gpt-4o")
    configured = configure(rule, directory=Directory(denials=(denial,)))
    told = decide(configured, wanted, now=999_999).refusal
    assert told is not None
    assert told.message == (
        "llmgov: policy ns/risk requires approval: openai/o3 is a sensitive model; apr-1 was denied: use gpt-4o;"
        " change the request, or ask again after 1970-01-01T00:00:01Z"
    )
    for refusal in (decide(configured, wanted, now=1_000_000).refusal, decide(configured, request(model="o3")).refusal):
        assert refusal is not None
        assert "was denied" not in refusal.message


def test_an_approval_opens_also_what_no_money_can_be_held_for() -> None:
    wanted = request(model="gpt-9")
    asked = decide(configure(policy(DEAR)), wanted).approval_request
    assert asked is not None
    approval = Approval("a-1", asked.digest, expires=1000)
    found = decide(configure(policy(DEAR), directory=Directory(approvals=(approval,))), wanted)
    assert (found.refusal, found.plan, found.approval) == (None, None, approval)


def test_what_costs_nothing_needs_no_approval() -> None:
    configured = configure(policy(DEAR, "a"), policy(SENSITIVE, "b"))
    counted = request(model="o3", operation=Operation.COUNT_TOKENS, output_limit=None)
    assert decide(configured, counted).refusal is None


def test_the_same_request_asks_for_the_same_approval() -> None:
    configured = configure(policy(SENSITIVE))
    first, second = (decide(configured, request(model="o3"), now=now).approval_request for now in (0, 10**9))
    assert first == second


def test_waiting_for_approval_uses_up_no_quota() -> None:
    limited = policy(RateLimit(Subject.WORKLOAD, OnExceed.BLOCK, 0, requests_per_minute=1), "rate")
    configured, counters = configure(policy(SENSITIVE), limited), state.State()
    for now in range(3):
        refusal = decide(configured, request(model="o3"), now=now, counters=counters).refusal
        assert refusal is not None
        assert refusal.reason is Reason.APPROVAL


def test_a_dry_run_asks_nobody() -> None:
    found = decide(configure(policy(SENSITIVE, dry_run=True)), request(model="o3"))
    assert (found.refusal, found.approval_request, found.action) == (None, None, Action.ALLOW)
    assert [(v.action, v.dry_run) for v in found.violations] == [(Action.REQUIRE_APPROVAL, True)]
    (violation,) = found.violations
    assert violation.message == (
        "llmgov: policy ns/p would require approval: openai/o3 is a sensitive model;"
        " it is not enforced, so nobody is asked"
    )


def test_the_strictest_duties_of_all_rules_hold() -> None:
    configured = configure(
        policy(Compliance(require_audit=True, retention_days=30), "a"),
        policy(Compliance(log_all_requests=True, retention_days=365), "b"),
        policy(Compliance(retention_days=9999), "dry", dry_run=True),
    )
    found = decide(configured)
    assert (found.strict_audit, found.log_request, found.retention_days) == (True, True, 365)


def test_duties_hold_for_refused_requests_too() -> None:
    found = decide(configure(policy(SENSITIVE, "a"), policy(Compliance(retention_days=7), "b")), request(model="o3"))
    assert (found.refusal is not None, found.retention_days) == (True, 7)


def test_who_may_be_billed_at_a_dearer_tier_is_told_how_not_to_be() -> None:
    configured = configure(policy(DEAR), prices=(msgspec.structs.replace(GPT, service_tiers={"priority": 2_000_000}),))
    asked = (request(asked=9_000, cost=CostFacts(5, service_tier=tier)) for tier in (None, "default"))
    dear, plain = (decide(configured, each).refusal for each in asked)
    assert dear is not None
    assert "may cost $0.180025 at the dearest service tier (`service_tier: default` costs less)" in dear.message
    assert plain is not None
    assert "may cost $0.090013, and above" in plain.message
