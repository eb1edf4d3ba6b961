"""What all models of resources share: how they read YAML, and the envelope of a Kubernetes object."""

import dataclasses
import enum
import functools
from typing import Any, ClassVar, Final, Literal, TypeAlias

import pydantic
from pydantic import alias_generators
from pydantic_core import core_schema

from llmgov import problems
from llmgov.resources import scalars
from llmgov.resources.rules import Rule

GROUP = "llmgov.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"


class Model(pydantic.BaseModel):
    """Base of every object in a resource: camelCase in YAML, immutable, unknown fields refused.

    An attribute's docstring is the field's description in the CRD; `invariants` are the rules across its fields.
    """

    model_config = pydantic.ConfigDict(
        alias_generator=alias_generators.to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        use_attribute_docstrings=True,
    )
    invariants: ClassVar[tuple[Rule, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: core_schema.CoreSchema, handler: pydantic.GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The model's schema, with its invariants for the API server."""
        described = handler.resolve_ref_schema(handler(schema))
        if cls.invariants:
            described["x-kubernetes-validations"] = [rule.validation for rule in cls.invariants]
        return described


Unread: TypeAlias = Any
"""Parts of an object's metadata that may be there and mean nothing to us."""


class Metadata(Model):
    """A Kubernetes object's metadata; what the API server adds is accepted and, where useful, read."""

    name: scalars.ObjectName
    """The object's name."""
    namespace: scalars.Label | None = None
    """The object's namespace; absent for cluster-scoped kinds."""
    labels: dict[str, str] = {}
    """Labels."""
    uid: str | None = None
    """Set by the API server."""
    generation: int = 0
    """Counts changes of the spec; set by the API server."""
    creation_timestamp: str | None = None
    """RFC 3339; set by the API server."""
    annotations: Unread = None
    """Annotations."""
    generate_name: Unread = None
    """Unused: our resources are named."""
    resource_version: Unread = None
    """Set by the API server."""
    self_link: Unread = None
    """Set by the API server."""
    managed_fields: Unread = None
    """Set by the API server."""
    owner_references: Unread = None
    """Set by controllers."""
    finalizers: Unread = None
    """Set by controllers."""
    deletion_timestamp: Unread = None
    """Set by the API server."""
    deletion_grace_period_seconds: Unread = None
    """Set by the API server."""


class Scope(enum.Enum):
    """Whether objects of a kind live in a namespace."""

    NAMESPACED = "Namespaced"
    CLUSTER = "Cluster"


@dataclasses.dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; `priority` 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0


READY: Final = (
    Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
    Column("Reason", '.status.conditions[?(@.type=="Ready")].reason'),
)
"""Whether an object is in force as it was applied, and in a word why not, or what its author probably did not mean."""


@dataclasses.dataclass(frozen=True, slots=True)
class Naming:
    """How a kind is called and listed."""

    plural: str
    singular: str
    short: tuple[str, ...]
    scope: Scope
    columns: tuple[Column, ...]


class Resource(Model):
    """Envelope of all kinds. `status` belongs to the operator: `parse` never reads one from a document."""

    naming: ClassVar[Naming]

    api_version: Literal["llmgov.dev/v1alpha1"]
    """The schema's version."""
    kind: str
    """The kind."""
    metadata: Metadata
    """Name, namespace and labels."""

    @functools.cached_property
    def ref(self) -> problems.ResourceRef:
        """How problems name this resource; made once, as the operator asks for thousands at every change.

        What it is made of never changes: a resource is immutable, and nobody copies one under another name.
        """
        return problems.ResourceRef(kind=self.kind, name=self.metadata.name, namespace=self.metadata.namespace or "")

    @functools.cached_property
    def id(self) -> str:
        """`namespace/name`, or the name alone for cluster-scoped kinds."""
        return f"{self.metadata.namespace}/{self.metadata.name}" if self.metadata.namespace else self.metadata.name


def list_map(*keys: str) -> dict[str, pydantic.JsonValue]:
    """Schema extension of a list whose items are told apart by `keys`; the API server merges and refuses by them."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}
