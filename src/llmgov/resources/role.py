"""LLMRole: a set of permissions that teams give to their members."""

from typing import ClassVar, Literal

from pydantic import Field

from llmgov.resources import base, rules, scalars, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.rules import Rule


class LLMRoleSpec(Model):
    """The permissions."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one("EmptyRole", "permits nothing", ("permissions", "inherits")),
    )

    description: scalars.Prose | None = None
    """Who should have it."""
    permissions: tuple[scalars.Permission, ...] | None = Field(default=None, min_length=1, max_length=256)
    """What it permits, such as users.view, llm.use.openai, llm.use.* or admin.billing."""
    inherits: tuple[scalars.ObjectName, ...] | None = Field(default=None, min_length=1, max_length=32)
    """LLMRoles whose permissions it has, too."""


class LLMRoleStatus(status.Status):
    """Whether the role is in force."""


class LLMRole(Resource):
    """A set of permissions that teams give to their members."""

    naming: ClassVar[Naming] = Naming(
        plural="llmroles",
        singular="llmrole",
        short=("llmr",),
        scope=Scope.CLUSTER,
        columns=(
            *base.READY,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["LLMRole"]
    """The kind."""
    spec: LLMRoleSpec
    """The permissions."""
    status: LLMRoleStatus | None = None
    """Written by the operator."""
