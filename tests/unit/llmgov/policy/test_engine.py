"""The chain as a whole: what comes first, what is on record, and that a refusal leaves no trace."""

import inspect
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.policy import engine, refusals, runtime, state
from llmgov.policy.decision import Action, Principal, Workload
from llmgov.policy.runtime import MAX_PLANS
from llmgov.snapshot import (
    Account,
    Body,
    Category,
    Compliance,
    ContentFilter,
    CostLimit,
    Denial,
    Direction,
    Match,
    ModelAccess,
    OnDetect,
    OnExceed,
    Pattern,
    Period,
    Policy,
    RateLimit,
    Selector,
    SelectorExpression,
    Settings,
    Subject,
    Target,
    TargetKind,
)
from llmgov.wire.events import Operation, Reason, Refusal, Text, TextRole
from tests.support.policies import configure, decide, policy, request

BLOCK = ContentFilter((Direction.REQUEST,), OnDetect.BLOCK, (Pattern("secret", "secret"),))
RATE = RateLimit(Subject.WORKLOAD, OnExceed.BLOCK, 0, requests_per_minute=1)
ACCESS = ModelAccess(deny=("o3",))
COST = CostLimit(max_request_cost=1)
APPROVAL = Compliance(sensitive_models=("*",))


def test_the_checks_come_in_order() -> None:
    everything = [
        policy(body, name)
        for name, body in (
            ("cost", COST),
            ("approval", APPROVAL),
            ("content", BLOCK),
            ("rate", RATE),
            ("access", ACCESS),
        )
    ]
    used = state.State()
    decide(configure(policy(RATE, "rate")), counters=used)
    order = []
    for dropped in (None, "ns/access", "ns/rate", "ns/content", "ns/cost", "ns/approval"):
        everything = [kept for kept in everything if kept.id != dropped]
        found = decide(configure(*everything), request("a secret", model="o3"), now=1, counters=used)
        order.append(found.refusal.policy if found.refusal else None)
    assert order == ["ns/access", "ns/rate", "ns/content", "ns/cost", "ns/approval", None]


def test_every_policy_that_was_looked_at_is_explained_in_order_of_priority() -> None:
    configured = configure(
        policy(ACCESS, "access", priority=1),
        policy(ModelAccess(allow=("gpt-*",)), "first", priority=9),
        policy(RATE, "rate"),
        policy(BLOCK, "content"),
        policy(COST, "cost", dry_run=True),
        policy(Compliance(require_audit=True), "audit"),
        policy(RATE, "others", match=Match(teams=("ops",))),
    )
    assert [(e.policy, e.kind, e.applied, e.outcome) for e in decide(configured).evaluations] == [
        ("ns/first", "modelAccess", True, "allowed"),
        ("ns/access", "modelAccess", True, "allowed"),
        ("ns/rate", "rateLimit", True, "within its limits"),
        ("ns/content", "contentFilter", True, "nothing found"),
        ("ns/cost", "costLimit", True, "deny: request_too_dear (not enforced)"),
        ("ns/audit", "compliance", True, "no approval needed"),
        ("ns/others", "rateLimit", False, "does not apply: appliesTo.teams"),
    ]


def test_a_request_that_nobody_objects_to_is_explained_too() -> None:
    configured = configure(
        policy(CostLimit(max_output_tokens=1000), "output"),
        policy(CostLimit(max_request_cost=10**9), "request"),
        policy(Compliance(approve_cost_above=10**9), "approval"),
        policy(RATE, "rate", dry_run=True),
        policy(ModelAccess(deny=("gpt-*",)), "denying", dry_run=True),
        policy(BLOCK, "content"),
        policy(RATE, "others", match=Match(teams=("ops",))),
    )
    decided = decide(configured)
    assert [(e.policy, e.outcome) for e in decided.evaluations] == [
        ("ns/denying", "deny: model_denied (not enforced)"),
        ("ns/rate", "within its limits (not enforced)"),
        ("ns/content", "nothing found"),
        ("ns/request", "within its limits"),
        ("ns/output", "within its limits"),
        ("ns/approval", "no approval needed"),
        ("ns/others", "does not apply: appliesTo.teams"),
    ]
    assert [(v.policy, v.reason, v.dry_run) for v in decided.violations] == [("ns/denying", "model_denied", True)]


