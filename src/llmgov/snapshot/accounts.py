"""Limits on what a target may spend in a window."""

import enum

from llmgov.snapshot.base import Struct
from llmgov.snapshot.matching import Match


class ThresholdAction(enum.Enum):
    """What happens when an account reaches a percentage of its limit."""

    NOTIFY_USERS = "NotifyUsers"
    NOTIFY_ADMINS = "NotifyAdmins"
    REQUIRE_APPROVAL = "RequireApproval"
    BLOCK = "Block"


ACTING = frozenset({ThresholdAction.REQUIRE_APPROVAL, ThresholdAction.BLOCK})
"""The actions that stop requests; no lease crosses one."""


class Threshold(Struct, frozen=True):
    """`actions` at `percent` (1 to 100) of the limit."""

    percent: int
    actions: tuple[ThresholdAction, ...]


class Period(enum.Enum):
    """A calendar window in the account's time zone."""

    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"
    QUARTER = "Quarter"
    YEAR = "Year"


class TargetKind(enum.Enum):
    """What an account counts. `POLICY` is the requests that a `costLimit` with a narrower `appliesTo` matches."""

    ORGANIZATION = "organization"
    TEAM = "team"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    USER = "user"
    POLICY = "policy"


class Target(Struct, frozen=True):
    """`name` is empty for the organization, `namespace/serviceAccount` for a workload, `namespace/name` for a policy.

    For `USER` an empty name means each verified user an account of their own.
    """

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.name}" if self.name else self.kind.value


def account_key(cluster: str, target: str, period: Period, time_zone: str) -> str:
    """What an account is known by for ever: `cluster|target|period|time zone`.

    `target` is `str(Target)`; of an account of each user whom a narrower match holds, `user@` and the target whose
    requests it counts (`user@namespace/payments`, `user@policy/llm-governance/costs`), so that it is not the account
    that counts all a user's requests. Before the target of a limit in dry run stands `dry-run@` where limits in force
    may share the target.
    """
    return f"{cluster}|{target}|{period.value}|{time_zone}"


def user_account_key(key: str, user: str) -> str:
    """The key of `user`'s own account, where `key` is that of an account of each user (`USER` without a name)."""
    return f"{key}|{user}"


class Account(Struct, frozen=True):
    """A limit on what one target may spend in one window.

    Identity is `cluster | target | period | time zone` (`key`), never an object's UID: deleting and re-creating a
    Budget resets nothing. `limit` is in millionths of `currency`; `nano_usd` is what one unit of it is worth in
    billionths of a USD when a window opens (1,000,000,000 for USD). `source` names the resource as
    all records and messages do: `ns/name` of an LLMPolicy, `Budget/ns/name` of a Budget.
    """

    key: str
    target: Target
    limit: int
    period: Period
    time_zone: str
    source: str
    currency: str = "USD"
    nano_usd: int = 1_000_000_000
    thresholds: tuple[Threshold, ...] = (Threshold(100, (ThresholdAction.BLOCK,)),)
    dry_run: bool = False
    match: Match = Match()
