"""`llmgov explain`: the decision, the policies in order, the accounts."""

import io
import json
import pathlib
import re
from typing import Any

import pytest

from llmgov_cli import errors, explain
from tests.support import folders

TIME = "2026-03-31T10:00:00Z"


def run(folder: pathlib.Path, document: Any) -> tuple[int, str]:
    folders.write(folder)
    request = folder / "request.json"
    request.write_text(document if isinstance(document, str) else json.dumps(document))
    out = io.StringIO()
    return explain.run(request, folder, out), out.getvalue()


def rows(out: str, heading: str) -> list[list[str]]:
    """The cells of the table that begins with a heading, without it."""
    table = out[out.index(heading) :].split("\n\n", maxsplit=1)[0].splitlines()[1:]
    return [[cell.strip() for cell in line.split("   ") if cell.strip()] for line in table]


def test_policies_come_in_order_of_priority_and_those_that_do_not_apply_last(tmp_path: pathlib.Path) -> None:
    request = {"model": "test-model", "prompt": "see TICKET-1!!!", "maxTokens": 10}
    code, out = run(tmp_path, {"request": request, "principal": {"namespace": "payments"}, "time": TIME})
    assert code == 0
    assert [row[:4] for row in rows(out, "ORDER")] == [
        ["1", "llm-governance/models", "modelAccess", "yes"],
        ["2", "payments/slow", "rateLimit", "yes"],
        ["3", "llm-governance/tickets", "contentFilter", "yes"],
        ["4", "llm-governance/trying", "contentFilter", "yes"],
        ["5", "llm-governance/output", "costLimit", "no"],
    ]
    assert rows(out, "VIOLATION OF") == [
        ["llm-governance/tickets", "redact", "pattern:ticket", "messages[0].content", "no"],
        ["llm-governance/trying", "deny", "pattern:shout", "messages[0].content", "yes"],
    ]
    assert "Decision:  redact\n" in out


def test_a_refusal_for_want_of_money_shows_the_accounts(tmp_path: pathlib.Path) -> None:
    situation = {
        "request": {"model": "test-model", "prompt": "hello"},
        "principal": {"user": "ann"},
        "spent": {"users": "1", "everything": "12.50"},
        "time": TIME,
    }
    code, out = run(tmp_path, situation)
    assert code == 0
    assert "Request:   chat.completions openai/test-model by default/default for ann\n" in out
    assert "Refusal:   budget_exceeded: llmgov: Budget/llm-governance/users has $0.00 left" in out
    assert rows(out, "ACCOUNT") == [
        ["organization", "Budget/llm-governance/everything", "$100.00", "$12.50", "2026-04-01T00:00:00Z", "yes"],
        ["user", "Budget/llm-governance/users", "$1.00", "$1.00", "2026-04-01T00:00:00Z", "yes"],
    ]


EUROS = """
apiVersion: llmgov.dev/v1alpha1
kind: GovernanceSettings
metadata: {name: default}
spec: {currencyRates: [{currency: EUR, usd: "1.08"}]}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: euros, namespace: llm-governance}
spec:
  costLimit: {currency: EUR, maxRequestCost: "0.007", clamp: false, limits: [{period: Day, amount: "5"}]}
"""


def test_a_cost_limit_in_euros_is_told_in_euros_and_compared_in_dollars(tmp_path: pathlib.Path) -> None:
    (tmp_path / "euros.yaml").write_text(EUROS)
    asked = {"request": {"model": "test-model", "prompt": "x", "maxTokens": 4000}, "time": TIME}
    _, out = run(tmp_path, asked)
    assert re.search(r"euros allows 0\.007 EUR a request and this one may cost 0\.007\d+ EUR", out), out
    asked["request"] = {"model": "test-model", "prompt": "x", "maxTokens": 10}
    _, out = run(tmp_path, asked | {"spent": {"euros": "2.50"}})
    assert ["llm-governance/euros", "5.00 EUR", "2.50 EUR"] in [row[1:4] for row in rows(out, "ACCOUNT")]


@pytest.mark.parametrize(
    ("body", "seen"),
    [
        pytest.param(
            {"model": "test-model", "messages": [{"role": "user", "content": "x"}]},
            "chat.completions openai/test-model",
            id="OpenAI's chat",
        ),
        pytest.param({"model": "test-model", "input": "x"}, "responses openai/test-model", id="OpenAI's responses"),
        pytest.param(
            {"model": "claude-test", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
            "messages anthropic/claude-test",
            id="Anthropic's messages",
        ),
        pytest.param(
            {"model": "text-embedding-3-small", "input": "x"},
            "embeddings openai/text-embedding-3-small",
            id="OpenAI's embeddings",
        ),
    ],
)
def test_a_bare_body_is_sent_by_default_now(tmp_path: pathlib.Path, body: dict[str, Any], seen: str) -> None:
    code, out = run(tmp_path, body)
    assert code == 0
    assert f"Request:   {seen} by default/default\n" in out


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        pytest.param("{", "cannot be read as JSON", id="no JSON"),
        pytest.param("[]", "must be an object", id="no object"),
        pytest.param(
            {"request": {"model": "m", "promt": "x"}},
            "did you mean prompt",
            id="a misspelt key",
        ),
        pytest.param({"request": {"prompt": "x"}}, "needs a body, or a model", id="no model"),
        pytest.param(
            {"request": {"model": "test-model", "prompt": "x"}, "spent": {"g": "1"}}, "spent.g", id="no Budget"
        ),
    ],
)
def test_a_file_that_is_no_request(tmp_path: pathlib.Path, document: Any, sentence: str) -> None:
    with pytest.raises(errors.CommandError, match=sentence):
        run(tmp_path, document)


def test_a_folder_with_errors_explains_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "bad.yaml").write_text("kind: [")
    code, out = run(tmp_path, {"model": "test-model", "input": "x"})
    assert code == 1
    assert "bad.yaml:" in out
    assert "Decision" not in out
