"""The line to paste: a request that passes whatever the folder lets through, and none where nothing is found."""

import json
import pathlib
import shlex

import pytest

from llmgov_cli import assembly, prices
from llmgov_cli.local import trial

CREDENTIALS = """
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: llm-governance}
type: llmgov.dev/provider-key
stringData: {k: x}
---
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: anthropic, namespace: llm-governance}
spec: {provider: anthropic, secretRef: {name: key, key: k}}
---
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: openai, namespace: llm-governance}
spec: {provider: openai, secretRef: {name: key, key: k}}
"""

OWN = """
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: llm-governance}
type: llmgov.dev/provider-key
stringData: {k: x}
---
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: own, namespace: llm-governance}
spec:
  provider: openai-compatible
  baseURL: http://mock-provider/v1
  secretRef: {name: key, key: k}
  models: {ours: llama}
  prices: [{model: llama, rates: {input: "1", output: "2"}, contextWindow: 1000, maxOutputTokens: 100}]
"""

BUDGET = """
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: all, namespace: llm-governance}
spec: {target: {organization: {}}, limit: "AMOUNT", period: Day}
"""


def _access(body: str, namespaces: str = "") -> str:
    reach = f"appliesTo: {{namespaces: {{names: [{namespaces}]}}}}" if namespaces else ""
    return f"""
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {{name: access, namespace: llm-governance}}
spec:
  {reach}
  modelAccess: {body}
"""


def line(folder: pathlib.Path, text: str) -> list[str] | None:
    """The words that a shell makes of the line."""
    (folder / "all.yaml").write_text(text)
    checked = assembly.compile_files([folder], prices.prices(), ["a", "b"], complete=True)
    assert checked.errors == ()
    found = trial.line(checked.compiled, {"a/web": 4010, "b/web": 4011})
    return None if found is None else shlex.split(found)


@pytest.mark.parametrize(
    ("text", "url", "model"),
    [
        pytest.param(CREDENTIALS, "4010/v1/chat/completions", "gpt-4o-mini", id="a well-known model of OpenAI first"),
        pytest.param(
            CREDENTIALS + _access('{deny: ["openai/*"]}'), "4010/v1/messages", "claude-haiku-4-5", id="then Anthropic's"
        ),
        pytest.param(
            CREDENTIALS + _access('{allow: ["openai/gpt-4.1-nano"]}'),
            "4010/v1/chat/completions",
            "gpt-4.1-nano",
            id="the only one that is allowed",
        ),
        pytest.param(
            CREDENTIALS + _access('{deny: ["*"]}', "a"),
            "4011/v1/chat/completions",
            "gpt-4o-mini",
            id="another workload, where the first may use none",
        ),
        pytest.param(OWN + BUDGET.replace("AMOUNT", "1"), "4010/v1/chat/completions", "ours", id="a server's own"),
    ],
)
def test_the_line_asks_for_what_passes(tmp_path: pathlib.Path, text: str, url: str, model: str) -> None:
    words = line(tmp_path, text)
    assert words is not None
    assert f"http://127.0.0.1:{url}" in words
    assert json.loads(words[-1])["model"] == model
    assert ("anthropic-version: 2023-06-01" in words) is url.endswith("/messages")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="no credential"),
        pytest.param(CREDENTIALS + _access('{deny: ["*"]}'), id="nothing is allowed"),
        pytest.param(CREDENTIALS + BUDGET.replace("AMOUNT", "0"), id="no money"),
    ],
)
def test_without_a_request_that_passes_there_is_no_line(tmp_path: pathlib.Path, text: str) -> None:
    assert line(tmp_path, text) is None