BODIES: list[Body] = [
    RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, 10**9, requests_per_minute=1),
    RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, 10**9, concurrent=1),
    ACCESS,
    RATE,
    BLOCK,
    COST,
    APPROVAL,
    CostLimit(max_output_tokens=10, clamp=False),
    ContentFilter((Direction.REQUEST,), OnDetect.REDACT, (), tuple(Category)),
]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(BODIES), min_size=1), st.sampled_from(["observe", "kill switch", "dry run"]))
def test_what_is_not_enforced_changes_nothing_and_is_recorded(bodies: list[Body], mode: str) -> None:
    policies = [policy(body, str(index), dry_run=mode == "dry run") for index, body in enumerate(bodies)]
    configured = configure(*policies, observe=mode == "observe", settings=Settings(kill_switch=mode == "kill switch"))
    counters = state.State()
    asked = request("a secret, mail a@b.example", model="o3", asked=500)
    for now in range(2):
        found = decide(configured, asked, now=now, counters=counters)
        assert (found.refusal, found.edits, found.throttle_until, found.clamp) == (None, (), None, None)
        assert all(violation.dry_run for violation in found.violations)
    assert {v.policy for v in found.violations} == {p.id for p in policies}


BUDGET = Account("prod|organization|Day|UTC", Target(TargetKind.ORGANIZATION), 1, Period.DAY, "UTC", "Budget/ns/b")


@settings(max_examples=150)
@given(
    bodies=st.lists(st.tuples(st.sampled_from(BODIES), st.booleans()), max_size=5),
    observe=st.booleans(),
    budgets=st.lists(st.booleans(), max_size=2),
    models=st.lists(st.sampled_from(["gpt-4o", "o3", "gpt-9", "", "no name"]), min_size=1, max_size=4),
    operation=st.sampled_from([Operation.CHAT_COMPLETIONS, Operation.EMBEDDINGS, Operation.COUNT_TOKENS]),
    asked=st.none() | st.integers(1, 10**6),
)
def test_every_decision_is_one_of_three(
    bodies: list[tuple[Body, bool]],
    observe: bool,
    budgets: list[bool],
    models: list[str],
    operation: Operation,
    asked: int | None,
) -> None:
    policies = [policy(body, str(index), dry_run=dry) for index, (body, dry) in enumerate(bodies)]
    accounts = tuple(msgspec.structs.replace(BUDGET, dry_run=dry) for dry in budgets)
    configured, counters = configure(*policies, accounts=accounts, observe=observe), state.State()
    for now, model in enumerate(models):
        wanted = request("a secret", model=model, asked=asked, operation=operation)
        found = decide(configured, wanted, now=now, counters=counters)
        waits = found.throttle_until is not None
        assert not (found.refusal is not None and (waits or found.rate_keys or found.edits or found.plan))
        assert found.refusal is None or any(not v.dry_run for v in found.violations) or model in ("", "no name")
        assert (found.action in (Action.DENY, Action.REQUIRE_APPROVAL)) is (found.refusal is not None)
        assert waits is (found.action is Action.THROTTLE)


@settings(max_examples=60)
@given(st.permutations(BODIES), st.booleans())
def test_the_order_in_which_policies_are_written_decides_nothing(bodies: list[Body], reverse: bool) -> None:
    policies = [policy(body, str(BODIES.index(body)), priority=50 + BODIES.index(body) % 3) for body in bodies]
    asked = request("a secret", model="gpt-4o", asked=500)
    straight, other = (decide(configure(*order), asked) for order in (policies, sorted(policies, key=lambda p: p.id)))
    assert straight == other


def test_deciding_twice_is_deciding_the_same() -> None:
    configured = configure(*(policy(body, str(index)) for index, body in enumerate(BODIES)))
    assert decide(configured, request("x")) == decide(configured, request("x"))


