"""Statuses' common parts. Only the operator writes them, by server-side apply; kstatus, Argo CD and Flux read them."""

import enum
from typing import Annotated, Final

from pydantic import Field

from llmgov.resources.base import Model, list_map
from llmgov.resources.text import Text

CONDITIONS: Final = 16
"""Conditions of one status: more than twice as many as any kind has, for others to add theirs."""


MESSAGE: Final = 2048
"""Characters of a condition's message."""

PERCENT: Final = 1_000_000
"""The highest percentage that is told: a limit may be lowered to a millionth of what is spent."""


class Truth(enum.Enum):
    """A condition's state."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(Model):
    """One aspect of a resource's state: `Accepted`, `Enforced`, `Ready`, and what a kind adds."""

    type: str = Field(min_length=1, max_length=64)
    """The aspect."""
    status: Truth
    """Whether it holds."""
    observed_generation: int | None = Field(default=None, ge=0)
    """The generation of the spec that this was said of."""
    last_transition_time: str = Field(min_length=1, max_length=40)
    """When `status` changed last, RFC 3339."""
    reason: str = Field(min_length=1, max_length=128)
    """A stable word for machines."""
    message: str = Field(max_length=MESSAGE)
    """A sentence for people."""


class Window(Model):
    """A calendar window of an account."""

    start: str = Field(min_length=1, max_length=40)
    """RFC 3339."""
    end: str = Field(min_length=1, max_length=40)
    """RFC 3339; when the amounts begin again at nothing."""


class Status(Model):
    """What every kind reports."""

    observed_generation: int | None = Field(default=None, ge=0)
    """The generation of the spec that this status is about."""
    conditions: tuple[Condition, ...] | None = Field(
        default=None, max_length=CONDITIONS, json_schema_extra=list_map("type")
    )
    """`Ready`, `Accepted`, `Enforced`, and what the kind adds."""


Amount = Annotated[
    str,
    Text(
        code="InvalidAmount",
        pattern=r"-?[0-9]{1,25}([.][0-9]{1,6})?",
        max_length=32,
        message="must be a decimal string",
        remedy="leave the status to the operator",
    ),
]
"""Money as the operator writes it. Who else may write statuses can write no other text there."""


class AccountStatus(Status):
    """What an account's window holds; amounts are decimal strings in the limit's currency."""

    target: str | None = Field(default=None, max_length=512)
    """What is counted, such as team/payments."""
    limit: Amount | None = None
    """At most this much in the window: the limit in force, which is not the spec's while that is not accepted."""
    currency: str | None = Field(default=None, max_length=3)
    """The limit's, and that of all amounts here."""
    period: str | None = Field(default=None, max_length=16)
    """The calendar window in force: Hour, Day, Week, Month, Quarter or Year."""
    spent: Amount | None = None
    """Settled in this window."""
    held: Amount | None = None
    """Lent to sidecars, more than requests under way may cost; what a lost sidecar held stays here until charged."""
    remaining: Amount | None = None
    """Limit less spent and held."""
    percent: int | None = Field(default=None, ge=0, le=PERCENT)
    """Spent, of the limit; at most 1000000."""
    used: str | None = Field(default=None, max_length=16)
    """The same, as `kubectl get` shows it."""
    forecast: Amount | None = None
    """What will be spent at the window's end at this window's rate."""
    window: Window | None = None
    """The window that the amounts belong to."""
    state: str | None = Field(default=None, max_length=32)
    """Open, Notified, Short (a request needed more than was left), ApprovalRequired or Exhausted."""
