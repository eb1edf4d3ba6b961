"""`llmgov policy test` over whole folders: what holds, what does not, and how it is said."""

import io
import pathlib

import pytest

from llmgov_cli import policytest
from tests.support import folders

REQUEST = "request: {model: test-model, prompt: hello, maxTokens: 100}"
BIG = "request: {model: test-model, prompt: hello}"


def run(folder: pathlib.Path, *cases: str) -> tuple[int, str]:
    text = "cases:\n" + "".join(f"  - name: case {number}\n    {case}\n" for number, case in enumerate(cases))
    folders.write(folder, cases=text)
    out = io.StringIO()
    return policytest.run([folder], out), out.getvalue()


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(f"{REQUEST}\n    expect: {{action: allow}}", id="an ordinary request is allowed"),
        pytest.param(
            "request: {model: x-forbidden, prompt: hello}\n"
            "    expect: {action: deny, reason: policy_denied, policy: llm-governance/models, message: x-forbidden}",
            id="a denied model is refused by name",
        ),
        pytest.param(
            "request: {model: test-model, prompt: see TICKET-42, maxTokens: 10}\n"
            "    expect: {action: redact, reason: 'pattern:ticket', body: REDACTED, notBody: TICKET-42}",
            id="a redaction shows in the body",
        ),
        pytest.param(
            "request: {model: test-model, prompt: hurry!!!, maxTokens: 10}\n"
            "    expect: {action: allow, violations: ['pattern:shout'], body: '!!!'}",
            id="dry run only records",
        ),
        pytest.param(
            "request: {model: fast, prompt: hello, maxTokens: 10}\n    expect: {action: allow, body: test-model}",
            id="an alias is sent as the model's own name",
        ),
        pytest.param(
            f"{BIG}\n    principal: {{serviceAccount: brief}}\n"
            "    expect: {action: clamp, clamp: 1000, policy: llm-governance/output}",
            id="a policy's output maximum clamps",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{namespace: payments}}\n    earlier: [{{requests: 2, ago: 10s}}]\n"
            "    expect: {action: deny, reason: rate_limit_exceeded, policy: payments/slow}",
            id="a rate limit whose wait is too long refuses",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{namespace: payments}}\n    earlier: [{{requests: 2, ago: 50s}}]\n"
            "    expect: {action: throttle}",
            id="a rate limit throttles for the rest of the minute",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{namespace: payments}}\n    earlier: [{{requests: 2, ago: 60s}}]\n"
            "    expect: {action: allow}",
            id="a minute later the rate limit allows again",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{everything: '89'}}\n    expect: {{action: allow}}",
            id="below a threshold money is lent",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{llm-governance/everything: '90'}}\n"
            "    expect: {action: require approval, reason: approval_required, message: 90 %}",
            id="a threshold asks for an approval",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{Budget/llm-governance/everything: '90'}}\n    approved: true\n"
            "    expect: {action: allow}",
            id="an approval opens the threshold",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{everything: '100'}}\n    approved: true\n"
            "    expect: {action: deny, reason: budget_exceeded}",
            id="no approval opens 100 %",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{everything: '99.999999'}}\n    expect: {{action: deny, reason: budget_exceeded}}",
            id="nobody is asked for an approval that would not pay for the request",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{user: ann}}\n    spent: {{users: '1'}}\n"
            "    expect: {action: deny, reason: budget_exceeded, policy: Budget/llm-governance/users}",
            id="a verified user has an account of their own",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{user: ann, verified: false}}\n    expect: {{action: allow}}",
            id="a user who is only claimed has none",
        ),
        pytest.param(
            f"{BIG}\n    principal: {{user: ann}}\n    spent: {{users: '0.99'}}\n"
            "    expect: {action: clamp, body: max_tokens}",
            id="little money sets a lower output maximum",
        ),
        pytest.param(
            f"{BIG}\n    principal: {{serviceAccount: brief, user: ann}}\n    spent: {{users: '0.999'}}\n"
            "    expect: {action: clamp, body: max_tokens, notBody: '1000'}",
            id="what the money affords counts, not the policy's higher maximum",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{namespace: batch}}\n    earlier: [{{requests: 1, ago: 1s}}]\n"
            "    expect: {action: allow}",
            id="an answered request is not running",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{namespace: batch}}\n    earlier: [{{requests: 1, ago: 1s, running: true}}]\n"
            "    expect: {action: deny, reason: concurrent, policy: batch/one}",
            id="a running request takes the only place",
        ),
        pytest.param(
            f"{REQUEST}\n    answer: it is TICKET-42!!!\n    expect: {{action: redact, reason: 'pattern:ticket',"
            " answer: REDACTED, notAnswer: TICKET-42, violations: ['pattern:shout']}",
            id="an answer is filtered, too",
        ),
        pytest.param(
            f"{REQUEST}\n    answer: nothing wrong\n    expect: {{action: allow, answer: nothing wrong}}",
            id="an answer that no filter minds goes out as it is",
        ),
        pytest.param(
            f"{REQUEST}\n    answer: the codeword\n"
            "    expect: {action: deny, reason: 'pattern:secret', policy: llm-governance/secret, notAnswer: codeword}",
            id="an answer may be withheld",
        ),
        pytest.param(
            "request: {operation: messages, model: claude-test, prompt: see TICKET-1, system: be kind}\n"
            "    expect: {action: redact, body: be kind}",
            id="Anthropic's format in short",
        ),
        pytest.param(
            "request: {operation: responses, model: test-model, prompt: see TICKET-1, system: be kind, maxTokens: 9}\n"
            "    expect: {action: redact, body: '\"max_output_tokens\": 9'}",
            id="the Responses API in short",
        ),
        pytest.param(
            "request: {body: {model: test-model, messages: [{role: user, content: TICKET-7}], max_tokens: 5}}\n"
            "    expect: {action: redact, notBody: TICKET-7}",
            id="a body as the API takes it",
        ),
        pytest.param(
            "request: {body: {model: test-model, messages: 7}}\n    expect: {action: deny, reason: invalid_request}",
            id="a request that the API would not take",
        ),
    ],
)
def test_a_case_that_holds(tmp_path: pathlib.Path, case: str) -> None:
    code, out = run(tmp_path, case)
    assert code == 0, out
    assert out.endswith("\n1 cases, 0 failed\n")


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        pytest.param("action: deny", "expected action deny, got allow", id="action"),
        pytest.param("reason: budget_exceeded", "expected reason budget_exceeded, got none", id="reason"),
        pytest.param("policy: a/b", "expected policy a/b, got none", id="policy"),
        pytest.param("message: absent", "expected a message with 'absent', got ''", id="message"),
        pytest.param("clamp: 7", "expected an output maximum of 7, got None", id="clamp"),
        pytest.param("body: absent", "expected a body with 'absent', got '{", id="body"),
        pytest.param("answer: absent", "expected an answer with 'absent', got ''", id="answer"),
        pytest.param("notBody: hello", "expected a body without 'hello', got '{", id="not body"),
        pytest.param("violations: ['pattern:x']", "expected violation pattern:x, got none", id="violations"),
    ],
)
def test_an_expectation_that_does_not_hold_is_said_with_its_line(
    tmp_path: pathlib.Path, expect: str, sentence: str
) -> None:
    code, out = run(tmp_path, f"{REQUEST}\n    expect: {{action: allow}}", f"{REQUEST}\n    expect: {{{expect}}}")
    assert code == 1
    assert f"{tmp_path}/cases.yaml:5: case 1: {sentence}" in out
    assert "2 cases, 1 failed" in out


