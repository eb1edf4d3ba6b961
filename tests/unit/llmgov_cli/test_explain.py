"""`llmgov explain`: the decision, the policies in order, the accounts."""

import asyncio
import datetime
import io
import json
import pathlib
import re
from typing import Any

import pytest

from llmgov.statuses.observed import Facts
from llmgov_cli import errors, explain
from llmgov_cli.local import lock, state
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
        ["6", "batch/one", "rateLimit", "no"],
        ["7", "llm-governance/secret", "contentFilter", "yes"],
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


def _reasons(out: str) -> dict[str, tuple[str, str]]:
    return {row[1]: (row[3], row[4]) for row in rows(out, "ORDER")}


OTHERS = """
apiVersion: llmgov.dev/v1alpha1
kind: Team
metadata: {name: risk}
spec: {namespaces: {names: [batch]}}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: of-a-team, namespace: llm-governance}
spec: {appliesTo: {teams: [risk]}, modelAccess: {allow: ["*"]}}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: of-names, namespace: llm-governance}
spec: {appliesTo: {namespaces: {names: [batch]}}, modelAccess: {allow: ["*"]}}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: of-a-user, namespace: llm-governance}
spec: {appliesTo: {users: [ann]}, modelAccess: {allow: ["*"]}}
"""


def test_every_policy_that_does_not_apply_says_why(tmp_path: pathlib.Path) -> None:
    (tmp_path / "others.yaml").write_text(OTHERS)
    _, out = run(tmp_path, {"request": {"model": "test-model", "prompt": "x", "maxTokens": 9}, "time": TIME})
    said = _reasons(out)
    assert said["payments/slow"] == ("no", "namespace: it is for payments alone")
    assert said["llm-governance/of-names"] == ("no", "namespaces: it is for namespaces batch")
    assert said["llm-governance/of-a-team"] == ("no", "teams: it is for teams risk, that is for namespaces batch")
    assert said["llm-governance/of-a-user"][0] == "no"
    assert "users" in said["llm-governance/of-a-user"][1]


def test_a_policy_whose_turn_did_not_come_says_so(tmp_path: pathlib.Path) -> None:
    _, out = run(tmp_path, {"request": {"model": "x-forbidden", "prompt": "x"}, "time": TIME})
    assert "Decision:  deny\n" in out
    assert _reasons(out)["llm-governance/tickets"] == ("no", "not asked: the request was refused before")


def test_what_a_list_of_models_costs_nothing_for_is_not_asked(tmp_path: pathlib.Path) -> None:
    body = {"request": {"operation": "openai.models", "model": "test-model"}, "time": TIME}
    _, out = run(tmp_path, body)
    assert "Decision:  allow\n" in out
    said = _reasons(out)
    assert said["llm-governance/secret"] == ("yes", "looks at the answer alone")


def test_a_policy_that_clamps_has_one_line(tmp_path: pathlib.Path) -> None:
    request = {"request": {"model": "test-model", "prompt": "x"}, "principal": {"serviceAccount": "brief"}}
    _, out = run(tmp_path, request | {"time": TIME})
    assert "Decision:  clamp\n" in out
    assert len([row for row in rows(out, "ORDER") if row[1] == "llm-governance/output"]) == 1


def test_what_is_spent_is_said_to_be_assumed(tmp_path: pathlib.Path) -> None:
    _, out = run(tmp_path, {"request": {"model": "test-model", "prompt": "x", "maxTokens": 9}, "time": TIME})
    assert out.endswith(
        "\nSPENT is what the request's file says under `spent`, else nothing: the ledger was not asked.\n"
    )


def test_a_request_comes_from_standard_input(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders.write(tmp_path)
    body = b'{"model": "test-model", "input": "x"}'
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(body)))
    out = io.StringIO()
    assert explain.run(pathlib.Path("-"), tmp_path, out) == 0
    assert "responses openai/test-model" in out.getvalue()


def test_a_name_that_is_there_twice_is_refused_as_the_proxy_does(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="'model' is there twice"):
        run(tmp_path, '{"model": "test-model", "model": "other"}')


def test_a_file_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match=r"nofile\.json: no such file$"):
        explain.run(tmp_path / "nofile.json", tmp_path, io.StringIO())


def test_without_a_folder_the_one_that_is_served_counts(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "served").mkdir()
    folders.write(tmp_path / "served")
    request = tmp_path / "request.json"
    request.write_text('{"model": "test-model", "input": "x"}')
    with pytest.raises(errors.CommandError, match="name the folder of YAML with --dir"):
        explain.run(request, None, io.StringIO())
    kept = state.fresh(datetime.datetime.now(datetime.UTC))
    (kept / "ledger.db").touch()
    state.write_run(kept, state.Run(1, "served", 0, {}, {}, (), (), Facts()))
    with pytest.raises(errors.CommandError, match="name the folder of YAML with --dir"):
        explain.run(request, None, io.StringIO())

    async def served() -> str:
        async with lock.held(kept):
            out = io.StringIO()
            assert await asyncio.to_thread(explain.run, request, None, out) == 0
            return out.getvalue()

    assert "Decision:  allow\n" in asyncio.run(served())
