"""All kinds by name."""

from llmgov.resources.base import Resource
from llmgov.resources.budget import Budget
from llmgov.resources.credential import ProviderCredential
from llmgov.resources.policy import LLMPolicy
from llmgov.resources.role import LLMRole
from llmgov.resources.settings import GovernanceSettings
from llmgov.resources.team import Team
from llmgov.resources.template import PolicyTemplate

KINDS: dict[str, type[Resource]] = {
    "LLMPolicy": LLMPolicy,
    "Budget": Budget,
    "Team": Team,
    "ProviderCredential": ProviderCredential,
    "PolicyTemplate": PolicyTemplate,
    "LLMRole": LLMRole,
    "GovernanceSettings": GovernanceSettings,
}
"""All kinds by name, in the order of design section 3."""
