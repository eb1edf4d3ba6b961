"""`appliesTo`: whom a policy is for, and in which namespaces' parts it therefore belongs."""

import dataclasses
from collections.abc import Iterator

from llmgov import problems, resources, snapshot
from llmgov.compiler import codes, naming, spaces
from llmgov.compiler.world import World
from llmgov.resources import policy

FIELD = "spec.appliesTo"


@dataclasses.dataclass(frozen=True, slots=True)
class Reach:
    """How far a policy reaches.

    `where` are namespaces, `None` the whole organization. `match` leaves out the namespaces, because being in their
    parts says that already. `target` is whose account a `costLimit` limits, where `appliesTo` names exactly one target
    (or everybody) and nothing narrower.
    """

    where: tuple[str, ...] | None
    match: snapshot.Match
    target: snapshot.Target | None


def in_dry_run(given: resources.LLMPolicy) -> bool:
    """Whether a policy only records what it would do."""
    return given.spec.enforcement is policy.Enforcement.DRY_RUN


def reach(given: resources.LLMPolicy, world: World) -> Reach:
    """How far a policy reaches; outside of the root namespace never further than its own namespace."""
    applies = given.spec.applies_to or policy.AppliesTo()
    own = given.metadata.namespace or ""
    if not world.is_root(given):
        return Reach((own,), _match(applies), _if_plain(applies, snapshot.Target(snapshot.TargetKind.NAMESPACE, own)))
    return Reach(_where(applies, world), _match(applies), _target(applies))


def problems_of(given: resources.LLMPolicy, world: World) -> Iterator[problems.Problem]:
    """What `appliesTo` names that does not exist, or that only the root namespace may name."""
    applies = given.spec.applies_to or policy.AppliesTo()
    if not world.is_root(given):
        yield from _beyond_own_namespace(given, applies, world.root)
    yield from spaces.unknown(applies.namespaces, world.spaces, given.ref, f"{FIELD}.namespaces")
    for index, team in enumerate(applies.teams or ()):
        if team not in world.teams.by_name:
            yield codes.UNKNOWN_TEAM.at(
                given.ref, f"{FIELD}.teams[{index}]", naming.missing("Team", team, world.teams.by_name)
            )
    for index, role in enumerate(applies.roles or ()):
        if role not in world.role_names:
            yield codes.UNKNOWN_ROLE.at(
                given.ref, f"{FIELD}.roles[{index}]", naming.missing("LLMRole", role, world.role_names)
            )


def _beyond_own_namespace(
    given: resources.LLMPolicy, applies: policy.AppliesTo, root: str
) -> Iterator[problems.Problem]:
    message = f"may be given in the root namespace {root} only: elsewhere a policy is for its own namespace without it"
    if applies.namespaces is not None:
        yield codes.ROOT_ONLY_TARGET.at(given.ref, f"{FIELD}.namespaces", message)
    if applies.teams is not None:
        yield codes.ROOT_ONLY_TARGET.at(given.ref, f"{FIELD}.teams", message)


def _where(applies: policy.AppliesTo, world: World) -> tuple[str, ...] | None:
    named = None if applies.namespaces is None else set(spaces.select(applies.namespaces, world.spaces))
    if applies.teams is None:
        return None if named is None else tuple(sorted(named))
    below = {namespace for team in applies.teams for namespace in world.teams.namespaces_below(team)}
    return tuple(sorted(below if named is None else below & named))


def _match(applies: policy.AppliesTo) -> snapshot.Match:
    return snapshot.Match(
        pods=None if applies.pods is None else applies.pods.compiled(),
        service_accounts=applies.service_accounts or (),
        teams=applies.teams or (),
        users=applies.users or (),
        roles=applies.roles or (),
        providers=tuple(provider.value for provider in applies.providers or ()),
        models=applies.models or (),
    )


def _if_plain(applies: policy.AppliesTo, target: snapshot.Target, *but: str) -> snapshot.Target | None:
    narrower = applies.model_fields_set - set(but)
    return target if all(getattr(applies, field) is None for field in narrower) else None


def _target(applies: policy.AppliesTo) -> snapshot.Target | None:
    names, teams = applies.namespaces, applies.teams or ()
    if names is not None and names.selector is None and len(names.names or ()) == 1:
        namespace = snapshot.Target(snapshot.TargetKind.NAMESPACE, (names.names or ("",))[0])
        return _if_plain(applies, namespace, "namespaces")
    if len(teams) == 1:
        return _if_plain(applies, snapshot.Target(snapshot.TargetKind.TEAM, teams[0]), "teams")
    return _if_plain(applies, snapshot.Target(snapshot.TargetKind.ORGANIZATION))
