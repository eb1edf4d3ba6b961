"""Which statuses may have changed from one look to the next, so that the others need not be made again."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from llmgov import instants, snapshot
from llmgov.ledger import rows, windows
from llmgov.problems import ResourceRef
from llmgov.statuses import kinds, references
from llmgov.statuses.observed import Observed

FORECAST_EVERY: Final = instants.MINUTE
"""Where something was spent, the forecast moves with time alone: it is looked at so often."""


def between(before: Observed, after: Observed) -> frozenset[ResourceRef]:
    """The resources whose status may differ, their own specs being the same in both.

    What it costs grows with the accounts and with what changed, not with all policies.
    """
    return frozenset(
        [
            *_problems(before, after),
            *_differing(before.held_back, after.held_back),
            *(before.kept ^ after.kept),
            *(references.of_source(source) for source in _accounts(before, after)),
            *(references.of_source(source) for source in _differing(before.violated, after.violated)),
            *(references.of_source(policy) for policy in _spread(before, after)),
            *(ResourceRef("Team", name) for name in _teams(before, after)),
            *(ResourceRef("PolicyTemplate", name) for name in _templates(before, after)),
        ]
    )


def _problems(before: Observed, after: Observed) -> Iterator[ResourceRef]:
    if before.problems is not after.problems:
        yield from _differing(before.problems_of, after.problems_of)


def _differing(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> Iterator[Any]:
    """The keys under which the two have different values."""
    if before is after:
        return
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old is not new and old != new:
            yield key


def _accounts(before: Observed, after: Observed) -> Iterator[str]:
    """The sources whose account, or what its windows show, changed."""
    yield from before.account_of.keys() ^ after.account_of.keys()
    for source, account in after.account_of.items():
        if source in before.account_of and _shown(account, source, before, after):
            yield source


def _shown(account: snapshot.Account, source: str, before: Observed, after: Observed) -> bool:
    known = before.account_of[source]
    old, new = before.touched(known), after.touched(account)
    return (
        (account is not known and account != known)
        or old != new
        or [before.opened(window) for window in old] != [after.opened(window) for window in new]
        or _refused(account, old, before, after)
        or _moved(account, [window.spent for window in new], before, after)
    )


def _refused(account: snapshot.Account, touched: Sequence[rows.Window], before: Observed, after: Observed) -> bool:
    """Whether a window that did not change is refused in one of the two alone."""
    source = account.source
    same = before.violated_by(source) is after.violated_by(source)
    if same and before.refused_since(source) == after.refused_since(source):
        return False
    return any(
        kinds.is_refused(account, window, before) != kinds.is_refused(account, window, after) for window in touched
    )


def _moved(account: snapshot.Account, spent: Sequence[int], before: Observed, after: Observed) -> bool:
    """Whether time alone changes what is shown: a new window, or the forecast of what was spent."""
    if before.now not in windows.current(account.period, account.time_zone, after.now):
        return True
    return any(spent) and before.now // FORECAST_EVERY != after.now // FORECAST_EVERY


def _spread(before: Observed, after: Observed) -> Iterator[str]:
    """The policies of which other sidecars are known."""
    old, new = before.facts.concerned, after.facts.concerned
    yield from _differing(old, new)
    counts = ((before.sidecars, after.sidecars), (before.enforcing, after.enforcing))
    moved = {namespace for one, other in counts for namespace in _differing(one, other)}
    if moved:
        yield from (policy for policy, names in new.items() if names is None or not moved.isdisjoint(names))


def _teams(before: Observed, after: Observed) -> Iterator[str]:
    yield from (path.removeprefix("team/") for path in _differing(before.spent, after.spent))
    if before.facts is after.facts:
        return
    yield from _differing(before.facts.teams, after.facts.teams)
    owners = before.facts.namespaces, after.facts.namespaces
    for namespace in _differing(*owners):
        yield from filter(None, (each.get(namespace) for each in owners))


def _templates(before: Observed, after: Observed) -> Iterator[str]:
    yield from _differing(before.facts.template_uses, after.facts.template_uses)
