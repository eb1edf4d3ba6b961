"""Resources by the names that parts, accounts and violations have for them."""

from typing import TypeAlias

from llmgov import resources
from llmgov.problems import ResourceRef
from llmgov.snapshot import NamespacePart, OrganizationPart, Policy, Provider, Role, Settings, Team

Piece: TypeAlias = Policy | Provider | Settings | Role | Team
"""What a part has of one resource, beside accounts."""


def pieces(part: OrganizationPart | NamespacePart) -> dict[ResourceRef, Piece]:
    """What a part has of each resource; its accounts name theirs themselves (`of_source`)."""
    found: dict[ResourceRef, Piece] = {}
    found |= {of_id(resources.LLMPolicy.__name__, policy.id): policy for policy in part.policies}
    found |= {of_id(resources.ProviderCredential.__name__, each.id): each for each in part.providers}
    if isinstance(part, OrganizationPart):
        found[ResourceRef(resources.GovernanceSettings.__name__, "default")] = part.settings
        found |= {ResourceRef(resources.LLMRole.__name__, role.name): role for role in part.roles}
    elif part.team is not None:
        found[ResourceRef(resources.Team.__name__, part.team.name)] = part.team
    return found


def of_id(kind: str, id_: str) -> ResourceRef:
    """The resource of a kind whose `id` (`namespace/name`) this is."""
    namespace, _, name = id_.rpartition("/")
    return ResourceRef(kind, name, namespace)


def of_source(source: str) -> ResourceRef:
    """The resource that accounts and violations name so (`snapshot.Account.source`)."""
    *kind, namespace, name = source.split("/")
    return ResourceRef(kind[0] if kind else resources.LLMPolicy.__name__, name, namespace)


def source(reference: ResourceRef) -> str:
    """How accounts and violations name a Budget or an LLMPolicy."""
    id_ = f"{reference.namespace}/{reference.name}"
    return id_ if reference.kind == resources.LLMPolicy.__name__ else f"{reference.kind}/{id_}"