def test_a_failed_action_says_why_it_was_refused(tmp_path: pathlib.Path) -> None:
    _, out = run(tmp_path, "request: {model: x-forbidden, prompt: hello}\n    expect: {action: allow}")
    assert "expected action allow, got deny (llmgov: policy llm-governance/models" in out


@pytest.mark.parametrize(
    ("case", "sentence"),
    [
        pytest.param(
            f"{REQUEST}\n    expect: {{acton: allow}}",
            "cases.yaml:4: cases[0].expect.acton: is no key here; did you mean action?",
            id="a misspelt key",
        ),
        pytest.param(
            f"{REQUEST}\n    expect: {{action: refuse}}",
            "cases.yaml:4: cases[0].expect.action: must be one of allow, deny, throttle, redact, clamp,",
            id="an unknown action",
        ),
        pytest.param(
            f"{REQUEST}\n    time: noon\n    expect: {{action: allow}}",
            "cases.yaml:4: cases[0].time: must be a time with its zone; write it such as 2026-01-15T12:00:00Z",
            id="a time that is none",
        ),
        pytest.param(
            f"{REQUEST}\n    earlier: [{{requests: 1, ago: soon}}]\n    expect: {{action: allow}}",
            "cases.yaml:4: cases[0].earlier[0].ago: must be a duration; write it such as 500ms, 5s or 1h30m",
            id="a duration that is none",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{roles: [x]}}\n    expect: {{action: allow}}",
            "cases.yaml:4: cases[0].principal.roles: belong to a user; add principal.user",
            id="roles of nobody",
        ),
        pytest.param(
            "request: {prompt: x}\n    expect: {action: allow}",
            "cases.yaml:3: cases[0].request: needs a body, or a model and a prompt",
            id="a request without a model",
        ),
        pytest.param(
            f"{REQUEST}\n    expect: {{}}",
            "cases.yaml:4: cases[0].expect: expects nothing, so nothing is checked; add one of action, reason, policy",
            id="an expectation of nothing",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{ghost: '1'}}\n    expect: {{action: allow}}",
            "spent.ghost does not count this request; charged is: Budget/llm-governance/everything",
            id="money of a Budget that does not count the request",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{user: ann, verified: false}}\n    spent: {{users: '1'}}\n"
            "    expect: {action: allow}",
            "spent.users does not count this request",
            id="money of a user who is only claimed",
        ),
        pytest.param(
            f"{REQUEST}\n    principal: {{user: ann, roles: [ghost]}}\n    expect: {{action: allow}}",
            "case 0: there is no LLMRole ghost",
            id="a role that does not exist",
        ),
        pytest.param(
            f"{REQUEST}\n    spent: {{everything: lots}}\n    expect: {{action: allow}}",
            "must be a decimal string",
            id="money that is none",
        ),
    ],
)
def test_a_case_that_cannot_be_understood(tmp_path: pathlib.Path, case: str, sentence: str) -> None:
    code, out = run(tmp_path, case)
    assert code == 1
    assert sentence in out


