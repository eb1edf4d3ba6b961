"""Traffic files: a misspelt key is an error, and an expectation that does not hold is said."""

import pathlib

import msgspec
import pytest

from llmgov_cli import errors, traffic
from llmgov_cli.local import play
from llmgov_cli.traffic import Expectation, Outcome, Result

REFUSED = Result(Outcome.REFUSED, 402, "budget_exceeded", "APIStatusError", "Budget/a/b", "llmgov: no money", "")
ALLOWED = Result(Outcome.ALLOWED, 200, text="Hello, world")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        pytest.param("steps:\n- nme: x\n", "2: steps[0].nme: is no key here; did you mean name?", id="a misspelt key"),
        pytest.param(
            "steps:\n- name: x\n  expect: {outcom: allowed}\n",
            "3: steps[0].expect.outcom: is no key here; did you mean outcome?",
            id="a misspelt expectation",
        ),
        pytest.param(
            "steps:\n- name: x\n  sdk: cohere\n",
            "3: steps[0].sdk: must be one of openai, anthropic",
            id="an SDK that we do not play",
        ),
        pytest.param(
            "steps:\n- name: x\n  repeat: '3'\n",
            "3: steps[0].repeat: must be a whole number; write digits, without quotes",
            id="a number in quotes",
        ),
        pytest.param(
            "steps:\n- name: x\n  repeat: true\n",
            "3: steps[0].repeat: must be a whole number",
            id="a switch is no number",
        ),
        pytest.param("steps:\n- name: x\n  repeat: 0\n", "3: steps[0].repeat: must be at least 1", id="not even once"),
        pytest.param(
            "steps:\n- name: x\n  expect: {counts: {alowed: 1}}\n",
            "3: steps[0].expect.counts.alowed: must be one of allowed, redacted, clamped, throttled, flagged, refused,"
            " cut, failed; did you mean allowed?",
            id="an outcome that there is not",
        ),
        pytest.param(
            "steps:\n- name: x\n  expect: {}\n",
            "3: steps[0].expect: expects nothing, so nothing is checked; add one of outcome, counts",
            id="an expectation of nothing",
        ),
        pytest.param(
            "steps:\n- name: x\n  workload: Shop/web\n",
            "3: steps[0].workload: the namespace 'Shop' must be at most 63 lower-case letters",
            id="a workload that cannot be",
        ),
        pytest.param("a: 1\n", "1: steps is missing; add it", id="no steps"),
        pytest.param(
            "steps: []\n", "1: steps: has none, so nothing is played; add a step", id="an empty list of steps"
        ),
        pytest.param("- 1\n", "1: must be an object", id="not a mapping"),
        pytest.param("", "1: must be one document, and has 0", id="nothing at all"),
        pytest.param("a: [\n", "2: is no YAML", id="no YAML"),
        pytest.param("steps: []\nsteps: []\n", "2: has the key steps twice", id="a key that is there twice"),
    ],
)
def test_a_file_that_does_not_fit_is_said_with_its_line(tmp_path: pathlib.Path, text: str, sentence: str) -> None:
    (tmp_path / "traffic.yaml").write_text(text)
    with pytest.raises(errors.CommandError) as raised:
        play.read(tmp_path)
    assert f"traffic.yaml:{sentence}" in str(raised.value)


def test_a_folder_without_the_file_has_no_traffic(tmp_path: pathlib.Path) -> None:
    assert play.read(tmp_path) is None


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
    assert msgspec.convert({"steps": steps}, traffic.Traffic).workloads() == ("b/x", "default/default")
