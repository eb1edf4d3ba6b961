"""The five bodies of an LLMPolicy, the guide's policy types (section Policy Configuration)."""

from typing import ClassVar, Literal, TypeAlias

from pydantic import Field

from llmgov.resources import base, rules, scalars
from llmgov.resources.base import Model
from llmgov.resources.limits import Limit, Threshold
from llmgov.resources.prices import FallbackPrice
from llmgov.resources.rules import Raw, Rule
from llmgov.snapshot import Audience, Category, Direction, OnDetect, OnExceed, Subject

_NOTIFY = Field(default=None, min_length=1, max_length=2)


class RateLimit(Model):
    """How many requests and tokens in a time, and how many requests at once."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one(
            "NothingLimited",
            "limits nothing",
            ("requestsPerMinute", "requestsPerHour", "requestsPerDay", "tokensPerMinute", "concurrent"),
        ),
        Rule(
            code="MaxWaitWithoutThrottle",
            message="maxWait needs onExceed: Throttle",
            remedy="add onExceed: Throttle, or remove maxWait",
            cel="!has(self.maxWait) || self.onExceed == 'Throttle'",
            holds=lambda raw: "maxWait" not in raw or raw.get("onExceed") == OnExceed.THROTTLE.value,
            field="maxWait",
            reads=("onExceed",),
        ),
    )

    requests_per_minute: scalars.Count | None = None
    """Requests in any 60 seconds."""
    requests_per_hour: scalars.Count | None = None
    """Requests in any hour."""
    requests_per_day: scalars.Count | None = None
    """Requests in any 24 hours."""
    tokens_per_minute: scalars.Count | None = None
    """Input and output tokens in any 60 seconds."""
    concurrent: scalars.Count | None = None
    """Requests that are not yet answered."""
    per: Subject
    """Whose requests are counted together. A request without a user, proved or trusted, counts for its workload."""
    on_exceed: OnExceed = OnExceed.BLOCK
    """Block refuses at once; Throttle lets the request wait, in the order of arrival."""
    max_wait: scalars.UpTo5Minutes | None = None
    """How long Throttle lets a request wait before it refuses; 5s where absent."""
    notify: tuple[Audience, ...] | None = _NOTIFY
    """Who is told when a request is refused."""


class NamedPattern(Model):
    """One pattern."""

    name: scalars.Label
    """What messages and redactions call it."""
    regex: scalars.Regex
    """RE2, found anywhere in a text. Write (?i) in front to ignore case."""


class ContentFilter(Model):
    """What may not be in a request or an answer."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one("NothingFiltered", "filters nothing", ("patterns", "categories")),
    )

    directions: tuple[Direction, ...] = Field(
        default=(Direction.REQUEST, Direction.RESPONSE), min_length=1, max_length=2
    )
    """What is looked at."""
    patterns: tuple[NamedPattern, ...] | None = Field(
        default=None, min_length=1, max_length=64, json_schema_extra=base.list_map("name")
    )
    """Patterns of your own."""
    categories: tuple[Category, ...] | None = Field(default=None, min_length=1, max_length=4)
    """Built-in detectors of structured data, such as card numbers and keys."""
    on_detect: OnDetect = OnDetect.BLOCK
    """Block refuses, Redact replaces what was found, Flag only records it. Every detection is recorded."""
    notify: tuple[Audience, ...] | None = _NOTIFY
    """Who is told of a detection."""


