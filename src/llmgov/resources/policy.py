"""LLMPolicy: who may call which model, how often, with what content, for how much, and what must be on record.

Every matching policy applies and the strictest decision wins; `priority` orders evaluation and messages.
"""

import enum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmgov.resources import base, bodies, free, rules, scalars, selection, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.rules import Rule
from llmgov.resources.vocabulary import ProviderKind


class Enforcement(enum.Enum):
    """Whether a policy acts, or only records what it would have done."""

    ENFORCE = "Enforce"
    DRY_RUN = "DryRun"


class AppliesTo(Model):
    """Whom a policy is for: across fields all must hold, within a field any entry suffices."""

    namespaces: selection.Namespaces | None = None
    """Namespaces; only a policy of the root namespace may name others than its own."""
    pods: selection.LabelSelector | None = None
    """Labels of pods."""
    service_accounts: tuple[scalars.ObjectName, ...] | None = Field(default=None, min_length=1, max_length=256)
    """ServiceAccounts, by name."""
    teams: tuple[scalars.ObjectName, ...] | None = Field(default=None, min_length=1, max_length=256)
    """Teams and all teams below them."""
    users: tuple[scalars.User, ...] | None = Field(default=None, min_length=1, max_length=512)
    """Users, as tokens name them."""
    roles: tuple[scalars.ObjectName, ...] | None = Field(default=None, min_length=1, max_length=64)
    """Users who have one of these LLMRoles."""
    providers: tuple[ProviderKind, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Requests to one of these providers."""
    models: tuple[scalars.ModelPattern, ...] | None = Field(default=None, min_length=1, max_length=128)
    """Requests for one of these models: patterns over provider/model."""


class FromTemplate(Model):
    """The body comes from a PolicyTemplate."""

    name: scalars.ObjectName
    """The PolicyTemplate."""
    parameters: Annotated[dict[scalars.ParameterName, free.Value], Field(max_length=32)] | None = None
    """Values of the template's parameters; those with defaults may be left out."""


BODIES = ("rateLimit", "contentFilter", "costLimit", "modelAccess", "compliance", "fromTemplate")


class LLMPolicySpec(Model):
    """What the policy asks for."""

    invariants: ClassVar[tuple[Rule, ...]] = (rules.exactly_one("ExactlyOneBody", "body", BODIES),)

    priority: int = Field(default=0, ge=0, le=1_000_000)
    """Policies with a higher number are evaluated, and named in messages, first."""
    enforcement: Enforcement = Enforcement.ENFORCE
    """DryRun records violations and changes nothing."""
    applies_to: AppliesTo | None = None
    """Whom the policy is for; absent: everybody that it may govern."""
    rate_limit: bodies.RateLimit | None = None
    """How often."""
    content_filter: bodies.ContentFilter | None = None
    """With what content."""
    cost_limit: bodies.CostLimit | None = None
    """For how much money, in a window and in one request."""
    model_access: bodies.ModelAccess | None = None
    """Which models."""
    compliance: bodies.Compliance | None = None
    """What must be on record or approved first."""
    from_template: FromTemplate | None = None
    """A body with parameters filled in."""


class ViolationCount(Model):
    """How often one action was decided."""

    action: str = Field(min_length=1, max_length=32)
    """deny, throttle, redact, clamp, require approval or flag."""
    count: int = Field(ge=0)
    """How often."""


class RecentViolation(Model):
    """One violation; never the text that was found."""

    time: str = Field(min_length=1, max_length=40)
    """RFC 3339."""
    action: str = Field(min_length=1, max_length=32)
    """What was decided."""
    reason: str = Field(min_length=1, max_length=256)
    """A stable word for machines, such as pattern:ssn."""
    workload: str = Field(min_length=1, max_length=512)
    """namespace/serviceAccount."""
    dry_run: bool | None = None
    """Whether it was only recorded."""


class LLMPolicyStatus(status.AccountStatus):
    """Where the policy is in force and what came of it."""

    sidecars: int | None = Field(default=None, ge=0)
    """How many sidecars should enforce it."""
    sidecars_enforcing: int | None = Field(default=None, ge=0)
    """How many of them do, at this generation."""
    violations: int | None = Field(default=None, ge=0)
    """How many decisions were not plain allow."""
    violations_by_action: tuple[ViolationCount, ...] | None = Field(
        default=None, max_length=16, json_schema_extra=base.list_map("action")
    )
    """The same, for each action."""
    last_violations: tuple[RecentViolation, ...] | None = Field(default=None, max_length=10)
    """The last ten."""
    hold_back_bytes: int | None = Field(default=None, ge=0)
    """How much of a streamed answer an output filter holds back at most."""


class LLMPolicy(Resource):
    """Who may call which model, how often, with what content, for how much, and what must be on record."""

    naming: ClassVar[Naming] = Naming(
        plural="llmpolicies",
        singular="llmpolicy",
        short=("llmpol",),
        scope=Scope.NAMESPACED,
        columns=(
            Column("Priority", ".spec.priority", "integer"),
            Column("Enforcement", ".spec.enforcement"),
            *base.READY,
            Column("Enforcing", ".status.sidecarsEnforcing", "integer"),
            Column("Sidecars", ".status.sidecars", "integer"),
            Column("Violations", ".status.violations", "integer"),
            Column("Age", ".metadata.creationTimestamp", "date"),
            Column("Spent", ".status.spent", priority=1),
            Column("Used", ".status.used", priority=1),
            Column("State", ".status.state", priority=1),
        ),
    )

    kind: Literal["LLMPolicy"]
    """The kind."""
    spec: LLMPolicySpec
    """What the policy asks for."""
    status: LLMPolicyStatus | None = None
    """Written by the operator."""


def body_of(spec: LLMPolicySpec) -> bodies.Body | FromTemplate:
    """The one body of a spec that `parse` accepted."""
    found = (
        spec.rate_limit
        or spec.content_filter
        or spec.cost_limit
        or spec.model_access
        or spec.compliance
        or spec.from_template
    )
    if found is None:
        raise ValueError("a policy without a body was not parsed by llmgov.resources.parse")
    return found
