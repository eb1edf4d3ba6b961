"""PolicyTemplate: a policy's body with parameters, for many policies to share."""

import enum
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from llmgov.resources import base, bodies, free, rules, scalars, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.rules import Rule

FreeForm: TypeAlias = dict[str, Any]
"""An object of any fields; the compiler fills the parameters in and then reads it as strictly as a policy's own."""


class ParameterType(enum.Enum):
    """What a parameter's value must be."""

    STRING = "String"
    INTEGER = "Integer"
    BOOLEAN = "Boolean"
    AMOUNT = "Amount"
    STRINGS = "Strings"


class Parameter(Model):
    """A value that each policy fills in."""

    name: scalars.ParameterName
    """The body takes it as {{NAME}}."""
    type: ParameterType
    """What its value must be; Strings is a list, Amount a decimal string of money."""
    description: scalars.Prose | None = None
    """What it is for."""
    default: free.Value | None = None
    """The value of policies that give none; absent: they must give one."""


BODIES = ("rateLimit", "contentFilter", "costLimit", "modelAccess", "compliance")


class TemplateBody(Model):
    """The body of the policies; a scalar that is only {{NAME}} takes the parameter's type."""

    invariants: ClassVar[tuple[Rule, ...]] = (rules.exactly_one("ExactlyOneBody", "body", BODIES),)

    rate_limit: Annotated[FreeForm, free.Like(bodies.RateLimit)] | None = None
    """As in LLMPolicy."""
    content_filter: Annotated[FreeForm, free.Like(bodies.ContentFilter)] | None = None
    """As in LLMPolicy."""
    cost_limit: Annotated[FreeForm, free.Like(bodies.CostLimit)] | None = None
    """As in LLMPolicy."""
    model_access: Annotated[FreeForm, free.Like(bodies.ModelAccess)] | None = None
    """As in LLMPolicy."""
    compliance: Annotated[FreeForm, free.Like(bodies.Compliance)] | None = None
    """As in LLMPolicy."""

    def filled(self) -> tuple[str, FreeForm]:
        """The name of the body that is there, and the body."""
        return next(iter(self.model_dump(by_alias=True, exclude_none=True).items()))


class PolicyTemplateSpec(Model):
    """The parameters and the body."""

    description: scalars.Prose | None = None
    """What the policies made of it do."""
    parameters: tuple[Parameter, ...] | None = Field(
        default=None, max_length=32, json_schema_extra=base.list_map("name")
    )
    """What each policy fills in."""
    body: TemplateBody
    """The body of the policies."""


class PolicyTemplateStatus(status.Status):
    """Who uses it."""

    uses: int | None = Field(default=None, ge=0)
    """How many policies are made of it."""


class PolicyTemplate(Resource):
    """A policy's body with parameters, for many policies to share."""

    naming: ClassVar[Naming] = Naming(
        plural="policytemplates",
        singular="policytemplate",
        short=("llmtpl",),
        scope=Scope.CLUSTER,
        columns=(
            Column("Uses", ".status.uses", "integer"),
            *base.READY,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["PolicyTemplate"]
    """The kind."""
    spec: PolicyTemplateSpec
    """The parameters and the body."""
    status: PolicyTemplateStatus | None = None
    """Written by the operator."""
