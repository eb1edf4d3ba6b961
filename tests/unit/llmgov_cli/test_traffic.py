"""Traffic files: a misspelt key is an error, and an expectation that does not hold is said."""

import pytest

from llmgov_cli import traffic
from llmgov_cli.traffic import Expectation, Outcome, Result

REFUSED = Result(Outcome.REFUSED, 402, "budget_exceeded", "APIStatusError", "Budget/a/b", "llmgov: no money", "")
ALLOWED = Result(Outcome.ALLOWED, 200, text="Hello, world")


@pytest.mark.parametrize(
    ("document", "place"),
    [
        pytest.param({"steps": [{"nme": "x"}]}, "nme", id="a misspelt key of a step"),
        pytest.param(
            {"steps": [{"name": "x", "expect": {"outcom": "allowed"}}]}, "outcom", id="a misspelt expectation"
        ),
        pytest.param({"steps": [{"name": "x", "sdk": "cohere"}]}, "cohere", id="an SDK that we do not play"),
        pytest.param({}, "steps", id="no steps"),
        pytest.param([], "object", id="not a mapping"),
    ],
)
def test_a_file_that_does_not_fit_names_the_place(document: object, place: str) -> None:
    with pytest.raises(traffic.TrafficError, match=place):
        traffic.parse(document)


@pytest.mark.parametrize(
    ("expect", "results", "sentences"),
    [
        pytest.param(Expectation(Outcome.ALLOWED), [ALLOWED], [], id="the outcome holds"),
        pytest.param(
            Expectation(Outcome.ALLOWED), [REFUSED], ["outcome: expected allowed, saw refused"], id="another outcome"
        ),
        pytest.param(
            Expectation(status=429, code="x", exception="RateLimitError", policy="p", message="retry"),
            [REFUSED],
            [
                "status: expected 429, saw 402",
                "code: expected 'x', saw 'budget_exceeded'",
                "exception: expected 'RateLimitError', saw 'APIStatusError'",
                "policy: expected 'p', saw 'Budget/a/b'",
                "message: expected to contain 'retry', saw 'llmgov: no money'",
            ],
            id="every part that is wrong is named",
        ),
        pytest.param(Expectation(text="world", not_text="moon"), [ALLOWED], [], id="the text holds"),
        pytest.param(
            Expectation(text="moon", not_text="world"),
            [ALLOWED],
            ["text: expected to contain 'moon', saw 'Hello, world'", "text: must not contain 'world'"],
            id="the text does not hold",
        ),
        pytest.param(
            Expectation(counts={Outcome.ALLOWED: 1, Outcome.REFUSED: 1}), [ALLOWED, REFUSED], [], id="counts hold"
        ),
        pytest.param(
            Expectation(counts={Outcome.ALLOWED: 2}),
            [ALLOWED, REFUSED],
            ["expected 2 allowed, saw 1", "expected 0 refused, saw 1"],
            id="an outcome that is not counted must not occur",
        ),
        pytest.param(
            Expectation(counts={Outcome.ALLOWED: 1, Outcome.REFUSED: 1}, status=429),
            [ALLOWED, REFUSED],
            ["status: expected 429, saw 402"],
            id="with counts the rest is about those that were not allowed",
        ),
    ],
)
def test_what_does_not_hold_is_said(expect: Expectation, results: list[Result], sentences: list[str]) -> None:
    assert traffic.unmet(expect, results) == sentences


def test_workloads_in_order_of_appearance() -> None:
    steps = [{"name": "a", "workload": "b/x"}, {"name": "b"}, {"name": "c", "workload": "b/x"}]
    assert traffic.parse({"steps": steps}).workloads() == ("b/x", "default/default")
