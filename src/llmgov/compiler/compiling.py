"""`compile`: the whole set of resources in, the parts of all snapshots and every problem out.

Compiling again after a change is quick because a `Compiled` remembers what it was made of: handed in as `previous`, it
gives what the change did not touch. That changes nothing but the time that it takes.
"""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from llmgov import problems, resources, snapshot
from llmgov.compiler import codes, costs, credentials, fragments, inputs, parts, policies, spaces, world

ORGANIZATION = ""
"""The organization-wide part, in `Compiled.held`."""

_SHARED = (resources.Team, resources.LLMRole, resources.PolicyTemplate, resources.GovernanceSettings)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """What a configuration was made of: the inputs that everything shares, and each resource with its fragment."""

    shared: tuple[object, ...]
    world: world.World
    fragments: Mapping[problems.ResourceRef, tuple[resources.Resource, fragments.Fragment]]


@dataclasses.dataclass(frozen=True, slots=True)
class Compiled:
    """A whole configuration: the parts, the problems, and which parts must not replace good ones (decision 0004).

    `held` are the namespaces whose part lacks a faulty resource of their own; `ORGANIZATION` among them means that a
    resource is missing which may concern everybody, and then no part should be published.
    """

    organization: snapshot.OrganizationPart
    namespaces: Mapping[str, snapshot.NamespacePart]
    prices: snapshot.PricePart
    problems: tuple[problems.Problem, ...]
    held: frozenset[str]
    memory: Memory = dataclasses.field(repr=False, compare=False)

    @property
    def publishable(self) -> bool:
        """Whether no resource is in error, so that nothing can have become looser by being left out."""
        return not self.held

    def may_publish(self, part: str) -> bool:
        """Whether the part of a namespace (or `ORGANIZATION`) lacks nothing that belongs to it."""
        return ORGANIZATION not in self.held and part not in self.held

    def snapshot(self, namespace: str) -> snapshot.Snapshot:
        """The whole configuration of a namespace.

        Raises:
            KeyError: the namespace was not known when this was compiled, so nobody can say what holds there.
        """
        return snapshot.Snapshot(snapshot.FORMAT, self.organization, self.namespaces[namespace], self.prices)


def compile(  # noqa: A001 - called as `compiler.compile`
    given: inputs.ResourceSet, prices: snapshot.PricePart, previous: Compiled | None = None
) -> Compiled:
    """Compile a whole set. Of two resources with the same kind, namespace and name only the first counts.

    The result depends on `given` and `prices` alone; `previous` is any earlier result and saves time.
    """
    single, duplicates = _without_duplicates(given)
    memory = _remember(single, prices, previous)
    found = [fragment for _, fragment in memory.fragments.values()]
    met, overlapping = parts.overlaps(found)
    organization, namespaces = parts.assemble(memory.world, found, met)
    all_problems = (
        *duplicates,
        *memory.world.problems,
        *(problem for fragment in found for problem in fragment.problems),
        *overlapping,
    )
    return Compiled(
        organization=organization,
        namespaces=_reused(namespaces, previous),
        prices=prices,
        problems=tuple(sorted(all_problems, key=_order)),
        held=holders(all_problems, given.root_namespace),
        memory=memory,
    )


def _without_duplicates(given: inputs.ResourceSet) -> tuple[inputs.ResourceSet, list[problems.Problem]]:
    single: dict[problems.ResourceRef, resources.Resource] = {}
    duplicates = []
    for resource in given.resources:
        ref = resource.ref
        if ref in single:
            duplicates.append(codes.DUPLICATE.at(ref, "", "is there twice; only the first is in force"))
        else:
            single[ref] = resource
    return dataclasses.replace(given, resources=tuple(single.values())), duplicates


def _remember(given: inputs.ResourceSet, prices: snapshot.PricePart, previous: Compiled | None) -> Memory:
    shared = _shared(given, prices)
    old = previous.memory if previous is not None and previous.memory.shared == shared else None
    surroundings = world.build(given, prices) if old is None else old.world
    known = {} if old is None else old.fragments
    return Memory(shared, surroundings, dict(_fragments(given.resources, surroundings, known)))


def _shared(given: inputs.ResourceSet, prices: snapshot.PricePart) -> tuple[object, ...]:
    """All that a fragment depends on beside its own resource: where this is equal, so is every unchanged fragment."""
    return (
        given.cluster,
        given.root_namespace,
        tuple(each for each in given.resources if isinstance(each, (*_SHARED, resources.ProviderCredential))),
        spaces.gather(given),
        given.secrets,
        given.jwks,
        prices,
    )


def _fragments(
    given: Sequence[resources.Resource],
    surroundings: world.World,
    known: Mapping[problems.ResourceRef, tuple[resources.Resource, fragments.Fragment]],
) -> Iterator[tuple[problems.ResourceRef, tuple[resources.Resource, fragments.Fragment]]]:
    for resource in given:
        ref = resource.ref
        old = known.get(ref)
        if old is not None and (old[0] is resource or old[0] == resource):
            yield ref, old
        else:
            yield ref, (resource, _fragment(resource, surroundings))


def _fragment(resource: resources.Resource, surroundings: world.World) -> fragments.Fragment:
    match resource:
        case resources.LLMPolicy():
            return policies.compiled(resource, surroundings)
        case resources.Budget():
            return costs.of_budget(resource, surroundings)
        case resources.ProviderCredential():
            return credentials.compiled(resource, surroundings)
        case _:
            return fragments.Fragment()


def _reused(
    namespaces: dict[str, snapshot.NamespacePart], previous: Compiled | None
) -> Mapping[str, snapshot.NamespacePart]:
    """The same objects where nothing changed, so that a caller can tell by identity and keep what it derived."""
    if previous is None:
        return namespaces
    old = previous.namespaces
    return {name: old[name] if old.get(name) == part else part for name, part in namespaces.items()}


def holders(found: Sequence[problems.Problem], root: str) -> frozenset[str]:
    """Whose parts lack a resource that one of these problems is an error of: namespaces, `ORGANIZATION` for all."""
    faulty = (problem.resource.namespace for problem in found if problem.severity is problems.Severity.ERROR)
    return frozenset(ORGANIZATION if namespace in ("", root) else namespace for namespace in faulty)


def _order(problem: problems.Problem) -> tuple[bool, problems.ResourceRef, str, str, str]:
    return (
        problem.severity is not problems.Severity.ERROR,
        problem.resource,
        problem.field,
        problem.code,
        problem.message,
    )
