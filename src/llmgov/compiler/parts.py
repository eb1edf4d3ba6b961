"""Fragments put together as parts: one for the organization, one for each namespace."""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmgov import problems, snapshot
from llmgov.compiler import accounts, codes, fragments
from llmgov.compiler.world import World

_NAMED = 3
"""How many of the other limits a warning names."""


class Shelf:
    """What has been gathered for one part."""

    __slots__ = ("accounts", "policies", "providers")

    def __init__(self) -> None:
        self.policies: list[snapshot.Policy] = []
        self.providers: list[snapshot.Provider] = []
        self.accounts: dict[str, snapshot.Account] = {}

    def sorted_policies(self) -> tuple[snapshot.Policy, ...]:
        """In order of evaluation."""
        return tuple(sorted(self.policies, key=lambda policy: (-policy.priority, policy.id)))

    def sorted_providers(self) -> tuple[snapshot.Provider, ...]:
        """By name."""
        return tuple(sorted(self.providers, key=lambda provider: provider.id))

    def sorted_accounts(self) -> tuple[snapshot.Account, ...]:
        """By key."""
        return tuple(account for _, account in sorted(self.accounts.items()))


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
    """All parts; equal sets give equal parts, whatever their order."""
    everybody = Shelf()
    shelves = {name: Shelf() for name in world.spaces.labels}
    for fragment in found:
        for shelf in _shelves(fragment.where, everybody, shelves):
            if fragment.policy is not None:
                shelf.policies.append(fragment.policy)
            if fragment.provider is not None:
                shelf.providers.append(fragment.provider)
        for placed in fragment.accounts:
            account = met.get(placed.account.key, placed.account)
            for shelf in _shelves(placed.where, everybody, shelves):
                shelf.accounts[account.key] = account
    return _organization(world, everybody), {name: _namespace(world, name, shelf) for name, shelf in shelves.items()}


def _shelves(where: tuple[str, ...] | None, everybody: Shelf, shelves: Mapping[str, Shelf]) -> list[Shelf]:
    return [everybody] if where is None else [shelves[name] for name in where if name in shelves]


def _organization(world: World, shelf: Shelf) -> snapshot.OrganizationPart:
    return snapshot.OrganizationPart(
        cluster=world.cluster,
        settings=world.compiled_settings,
        policies=shelf.sorted_policies(),
        accounts=shelf.sorted_accounts(),
        providers=shelf.sorted_providers(),
        roles=world.roles,
    )


def _namespace(world: World, name: str, shelf: Shelf) -> snapshot.NamespacePart:
    return snapshot.NamespacePart(
        namespace=name,
        observe=world.spaces.observes(name),
        team=world.teams.of_namespace.get(name),
        policies=shelf.sorted_policies(),
        accounts=shelf.sorted_accounts(),
        providers=shelf.sorted_providers(),
    )