def test_a_refused_request_holds_nothing_that_must_be_released() -> None:
    for body in (ACCESS, BLOCK, COST, APPROVAL):
        limited = RateLimit(Subject.WORKLOAD, OnExceed.BLOCK, 0, concurrent=1)
        configured, counters = configure(policy(body), policy(limited, "rate")), state.State()
        refused = decide(configured, request("a secret", model="o3"), counters=counters)
        assert (refused.refusal is not None, refused.rate_keys) == (True, ())
        calm = configure(policy(limited, "rate"))
        assert decide(calm, counters=counters).refusal is None


def test_parts_of_an_unknown_type_pass_unless_the_settings_refuse_them() -> None:
    odd = request(unknown_parts=("messages[0].content[1]",))
    assert decide(configure(), odd).refusal is None
    refused = decide(configure(settings=Settings(refuse_unknown_parts=True)), odd)
    assert refused.refusal is not None
    assert refused.refusal.param == "messages[0].content[1]"
    assert [v.policy for v in refused.violations] == [engine.SETTINGS]
    watched = decide(configure(settings=Settings(refuse_unknown_parts=True), observe=True), odd)
    assert (watched.refusal, [v.dry_run for v in watched.violations]) == (None, [True])


def test_content_of_operations_that_cost_nothing_is_scanned_too() -> None:
    texts = (Text("messages[0].content", "secret", TextRole.USER),)
    found = decide(configure(policy(BLOCK)), request(texts=texts, operation=Operation.COUNT_TOKENS))
    assert found.refusal is not None
    assert found.refusal.reason is Reason.CONTENT


def test_what_is_remembered_of_plans_is_bounded() -> None:
    configured = configure()
    for number in range(MAX_PLANS + 10):
        decide(configured, request(model=f"m{number}"))
    assert len(configured._plans) <= MAX_PLANS


@pytest.mark.parametrize(
    "bad",
    [
        policy(ContentFilter((Direction.REQUEST,), OnDetect.BLOCK, (Pattern("x", "(?=look)ahead"),))),
        policy(ACCESS, match=Match(pods=Selector(expressions=(SelectorExpression("app", "Near"),)))),
    ],
    ids=["a pattern that RE2 does not have", "a selector with an unknown operator"],
)
def test_a_snapshot_that_cannot_be_used_is_rejected_whole(bad: Policy) -> None:
    with pytest.raises(runtime.BadSnapshotError, match="policy ns/p"):
        configure(bad)


def test_labels_of_one_service_account_are_told_apart() -> None:
    configured = configure(policy(ModelAccess(deny=("*",)), match=Match(pods=Selector({"risky": "yes"}))))
    risky = Principal(Workload("shop", "checkout", {"risky": "yes"}))
    plain = Principal(Workload("shop", "checkout", {}))
    assert [decide(configured, principal=who).refusal is None for who in (risky, plain, risky)] == [False, True, False]


