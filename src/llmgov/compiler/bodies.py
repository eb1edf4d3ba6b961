"""The bodies of LLMPolicies as the engine reads them."""

from typing import assert_never

from llmgov import instants, money, snapshot
from llmgov.compiler import currencies
from llmgov.resources import bodies, durations, prices, settings

DEFAULT_MAX_WAIT: instants.Duration = 5 * instants.SECOND
"""How long `Throttle` lets a request wait where the policy does not say."""


def compiled(
    body: bodies.Body, source: str, nano_usd: int, retention: settings.GovernanceSettingsSpec
) -> snapshot.Body:
    """A body for the snapshot; `source` names the policy, `nano_usd` is what its currency is worth."""
    match body:
        case bodies.RateLimit():
            return _rate_limit(body)
        case bodies.ContentFilter():
            return _content_filter(body)
        case bodies.CostLimit():
            return _cost_limit(body, source, nano_usd)
        case bodies.ModelAccess():
            return _model_access(body)
        case bodies.Compliance():
            return _compliance(body, retention.audit.retention.compliance_days)
        case _:
            assert_never(body)


def _rate_limit(body: bodies.RateLimit) -> snapshot.RateLimit:
    return snapshot.RateLimit(
        per=body.per,
        on_exceed=body.on_exceed,
        max_wait=_max_wait(body),
        requests_per_minute=body.requests_per_minute,
        requests_per_hour=body.requests_per_hour,
        requests_per_day=body.requests_per_day,
        tokens_per_minute=body.tokens_per_minute,
        concurrent=body.concurrent,
        notify=body.notify or (),
    )


def _max_wait(body: bodies.RateLimit) -> instants.Duration:
    if body.on_exceed is not snapshot.OnExceed.THROTTLE:
        return 0
    return DEFAULT_MAX_WAIT if body.max_wait is None else durations.parse(body.max_wait)


def _content_filter(body: bodies.ContentFilter) -> snapshot.ContentFilter:
    return snapshot.ContentFilter(
        directions=body.directions,
        on_detect=body.on_detect,
        patterns=tuple(snapshot.Pattern(pattern.name, pattern.regex) for pattern in body.patterns or ()),
        categories=body.categories or (),
        notify=body.notify or (),
    )


def _cost_limit(body: bodies.CostLimit, source: str, nano_usd: int) -> snapshot.CostLimit:
    most = body.max_request_cost
    return snapshot.CostLimit(
        max_output_tokens=body.max_output_tokens,
        min_output_tokens=body.min_output_tokens,
        clamp=body.clamp,
        max_request_cost=None if most is None else currencies.micro_usd(most, nano_usd),
        fallback_price=None if body.fallback_price is None else _fallback(body.fallback_price, source),
        written=None if most is None or body.currency == "USD" else _written(most, body.currency, nano_usd),
    )


def _written(amount: str, currency: str, nano_usd: int) -> snapshot.Written:
    return snapshot.Written(money.parse_amount(amount), currency, nano_usd)


def _fallback(price: prices.FallbackPrice, source: str) -> snapshot.ModelPrice:
    return snapshot.ModelPrice(
        provider="",
        model="",
        rates=price.rates.in_pico(),
        context_window=price.context_window,
        max_output_tokens=price.max_output_tokens,
        source=source,
    )


def _model_access(body: bodies.ModelAccess) -> snapshot.ModelAccess:
    return snapshot.ModelAccess(
        allow=body.allow or (),
        deny=body.deny or (),
        require_permission=bool(body.require_permission),
        unmetered_routes=body.unmetered_routes or (),
        retries=body.retries or 0,
        fallback_models=body.fallback_models or (),
    )


def _compliance(body: bodies.Compliance, compliance_days: int) -> snapshot.Compliance:
    approval = body.require_approval_for or bodies.RequireApprovalFor()
    return snapshot.Compliance(
        require_audit=bool(body.require_audit),
        approve_cost_above=None if approval.cost_above is None else money.parse_amount(approval.cost_above),
        sensitive_models=approval.sensitive_models or (),
        retention_days=_retention(body, compliance_days),
        log_all_requests=bool(body.log_all_requests),
        notify=body.notify or (),
    )


def _retention(body: bodies.Compliance, compliance_days: int) -> int | None:
    """Days that records are kept at least; audited ones as long as the settings say, or longer."""
    asked = body.retention_period_days
    return max(asked or 0, compliance_days) if body.require_audit else asked
