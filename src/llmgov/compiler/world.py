"""What every policy, budget and credential is compiled against: all that several of them share, resolved once."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TypeVar

from llmgov import problems, resources, snapshot
from llmgov.compiler import configuration, contracts, currencies, inputs, models, roles, spaces, teams, templates
from llmgov.resources import settings

R = TypeVar("R", bound=resources.Resource)


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """The resolved surroundings. `secrets` is `None` where nobody can know which exist."""

    cluster: str
    root: str
    settings: settings.GovernanceSettingsSpec
    compiled_settings: snapshot.Settings
    rates: Mapping[str, int]
    spaces: spaces.Spaces
    teams: teams.Teams
    roles: tuple[snapshot.Role, ...]
    role_names: frozenset[str]
    templates: Mapping[str, resources.PolicyTemplate]
    models: models.Models
    secrets: Mapping[tuple[str, str], inputs.SecretFacts] | None
    problems: tuple[problems.Problem, ...]

    def is_root(self, resource: resources.Resource) -> bool:
        """Whether a resource may govern the organization."""
        return resource.metadata.namespace == self.root


def build(given: inputs.ResourceSet, prices: snapshot.PricePart) -> World:
    """Resolve what the resources of a set share."""
    spec = next((each.spec for each in of_kind(given.resources, resources.GovernanceSettings)), settings.DEFAULTS)
    known = spaces.gather(given)
    compiled_roles, role_problems = roles.resolve(of_kind(given.resources, resources.LLMRole))
    role_names = frozenset(role.name for role in compiled_roles)
    resolved = teams.resolve(of_kind(given.resources, resources.Team), known, role_names, spec.inheritance)
    by_name = {each.metadata.name: each for each in of_kind(given.resources, resources.PolicyTemplate)}
    found = (
        *configuration.keys_missing(spec, given.jwks),
        *role_problems,
        *resolved.problems,
        *(problem for template in by_name.values() for problem in templates.check(template)),
    )
    return World(
        cluster=given.cluster,
        root=given.root_namespace,
        settings=spec,
        compiled_settings=configuration.compiled(spec, given.jwks),
        rates=currencies.rates(spec.currency_rates),
        spaces=known,
        teams=resolved,
        roles=compiled_roles,
        role_names=role_names,
        templates=by_name,
        models=_models(given, prices),
        secrets=_secrets(given),
        problems=found,
    )


def of_kind(everything: Iterable[resources.Resource], kind: type[R]) -> list[R]:
    """The resources of one kind, in order."""
    return [resource for resource in everything if isinstance(resource, kind)]


def _models(given: inputs.ResourceSet, prices: snapshot.PricePart) -> models.Models:
    all_credentials = of_kind(given.resources, resources.ProviderCredential)
    declared = (
        contracts.price(price, credential.spec.provider.value, str(credential.ref))
        for credential in all_credentials
        if credential.metadata.namespace == given.root_namespace
        for price in credential.spec.prices or ()
    )
    return models.Models(prices, declared, all_credentials)


def _secrets(given: inputs.ResourceSet) -> Mapping[tuple[str, str], inputs.SecretFacts] | None:
    if given.secrets is None:
        return None
    return {(secret.namespace, secret.name): secret for secret in given.secrets}
