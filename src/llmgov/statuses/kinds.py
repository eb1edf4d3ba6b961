"""A status for each kind, as its `...Status` model in `llmgov.resources` describes it."""

import collections
from collections.abc import Iterator, Sequence
from typing import Any

from llmgov import instants, money, problems, resources, snapshot
from llmgov.ledger import rows
from llmgov.statuses import amounts, conditions
from llmgov.statuses.observed import Observed

RECENT = 10
"""Violations that an LLMPolicy's status shows one by one."""


def status(resource: resources.Resource, observed: Observed) -> dict[str, Any]:
    """The status of any resource: what every kind has, and what its kind adds."""
    made = _common(resource, observed)
    match resource:
        case resources.Budget():
            made |= _of_source(f"Budget/{_id(resource)}", observed)
            made["conditions"].append(_exhausted(resource, made, observed))
        case resources.LLMPolicy():
            made |= _of_source(_id(resource), observed) | _policy(resource, observed)
        case resources.Team():
            made |= _team(resource, observed)
        case resources.PolicyTemplate():
            made["uses"] = observed.template_uses.get(resource.metadata.name, 0)
        case _:
            pass
    return made


def accounts(observed: Observed) -> Iterator[tuple[snapshot.Account, dict[str, Any]]]:
    """Every account in force with its amounts in this window (`amounts.of_window`), in the order of their sources.

    An account of each user is there once for every user who has one, and once untouched where nobody has.
    """
    for account in sorted(observed.accounts, key=lambda each: (each.source, each.key)):
        touched = observed.touched(account)
        for window in sorted(touched, key=lambda each: each.account):
            yield account, _of_window(account, window, observed)
        if not touched:
            yield account, amounts.untouched(account, observed.now)


def _id(resource: resources.Resource) -> str:
    return f"{resource.metadata.namespace}/{resource.metadata.name}"


def _common(resource: resources.Resource, observed: Observed) -> dict[str, Any]:
    reference = problems.ResourceRef(resource.kind, resource.metadata.name, resource.metadata.namespace or "")
    found = [problem for problem in observed.problems if problem.resource == reference]
    enforced = _enforced(resource, observed) if isinstance(resource, resources.LLMPolicy) else None
    generation = resource.metadata.generation
    made = conditions.common(found, generation, observed.since, enforced)
    return {"observedGeneration": generation, "conditions": made}


def _enforced(policy: resources.LLMPolicy, observed: Observed) -> tuple[int, int]:
    concerned = observed.concerned.get(_id(policy), frozenset())
    have = sum(observed.enforcing.get(namespace, 0) for namespace in concerned)
    return have, sum(observed.sidecars.get(namespace, 0) for namespace in concerned)


def _of_source(source: str, observed: Observed) -> dict[str, Any]:
    """The account that the resource limits, of each user that of the one nearest to the limit; empty without one."""
    account = observed.account_of.get(source)
    if account is None:
        return {}
    touched = observed.touched(account)
    if not touched:
        return amounts.untouched(account, observed.now)
    return _of_window(account, max(touched, key=lambda each: (each.spent + each.unknown, each.leased)), observed)


def _of_window(account: snapshot.Account, window: rows.Window, observed: Observed) -> dict[str, Any]:
    refused = _refused(account, window, observed)
    return amounts.of_window(account, window, _opened(window, observed), observed.now, refused=refused)


def _refused(account: snapshot.Account, window: rows.Window, observed: Observed) -> bool:
    """Whether a request got no money in this window, and the limit has not changed since."""
    user = amounts.user_of(account, window)
    return any(
        each.reason == amounts.REFUSED
        and max(window.start, observed.since) <= each.at < window.end
        and user in ("", each.user)
        for each in observed.violations_of.get(account.source, ())
    )


def _opened(window: rows.Window, observed: Observed) -> frozenset[int]:
    """The thresholds of this window that somebody opened."""
    return frozenset(
        each.threshold
        for each in observed.approvals
        if each.kind is rows.ApprovalKind.THRESHOLD
        and each.state is rows.ApprovalState.APPROVED
        and (each.account, each.window_start) == (window.account, window.start)
    )


def _exhausted(budget: resources.Budget, made: dict[str, Any], observed: Observed) -> dict[str, Any]:
    exhausted = made.get("state") == "Exhausted"
    sentence = f"{made.get('spent', '0')} of {budget.spec.limit} {budget.spec.currency} is spent"
    generation = budget.metadata.generation
    reason = "LimitReached" if exhausted else "MoneyLeft"
    return conditions.condition("Exhausted", exhausted, reason, sentence, generation, observed.since)


def _policy(policy: resources.LLMPolicy, observed: Observed) -> dict[str, Any]:
    have, want = _enforced(policy, observed)
    mine = observed.violations_of.get(_id(policy), ())
    counts: collections.Counter[str] = collections.Counter()
    for violation in mine:
        counts[violation.action.value] += violation.count
    return {
        "sidecars": want,
        "sidecarsEnforcing": have,
        "violations": sum(counts.values()),
        "violationsByAction": [{"action": action, "count": count} for action, count in sorted(counts.items())],
        "lastViolations": _recent(mine),
    }


def _recent(violations: Sequence[rows.ViolationRow]) -> list[dict[str, Any]]:
    newest = sorted(violations, key=lambda violation: (violation.at, violation.event, violation.index))[-RECENT:]
    return [
        {
            "time": instants.to_rfc3339(violation.at),
            "action": violation.action.value,
            "reason": violation.reason,
            "workload": f"{violation.namespace}/{violation.service_account}",
            "dryRun": violation.dry_run,
        }
        for violation in reversed(newest)
    ]


def _team(team: resources.Team, observed: Observed) -> dict[str, Any]:
    name = team.metadata.name
    compiled = observed.teams.get(name, snapshot.Team(name))
    return {
        "path": [name, *compiled.parents],
        "namespaces": sorted(each for each, owner in observed.namespaces.items() if owner == name),
        "members": len(team.spec.members or ()),
        "spent": money.format_amount(observed.spent.get(f"team/{name}", 0)),
    }
