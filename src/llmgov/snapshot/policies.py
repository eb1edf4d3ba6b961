"""Compiled policies: one body a kind of check."""

import enum
from typing import TypeAlias

from llmgov.instants import Duration
from llmgov.money import MicroUsd
from llmgov.snapshot.base import Struct
from llmgov.snapshot.matching import Match
from llmgov.snapshot.prices import ModelPrice


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


class Audience(enum.Enum):
    """Who is told."""

    USERS = "Users"
    ADMINS = "Admins"


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


class Written(Struct, frozen=True):
    """An amount as its author wrote it: millionths of a currency, one unit of which is `nano_usd` billionths of a USD.

    Messages show it, and what is compared with it, in that currency; what is compared is micro-USD.
    """

    units: int
    currency: str
    nano_usd: int


class CostLimit(Struct, frozen=True, tag="costLimit"):
    """Bounds of one request's cost and output; the amounts over time of the same policy are in the `Account`s.

    `clamp` false forbids lowering a request's output maximum: it is refused instead. `written` is `max_request_cost`
    where it was not written in USD.
    """

    max_output_tokens: int | None = None
    min_output_tokens: int | None = None
    clamp: bool = True
    max_request_cost: MicroUsd | None = None
    fallback_price: "ModelPrice | None" = None
    written: Written | None = None


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
