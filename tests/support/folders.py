"""Folders of YAML for tests of commands."""

import pathlib

RESOURCES = r"""
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: openai, namespace: llm-governance}
spec:
  provider: openai
  secretRef: {name: key, key: k}
  models: {fast: test-model}
  prices:
    - {model: test-model, rates: {input: "1", output: "2"}, contextWindow: 100000, maxOutputTokens: 10000}
---
apiVersion: llmgov.dev/v1alpha1
kind: ProviderCredential
metadata: {name: anthropic, namespace: llm-governance}
spec:
  provider: anthropic
  secretRef: {name: key, key: k}
  prices: [{model: claude-test, rates: {input: "1", output: "2"}, contextWindow: 100000, maxOutputTokens: 10000}]
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: models, namespace: llm-governance}
spec:
  priority: 300
  modelAccess: {deny: ["*-forbidden"]}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: tickets, namespace: llm-governance}
spec:
  priority: 200
  contentFilter: {patterns: [{name: ticket, regex: 'TICKET-\d+'}], onDetect: Redact}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: trying, namespace: llm-governance}
spec:
  priority: 100
  enforcement: DryRun
  contentFilter: {patterns: [{name: shout, regex: '!!!'}], onDetect: Block}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: slow, namespace: payments}
spec:
  rateLimit: {requestsPerMinute: 2, per: Workload, onExceed: Throttle, maxWait: 30s}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: secret, namespace: llm-governance}
spec:
  priority: 50
  contentFilter: {directions: [Response], patterns: [{name: secret, regex: codeword}], onDetect: Block}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: one, namespace: batch}
spec:
  rateLimit: {concurrent: 1, per: Workload}
---
apiVersion: llmgov.dev/v1alpha1
kind: LLMPolicy
metadata: {name: output, namespace: llm-governance}
spec:
  appliesTo: {serviceAccounts: [brief]}
  costLimit: {maxOutputTokens: 1000, minOutputTokens: 16}
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: everything, namespace: llm-governance}
spec:
  target: {organization: {}}
  limit: "100"
  period: Month
  thresholds: [{percent: 90, actions: [RequireApproval]}]
---
apiVersion: llmgov.dev/v1alpha1
kind: Budget
metadata: {name: users, namespace: llm-governance}
spec: {target: {eachUser: {}}, limit: "1", period: Day}
"""


def write(folder: pathlib.Path, **files: str) -> pathlib.Path:
    """Write `name.yaml` for every argument, `resources` always; returns the folder."""
    for name, text in {"resources": RESOURCES, **files}.items():
        (folder / f"{name}.yaml").write_text(text)
    return folder
