"""Budget: how much one target may spend in one window."""

from typing import ClassVar, Literal

from pydantic import Field

from llmgov.resources import base, limits, rules, scalars, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.rules import Rule
from llmgov.snapshot import Period


class Organization(Model):
    """Everybody; has no fields: `organization: {}`."""


class EachUser(Model):
    """Each verified user by themselves; has no fields: `eachUser: {}`."""


class Workload(Model):
    """The pods of one ServiceAccount."""

    namespace: scalars.Label
    """The ServiceAccount's namespace."""
    service_account: scalars.ObjectName
    """The ServiceAccount's name."""


class Target(Model):
    """Whose spend is limited; exactly one."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.exactly_one("ExactlyOneTarget", "target", ("organization", "team", "namespace", "workload", "eachUser")),
    )

    organization: Organization | None = None
    """Everybody."""
    team: scalars.ObjectName | None = None
    """A Team with all teams below it."""
    namespace: scalars.Label | None = None
    """A namespace."""
    workload: Workload | None = None
    """The pods of one ServiceAccount."""
    each_user: EachUser | None = None
    """Each verified user, with an account of their own."""


class BudgetSpec(Model):
    """The limit."""

    target: Target
    """Whose spend is limited. What the target already spent in the window counts for a new Budget, too."""
    limit: scalars.Amount
    """At most this much in one window, as a decimal string."""
    currency: scalars.Currency = "USD"
    """The limit's currency; others than USD need a rate in GovernanceSettings."""
    period: Period
    """The calendar window; a change takes effect at the next boundary."""
    time_zone: scalars.TimeZone = "UTC"
    """Where days, weeks and months begin."""
    thresholds: tuple[limits.Threshold, ...] | None = Field(
        default=None, min_length=1, max_length=16, json_schema_extra=base.list_map("percent")
    )
    """What happens on the way to the limit; absent: Block at 100 %."""


class BudgetStatus(status.AccountStatus):
    """The account of this window. Conditions: `Exhausted` beside the common ones."""


class Budget(Resource):
    """How much one target may spend in one window."""

    naming: ClassVar[Naming] = Naming(
        plural="budgets",
        singular="budget",
        short=("llmbudget",),
        scope=Scope.NAMESPACED,
        columns=(
            Column("Target", ".status.target"),
            Column("Limit", ".status.limit"),
            Column("Spent", ".status.spent"),
            Column("Held", ".status.held"),
            Column("Used", ".status.used"),
            Column("Resets", ".status.window.end"),
            Column("State", ".status.state"),
            Column("Currency", ".status.currency"),
            *base.READY,
            Column("Period", ".status.period", priority=1),
            Column("Forecast", ".status.forecast", priority=1),
        ),
    )

    kind: Literal["Budget"]
    """The kind."""
    spec: BudgetSpec
    """The limit."""
    status: BudgetStatus | None = None
    """Written by the operator."""
