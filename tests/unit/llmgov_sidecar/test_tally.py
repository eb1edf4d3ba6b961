"""What is gathered is counted: by so much, or when somebody asks, and once."""

from llmgov.ledger.messages import Outcome, Settlement, Subject
from llmgov.policy.decision import Evaluation
from llmgov_sidecar import tally
from llmgov_sidecar.metrics import Metrics

ANSWERED = tally.Ended("r1", "chat.completions", "openai", "gpt-4o", None, 200, "allow", 1500, 1_250, 1)
UNREADABLE = tally.Ended("r2", "none", "", "", None, 400, "deny", 20, 0, 0)
SETTLED = Settlement("a/1", 0, Outcome.SETTLED, 1_250, {}, 200, "gpt-4o")
SUBJECT = Subject("shop", "web", None, (), (), "openai", "gpt-4o", "chat.completions", "pod-1")


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.render().decode().splitlines() if line.startswith(name)]


def test_nothing_is_counted_before_somebody_asks_and_all_of_it_once() -> None:
    metrics = Metrics()
    gathered = tally.Tally(metrics)
    for ended in (ANSWERED, ANSWERED, UNREADABLE):
        gathered.ended(ended, 700)
    gathered.settled(SETTLED, SUBJECT)
    assert lines(metrics, "http_requests_total") == []
    for _ in range(2):
        gathered.count()
        assert lines(metrics, "http_requests_total") == [
            'http_requests_total{operation="chat.completions",status="200"} 2',
            'http_requests_total{operation="none",status="400"} 1',
        ]
        assert lines(metrics, "llm_requests_total") == [
            'llm_requests_total{provider="openai",model="gpt-4o",operation="chat.completions",decision="allow"} 2'
        ]
        assert lines(metrics, "http_request_duration_seconds_sum") == [
            'http_request_duration_seconds_sum{operation="chat.completions"} 0.003',
            'http_request_duration_seconds_sum{operation="none"} 2e-05',
        ]
        assert lines(metrics, "llmgov_attempts_total") == ['llmgov_attempts_total{outcome="settled"} 1']
        assert lines(metrics, "llm_request_cost_usd_sum") == [
            'llm_request_cost_usd_sum{provider="openai",model="gpt-4o"} 0.00125'
        ]


def test_much_is_counted_without_being_asked_for() -> None:
    metrics = Metrics()
    gathered = tally.Tally(metrics)
    for _ in range(tally.GATHERED):
        gathered.ended(ANSWERED, 700)
    (line,) = lines(metrics, "http_requests_total")
    assert line.endswith(f" {tally.GATHERED}")


def test_only_policies_that_applied_are_counted_by_a_bounded_word() -> None:
    metrics = Metrics()
    gathered = tally.Tally(metrics)
    looked_at = (
        Evaluation("a", "rateLimit", True, "within its limits"),
        Evaluation("b", "contentFilter", True, "deny: pattern:ssn"),
        Evaluation("c", "modelAccess", False, "does not apply: appliesTo.users"),
    )
    gathered.evaluated(looked_at)
    gathered.evaluated(tuple(looked_at))
    gathered.count()
    assert lines(metrics, "policy_evaluations_total") == [
        'policy_evaluations_total{policy="a",kind="rateLimit",outcome="within its limits"} 2',
        'policy_evaluations_total{policy="b",kind="contentFilter",outcome="deny"} 2',
    ]
