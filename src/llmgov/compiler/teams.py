"""Teams resolved: who stands above whom, which namespace belongs to which team, and which roles members have there."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmgov import problems, resources, snapshot
from llmgov.compiler import codes, graph, naming, spaces
from llmgov.resources import settings
from llmgov.resources.vocabulary import InheritanceMode

Roles = dict[str, tuple[str, ...]]
"""Users and the roles that they have."""


@dataclasses.dataclass(frozen=True, slots=True)
class Teams:
    """All teams by name, and of each namespace the team that owns it."""

    by_name: Mapping[str, snapshot.Team]
    of_namespace: Mapping[str, snapshot.Team]
    problems: tuple[problems.Problem, ...]

    def namespaces_below(self, team: str) -> frozenset[str]:
        """The namespaces of a team and of all teams below it."""
        return frozenset(
            namespace for namespace, owner in self.of_namespace.items() if owner.name == team or team in owner.parents
        )


def resolve(
    teams: Sequence[resources.Team],
    known: spaces.Spaces,
    roles: frozenset[str],
    inheritance: settings.Inheritance,
) -> Teams:
    """Resolve teams; `roles` are the names of all LLMRoles.

    A team in a circle, or below a team that does not exist, counts as one without a parent. A namespace that two teams
    claim belongs to the older of them (then to the first by name).
    """
    ordered = sorted(teams, key=_age)
    found: list[problems.Problem] = []
    parents = _parents(ordered, found)
    members = {team.metadata.name: _members(team, roles, found) for team in ordered}
    by_name = {
        name: snapshot.Team(name, above, _effective([name, *above], members, inheritance))
        for name, above in ((team.metadata.name, graph.above(team.metadata.name, parents)) for team in ordered)
    }
    owners = _owners(ordered, known, found)
    return Teams(by_name, {namespace: by_name[owner] for namespace, owner in owners.items()}, tuple(found))


def _age(team: resources.Team) -> tuple[bool, str, str]:
    created = team.metadata.creation_timestamp
    return created is None, created or "", team.metadata.name


def _parents(teams: Sequence[resources.Team], found: list[problems.Problem]) -> dict[str, tuple[str, ...]]:
    names = {team.metadata.name for team in teams}
    claimed = {team.metadata.name: _as_parents(team.spec.parent) for team in teams}
    circle = graph.circular(claimed)
    for team in teams:
        parent, name = team.spec.parent, team.metadata.name
        if parent is not None and parent not in names:
            found.append(codes.UNKNOWN_TEAM.at(team.ref, "spec.parent", naming.missing("Team", parent, names)))
        if name in circle:
            above = " > ".join([name, *graph.above(name, claimed)])
            found.append(codes.TEAM_CYCLE.at(team.ref, "spec.parent", f"the team stands above itself: {above}"))
    return {
        name: tuple(parent for parent in above if parent in names and name not in circle)
        for name, above in claimed.items()
    }


def _as_parents(parent: str | None) -> tuple[str, ...]:
    return () if parent is None else (parent,)


def _members(team: resources.Team, roles: frozenset[str], found: list[problems.Problem]) -> Roles:
    for index, member in enumerate(team.spec.members or ()):
        if member.role not in roles:
            field = f"spec.members[{index}].role"
            found.append(codes.UNKNOWN_ROLE.at(team.ref, field, naming.missing("LLMRole", member.role, roles)))
    return {member.user: (member.role,) for member in team.spec.members or () if member.role in roles}


def _effective(path: Sequence[str], members: Mapping[str, Roles], inheritance: settings.Inheritance) -> Roles:
    """The members' roles in a team, from those on its path (the team itself first) as the settings say."""
    levels = [members[team] for team in path]
    if not inheritance.enabled:
        return levels[0]
    if not inheritance.allow_overrides:
        levels = [_without_overrides(roles, levels[depth + 1 :]) for depth, roles in enumerate(levels)]
    own = levels[0]
    if not own and not inheritance.inherit_from_parent:
        return {}
    if inheritance.mode is InheritanceMode.OVERRIDE:
        return next((roles for roles in levels if roles), {})
    return _united(levels)


def _without_overrides(own: Roles, above: Iterable[Roles]) -> Roles:
    """The topmost team that names a user says which role that user has."""
    fixed = _topmost(above)
    return {user: fixed.get(user, roles) for user, roles in own.items()}


def _topmost(above: Iterable[Roles]) -> Roles:
    fixed: Roles = {}
    for roles in above:
        fixed.update(roles)
    return fixed


def _united(levels: Iterable[Roles]) -> Roles:
    together: dict[str, dict[str, None]] = {}
    for level in levels:
        for user, roles in level.items():
            together.setdefault(user, {}).update(dict.fromkeys(roles))
    return {user: tuple(roles) for user, roles in sorted(together.items())}


def _owners(teams: Sequence[resources.Team], known: spaces.Spaces, found: list[problems.Problem]) -> dict[str, str]:
    owners: dict[str, str] = {}
    for team in teams:
        found.extend(spaces.unknown(team.spec.namespaces, known, team.ref, "spec.namespaces"))
        claimed = spaces.select(team.spec.namespaces, known)
        found.extend(_conflicts(team, claimed, owners))
        for namespace in claimed:
            owners.setdefault(namespace, team.metadata.name)
    return owners


def _conflicts(team: resources.Team, claimed: Iterable[str], owners: Mapping[str, str]) -> Iterator[problems.Problem]:
    for namespace in claimed:
        if namespace in owners:
            message = f"the namespace {namespace} belongs to the Team {owners[namespace]}, which comes first"
            yield codes.NAMESPACE_CLAIMED.at(team.ref, "spec.namespaces", message)
