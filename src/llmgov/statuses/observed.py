"""What a status is made of, gathered before it is built."""

import dataclasses
from collections.abc import Mapping, Sequence

from llmgov import snapshot
from llmgov.instants import Instant
from llmgov.ledger import rows
from llmgov.problems import Problem


@dataclasses.dataclass(frozen=True, slots=True)
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
