"""Team: whose namespaces and users belong together, in a hierarchy."""

from typing import ClassVar, Literal

from pydantic import Field

from llmgov.resources import base, scalars, selection, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope


class Member(Model):
    """A user of the team."""

    user: scalars.User
    """The user, as tokens name them."""
    role: scalars.ObjectName
    """The LLMRole that the user has in this team."""


class TeamSpec(Model):
    """What belongs to the team."""

    display_name: scalars.Prose | None = None
    """The name for people."""
    description: scalars.Prose | None = None
    """What the team does."""
    parent: scalars.ObjectName | None = None
    """The Team above; this team's spend counts there, too."""
    namespaces: selection.Namespaces | None = None
    """The team's namespaces. One that two teams claim stays with the oldest."""
    members: tuple[Member, ...] | None = Field(default=None, max_length=1024, json_schema_extra=base.list_map("user"))
    """The team's users."""


class TeamStatus(status.Status):
    """Where the team stands. Conditions: `Cycle` and `Conflicted` beside the common ones."""

    path: tuple[scalars.ObjectName, ...] | None = Field(default=None, max_length=32)
    """The team and its parents, nearest first."""
    namespaces: tuple[scalars.Label, ...] | None = Field(default=None, max_length=1024)
    """The namespaces that it owns."""
    members: int | None = Field(default=None, ge=0)
    """How many users it has."""
    spent: status.Amount | None = None
    """USD spent in this month."""


class Team(Resource):
    """Whose namespaces and users belong together."""

    naming: ClassVar[Naming] = Naming(
        plural="teams",
        singular="team",
        short=("llmteam",),
        scope=Scope.CLUSTER,
        columns=(
            Column("Parent", ".spec.parent"),
            Column("Members", ".status.members", "integer"),
            Column("Spent", ".status.spent"),
            *base.READY,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["Team"]
    """The kind."""
    spec: TeamSpec
    """What belongs to the team."""
    status: TeamStatus | None = None
    """Written by the operator."""