class CostLimit(Model):
    """How much money in a window, and what one request may cost and produce."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one(
            "NoCostLimit",
            "limits no cost and no output",
            ("limits", "perUser", "maxRequestCost", "maxOutputTokens", "minOutputTokens", "fallbackPrice"),
        ),
        Rule(
            code="ThresholdsWithoutLimits",
            message="thresholds are percentages of an amount that is not given",
            remedy="add limits or perUser, or remove thresholds",
            cel="!has(self.thresholds) || has(self.limits) || has(self.perUser)",
            holds=lambda raw: "thresholds" not in raw or "limits" in raw or "perUser" in raw,
            field="thresholds",
        ),
        Rule(
            code="OutputRange",
            message="minOutputTokens must not be above maxOutputTokens",
            remedy="lower minOutputTokens, or raise maxOutputTokens",
            cel="!has(self.minOutputTokens) || !has(self.maxOutputTokens)"
            " || self.minOutputTokens <= self.maxOutputTokens",
            holds=lambda raw: _in_order(raw, "minOutputTokens", "maxOutputTokens"),
            field="minOutputTokens",
            reads=("minOutputTokens", "maxOutputTokens"),
        ),
    )

    currency: scalars.Currency = "USD"
    """The currency of all amounts; others than USD need a rate in GovernanceSettings."""
    time_zone: scalars.TimeZone = "UTC"
    """Where days, weeks and months begin."""
    limits: tuple[Limit, ...] | None = Field(
        default=None, min_length=1, max_length=6, json_schema_extra=base.list_map("period")
    )
    """What all requests together may cost."""
    per_user: tuple[Limit, ...] | None = Field(
        default=None, min_length=1, max_length=6, json_schema_extra=base.list_map("period")
    )
    """What the requests of each verified user may cost."""
    thresholds: tuple[Threshold, ...] | None = Field(
        default=None, min_length=1, max_length=16, json_schema_extra=base.list_map("percent")
    )
    """What happens on the way to each amount; absent: Block at 100 %."""
    max_request_cost: scalars.Amount | None = None
    """Requests whose worst case costs more are refused."""
    max_output_tokens: scalars.Count | None = None
    """The highest output maximum that a request may have; set where it has none."""
    min_output_tokens: scalars.Count | None = None
    """The proxy never lowers an output maximum below this, but refuses."""
    clamp: bool = True
    """Whether an output maximum may be lowered to what the limits afford; otherwise such requests are refused."""
    fallback_price: FallbackPrice | None = None
    """What models without a known price cost; absent: they are refused."""


class ModelAccess(Model):
    """Which models may be used, and what the proxy does when one does not answer."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one(
            "NothingGoverned",
            "governs nothing",
            ("allow", "deny", "requirePermission", "unmeteredRoutes", "retries", "fallbackModels"),
        ),
    )

    allow: tuple[scalars.ModelPattern, ...] | None = Field(default=None, min_length=1, max_length=256)
    """Patterns over provider/model; whatever none matches is refused. Absent: all but those denied."""
    deny: tuple[scalars.ModelPattern, ...] | None = Field(default=None, min_length=1, max_length=256)
    """Patterns over provider/model that are refused, whoever allows them."""
    require_permission: bool | None = None
    """Whether the user's roles must hold llm.use for the model, such as llm.use.openai or llm.use.gpt4."""
    unmetered_routes: tuple[scalars.Route, ...] | None = Field(default=None, min_length=1, max_length=32)
    """Routes that pass although nothing on them is understood or counted. Without this they are refused."""
    retries: int | None = Field(default=None, ge=0, le=5)
    """How often the proxy sends a failed request again; each time is an attempt with its own hold."""
    fallback_models: tuple[scalars.ModelName, ...] | None = Field(default=None, min_length=1, max_length=8)
    """Models of the same provider that are tried, in order, when the one asked for fails."""


class RequireApprovalFor(Model):
    """Which requests wait for an approval."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one("NothingToApprove", "asks for no approval", ("costAbove", "sensitiveModels")),
    )

    cost_above: scalars.Amount | None = None
    """Requests whose worst case costs more than this, in USD."""
    sensitive_models: tuple[scalars.ModelPattern, ...] | None = Field(default=None, min_length=1, max_length=128)
    """Requests for one of these models."""


class Compliance(Model):
    """What must be on record, or approved, before it happens."""

    invariants: ClassVar[tuple[Rule, ...]] = (
        rules.at_least_one(
            "NothingRequired",
            "requires nothing",
            ("requireAudit", "requireApprovalFor", "retentionPeriodDays", "logAllRequests"),
        ),
    )

    require_audit: bool | None = None
    """Whether each request is durable in the audit store before it is dispatched."""
    require_approval_for: RequireApprovalFor | None = None
    """Which requests wait for an approval."""
    retention_period_days: scalars.Days | None = None
    """How long records are kept at least; the longest of all matching policies counts."""
    export_format: Literal["JSON"] = "JSON"
    """The format of exports: lines of JSON."""
    log_all_requests: bool | None = None
    """Whether the log names the policies of each request, and 1,000 refusals of a kind (else 20) a second are recorded
    one by one before the rest is only counted."""
    notify: tuple[Audience, ...] | None = _NOTIFY
    """Who is told of an approval that is asked for."""


Body: TypeAlias = RateLimit | ContentFilter | CostLimit | ModelAccess | Compliance


def _in_order(raw: Raw, smaller: str, larger: str) -> bool:
    return smaller not in raw or larger not in raw or raw[smaller] <= raw[larger]
