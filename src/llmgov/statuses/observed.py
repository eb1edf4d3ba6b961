"""What a status is made of, gathered before it is built."""

import collections
import dataclasses
import functools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.ledger.violated import Violated
from llmgov.problems import Problem, ResourceRef


class Facts(msgspec.Struct, frozen=True):
    """What the compiler said of a configuration, as far as statuses need it.

    `namespaces` has every namespace and its team; `concerned` a policy's `namespace/name` and the namespaces whose
    configuration holds it, `None` for every namespace; `template_uses` how many policies are made of a template.
    """

    accounts: tuple[snapshot.Account, ...] = ()
    teams: dict[str, snapshot.Team] = {}
    namespaces: dict[str, str | None] = {}
    concerned: dict[str, tuple[str, ...] | None] = {}
    template_uses: dict[str, int] = {}


K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

NO_FACTS = Facts()
_NOTHING = Violated()


@dataclasses.dataclass(frozen=True)
class Observed:
    """One look at the ledger and at the configuration in force.

    `windows` are those that contain `now`, of accounts that each user has perhaps the nearest to the limit alone;
    `approvals` those that opened thresholds; `violated` is by policy or account; `spent` maps a charging path's name
    (`team/payments`) to micro-USD of this month; `sidecars` maps a namespace to how many sidecars it has, and
    `enforcing` to how many of them run the version in force. `since` is when that version came into force, `since_of`
    the same for single sources of accounts. `held_back` has a sentence for each resource that is understood, and whose
    latest state is not in force for another one's fault; `kept` are those with errors of their own whose earlier state
    is still in force.
    """

    now: Instant
    since: Instant
    facts: Facts = NO_FACTS
    problems: Sequence[Problem] = ()
    windows: Sequence[rows.Window] = ()
    approvals: Sequence[rows.ApprovalRow] = ()
    violated: Mapping[str, Violated] = dataclasses.field(default_factory=dict)
    spent: Mapping[str, int] = dataclasses.field(default_factory=dict)
    sidecars: Mapping[str, int] = dataclasses.field(default_factory=dict)
    enforcing: Mapping[str, int] = dataclasses.field(default_factory=dict)
    since_of: Mapping[str, Instant] = dataclasses.field(default_factory=dict)
    held_back: Mapping[ResourceRef, str] = dataclasses.field(default_factory=dict)
    kept: frozenset[ResourceRef] = frozenset()

    @functools.cached_property
    def problems_of(self) -> Mapping[ResourceRef, Sequence[Problem]]:
        """What is wrong with a resource.

        This and what follows are made once, since a status is asked for each of perhaps 10,000 resources.
        """
        return _grouped(self.problems, lambda problem: problem.resource)

    @functools.cached_property
    def account_of(self) -> Mapping[str, snapshot.Account]:
        """The account that a resource limits, by its name (`Account.source`): the first where it has more."""
        return {account.source: account for account in reversed(self.facts.accounts)}

    @functools.cached_property
    def window_of(self) -> Mapping[str, rows.Window]:
        """The open window of an account, by the account's key."""
        return {window.account: window for window in self.windows}

    @functools.cached_property
    def namespaces_of(self) -> Mapping[str | None, Sequence[str]]:
        """The namespaces of a team, in order."""
        names = self.facts.namespaces
        return _grouped(sorted(names), names.__getitem__)

    def violated_by(self, source: str) -> Violated:
        """What a policy, or a resource that limits an account, brought about."""
        return self.violated.get(source, _NOTHING)

    def refused_since(self, source: str) -> Instant:
        """From when on refusals count: a changed limit makes those before it meaningless."""
        return self.since_of.get(source, self.since)

    def opened(self, window: rows.Window) -> frozenset[int]:
        """The thresholds of a window that somebody opened."""
        return self._opened.get((window.account, window.start), frozenset())

    def touched(self, account: snapshot.Account) -> Sequence[rows.Window]:
        """The open windows of an account; where each user has one of their own, all of these."""
        if is_each_user(account):
            return self._of_users.get(account.key, ())
        return [self.window_of[account.key]] if account.key in self.window_of else []

    def sidecars_of(self, policy: str) -> tuple[int, int]:
        """How many sidecars run a policy, and how many should."""
        names = self.facts.concerned.get(policy, ())
        if names is None:
            return self._everywhere
        return (
            sum(self.enforcing.get(namespace, 0) for namespace in names),
            sum(self.sidecars.get(namespace, 0) for namespace in names),
        )

    @functools.cached_property
    def _everywhere(self) -> tuple[int, int]:
        return sum(self.enforcing.values()), sum(self.sidecars.values())

    @functools.cached_property
    def _opened(self) -> Mapping[tuple[str, Instant], frozenset[int]]:
        opened: dict[tuple[str, Instant], frozenset[int]] = {}
        for each in self.approvals:
            if each.kind is rows.ApprovalKind.THRESHOLD and each.state is rows.ApprovalState.APPROVED:
                place = each.account, each.window_start
                opened[place] = opened.get(place, frozenset()) | {each.threshold}
        return opened

    @functools.cached_property
    def _of_users(self) -> Mapping[str | None, Sequence[rows.Window]]:
        """Users' own windows, by the key of the account that each of them has."""
        single = {account.key for account in self.facts.accounts if not is_each_user(account)}
        keys = {account.key for account in self.facts.accounts if is_each_user(account)}
        others = [window for window in self.windows if window.account not in single] if keys else []
        return _grouped(others, lambda window: _definition(window, keys))


def is_each_user(account: snapshot.Account) -> bool:
    """Whether each user has a window of their own."""
    return account.target.kind is snapshot.TargetKind.USER and not account.target.name


def _definition(window: rows.Window, keys: set[str]) -> str | None:
    """The key of the account that each user has; older windows do not say it."""
    own = window.base or window.account
    return own if own in keys else next((key for key in keys if own.startswith(f"{key}|")), None)


def _grouped(values: Iterable[V], key: Callable[[V], K]) -> Mapping[K, Sequence[V]]:
    found: dict[K, list[V]] = collections.defaultdict(list)
    for value in values:
        found[key(value)].append(value)
    return dict(found)
