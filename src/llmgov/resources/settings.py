"""GovernanceSettings: what holds for the whole installation. One object, `default`; absent, its defaults hold."""

from typing import ClassVar, Literal

from pydantic import Field

from llmgov.resources import access_settings, audit_settings, base, scalars, status
from llmgov.resources.base import Column, Model, Naming, Resource, Scope
from llmgov.resources.rules import Rule
from llmgov.resources.vocabulary import InheritanceMode, UnknownParts
from llmgov.snapshot import OnFailure


class Inheritance(Model):
    """How permissions go down the hierarchy of teams (guide, section Permission Inheritance)."""

    enabled: bool = True
    """Whether they do."""
    mode: InheritanceMode = InheritanceMode.ADDITIVE
    """Additive: a member has the roles of the teams above, too; Override: the nearest team's alone."""
    inherit_from_parent: bool = True
    """Whether a team without members of its own takes its parent's."""
    allow_overrides: bool = True
    """Whether a team may give a user another role than the team above does."""


class Requests(Model):
    """How requests are read and refused."""

    unknown_parts: UnknownParts = UnknownParts.SCAN
    """Parts of a request of an unknown type: Scan all their strings, or Refuse the request."""
    budget_status_code: Literal[402, 429] = 402
    """The status of a refusal for want of money, except for Gemini's API."""
    max_staleness: scalars.UpTo30Days | None = None
    """After this time without the control plane a sidecar refuses; absent: never while it has leases."""
    kill_switch: bool = False
    """Enforces no policy, limit or token: what would be refused is on record; ungoverned routes stay refused."""


class FailureModes(Model):
    """What happens when something is out of reach."""

    ledger: OnFailure = OnFailure.CLOSED
    """The ledger, once the leases are used up: Closed refuses, Open passes and records an overrun."""


class Ledger(Model):
    """What the ledger keeps."""

    max_users: int = Field(default=10_000, ge=1, le=1_000_000)
    """Users of one limit on each user that have a window at a time; further users are refused until it ends."""


class Injection(Model):
    """The sidecar that pods get."""

    port: int = Field(default=4010, ge=1024, le=65535)
    """Where the proxy listens, on loopback."""
    admin_port: int = Field(default=4011, ge=1024, le=65535)
    """Where probes and metrics are, on the pod's address."""
    cpu: scalars.Quantity = "50m"
    """The CPU that it requests."""
    memory: scalars.Quantity = "64Mi"
    """The memory that it requests and may use."""
    spool_size: scalars.Quantity = "256Mi"
    """The sizeLimit of the volume that holds its spool."""
    start_timeout: scalars.UpTo5Minutes = "30s"
    """How long it waits for a first configuration before it refuses."""


class CurrencyRate(Model):
    """What a currency is worth."""

    currency: scalars.Currency
    """The currency."""
    usd: scalars.ExchangeRate
    """USD for one unit of it; fixed for a window when that opens."""


class GovernanceSettingsSpec(Model):
    """The settings."""

    inheritance: Inheritance = Inheritance()
    """How permissions go down the hierarchy of teams."""
    identity: access_settings.Identity = access_settings.Identity()
    """How users are recognised."""
    requests: Requests = Requests()
    """How requests are read and refused."""
    failure_modes: FailureModes = FailureModes()
    """What happens when something is out of reach."""
    ledger: Ledger = Ledger()
    """What the ledger keeps."""
    audit: audit_settings.Audit = audit_settings.Audit()
    """What is put on record, and how long it stays."""
    mfa: access_settings.Mfa = access_settings.Mfa()
    """The second factor of people who administer."""
    passwords: access_settings.Passwords = access_settings.Passwords()
    """What a password must be."""
    sessions: access_settings.Sessions = access_settings.Sessions()
    """How long people stay signed in."""
    network: access_settings.Network = access_settings.Network()
    """From where the API and the dashboard may be used."""
    cors: access_settings.Cors = access_settings.Cors()
    """Which web pages may call the API."""
    injection: Injection = Injection()
    """The sidecar that pods get."""
    allowed_provider_hosts: tuple[scalars.Host, ...] | None = Field(default=None, max_length=128)
    """Hosts that credentials outside of the root namespace may use; absent: the providers' own."""
    currency_rates: tuple[CurrencyRate, ...] | None = Field(
        default=None, max_length=64, json_schema_extra=base.list_map("currency")
    )
    """Currencies that amounts may be in, beside USD."""


class GovernanceSettingsStatus(status.Status):
    """Whether the settings are in force."""


class GovernanceSettings(Resource):
    """What holds for the whole installation."""

    naming: ClassVar[Naming] = Naming(
        plural="governancesettings",
        singular="governancesettings",
        short=("llmsettings",),
        scope=Scope.CLUSTER,
        columns=(
            Column("Kill-Switch", ".spec.requests.killSwitch", "boolean"),
            Column("Audit", ".spec.audit.mode"),
            *base.READY,
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )
    invariants: ClassVar[tuple[Rule, ...]] = (
        Rule(
            code="SettingsName",
            message="must be default",
            remedy="name it default, since there is one GovernanceSettings for the whole installation",
            cel="self.metadata.name == 'default'",
            holds=lambda raw: raw["metadata"]["name"] == "default",
            field="metadata.name",
            reads=("metadata",),
        ),
    )

    kind: Literal["GovernanceSettings"]
    """The kind."""
    spec: GovernanceSettingsSpec
    """The settings."""
    status: GovernanceSettingsStatus | None = None
    """Written by the operator."""


DEFAULTS = GovernanceSettingsSpec()
"""What holds where there is no GovernanceSettings."""
