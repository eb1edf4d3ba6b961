"""What the data plane needs of settings, credentials, roles and teams."""

import enum

from llmgov.instants import Duration
from llmgov.snapshot.base import Struct
from llmgov.snapshot.prices import ModelPrice


class OnFailure(enum.Enum):
    """What a failure mode of the settings does."""

    CLOSED = "Closed"
    OPEN = "Open"


class AuditMode(enum.Enum):
    """Durable at the hub before dispatch, or on the pod's own disk."""

    STRICT = "Strict"
    SPOOL = "Spool"


class PromptRecording(enum.Enum):
    """What of a prompt is put on record (design section 8)."""

    NOTHING = "Nothing"
    DIGEST = "Digest"
    REDACTED = "Redacted"
    FULL = "Full"


class Issuer(Struct, frozen=True):
    """Whose tokens name a user: pinned issuer, audience and algorithms; keys as a JWKS document."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks: str
    user_claim: str = "sub"
    max_age: Duration | None = None


class Settings(Struct, frozen=True):
    """What the data plane and the ledger need of GovernanceSettings; the defaults are the documented ones.

    `max_users` is how many users of one account of each user may have a window at a time; it is the ledger's.
    """

    issuers: tuple[Issuer, ...] = ()
    trusted_user_headers: tuple[str, ...] = ()
    trust_body_user: bool = False
    refuse_unknown_parts: bool = False
    budget_status: int = 402
    max_staleness: Duration | None = None
    audit: AuditMode = AuditMode.SPOOL
    prompts: PromptRecording = PromptRecording.DIGEST
    ledger_unavailable: OnFailure = OnFailure.CLOSED
    kill_switch: bool = False
    retention_days: int = 365
    max_users: int = 10_000


class Role(Struct, frozen=True):
    """A role's name and all its permissions, inherited ones included."""

    name: str
    permissions: tuple[str, ...]


class Team(Struct, frozen=True):
    """A team with its chain of parents (nearest first) and the roles of its members.

    `members` maps a user to all the roles that count in this team, those of the teams above included where the settings
    let permissions go down the hierarchy.
    """

    name: str
    parents: tuple[str, ...] = ()
    members: dict[str, tuple[str, ...]] = {}


class Provider(Struct, frozen=True):
    """A credential as the data plane sees it: where requests go; the key itself comes apart, in memory only.

    `id` is `namespace/name` of the ProviderCredential; `kind` openai, azure-openai, anthropic, google or
    openai-compatible; `models` maps aliases and deployments to models; `prices` override (root) or raise (tenants).
    """

    id: str
    kind: str
    base_url: str
    models: dict[str, str] = {}
    prices: tuple[ModelPrice, ...] = ()
