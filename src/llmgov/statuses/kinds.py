"""A status for each kind, as its `...Status` model in `llmgov.resources` describes it."""

from collections.abc import Iterator, Sequence
from typing import Any

from llmgov import instants, money, problems, resources, snapshot
from llmgov.compiler import codes
from llmgov.ledger import rows
from llmgov.statuses import amounts, conditions, references
from llmgov.statuses.observed import Observed

NAMESPACES = 1024
"""Namespaces that a Team's status lists, and as many as its schema takes."""

PATH = 32
"""The same of the teams on its path."""

REASON, WORKLOAD = 256, 512
"""The same of a recent violation's characters."""


def status(resource: resources.Resource, observed: Observed) -> dict[str, Any]:
    """The status of any resource: what every kind has, and what its kind adds."""
    made = _common(resource, observed)
    match resource:
        case resources.Budget():
            made |= _of_source(references.source(resource.ref), observed)
            if "state" in made:  # a Budget of which nothing is in force limits nothing
                made["conditions"].append(_exhausted(made, observed))
        case resources.LLMPolicy():
            made |= _of_source(resource.id, observed) | _policy(resource.id, observed)
        case resources.Team():
            made |= _team(resource, observed)
            made["conditions"] += [_cycle(resource, observed), _conflicted(resource, observed)]
        case resources.PolicyTemplate():
            made["uses"] = observed.facts.template_uses.get(resource.metadata.name, 0)
        case _:
            pass
    return made


def unread(reference: problems.ResourceRef, generation: int, observed: Observed) -> dict[str, Any]:
    """The status of an object that is no valid resource: its problems, and the amounts of what is still in force."""
    state = conditions.State(observed.problems_of.get(reference, ()), kept=reference in observed.kept)
    made: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": conditions.common(state, generation, observed.since),
    }
    source = references.source(reference)
    match reference.kind:
        case resources.Budget.__name__ if source in observed.account_of:
            made |= _of_source(source, observed)
            made["conditions"].append(_exhausted(made, observed))
        case resources.LLMPolicy.__name__:
            made |= _of_source(source, observed) | _policy(source, observed)
        case resources.Team.__name__ if f"team/{reference.name}" in observed.spent:
            made["spent"] = money.format_amount(observed.spent[f"team/{reference.name}"])
        case _:
            pass
    return made


def accounts(observed: Observed) -> Iterator[tuple[snapshot.Account, dict[str, Any]]]:
    """Every account in force with its amounts in this window (`amounts.of_window`), in the order of their sources.

    An account of each user is there once for every user who has one, and once untouched where nobody has.
    """
    for account in sorted(observed.facts.accounts, key=lambda each: (each.source, each.key)):
        touched = observed.touched(account)
        for window in sorted(touched, key=lambda each: each.account):
            yield account, _of_window(account, window, observed)
        if not touched:
            yield account, amounts.untouched(account, observed.now)


def _common(resource: resources.Resource, observed: Observed) -> dict[str, Any]:
    state = conditions.State(
        observed.problems_of.get(resource.ref, ()),
        observed.sidecars_of(resource.id) if isinstance(resource, resources.LLMPolicy) else None,
        observed.held_back.get(resource.ref),
        kept=resource.ref in observed.kept,
    )
    generation = resource.metadata.generation
    return {"observedGeneration": generation, "conditions": conditions.common(state, generation, observed.since)}


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
    refused = is_refused(account, window, observed)
    return amounts.of_window(account, window, observed.opened(window), observed.now, refused=refused)


def is_refused(account: snapshot.Account, window: rows.Window, observed: Observed) -> bool:
    """Whether a request got no money in this window, and the limit has not changed since."""
    refused = observed.violated_by(account.source).refused
    user = amounts.user_of(account, window)
    times = [refused[user]] if user in refused else refused.values() if not user else ()
    since = max(window.start, observed.refused_since(account.source))
    return any(since <= at < window.end for at in times)


def _exhausted(made: dict[str, Any], observed: Observed) -> dict[str, Any]:
    """Of the limit in force, whatever the spec says."""
    exhausted = made["state"] == "Exhausted"
    sentence = f"{made['spent']} of {made['limit']} {made['currency']} is spent"
    reason = "LimitReached" if exhausted else "MoneyLeft"
    generation = made["observedGeneration"]
    return conditions.condition("Exhausted", exhausted, reason, sentence, generation, observed.since)


def _policy(policy: str, observed: Observed) -> dict[str, Any]:
    """What only policies report; `policy` is `namespace/name`."""
    have, want = observed.sidecars_of(policy)
    violated = observed.violated_by(policy)
    counts = {action.value: count for action, count in violated.counts.items()}
    return {
        "sidecars": want,
        "sidecarsEnforcing": have,
        "violations": sum(counts.values()),
        "violationsByAction": [{"action": action, "count": count} for action, count in sorted(counts.items())],
        "lastViolations": [_violation(row) for row in reversed(violated.recent)],
    }


def _violation(row: rows.ViolationRow) -> dict[str, Any]:
    return {
        "time": instants.to_rfc3339(row.at),
        "action": row.action.value,
        "reason": row.reason[:REASON],
        "workload": f"{row.namespace}/{row.service_account}"[:WORKLOAD],
        "dryRun": row.dry_run,
    }


def _team(team: resources.Team, observed: Observed) -> dict[str, Any]:
    name = team.metadata.name
    compiled = observed.facts.teams.get(name, snapshot.Team(name))
    return {
        "path": [name, *compiled.parents][:PATH],
        "namespaces": list(observed.namespaces_of.get(name, ()))[:NAMESPACES],
        "members": len(team.spec.members or ()),
        "spent": money.format_amount(observed.spent.get(f"team/{name}", 0)),
    }


def _cycle(team: resources.Team, observed: Observed) -> dict[str, Any]:
    found = _found(team, codes.TEAM_CYCLE, observed)
    reason = found[0].code if found else "NoCycle"
    return _claim("Cycle", reason, found, team, observed)


def _conflicted(team: resources.Team, observed: Observed) -> dict[str, Any]:
    found = _found(team, codes.NAMESPACE_CLAIMED, observed)
    reason = found[0].code if found else "NoConflict"
    return _claim("Conflicted", reason, found, team, observed)


def _found(team: resources.Team, code: codes.Code, observed: Observed) -> list[problems.Problem]:
    return [problem for problem in observed.problems_of.get(team.ref, ()) if problem.code == code.name]


def _claim(
    kind: str, reason: str, found: Sequence[problems.Problem], team: resources.Team, observed: Observed
) -> dict[str, Any]:
    generation = team.metadata.generation
    return conditions.condition(kind, bool(found), reason, conditions.sentences(found), generation, observed.since)
