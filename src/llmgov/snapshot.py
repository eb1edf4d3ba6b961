"""THE document between control plane and data plane: compiled, immutable, free of Kubernetes types.

A namespace's snapshot has three parts, each versioned by the hash of its own content and sent only when that changes:
the organization-wide part (settings, policies and accounts that may concern everybody), the namespace's own part, and
the prices. Beside it travel the directory (users, approvals) and the credentials (in memory only, never stored).

The format has one number, `FORMAT`. A reader takes its own and the two before it (N-2: sidecars live as long as their
pods); fields are only ever added, with a default that means what their absence meant. docs/decisions/0002 has the rule.
"""

import enum
import hashlib
from typing import TypeAlias

import msgspec

from llmgov.instants import Duration
from llmgov.money import MicroUsd, PicoUsd

FORMAT = 1
"""The version of this document that this code writes; it reads `FORMAT - 2` and later."""


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of everything in the document: immutable, small on the wire, unknown fields ignored."""


class OnFailure(enum.Enum):
    """What a failure mode of the settings does."""

    CLOSED = "Closed"
    OPEN = "Open"


class Selector(Struct, frozen=True):
    """A Kubernetes label selector, already checked: all of `labels` equal, and every expression true."""

    labels: dict[str, str] = {}
    expressions: tuple["SelectorExpression", ...] = ()


class SelectorExpression(Struct, frozen=True):
    """One `matchExpressions` entry; `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()


class Match(Struct, frozen=True):
    """Whom a policy is for: empty means everybody; within a field any entry suffices, across fields all must hold.

    `namespaces` are resolved names (the compiler resolves selectors); `providers` are names of provider kinds
    (`openai`), `models` glob patterns over `provider/model` or `model`.
    """

    namespaces: tuple[str, ...] = ()
    pods: Selector | None = None
    service_accounts: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()


class Subject(enum.Enum):
    """Whose requests share one rate limit or one account."""

    USER = "User"
    WORKLOAD = "Workload"
    NAMESPACE = "Namespace"
    TEAM = "Team"
    ORGANIZATION = "Organization"


class OnExceed(enum.Enum):
    """What a rate limit does with the request that is too many."""

    THROTTLE = "Throttle"
    BLOCK = "Block"


class RateLimit(Struct, frozen=True, tag="rateLimit"):
    """Requests and tokens in a time, and requests at once; `None` is no limit of that kind."""

    per: Subject
    on_exceed: OnExceed
    max_wait: Duration
    requests_per_minute: int | None = None
    requests_per_hour: int | None = None
    requests_per_day: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    notify: tuple["Audience", ...] = ()


class Audience(enum.Enum):
    """Who is told."""

    USERS = "Users"
    ADMINS = "Admins"


class Direction(enum.Enum):
    """Which way content travels."""

    REQUEST = "Request"
    RESPONSE = "Response"


class OnDetect(enum.Enum):
    """What a content filter does with what it finds."""

    BLOCK = "Block"
    REDACT = "Redact"
    FLAG = "Flag"


class Pattern(Struct, frozen=True):
    """One RE2 pattern with the name that messages and redactions show."""

    name: str
    regex: str


class Category(enum.Enum):
    """The guide's `sensitive_categories`, each a set of detectors (see `llmgov.policy.detectors`)."""

    PERSONAL_DATA = "PersonalData"
    HEALTH_DATA = "HealthData"
    FINANCIAL_DATA = "FinancialData"
    SECRETS = "Secrets"


class ContentFilter(Struct, frozen=True, tag="contentFilter"):
    """What may not be in a request or an answer."""

    directions: tuple[Direction, ...]
    on_detect: OnDetect
    patterns: tuple[Pattern, ...] = ()
    categories: tuple[Category, ...] = ()
    notify: tuple[Audience, ...] = ()


class CostLimit(Struct, frozen=True, tag="costLimit"):
    """Bounds of one request's cost and output; the amounts over time of the same policy are in the `Account`s.

    `clamp` false forbids lowering a request's output maximum: it is refused instead.
    """

    max_output_tokens: int | None = None
    min_output_tokens: int | None = None
    clamp: bool = True
    max_request_cost: MicroUsd | None = None
    fallback_price: "ModelPrice | None" = None


class ModelAccess(Struct, frozen=True, tag="modelAccess"):
    """Which models may be used: glob patterns over `provider/model`; `deny` wins; an empty `allow` allows all others.

    `permissions` demands that the principal's roles hold `llm.use.<provider>` or a model's permission of the guide
    (section Permission Granularity). `unmetered_routes` are path patterns (`POST /v1/files`) that pass uncounted.
    """

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    require_permission: bool = False
    unmetered_routes: tuple[str, ...] = ()
    retries: int = 0
    fallback_models: tuple[str, ...] = ()


class Compliance(Struct, frozen=True, tag="compliance"):
    """What must be on record or approved before it happens."""

    require_audit: bool = False
    approve_cost_above: MicroUsd | None = None
    sensitive_models: tuple[str, ...] = ()
    retention_days: int | None = None
    log_all_requests: bool = False
    notify: tuple[Audience, ...] = ()


Body: TypeAlias = RateLimit | ContentFilter | CostLimit | ModelAccess | Compliance


class Policy(Struct, frozen=True):
    """One compiled LLMPolicy. `id` is `namespace/name`; a higher `priority` is evaluated, and named, first."""

    id: str
    priority: int
    body: Body
    dry_run: bool = False
    match: Match = Match()
    generation: int = 0


class ThresholdAction(enum.Enum):
    """What happens when an account reaches a percentage of its limit."""

    NOTIFY_USERS = "NotifyUsers"
    NOTIFY_ADMINS = "NotifyAdmins"
    REQUIRE_APPROVAL = "RequireApproval"
    BLOCK = "Block"


ACTING = frozenset({ThresholdAction.REQUIRE_APPROVAL, ThresholdAction.BLOCK})
"""The actions that stop requests; no lease crosses one."""


class Threshold(Struct, frozen=True):
    """`actions` at `percent` (1 to 100) of the limit."""

    percent: int
    actions: tuple[ThresholdAction, ...]


class Period(enum.Enum):
    """A calendar window in the account's time zone."""

    HOUR = "Hour"
    DAY = "Day"
    WEEK = "Week"
    MONTH = "Month"
    QUARTER = "Quarter"
    YEAR = "Year"


class TargetKind(enum.Enum):
    """What an account counts. `POLICY` is the requests that a `costLimit` with a narrower `appliesTo` matches."""

    ORGANIZATION = "organization"
    TEAM = "team"
    NAMESPACE = "namespace"
    WORKLOAD = "workload"
    USER = "user"
    POLICY = "policy"


class Target(Struct, frozen=True):
    """`name` is empty for the organization, `namespace/serviceAccount` for a workload, `namespace/name` for a policy.

    For `USER` an empty name means each verified user an account of their own.
    """

    kind: TargetKind
    name: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.name}" if self.name else self.kind.value


class Account(Struct, frozen=True):
    """A limit on what one target may spend in one window.

    Identity is `cluster | target | period | time zone` (`key`), never an object's UID: deleting and re-creating a
    Budget resets nothing. `limit` is in millionths of `currency`; `nano_usd` is what one unit of it is worth in
    billionths of a USD when a window opens (1,000,000,000 for USD). `source` names the resource (`Budget/ns/name`).
    """

    key: str
    target: Target
    limit: int
    period: Period
    time_zone: str
    source: str
    currency: str = "USD"
    nano_usd: int = 1_000_000_000
    thresholds: tuple[Threshold, ...] = (Threshold(100, (ThresholdAction.BLOCK,)),)
    dry_run: bool = False
    match: Match = Match()


def account_key(cluster: str, target: str, period: Period, time_zone: str) -> str:
    """What an account is known by for ever: `cluster|target|period|time zone`.

    `target` is `str(Target)`; of an account of each user whom a narrower match holds, `user@` and the target whose
    requests it counts (`user@namespace/payments`, `user@policy/llm-governance/costs`), so that it is not the account
    that counts all a user's requests. Before the target of a limit in dry run stands `dry-run@` where limits in force
    may share the target.
    """
    return f"{cluster}|{target}|{period.value}|{time_zone}"


def user_account_key(key: str, user: str) -> str:
    """The key of `user`'s own account, where `key` is that of an account of each user (`USER` without a name)."""
    return f"{key}|{user}"


class Dimension(enum.Enum):
    """What providers bill. Every number in a usage report belongs to one; one without a price is an error."""

    INPUT = "input"
    CACHED_INPUT = "cachedInput"
    CACHE_WRITE_5M = "cacheWrite5m"
    CACHE_WRITE_30M = "cacheWrite30m"
    CACHE_WRITE_1H = "cacheWrite1h"
    CACHE_WRITE_12H = "cacheWrite12h"
    OUTPUT = "output"
    INPUT_AUDIO = "inputAudio"
    CACHED_INPUT_AUDIO = "cachedInputAudio"
    OUTPUT_AUDIO = "outputAudio"
    WEB_SEARCH_CALL = "webSearchCall"
    FILE_SEARCH_CALL = "fileSearchCall"


class ContextTier(Struct, frozen=True):
    """Prices for requests whose input exceeds `above` tokens (long-context surcharge)."""

    above: int
    rates: dict[Dimension, PicoUsd]


class ModelPrice(Struct, frozen=True):
    """What one model costs and can take.

    `rates` are pico-USD a unit; `service_tiers` multiply the rates of tokens (not of calls) in parts per million
    (`priority: 2_000_000`), as does `regions`; `provider/model` is the exact name, `aliases` further exact names (dated
    versions). `image_tokens` is the most that one image can be billed as; `None` means that no rule bounds it, so that
    the context window has to.
    """

    provider: str
    model: str
    rates: dict[Dimension, PicoUsd]
    context_window: int | None = None
    max_output_tokens: int | None = None
    context_tiers: tuple[ContextTier, ...] = ()
    service_tiers: dict[str, int] = {}
    regions: dict[str, int] = {}
    aliases: tuple[str, ...] = ()
    reasoning: bool = False
    image_tokens: int | None = None
    source: str = ""
    as_of: str = ""


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


class Issuer(Struct, frozen=True):
    """Whose tokens name a user: pinned issuer, audience and algorithms; keys as a JWKS document."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks: str
    user_claim: str = "sub"
    max_age: Duration | None = None


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


class Settings(Struct, frozen=True):
    """What the data plane needs of GovernanceSettings; the defaults are the documented ones."""

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


class OrganizationPart(Struct, frozen=True):
    """What may concern everybody."""

    cluster: str
    settings: Settings = Settings()
    policies: tuple[Policy, ...] = ()
    accounts: tuple[Account, ...] = ()
    providers: tuple[Provider, ...] = ()
    roles: tuple[Role, ...] = ()


class NamespacePart(Struct, frozen=True):
    """What concerns one namespace: its own resources, and those of the root namespace that target it or its team."""

    namespace: str
    observe: bool = False
    team: Team | None = None
    policies: tuple[Policy, ...] = ()
    accounts: tuple[Account, ...] = ()
    providers: tuple[Provider, ...] = ()


class PricePart(Struct, frozen=True):
    """All known prices."""

    models: tuple[ModelPrice, ...] = ()


Part: TypeAlias = OrganizationPart | NamespacePart | PricePart


class Snapshot(Struct, frozen=True):
    """The configuration of one namespace, whole."""

    format: int
    organization: OrganizationPart
    namespace: NamespacePart
    prices: PricePart


class Approval(Struct, frozen=True):
    """A granted approval of one request's digest, single use; consumed in the ledger's transaction."""

    id: str
    digest: str
    expires: int


class Directory(Struct, frozen=True):
    """The document beside the snapshot: users' roles, hashes of platform keys, open approvals.

    `keys` maps the SHA-256 (hex) of a platform key to the user it names; `roles` maps users to role names. `stopped` are
    models (`provider/model`) that cost more than was held for them and wait for an acknowledgement.
    """

    roles: dict[str, tuple[str, ...]] = {}
    keys: dict[str, str] = {}
    approvals: tuple[Approval, ...] = ()
    stopped: tuple[str, ...] = ()


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(document: Part | Snapshot | Directory) -> bytes:
    """Canonical bytes: equal documents have equal bytes, so that hashes can be compared."""
    return _ENCODER.encode(msgspec.to_builtins(document, str_keys=True))


def version(part: Part) -> str:
    """The part's version: the first 16 hex digits of the SHA-256 of its canonical bytes."""
    return hashlib.sha256(encode(part)).hexdigest()[:16]


class FormatError(ValueError):
    """A document that this code cannot read: damaged, or of a format it does not serve."""


class _Header(msgspec.Struct):
    format: int


def decode(data: bytes) -> Snapshot:
    """Read a snapshot of this format or the two before it.

    Raises:
        FormatError: not a snapshot, or of another format; the caller keeps its last good one.
    """
    try:
        header = msgspec.json.decode(data, type=_Header)
        if not FORMAT - 2 <= header.format <= FORMAT:
            raise FormatError(f"snapshot format {header.format} is not among {max(1, FORMAT - 2)} to {FORMAT}")
        return msgspec.json.decode(data, type=Snapshot)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise FormatError(f"not a snapshot: {error}") from error
