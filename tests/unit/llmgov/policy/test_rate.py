"""Rate limits through `decide`: who is counted together, throttling, blocking, and what a refusal says."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov import instants
from llmgov.policy import limits, rate, state
from llmgov.policy.decision import Action, Principal, Workload
from llmgov.snapshot import ContentFilter, Direction, OnDetect, OnExceed, Pattern, RateLimit, Subject
from llmgov.wire.events import CostFacts, Operation, Reason
from tests.support.policies import PRINCIPAL, configure, decide, policy, request

S = instants.SECOND
MINUTE = instants.MINUTE


def limit(**numbers: int) -> RateLimit:
    return RateLimit(Subject.WORKLOAD, OnExceed.BLOCK, 0, **numbers)


def throttle(max_wait: int = 5 * S, **numbers: int) -> RateLimit:
    return RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, max_wait, **numbers)


def test_the_request_above_the_limit_is_refused_with_when_to_come_back() -> None:
    configured, counters = configure(policy(limit(requests_per_minute=2))), state.State()
    assert decide(configured, now=0, counters=counters).action is Action.ALLOW
    assert decide(configured, now=10 * S, counters=counters).action is Action.ALLOW
    refused = decide(configured, now=30 * S, counters=counters)
    assert refused.refusal is not None
    assert refused.refusal.reason is Reason.RATE
    assert refused.refusal.message == (
        "llmgov: policy ns/p limits workload shop/checkout to 2 requests per minute; try again in 30 s"
    )
    assert refused.refusal.retry_after == 30
    assert [v.reason for v in refused.violations] == ["requests_per_minute"]
    assert decide(configured, now=60 * S, counters=counters).action is Action.ALLOW


def test_a_wait_of_more_than_a_minute_offers_no_retry() -> None:
    configured, counters = configure(policy(limit(requests_per_hour=1))), state.State()
    decide(configured, counters=counters)
    refusal = decide(configured, now=S, counters=counters).refusal
    assert refusal is not None
    assert refusal.retry_after is None
    assert "try again in 3599 s" in refusal.message


def test_throttled_requests_take_their_places_in_order_of_arrival() -> None:
    configured, counters = configure(policy(throttle(2 * MINUTE, requests_per_minute=1))), state.State()
    places = [decide(configured, now=now, counters=counters).throttle_until for now in (0, 1, 2)]
    assert places == [None, MINUTE, 2 * MINUTE]


def test_throttling_never_outlasts_the_policys_wait() -> None:
    configured, counters = configure(policy(throttle(5 * S, requests_per_minute=1))), state.State()
    decide(configured, counters=counters)
    assert decide(configured, now=54 * S, counters=counters).refusal is not None
    held = decide(configured, now=55 * S, counters=counters)
    assert (held.action, held.throttle_until, held.max_wait) == (Action.THROTTLE, MINUTE, 5 * S)


def test_throttling_never_outlasts_the_clients_timeout() -> None:
    configured, counters = configure(policy(throttle(30 * S, requests_per_minute=1))), state.State()
    decide(configured, counters=counters)
    assert decide(configured, now=40 * S, counters=counters, patience=19 * S).refusal is not None
    assert decide(configured, now=40 * S, counters=counters, patience=20 * S).throttle_until == MINUTE


def test_a_throttled_request_whose_client_left_gives_its_place_back() -> None:
    configured, counters = configure(policy(throttle(MINUTE, requests_per_minute=1))), state.State()
    decide(configured, counters=counters)
    held = decide(configured, now=1, counters=counters)
    assert decide(configured, now=2, counters=counters).refusal is not None
    counters.cancel(held.rate_keys, 3)
    assert decide(configured, now=4, counters=counters).throttle_until == MINUTE


def test_a_request_that_one_limit_refuses_is_counted_in_none() -> None:
    configured = configure(policy(limit(requests_per_minute=1), "narrow"), policy(limit(requests_per_minute=3), "wide"))
    counters = state.State()
    decide(configured, counters=counters)
    for now in range(1, 10):
        assert decide(configured, now=now, counters=counters).refusal is not None
    wide = next(
        found
        for found in configured.plan(PRINCIPAL, request().route.format, "gpt-4o").limits
        if found.rule.id == "ns/wide"
    )
    assert counters.window(wide).total == 1


def test_a_request_that_another_check_refuses_uses_up_no_quota() -> None:
    secret = ContentFilter((Direction.REQUEST,), OnDetect.BLOCK, (Pattern("secret", "secret"),))
    configured, counters = configure(policy(limit(requests_per_minute=1)), policy(secret, "s")), state.State()
    for now in range(5):
        refusal = decide(configured, request("a secret"), now=now, counters=counters).refusal
        assert refusal is not None
        assert refusal.reason is Reason.CONTENT
    assert decide(configured, now=6, counters=counters).action is Action.ALLOW


def test_the_strictest_of_several_policies_wins_and_the_highest_priority_is_named() -> None:
    first = policy(limit(requests_per_minute=1), "first", priority=200)
    second = policy(limit(requests_per_minute=1), "second", priority=100)
    configured, counters = configure(second, first), state.State()
    decide(configured, counters=counters)
    refused = decide(configured, now=1, counters=counters)
    assert refused.refusal is not None
    assert refused.refusal.policy == "ns/first"
    assert [v.policy for v in refused.violations] == ["ns/first", "ns/second"]


def test_one_policy_that_blocks_outweighs_one_that_throttles() -> None:
    configured = configure(
        policy(throttle(MINUTE, requests_per_minute=1), "patient", priority=200),
        policy(limit(requests_per_minute=1), "strict", priority=1),
    )
    counters = state.State()
    decide(configured, counters=counters)
    refusal = decide(configured, now=1, counters=counters).refusal
    assert refusal is not None
    assert refusal.policy == "ns/strict"


def test_a_dry_run_records_and_lets_pass_and_counts_for_itself_alone() -> None:
    configured = configure(
        policy(limit(requests_per_minute=1), "dry", dry_run=True), policy(limit(requests_per_minute=3), "real")
    )
    counters = state.State()
    decisions = [decide(configured, now=now, counters=counters) for now in range(4)]
    assert [d.action for d in decisions] == [Action.ALLOW, Action.ALLOW, Action.ALLOW, Action.DENY]
    assert [[(v.policy, v.dry_run) for v in d.violations] for d in decisions] == [
        [],
        [("ns/dry", True)],
        [("ns/dry", True)],
        [("ns/dry", True), ("ns/real", False)],
    ]
    # What it would have refused it does not count, so that a minute later it would let one pass again.
    assert decide(configured, now=MINUTE, counters=counters).violations == ()


SUBJECTS = {
    "each user of a workload has a quota": (
        Subject.USER,
        Principal(Workload("shop", "a"), "jane"),
        Principal(Workload("shop", "a"), "joe"),
        False,
    ),
    "a user has one quota over all workloads": (
        Subject.USER,
        Principal(Workload("shop", "a"), "jane"),
        Principal(Workload("shop", "b"), "jane"),
        True,
    ),
    "without a user the workload has the quota": (
        Subject.USER,
        Principal(Workload("shop", "a")),
        Principal(Workload("shop", "b")),
        False,
    ),
    "workloads of one namespace differ": (
        Subject.WORKLOAD,
        Principal(Workload("shop", "a")),
        Principal(Workload("shop", "b")),
        False,
    ),
    "a namespace shares": (Subject.NAMESPACE, Principal(Workload("shop", "a")), Principal(Workload("shop", "b")), True),
    "namespaces differ": (Subject.NAMESPACE, Principal(Workload("shop", "a")), Principal(Workload("bank", "a")), False),
    "a team shares across namespaces": (
        Subject.TEAM,
        Principal(Workload("shop", "a"), teams=("web", "all")),
        Principal(Workload("bank", "a"), teams=("web",)),
        True,
    ),
    "teams differ though they have one parent": (
        Subject.TEAM,
        Principal(Workload("shop", "a"), teams=("web", "all")),
        Principal(Workload("shop", "a"), teams=("ops", "all")),
        False,
    ),
    "without a team the namespace has the quota": (
        Subject.TEAM,
        Principal(Workload("shop", "a")),
        Principal(Workload("bank", "a")),
        False,
    ),
    "the organization shares": (
        Subject.ORGANIZATION,
        Principal(Workload("shop", "a"), "jane"),
        Principal(Workload("bank", "b")),
        True,
    ),
}


@pytest.mark.parametrize(("per", "one", "other", "shared"), SUBJECTS.values(), ids=SUBJECTS.keys())
def test_who_is_counted_together(per: Subject, one: Principal, other: Principal, shared: bool) -> None:
    configured = configure(policy(RateLimit(per, OnExceed.BLOCK, 0, requests_per_minute=1)))
    counters = state.State()
    assert decide(configured, principal=one, counters=counters).refusal is None
    assert (decide(configured, principal=other, now=1, counters=counters).refusal is not None) is shared


def test_tokens_are_set_aside_by_estimate_and_corrected_by_what_was_used() -> None:
    configured, counters = configure(policy(limit(tokens_per_minute=1000))), state.State()
    first = decide(configured, request("x" * 400, asked=700), counters=counters)
    assert first.reserved_tokens == 100 + 700
    assert decide(configured, request("x" * 400, asked=700), now=1, counters=counters).refusal is not None
    counters.release(first.rate_keys, 150, 2)
    assert decide(configured, request("x" * 400, asked=700), now=3, counters=counters).refusal is None


def test_images_sound_and_every_choice_count_as_tokens() -> None:
    facts = CostFacts(8, overhead_tokens=3, images=2, image_tokens=5, audio_tokens=7, choices=2)
    found = decide(configure(policy(limit(tokens_per_minute=10_000))), request(cost=facts, asked=100))
    assert found.reserved_tokens == 2 + 3 + 2 * limits.IMAGE_ESTIMATE + 5 + 7 + 2 * 100


def test_a_list_of_models_takes_no_tokens() -> None:
    configured, counters = configure(policy(limit(tokens_per_minute=1))), state.State()
    empty = request(texts=(), model="", operation=Operation.OPENAI_MODELS, output_limit=None)
    for now in range(3):
        assert decide(configured, empty, now=now, counters=counters).refusal is None


def test_tokens_beyond_the_estimate_count_too() -> None:
    configured, counters = configure(policy(limit(tokens_per_minute=1000))), state.State()
    first = decide(configured, request(asked=10), counters=counters)
    counters.release(first.rate_keys, 995, 1)
    assert decide(configured, request(asked=10), now=2, counters=counters).refusal is not None


def test_tokens_of_unknown_outcome_stay_as_estimated() -> None:
    configured, counters = configure(policy(limit(tokens_per_minute=1000))), state.State()
    first = decide(configured, request(asked=900), counters=counters)
    counters.release(first.rate_keys, None, 1)
    assert decide(configured, request(asked=900), now=2, counters=counters).refusal is not None


def test_a_request_larger_than_the_token_limit_is_told_so() -> None:
    refusal = decide(configure(policy(throttle(MINUTE, tokens_per_minute=500))), request(asked=4000)).refusal
    assert refusal is not None
    assert refusal.retry_after is None
    assert refusal.message.endswith("send less text or set a lower output maximum")


def test_as_many_as_allowed_run_at_once_and_the_next_may_go_when_one_ends() -> None:
    configured, counters = configure(policy(limit(concurrent=2))), state.State()
    first, second = (decide(configured, now=now, counters=counters) for now in (0, 1))
    refused = decide(configured, now=2, counters=counters)
    assert second.refusal is None
    assert refused.refusal is not None
    assert refused.refusal.retry_after == 1
    counters.release(first.rate_keys, None, 3)
    assert decide(configured, now=4, counters=counters).refusal is None


def test_requests_wait_in_line_for_running_ones_to_end() -> None:
    configured, counters = configure(policy(throttle(5 * S, concurrent=1))), state.State()
    first, second, third = (decide(configured, now=now, counters=counters) for now in (0, 1, 2))
    assert [(d.queued, d.throttle_until) for d in (first, second, third)] == [
        (False, None),
        (True, 1 + 5 * S),
        (True, 2 + 5 * S),
    ]
    assert counters.release(first.rate_keys, None, S) == (state.Turn(second.rate_keys[0], S),)
    assert counters.release(second.rate_keys, None, 2 * S) == (state.Turn(third.rate_keys[0], 2 * S),)


def test_who_leaves_the_line_lets_the_next_one_forward() -> None:
    configured, counters = configure(policy(throttle(5 * S, concurrent=1))), state.State()
    first, second, third = (decide(configured, now=now, counters=counters) for now in (0, 1, 2))
    assert counters.cancel(second.rate_keys, 3) == ()
    assert counters.release(first.rate_keys, None, 4) == (state.Turn(third.rate_keys[0], 4),)


def test_nobody_overtakes_the_line() -> None:
    configured, counters = configure(policy(throttle(5 * S, concurrent=1))), state.State()
    first, second = (decide(configured, now=now, counters=counters) for now in (0, 1))
    counters.release(first.rate_keys, None, 2)
    assert not decide(configured, now=1, counters=state.State()).queued
    assert decide(configured, now=3, counters=counters).queued
    assert second.queued


def test_who_waits_for_one_limit_does_not_hold_up_those_who_need_not() -> None:
    configured = configure(
        policy(RateLimit(Subject.NAMESPACE, OnExceed.THROTTLE, 5 * S, concurrent=2), "all"),
        policy(RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, 5 * S, concurrent=1), "each"),
    )
    counters = state.State()
    a, b = Principal(Workload("shop", "a")), Principal(Workload("shop", "b"))
    decide(configured, principal=a, now=0, counters=counters)
    assert decide(configured, principal=a, now=1, counters=counters).queued
    other = decide(configured, principal=b, now=2, counters=counters)
    assert not other.queued
    waiting = decide(configured, principal=b, now=3, counters=counters)
    assert counters.release(other.rate_keys, None, 4) == (state.Turn(waiting.rate_keys[0], 4),)


def test_a_dry_run_throttles_on_paper_as_it_would_in_force() -> None:
    body = RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, MINUTE, requests_per_minute=1)
    configured, counters = configure(policy(body, dry_run=True)), state.State()
    decisions = [decide(configured, now=now, counters=counters) for now in range(3)]
    assert [found.throttle_until for found in decisions] == [None] * 3
    assert [[v.action for v in found.violations] for found in decisions] == [[], [Action.THROTTLE], [Action.DENY]]


def test_a_turn_in_line_still_needs_room_in_the_windows() -> None:
    configured, counters = configure(policy(throttle(5 * S, concurrent=1, requests_per_minute=1))), state.State()
    first = decide(configured, now=0, counters=counters)
    second = decide(configured, now=58 * S, counters=counters)
    assert second.queued
    assert counters.release(first.rate_keys, None, 59 * S) == (state.Turn(second.rate_keys[0], MINUTE),)


def test_a_turn_whose_window_opens_too_late_is_refused() -> None:
    configured, counters = configure(policy(throttle(5 * S, concurrent=1, requests_per_minute=1))), state.State()
    first = decide(configured, now=0, counters=counters)
    second = decide(configured, now=S, counters=counters)
    assert counters.release(first.rate_keys, None, 2 * S) == (state.Turn(second.rate_keys[0], None),)
    assert counters.release(second.rate_keys, None, 3 * S) == ()


def test_ending_a_request_twice_changes_nothing() -> None:
    configured, counters = configure(policy(limit(concurrent=1))), state.State()
    first = decide(configured, counters=counters)
    counters.release(first.rate_keys, None, 1)
    counters.release(first.rate_keys, None, 2)
    counters.cancel(first.rate_keys, 3)
    second = decide(configured, now=4, counters=counters)
    assert second.refusal is None
    assert decide(configured, now=5, counters=counters).refusal is not None


def test_the_oldest_of_too_many_windows_is_forgotten() -> None:
    configured = configure(policy(RateLimit(Subject.USER, OnExceed.BLOCK, 0, requests_per_minute=1)))
    counters = state.State(max_windows=10)
    for number in range(11):
        decide(configured, principal=Principal(Workload("shop", "a"), f"u{number}"), counters=counters)
    again = [
        decide(configured, principal=Principal(Workload("shop", "a"), f"u{number}"), now=1, counters=counters).refusal
        for number in (10, 0)
    ]
    assert [refusal is None for refusal in again] == [False, True]


def test_headers_tell_of_the_limit_with_the_least_left() -> None:
    configured = configure(
        policy(limit(requests_per_minute=60, requests_per_hour=62)), policy(limit(tokens_per_minute=5000), "t")
    )
    counters = state.State()
    decide(configured, request(asked=96), counters=counters)
    headers = dict(decide(configured, request("x" * 16, asked=96), now=15 * S, counters=counters).rate_headers)
    assert headers == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "58",
        "x-ratelimit-reset-requests": "1m0s",
        "x-ratelimit-limit-tokens": "5000",
        "x-ratelimit-remaining-tokens": str(5000 - 2 - 96 - 4 - 96),
        "x-ratelimit-reset-tokens": "1m0s",
    }


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0ms"),
        (1, "1ms"),
        (20_000, "20ms"),
        (S, "1s"),
        (1_500_000, "1.5s"),
        (MINUTE, "1m0s"),
        (instants.HOUR + S, "1h0m1s"),
        (59_999_999, "1m0s"),
    ],
)
def test_durations_read_as_openais_do(amount: int, shown: str) -> None:
    assert rate.duration(amount) == shown


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 20 * S), st.sampled_from("abc"), st.booleans()), max_size=60),
    st.integers(1, 4),
    st.integers(1, 6),
)
def test_under_any_traffic_no_limit_is_ever_exceeded(
    steps: list[tuple[int, str, bool]], per_minute: int, per_hour: int
) -> None:
    configured = configure(
        policy(RateLimit(Subject.WORKLOAD, OnExceed.THROTTLE, 30 * S, requests_per_minute=per_minute), "each"),
        policy(RateLimit(Subject.NAMESPACE, OnExceed.BLOCK, 0, requests_per_hour=per_hour), "all"),
    )
    counters, now, log = state.State(), 0, []
    for gap, who, cancels in steps:
        now += gap
        found = decide(configured, principal=Principal(Workload("shop", who)), now=now, counters=counters)
        if found.refusal is not None:
            continue
        if cancels and found.throttle_until:
            counters.cancel(found.rate_keys, now)
        else:
            log.append((found.throttle_until or now, who))
    for at, who in log:
        assert sum(1 for then, _ in log if at - instants.HOUR < then <= at) <= per_hour
        assert sum(1 for then, whose in log if at - MINUTE < then <= at and whose == who) <= per_minute
