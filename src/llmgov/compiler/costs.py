"""Budgets and `costLimit`s as limits on accounts (design section 3, Charging path)."""

import dataclasses
from collections.abc import Iterable, Iterator

import msgspec

from llmgov import money, problems, resources, snapshot
from llmgov.compiler import accounts, applying, codes, fragments, naming
from llmgov.compiler.world import World
from llmgov.resources import bodies, budget, limits
from llmgov.snapshot import Match, Target, TargetKind

_IN_A_NAMESPACE = (TargetKind.NAMESPACE, TargetKind.WORKLOAD)


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """What an account counts: its target, how its key names that, the narrower match, and whose parts it is in.

    The match names namespaces, too, because the ledger must see that not all of a user's spend counts here.
    """

    target: Target
    identity: str
    match: Match
    where: tuple[str, ...] | None


def of_budget(given: resources.Budget, world: World) -> fragments.Fragment:
    """A Budget's account, or why there is none."""
    spec = given.spec
    found = (*_target_problems(given, world), *currency_problem(given.ref, "spec.currency", spec.currency, world))
    if fragments.has_error(found):
        return fragments.Fragment(problems=found)
    counted = _of_target(given, world)
    account = snapshot.Account(
        key=snapshot.account_key(world.cluster, counted.identity, spec.period, spec.time_zone),
        target=counted.target,
        limit=money.parse_amount(spec.limit),
        period=spec.period,
        time_zone=spec.time_zone,
        source=str(given.ref),
        currency=spec.currency,
        nano_usd=world.rates[spec.currency],
        thresholds=_thresholds(spec.thresholds or ()),
        match=counted.match,
    )
    return fragments.Fragment(accounts=(fragments.Placed(account, counted.where),), problems=found)


def of_cost_limit(
    given: resources.LLMPolicy, body: bodies.CostLimit, reach: applying.Reach, world: World
) -> tuple[fragments.Placed, ...]:
    """The accounts of a `costLimit`: one for each of its `limits`, and one of each user for each of `perUser`."""
    everybody = _of_reach(given, reach, world)
    return (
        *(_placed(given, body, limit, everybody, world) for limit in body.limits or ()),
        *(_placed(given, body, limit, _each_user(everybody), world) for limit in body.per_user or ()),
    )


def currency_problem(ref: problems.ResourceRef, field: str, currency: str, world: World) -> Iterator[problems.Problem]:
    """An error where the settings have no rate for a currency."""
    if currency not in world.rates:
        yield codes.NO_CURRENCY_RATE.at(ref, field, f"there is no exchange rate of {currency}")


def _placed(
    given: resources.LLMPolicy, body: bodies.CostLimit, limit: limits.Limit, counted: Counted, world: World
) -> fragments.Placed:
    dry_run = applying.in_dry_run(given)
    account = snapshot.Account(
        key=snapshot.account_key(world.cluster, _identity(given, counted, dry_run), limit.period, body.time_zone),
        target=counted.target,
        limit=money.parse_amount(limit.amount),
        period=limit.period,
        time_zone=body.time_zone,
        source=given.id,
        currency=body.currency,
        nano_usd=world.rates[body.currency],
        thresholds=_thresholds(body.thresholds or ()),
        dry_run=dry_run,
        match=counted.match,
    )
    return fragments.Placed(account, counted.where)


def _identity(given: resources.LLMPolicy, counted: Counted, dry_run: bool) -> str:
    """A limit in dry run must not share an account with one in force, unless no other could name the same target."""
    own = str(Target(TargetKind.POLICY, given.id))
    return f"dry-run@{counted.identity}" if dry_run and not counted.identity.endswith(own) else counted.identity


def _thresholds(given: Iterable[limits.Threshold]) -> tuple[snapshot.Threshold, ...]:
    return accounts.thresholds(snapshot.Threshold(each.percent, each.actions) for each in given)


def _of_reach(given: resources.LLMPolicy, reach: applying.Reach, world: World) -> Counted:
    if reach.target is not None:
        return _plain(reach.target, world)
    target = Target(TargetKind.POLICY, given.id)
    match = msgspec.structs.replace(reach.match, namespaces=reach.where or ())
    return Counted(target, str(target), match, reach.where)


def _of_target(given: resources.Budget, world: World) -> Counted:
    own = given.metadata.namespace or ""
    target = given.spec.target
    if target.each_user is None:
        return _plain(_named(target), world)
    around = Target(TargetKind.ORGANIZATION) if world.is_root(given) else Target(TargetKind.NAMESPACE, own)
    return _each_user(_plain(around, world))


def _named(target: budget.Target) -> Target:
    if target.team is not None:
        return Target(TargetKind.TEAM, target.team)
    if target.namespace is not None:
        return Target(TargetKind.NAMESPACE, target.namespace)
    if target.workload is not None:
        return Target(TargetKind.WORKLOAD, f"{target.workload.namespace}/{target.workload.service_account}")
    return Target(TargetKind.ORGANIZATION)


def _plain(target: Target, world: World) -> Counted:
    return Counted(target, str(target), Match(), _where(target, world))


def _where(target: Target, world: World) -> tuple[str, ...] | None:
    if target.kind is TargetKind.TEAM:
        return tuple(sorted(world.teams.namespaces_below(target.name)))
    return None if target.kind is TargetKind.ORGANIZATION else (target.name.partition("/")[0],)


def _each_user(counted: Counted) -> Counted:
    """An account of each user, of those requests only that `counted` counts."""
    user = Target(TargetKind.USER)
    around = counted.target
    match around.kind:
        case TargetKind.ORGANIZATION:
            return Counted(user, str(user), Match(), None)
        case TargetKind.TEAM:
            match = Match(teams=(around.name,))
        case TargetKind.NAMESPACE:
            match = Match(namespaces=(around.name,))
        case _:
            match = counted.match
    return Counted(user, f"{user}@{around}", match, counted.where)


def _target_problems(given: resources.Budget, world: World) -> Iterator[problems.Problem]:
    target, own = given.spec.target, given.metadata.namespace
    named = _named(target)
    if not world.is_root(given) and target.each_user is None and not _is_inside(named, own):
        message = (
            f"a Budget of the namespace {own} limits that namespace, its workloads and their users only; others are"
            f" limited in the root namespace {world.root}"
        )
        yield codes.ROOT_ONLY_TARGET.at(given.ref, "spec.target", message)
    elif target.team is not None and target.team not in world.teams.by_name:
        yield codes.UNKNOWN_TEAM.at(
            given.ref, "spec.target.team", naming.missing("Team", target.team, world.teams.by_name)
        )
    elif target.each_user is None and named.kind in _IN_A_NAMESPACE:
        yield from _unknown_namespace(given, named, world)


def _is_inside(target: Target, namespace: str | None) -> bool:
    return target.kind in _IN_A_NAMESPACE and target.name.partition("/")[0] == namespace


def _unknown_namespace(given: resources.Budget, named: Target, world: World) -> Iterator[problems.Problem]:
    namespace = named.name.partition("/")[0]
    if world.spaces.complete and namespace not in world.spaces.labels:
        field = "spec.target.namespace" if named.kind is TargetKind.NAMESPACE else "spec.target.workload.namespace"
        yield codes.UNKNOWN_NAMESPACE.at(given.ref, field, f"there is no namespace {namespace}")
