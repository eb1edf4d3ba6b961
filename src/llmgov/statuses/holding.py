"""What another resource's fault keeps from coming into force.

A part that lacks a faulty resource does not replace the one in force (docs/decisions/0004). So a good resource beside
the faulty one may wait, too; its author has to learn that, and whose fault it is. Only what differs waits: a policy
that is in force as it was applied is enforced, whatever is wrong beside it.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from llmgov import compiler, resources, snapshot
from llmgov.compiler import accounts
from llmgov.problems import Problem, ResourceRef, Severity
from llmgov.snapshot import NamespacePart, OrganizationPart, Part
from llmgov.statuses import references

PREFIX = "namespace/"
"""Before a namespace's name, in the name of its part."""

_EVERYBODY = "organization"
"""The name of the part that is for everybody. That of prices is made of no resource, so nobody waits for it."""

_NAMED = 3
"""How many faulty resources a sentence names."""

_OTHER = "another resource"


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """Parts that do not come into force: by name what is in force instead, `None` where nothing is.

    `root` is the namespace whose resources may concern everybody.
    """

    in_force: Mapping[str, Part | None]
    problems: Sequence[Problem]
    root: str


def back(compiled: compiler.Compiled, held: Held) -> dict[ResourceRef, str]:
    """A sentence for each resource without an error whose latest state is not in force for another one's."""
    errors = faulty(held.problems)
    limits = _limits(compiled)
    found: dict[ResourceRef, str] = {}
    for name, old in held.in_force.items():
        new = _part(compiled, name)
        if isinstance(new, OrganizationPart | NamespacePart):
            sentence = _sentence(name.removeprefix(PREFIX), _culprits(name, errors, held.root), old)
            waiting = _waiting(new, old, limits)
            found.update((each, _said(each, sentence, old)) for each in waiting if each not in errors)
    return found


def faulty(found: Iterable[Problem]) -> dict[ResourceRef, Problem]:
    """The resources with errors, and one error of each."""
    return {problem.resource: problem for problem in found if problem.severity is Severity.ERROR}


def _part(compiled: compiler.Compiled, name: str) -> Part | None:
    if name.startswith(PREFIX):
        return compiled.namespaces.get(name.removeprefix(PREFIX))
    return compiled.organization if name == _EVERYBODY else None


Limits = Mapping[str, Sequence[tuple[ResourceRef, snapshot.Account]]]
"""By account, who limits it and how."""


def _limits(compiled: compiler.Compiled) -> Limits:
    found: dict[str, list[tuple[ResourceRef, snapshot.Account]]] = {}
    for resource, fragment in compiled.memory.fragments.values():
        for placed in fragment.accounts:
            found.setdefault(placed.account.key, []).append((resource.ref, placed.account))
    return found


def _waiting(new: OrganizationPart | NamespacePart, old: Part | None, limits: Limits) -> Iterator[ResourceRef]:
    """The resources that the new part has otherwise than the old one."""
    before = old if isinstance(old, OrganizationPart | NamespacePart) else None
    for policy in _differing(new.policies, before.policies if before else ()):
        yield references.of_id("LLMPolicy", policy.id)
    for provider in _differing(new.providers, before.providers if before else ()):
        yield references.of_id("ProviderCredential", provider.id)
    in_force = {account.key: account for account in (before.accounts if before else ())}
    for account in new.accounts:
        for resource, limit in limits.get(account.key, ()):
            if not _is_in_force(limit, in_force.get(account.key)):
                yield resource
    if isinstance(new, OrganizationPart):
        yield from _shared(new, before if isinstance(before, OrganizationPart) else None)
    else:
        yield from _owners(new, before if isinstance(before, NamespacePart) else None)


def _differing(
    new: Sequence[snapshot.Policy] | Sequence[snapshot.Provider],
    old: Sequence[snapshot.Policy] | Sequence[snapshot.Provider],
) -> Iterator[snapshot.Policy | snapshot.Provider]:
    known = {each.id: each for each in old}
    return (each for each in new if known.get(each.id) != each)


def _is_in_force(limit: snapshot.Account, account: snapshot.Account | None) -> bool:
    """Whether the account in force stops where this limit wants it to, which may not be its only one."""
    if account is None or accounts.thresholds((*account.thresholds, *limit.thresholds)) != account.thresholds:
        return False
    if account.source == limit.source:
        return msgspec.structs.replace(limit, thresholds=account.thresholds) == account
    return accounts.micro_usd(account) <= accounts.micro_usd(limit)


def _shared(new: OrganizationPart, old: OrganizationPart | None) -> Iterator[ResourceRef]:
    if old is None or new.settings != old.settings:
        yield ResourceRef(resources.GovernanceSettings.__name__, "default")
    known = {role.name: role for role in (old.roles if old else ())}
    for role in new.roles:
        if known.get(role.name) != role:
            yield ResourceRef("LLMRole", role.name)


def _owners(new: NamespacePart, old: NamespacePart | None) -> Iterator[ResourceRef]:
    before = old.team if old else None
    if new.team != before:
        yield from (ResourceRef("Team", team.name) for team in (new.team, before) if team is not None)


def _culprits(part: str, errors: Mapping[ResourceRef, Problem], root: str) -> list[Problem]:
    """The errors for which a part is held: those of its namespace, and those that concern everybody."""
    places = {"", root} | ({part.removeprefix(PREFIX)} if part.startswith(PREFIX) else set())
    return [problem for resource, problem in sorted(errors.items()) if resource.namespace in places]


def _sentence(place: str, culprits: Sequence[Problem], old: Part | None) -> str:
    named = [f"{problem.resource} ({problem.code})" for problem in culprits[:_NAMED]]
    more = [f"{len(culprits) - _NAMED} more"] if len(culprits) > _NAMED else []
    others = _listed([*named, *more] or [_OTHER])
    whom = "everybody" if place == _EVERYBODY else place
    kept = f"what was in force for {whom} before stays in force"
    meanwhile = kept if old is not None else f"nothing is in force for {whom}, as nothing was before"
    return f"waits until {others} is mended: until then {meanwhile}"


def _said(resource: ResourceRef, sentence: str, old: Part | None) -> str:
    """The settings' kill switch is set in what is in force, where anything is (docs/decisions/0004)."""
    at_once = resource.kind == resources.GovernanceSettings.__name__ and old is not None
    return f"{sentence}. The kill switch alone does not wait" if at_once else sentence


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return " and ".join(filter(None, (", ".join(first), last)))
