"""What documents promise: the defaults of the settings, and that the design's examples are resources."""

from typing import Any

import pytest
import yaml

from llmgov import resources
from llmgov.resources import settings

DEFAULTS: dict[str, Any] = {
    "inheritance": {"enabled": True, "mode": "Additive", "inheritFromParent": True, "allowOverrides": True},
    "identity": {"trustBodyUser": False},
    "requests": {"unknownParts": "Scan", "budgetStatusCode": 402, "killSwitch": False},
    "failureModes": {"ledger": "Closed"},
    "ledger": {"maxUsers": 10_000},
    "audit": {
        "mode": "Spool",
        "prompts": "Digest",
        "logAllRequests": True,
        "levels": {
            "authentication": "All",
            "authorization": "All",
            "dataAccess": "All",
            "configurationChanges": "All",
            "policyUpdates": "All",
        },
        "retention": {"defaultDays": 365, "complianceDays": 2555},
        "export": {"format": "JSON", "encryption": True, "compression": "Gzip"},
    },
    "mfa": {"required": True, "methods": ["TOTP", "WebAuthn"], "gracePeriodDays": 7},
    "passwords": {
        "minLength": 12,
        "requireUppercase": True,
        "requireLowercase": True,
        "requireNumbers": True,
        "requireSpecial": True,
        "preventReuse": 5,
        "maxAgeDays": 90,
        "complexityScore": 3,
    },
    "sessions": {
        "maxDurationHours": 8,
        "idleTimeoutMinutes": 30,
        "maxConcurrent": 3,
        "rememberMe": False,
        "ipBinding": True,
        "userAgentBinding": True,
    },
    "network": {"allowVPNAccess": True},
    "cors": {
        "allowedMethods": ["GET", "POST", "PUT", "DELETE"],
        "allowedHeaders": ["Authorization", "Content-Type"],
        "exposeHeaders": ["X-RateLimit-Remaining"],
        "maxAgeSeconds": 3600,
        "credentials": True,
    },
    "injection": {
        "port": 4010,
        "adminPort": 4011,
        "cpu": "50m",
        "memory": "64Mi",
        "spoolSize": "256Mi",
        "startTimeout": "30s",
    },
}
"""The guide's figures (sections Authentication, Session Management, CORS, Audit Log), and the design's."""

EXAMPLES = r"""
kind: ProviderCredential
metadata: {name: openai, namespace: llm-governance}
spec:
  provider: openai
  secretRef: {name: openai-key, key: api-key}
---
kind: Team
metadata: {name: payments}
spec:
  parent: engineering
  namespaces: {names: [payments, payments-staging]}
  members: [{user: jane@example.com, role: power-user}]
---
kind: Budget
metadata: {name: payments, namespace: llm-governance}
spec:
  target: {team: payments}
  limit: "5000"
  period: Month
  timeZone: Europe/Berlin
  thresholds:
    - {percent: 50, actions: [NotifyUsers]}
    - {percent: 75, actions: [NotifyAdmins]}
    - {percent: 90, actions: [RequireApproval]}
    - {percent: 100, actions: [Block]}
---
kind: LLMPolicy
metadata: {name: default-rate, namespace: llm-governance}
spec:
  priority: 100
  rateLimit: {requestsPerMinute: 60, requestsPerHour: 1000, requestsPerDay: 10000, per: User, onExceed: Throttle,
    maxWait: 5s}
---
kind: LLMPolicy
metadata: {name: pii, namespace: llm-governance}
spec:
  priority: 200
  appliesTo: {teams: [payments], providers: [openai]}
  contentFilter:
    directions: [Request, Response]
    patterns: [{name: ssn, regex: 'SSN:\s*\d{3}-\d{2}-\d{4}'}]
    categories: [PersonalData, HealthData, FinancialData, Secrets]
    onDetect: Block
    notify: [Admins]
---
kind: LLMPolicy
metadata: {name: models, namespace: payments}
spec:
  modelAccess: {allow: ["openai/gpt-4o*", "anthropic/claude-*"], deny: ["*-preview"]}
---
kind: LLMPolicy
metadata: {name: monthly-cap, namespace: llm-governance}
spec:
  priority: 150
  costLimit:
    currency: USD
    limits: [{period: Month, amount: "50000"}]
    perUser: [{period: Month, amount: "500"}]
    thresholds:
      - {percent: 50, actions: [NotifyUsers]}
      - {percent: 75, actions: [NotifyAdmins]}
      - {percent: 90, actions: [RequireApproval]}
      - {percent: 100, actions: [Block]}
---
kind: PolicyTemplate
metadata: {name: compliance}
spec:
  parameters:
    - {name: DAYS, type: Integer, default: 365}
    - {name: COST, type: Amount, description: Above this a request waits.}
  body:
    compliance:
      requireAudit: true
      requireApprovalFor: {costAbove: "{{COST}}", sensitiveModels: ["openai/o1*"]}
      retentionPeriodDays: "{{DAYS}}"
      logAllRequests: true
      notify: [Admins]
---
kind: LLMPolicy
metadata: {name: audited, namespace: payments}
spec:
  enforcement: DryRun
  fromTemplate: {name: compliance, parameters: {COST: "5", DAYS: 730}}
---
kind: LLMRole
metadata: {name: data-scientist}
spec:
  description: Data Science Team Member
  permissions: [llm.use.gpt4, llm.use.claude, analytics.view, reports.generate, costs.view.own]
  inherits: [standard-user]
---
kind: GovernanceSettings
metadata: {name: default}
spec:
  network: {allowedRanges: [10.0.0.0/8, 192.168.1.0/24, 203.0.113.0/24], allowVPNAccess: true}
  cors: {allowedOrigins: ["https://llm-gov.yourdomain.com", "https://app.yourdomain.com"]}
  currencyRates: [{currency: EUR, usd: "1.08"}]
"""
"""The design's section 3 and the guide's policies in its words."""


def _examples() -> list[dict[str, Any]]:
    return [{"apiVersion": "llmgov.dev/v1alpha1", **document} for document in yaml.safe_load_all(EXAMPLES)]


def test_the_settings_defaults_are_those_that_are_documented() -> None:
    assert settings.DEFAULTS.model_dump(mode="json", by_alias=True, exclude_none=True) == DEFAULTS


@pytest.mark.parametrize("raw", _examples(), ids=lambda raw: f"{raw['kind']} {raw['metadata']['name']}")
def test_an_example_of_the_documents_is_a_resource(raw: dict[str, Any]) -> None:
    parsed = resources.parse(raw)
    assert isinstance(parsed, resources.Resource), parsed
    assert type(parsed).__name__ == raw["kind"]


@pytest.mark.parametrize("raw", _examples(), ids=lambda raw: f"{raw['kind']} {raw['metadata']['name']}")
def test_a_resource_written_out_is_the_same_resource(raw: dict[str, Any]) -> None:
    parsed = resources.parse(raw)
    assert isinstance(parsed, resources.Resource)
    assert resources.parse(parsed.model_dump(mode="json", by_alias=True, exclude_none=True)) == parsed
