"""What another resource's fault keeps from coming into force.

A part that lacks a faulty resource does not replace the one in force (docs/decisions/0004). So a good resource beside
the faulty one may wait, too; its author has to learn that, and whose fault it is. Only what differs waits: a policy
that is in force as it was applied is enforced, whatever is wrong beside it.
"""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

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
"""How many faulty resources, or parts, a sentence names."""

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
    """The resources that the new part has otherwise than the old one, and the Team that it has no more."""
    before = old if isinstance(old, OrganizationPart | NamespacePart) else None
    known, wanted = references.pieces(before) if before else {}, references.pieces(new)
    yield from (each for each, piece in wanted.items() if known.get(each) != piece)
    yield from (each for each in known if each.kind == resources.Team.__name__ and each not in wanted)
    in_force = {account.key: account for account in (before.accounts if before else ())}
    for account in new.accounts:
        for resource, limit in limits.get(account.key, ()):
            if not _is_in_force(limit, in_force.get(account.key)):
                yield resource


def _is_in_force(limit: snapshot.Account, account: snapshot.Account | None) -> bool:
    """Whether the account in force stops where this limit wants it to, which may not be its only one."""
    if account is None or accounts.thresholds((*account.thresholds, *limit.thresholds)) != account.thresholds:
        return False
    if account.source == limit.source:
        return msgspec.structs.replace(limit, thresholds=account.thresholds) == account
    return accounts.micro_usd(account) <= accounts.micro_usd(limit)


def _culprits(part: str, errors: Mapping[ResourceRef, Problem], root: str) -> list[Problem]:
    """The errors for which a part is held: those of its namespace, and those that concern everybody."""
    places = {"", root} | ({part.removeprefix(PREFIX)} if part.startswith(PREFIX) else set())
    return faults_in(places, errors)


def faults_in(namespaces: Collection[str], errors: Mapping[ResourceRef, Problem]) -> list[Problem]:
    """The errors of resources in these namespaces (empty: in none), in order."""
    return [problem for resource, problem in sorted(errors.items()) if resource.namespace in namespaces]


def some(words: Sequence[str]) -> list[str]:
    """The first of `words`, and how many more there are."""
    more = [f"{len(words) - _NAMED} more"] if len(words) > _NAMED else []
    return [*words[:_NAMED], *more]


def _sentence(place: str, culprits: Sequence[Problem], old: Part | None) -> str:
    others = _listed(some([f"{problem.resource} ({problem.code})" for problem in culprits]) or [_OTHER])
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
