"""Fragments put together as parts: one for the organization, one for each namespace."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmgov import problems, snapshot
from llmgov.compiler import accounts, codes, fragments
from llmgov.compiler.world import World

Where = tuple[str, ...] | None
"""Namespaces, or everybody."""

_NAMED = 3
"""How many of the other limits a warning names."""


class Shelf:
    """What has been gathered for one part, in order."""

    __slots__ = ("accounts", "policies", "providers")

    def __init__(self) -> None:
        self.policies: list[snapshot.Policy] = []
        self.providers: list[snapshot.Provider] = []
        self.accounts: dict[str, snapshot.Account] = {}


def overlaps(
    found: Iterable[fragments.Fragment],
) -> tuple[Mapping[str, snapshot.Account], tuple[problems.Problem, ...]]:
    """The accounts that several resources limit, by key, and a warning to each of these resources."""
    by_key: dict[str, list[snapshot.Account]] = collections.defaultdict(list)
    for fragment in found:
        for placed in fragment.accounts:
            by_key[placed.account.key].append(placed.account)
    shared = {key: limits for key, limits in by_key.items() if len(limits) > 1}
    met = {key: accounts.meet(limits) for key, limits in shared.items()}
    return met, tuple(problem for limits in shared.values() for problem in _warnings(limits))


def _warnings(limits: Sequence[snapshot.Account]) -> Iterator[problems.Problem]:
    resources = sorted(str(_reference(limit)) for limit in limits)
    for limit in limits:
        others = _others(resources, str(_reference(limit)))
        message = f"limits the same account as {others} ({limit.target}, {limit.period.value}, {limit.time_zone})"
        yield codes.OVERLAPPING_BUDGETS.at(_reference(limit), "spec", message)


def _others(resources: Sequence[str], own: str) -> str:
    """The first of the others by name, and how many more there are."""
    named = [resource for resource in resources[: _NAMED + 1] if resource != own][:_NAMED]
    more = len(resources) - 1 - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def _reference(limit: snapshot.Account) -> problems.ResourceRef:
    *kind, namespace, name = limit.source.split("/")
    return problems.ResourceRef(kind[0] if kind else "LLMPolicy", name, namespace)


def assemble(
    world: World, found: Sequence[fragments.Fragment], met: Mapping[str, snapshot.Account]
) -> tuple[snapshot.OrganizationPart, dict[str, snapshot.NamespacePart]]:
    """All parts; equal sets give equal parts, whatever their order.

    Everything is sorted once and then put on the shelves, since most of it is on many: policies in the order of their
    evaluation, providers by name, accounts by key.
    """
    everybody = Shelf()
    shelves = {name: Shelf() for name in world.spaces.labels}
    for policy, where in sorted(_policies(found), key=lambda each: (-each[0].priority, each[0].id)):
        for shelf in _shelves(where, everybody, shelves):
            shelf.policies.append(policy)
    for provider, where in sorted(_providers(found), key=lambda each: each[0].id):
        for shelf in _shelves(where, everybody, shelves):
            shelf.providers.append(provider)
    placed = (each for fragment in found for each in fragment.accounts)
    for each in sorted(placed, key=lambda each: each.account.key):
        account = met.get(each.account.key, each.account)
        for shelf in _shelves(each.where, everybody, shelves):
            shelf.accounts[account.key] = account
    return _organization(world, everybody), {name: _namespace(world, name, shelf) for name, shelf in shelves.items()}


def _policies(found: Iterable[fragments.Fragment]) -> Iterator[tuple[snapshot.Policy, Where]]:
    return ((each.policy, each.where) for each in found if each.policy is not None)


def _providers(found: Iterable[fragments.Fragment]) -> Iterator[tuple[snapshot.Provider, Where]]:
    return ((each.provider, each.where) for each in found if each.provider is not None)


def _shelves(where: Where, everybody: Shelf, shelves: Mapping[str, Shelf]) -> list[Shelf]:
    return [everybody] if where is None else [shelves[name] for name in where if name in shelves]


def _organization(world: World, shelf: Shelf) -> snapshot.OrganizationPart:
    return snapshot.OrganizationPart(
        cluster=world.cluster,
        settings=world.compiled_settings,
        policies=tuple(shelf.policies),
        accounts=tuple(shelf.accounts.values()),
        providers=tuple(shelf.providers),
        roles=world.roles,
    )


def _namespace(world: World, name: str, shelf: Shelf) -> snapshot.NamespacePart:
    return snapshot.NamespacePart(
        namespace=name,
        observe=world.spaces.observes(name),
        team=world.teams.of_namespace.get(name),
        policies=tuple(shelf.policies),
        accounts=tuple(shelf.accounts.values()),
        providers=tuple(shelf.providers),
    )
