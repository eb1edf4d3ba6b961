"""ProviderCredential: where requests to a provider go, with which key, at which prices."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from llmgov.resources import base, scalars, selection, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.prices import Price
from llmgov.resources.rules import Rule
from llmgov.resources.vocabulary import ProviderKind

_OWN_SERVERS = (ProviderKind.AZURE_OPENAI.value, ProviderKind.OPENAI_COMPATIBLE.value)

Factors = Annotated[dict[scalars.LabelValue, scalars.Factor], Field(min_length=1, max_length=32)]
"""Names of service tiers or regions and by what they multiply all prices."""


class SecretRef(Model):
    """One entry of a Secret in the same namespace."""

    name: scalars.ObjectName
    """The Secret. Outside of the root namespace it must be of type llmgov.dev/provider-key."""
    key: scalars.SecretKey
    """The entry of its data that is the provider's key."""


class ProviderCredentialSpec(Model):
    """The provider, and how it is reached."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        Rule(
            code="BaseUrlRequired",
            message="azure-openai and openai-compatible need a baseURL",
            remedy="add the baseURL of your server or Azure resource",
            cel="!(self.provider in ['azure-openai', 'openai-compatible']) || has(self.baseURL)",
            holds=lambda raw: raw["provider"] not in _OWN_SERVERS or "baseURL" in raw,
            field="baseURL",
            reads=("provider",),
        ),
    )

    provider: ProviderKind
    """The provider's API."""
    secret_ref: SecretRef
    """Where the provider's key is."""
    base_url: scalars.BaseUrl | None = Field(default=None, alias="baseURL")
    """Where requests go; absent: the provider's own address. Key and address are pinned together."""
    models: Annotated[dict[scalars.ModelName, scalars.ModelName], Field(min_length=1, max_length=256)] | None = None
    """Aliases, or Azure deployments, and the models that they mean."""
    allowed_namespaces: selection.Namespaces | None = None
    """Who may use it; absent: everybody it may serve, outside of the root namespace its own namespace only."""
    prices: tuple[Price, ...] | None = Field(
        default=None, min_length=1, max_length=256, json_schema_extra=base.list_map("model")
    )
    """Prices of your contract; outside of the root namespace they may only be higher than those known."""
    service_tiers: Factors | None = None
    """By what each service tier multiplies the prices of all models."""
    regions: Factors | None = None
    """By what each region multiplies the prices of all models."""


class ProviderCredentialStatus(status.Status):
    """What is known of the key; never the key."""

    key_fingerprint: str | None = Field(default=None, max_length=64)
    """The beginning of a keyed digest of the key."""
    last_verified: str | None = Field(default=None, max_length=40)
    """When the provider accepted the key last, RFC 3339."""
    last_rotation: str | None = Field(default=None, max_length=40)
    """When the key changed last, RFC 3339."""


class ProviderCredential(Resource):
    """Where requests to a provider go, with which key, at which prices."""

    naming: ClassVar[Naming] = Naming(
        plural="providercredentials",
        singular="providercredential",
        short=("llmcred",),
        scope=Scope.NAMESPACED,
        columns=(
            Column("Provider", ".spec.provider"),
            Column("Base-URL", ".spec.baseURL"),
            Column("Verified", ".status.lastVerified", "date"),
            *base.READY,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["ProviderCredential"]
    """The kind."""
    spec: ProviderCredentialSpec
    """The provider, and how it is reached."""
    status: ProviderCredentialStatus | None = None
    """Written by the operator."""