CALLS: list[tuple[Callable[..., Refusal], tuple[object, ...]]] = [
    (refusals.no_provider, ("openai", "shop")),
    (refusals.bad_model_name, ()),
    (refusals.unknown_parts, (("a",),)),
    (refusals.model_denied, ("ns/p", "m", "*")),
    (refusals.model_not_allowed, ("ns/p", "m", ("a", "b"))),
    (refusals.permission_missing, ("ns/p", "m", ("llm.use.openai",), None)),
    (refusals.rate_exceeded, ("ns/p", 5, "requests per minute", "user jane", 3_000_000)),
    (refusals.rate_exceeded, ("ns/p", 5, "requests at once", "user jane", None)),
    (refusals.too_many_tokens, ("ns/p", 5, 10, "user jane")),
    (refusals.too_many_users, ("Budget/ns/b", 9)),
    (refusals.content, ("ns/p", "ssn", "messages[0]")),
    (refusals.content_in_answer, ("ns/p", "ssn", "choices[0]")),
    (refusals.content_in_answer, ("ns/p", "ssn", "")),
    (refusals.answer_unread, ("ns/p", "it is encoded")),
    (refusals.approval_required, ("ns/p", "why", "a-1")),
    (refusals.approval_not_asked, ("ns/p", "why")),
    (refusals.threshold_approval, ("Budget/ns/b", 90, "$5.00", "$0.01", "a-1")),
    (refusals.approval_used, ("ns/p", "a-1")),
    (refusals.approval_denied, ("ns/p", "why", Denial("a-1", "d", 9, "because"))),
    (refusals.approval_denied, ("ns/p", "why", Denial("a-1", "d", 9))),
    (refusals.budget_exhausted, ("Budget/ns/b", "$5.00", "$1.00 left", 0, 250)),
    (refusals.budget_exhausted, ("Budget/ns/b", "$5.00", "$0.00 left", 0)),
    (refusals.request_too_dear, ("ns/p", "$1.00", "$2.00")),
    (refusals.output_too_long, ("ns/p", 10, 5, "max_tokens")),
    (refusals.unknown_price, ("ns/p", "m")),
    (refusals.unbounded_cost, ("ns/p", "tools[0]", "why")),
    (refusals.unbounded_request, ("ns/p", "why")),
    (refusals.model_stopped, ("ns/p", "m")),
    (refusals.unavailable, ("no configuration yet",)),
    (refusals.bad_token, ("the token has expired",)),
    (refusals.key_refused, ("ns/c",)),
    (refusals.upstream_failed, ("the connection was lost",)),
    (refusals.upstream_broke_off, ("the connection was lost",)),
    (refusals.unreadable, (413, "the body is too large")),
    (refusals.unreadable, (408, "the body took longer than 60 s")),
    (refusals.unreadable, (503, "too many connections")),
    (refusals.unreadable, (400, "the head is malformed")),
    (refusals.waited_in_vain, ("ns/p",)),
    (refusals.encoded_body, ("br",)),
]


@pytest.mark.parametrize(("builder", "arguments"), CALLS, ids=[builder.__name__ for builder, _ in CALLS])
def test_every_refusal_says_who_speaks_and_which_policy(
    builder: Callable[..., Refusal], arguments: tuple[object, ...]
) -> None:
    refusal = builder(*arguments)
    assert refusal.message.startswith("llmgov: ")
    assert refusal.policy is None or refusal.policy in refusal.message
    assert refusal.retry_after is None or 1 <= refusal.retry_after <= 60


def test_every_sentence_is_in_that_table() -> None:
    public = {
        value
        for name, value in vars(refusals).items()
        if inspect.isfunction(value) and value.__annotations__["return"] is Refusal and not name.startswith("_")
    }
    assert public == {builder for builder, _ in CALLS}


def test_an_exhausted_budget_says_what_is_needed_what_is_left_and_what_would_fit() -> None:
    assert refusals.budget_exhausted("Budget/ns/team", "$5.00", "$1.00 left", 1_796_083_200_000_000, 250).message == (
        "llmgov: Budget/ns/team has $1.00 left and this request may cost $5.00; an output maximum of 250 tokens would"
        " fit (resets 2026-12-01T00:00:00Z)"
    )
    assert refusals.budget_exhausted("Budget/ns/team", "$5.00", "$1.00 left", 1_796_083_200_000_000).message == (
        "llmgov: Budget/ns/team has $1.00 left and this request may cost $5.00; raise the budget, or wait until it"
        " resets at 2026-12-01T00:00:00Z"
    )


def test_a_place_that_has_no_name_is_not_named() -> None:
    assert refusals.content_in_answer("ns/p", "ssn", "").message.startswith(
        "llmgov: policy ns/p found ssn in the answer; the rest"
    )


@pytest.mark.parametrize(
    ("limit", "unit", "said"),
    [
        (1, "requests at once", "1 request at once"),
        (2, "requests at once", "2 requests at once"),
        (1, "requests per minute", "1 request per minute"),
        (1, "tokens per minute", "1 token per minute"),
        (11, "tokens per minute", "11 tokens per minute"),
    ],
)
def test_one_is_not_many(limit: int, unit: str, said: str) -> None:
    message = refusals.rate_exceeded("ns/p", limit, unit, "user jane", None).message
    assert f"limits user jane to {said};" in message
