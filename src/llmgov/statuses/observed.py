"""What a status is made of, gathered before it is built."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.problems import Problem


@dataclasses.dataclass(frozen=True)
class Observed:
    """One look at the ledger and at the configuration in force.

    `windows` are those that contain `now`; `teams` and `accounts` are as compiled; `spent` maps a charging path's name
    (`team/payments`) to micro-USD of this month; `sidecars` maps a namespace to how many sidecars it has, and
    `enforcing` to how many of them run the version in force. `since` is when that version came into force.
    """

    now: Instant
    since: Instant
    problems: Sequence[Problem] = ()
    accounts: Sequence[snapshot.Account] = ()
    windows: Sequence[rows.Window] = ()
    approvals: Sequence[rows.ApprovalRow] = ()
    violations: Sequence[rows.ViolationRow] = ()
    spent: Mapping[str, int] = dataclasses.field(default_factory=dict)
    teams: Mapping[str, snapshot.Team] = dataclasses.field(default_factory=dict)
    namespaces: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    """Every namespace and its team."""
    sidecars: Mapping[str, int] = dataclasses.field(default_factory=dict)
    enforcing: Mapping[str, int] = dataclasses.field(default_factory=dict)
    concerned: Mapping[str, frozenset[str]] = dataclasses.field(default_factory=dict)
    """A policy's `namespace/name` and the namespaces whose configuration holds it."""
    template_uses: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def account_of(self) -> Mapping[str, snapshot.Account]:
        """The account that a resource limits, by the resource's name (`Account.source`): the first where it has more.

        This and what follows are made once, since a status is asked for each of perhaps 10,000 resources.
        """
        return {account.source: account for account in reversed(self.accounts)}

    @functools.cached_property
    def window_of(self) -> Mapping[str, rows.Window]:
        """The open window of an account, by the account's key."""
        return {window.account: window for window in self.windows}

    @functools.cached_property
    def violations_of(self) -> Mapping[str, Sequence[rows.ViolationRow]]:
        """What a policy or a budget brought about, by its name."""
        found: dict[str, list[rows.ViolationRow]] = {}
        for violation in self.violations:
            found.setdefault(violation.policy, []).append(violation)
        return found

    def touched(self, account: snapshot.Account) -> Sequence[rows.Window]:
        """The open windows of an account; where each user has one of their own, all of these."""
        if account.target.kind is snapshot.TargetKind.USER and not account.target.name:
            users = f"{account.key}|"
            return [each for each in self.windows if each.account == account.key or each.account.startswith(users)]
        return [self.window_of[account.key]] if account.key in self.window_of else []
