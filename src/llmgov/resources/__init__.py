"""The seven custom resources as pydantic models: the single source of the CRDs. Never imported by a sidecar.

`parse(raw)` reads one document: a `Resource`, or all of its problems. Each kind has a module of its own; bodies of
policies are in `bodies`. Amounts and durations stay strings in the models (`money.parse_amount`, `durations.parse`).
"""

from llmgov.resources.base import Resource
from llmgov.resources.budget import Budget
from llmgov.resources.credential import ProviderCredential
from llmgov.resources.kinds import KINDS
from llmgov.resources.parsing import parse
from llmgov.resources.policy import LLMPolicy
from llmgov.resources.role import LLMRole
from llmgov.resources.settings import GovernanceSettings
from llmgov.resources.team import Team
from llmgov.resources.template import PolicyTemplate

__all__ = [
    "KINDS",
    "Budget",
    "GovernanceSettings",
    "LLMPolicy",
    "LLMRole",
    "PolicyTemplate",
    "ProviderCredential",
    "Resource",
    "Team",
    "parse",
]