def test_a_file_of_no_cases_is_a_failure(tmp_path: pathlib.Path) -> None:
    folders.write(tmp_path, cases="cases: []\n")
    out = io.StringIO()
    assert policytest.run([tmp_path], out) == 1
    assert f"{tmp_path}/cases.yaml:1: cases: holds no case, so nothing is checked" in out.getvalue()


def test_two_cases_of_one_name_are_a_fault_at_the_second(tmp_path: pathlib.Path) -> None:
    case = f"  - name: same\n    {REQUEST}\n    expect: {{action: allow}}\n"
    folders.write(tmp_path, cases=f"cases:\n{case}{case}")
    out = io.StringIO()
    assert policytest.run([tmp_path], out) == 1
    assert f"{tmp_path}/cases.yaml:5: cases[1].name: is the name of cases[0] too" in out.getvalue()


def test_no_case_runs_under_resources_that_would_not_be_put_in_force(tmp_path: pathlib.Path) -> None:
    broken = "apiVersion: llmgov.dev/v1alpha1\nkind: Budget\nmetadata: {name: b, namespace: llm-governance}\n"
    folders.write(tmp_path, broken=broken + 'spec: {target: {team: ghosts}, limit: "1", period: Day}\n')
    code, out = run(tmp_path, f"{REQUEST}\n    expect: {{action: allow}}")
    assert code == 1
    assert f"{tmp_path}/broken.yaml:4: Budget/llm-governance/b spec.target.team: there is no Team ghosts" in out
    assert "0 cases, 0 failed, not all could run" in out


def test_a_folder_without_cases_is_a_failure(tmp_path: pathlib.Path) -> None:
    out = io.StringIO()
    assert policytest.run([tmp_path], out) == 1
    assert out.getvalue().startswith("no cases.yaml was found\n")


def test_cases_may_name_resources_elsewhere(tmp_path: pathlib.Path) -> None:
    (tmp_path / "policies").mkdir()
    (tmp_path / "tests").mkdir()
    folders.write(tmp_path / "policies")
    text = f"resources: [../policies]\ncases:\n  - name: x\n    {REQUEST}\n    expect: {{action: allow}}\n"
    (tmp_path / "tests" / "all.cases.yaml").write_text(text)
    out = io.StringIO()
    assert policytest.run([tmp_path], out) == 0, out.getvalue()


def test_a_file_that_is_not_there_is_said(tmp_path: pathlib.Path) -> None:
    out = io.StringIO()
    assert policytest.run([tmp_path / "ghost.yaml"], out) == 1
    assert "ghost.yaml cannot be read: No such file or directory; correct the path" in out.getvalue()


def test_every_fault_of_a_file_is_said_at_once(tmp_path: pathlib.Path) -> None:
    _, out = run(tmp_path, f"{REQUEST}\n    expect: {{acton: allow, clamp: many}}", "requst: {}")
    assert [line.removeprefix(f"{tmp_path}/cases.yaml:") for line in out.splitlines()[:-1]] == [
        "4: cases[0].expect.acton: is no key here; did you mean action?",
        "4: cases[0].expect.clamp: must be a whole number; write digits, without quotes",
        "6: cases[1].requst: is no key here; did you mean request?",
        "5: cases[1]: request is missing; add it",
        "5: cases[1]: expect is missing; add it",
    ]


def test_one_mistake_in_a_resource_is_one_fault(tmp_path: pathlib.Path) -> None:
    head = "apiVersion: llmgov.dev/v1alpha1\n"
    budget = (
        "kind: Budget\nmetadata: {name: b, namespace: llm-governance}\n"
        'spec: {target: {team: a}, limit: "1", period: Day}\n'
    )
    folders.write(tmp_path, broken=f"{head}kind: Team\nmetadata: {{name: a}}\n---\n{head}{budget}")
    _, out = run(tmp_path, f"{REQUEST}\n    expect: {{action: allow}}")
    assert "Team/a spec: is missing" in out
    assert out.count(" [") == 1
