"""The single limits that rate policies set on one principal: each with the key that its requests are counted under."""

import dataclasses
from collections.abc import Iterable, Iterator

from llmgov import instants
from llmgov.instants import Duration
from llmgov.policy.decision import Principal
from llmgov.policy.rules import Rule
from llmgov.snapshot import RateLimit, Subject
from llmgov.wire.events import CostFacts, OutputLimit

BYTES_PER_TOKEN = 4
"""How a token limit estimates text before it is sent. Only an estimate: settlement corrects it."""

IMAGE_ESTIMATE = 1000
"""How a token limit estimates an image: one of a usual size."""

OUTPUT_ESTIMATE = 1024
"""The output tokens that a token limit sets aside for a request without a maximum of its own."""


@dataclasses.dataclass(slots=True, frozen=True)
class Limit:
    """One number of one rate policy. `length` is 0 for requests at once; `subject` is who is counted, for messages."""

    rule: Rule[RateLimit]
    kind: str
    unit: str
    key: str
    subject: str
    limit: int
    length: Duration
    counts_tokens: bool = False

    def amount(self, tokens: int) -> int:
        """What one request of so many tokens counts here."""
        return tokens if self.counts_tokens else 1


def of(rules: Iterable[Rule[RateLimit]], principal: Principal) -> tuple[Limit, ...]:
    """All limits on the principal, in the order of the rules. Each policy counts for itself."""
    return tuple(limit for rule in rules for limit in _each(rule, principal))


def estimate(cost: CostFacts, output: OutputLimit | None) -> int:
    """Tokens to set aside for a request: its text, images and audio, and its own output maximum or a usual one."""
    text = -(-cost.text_bytes // BYTES_PER_TOKEN)
    asked = output.value if output is not None and output.value is not None else OUTPUT_ESTIMATE
    produced = asked * cost.choices if cost.produces_output and output is not None else 0
    seen = cost.images * IMAGE_ESTIMATE + cost.image_tokens + cost.audio_tokens
    return text + cost.overhead_tokens + seen + produced


def _each(rule: Rule[RateLimit], principal: Principal) -> Iterator[Limit]:
    body, subject = rule.body, _subject(rule.body.per, principal)
    for kind, unit, limit, length in (
        ("requests_per_minute", "requests per minute", body.requests_per_minute, instants.MINUTE),
        ("requests_per_hour", "requests per hour", body.requests_per_hour, instants.HOUR),
        ("requests_per_day", "requests per day", body.requests_per_day, instants.DAY),
        ("tokens_per_minute", "tokens per minute", body.tokens_per_minute, instants.MINUTE),
        ("concurrent", "requests at once", body.concurrent, 0),
    ):
        if limit is not None:
            key = f"{rule.id}|{kind}|{subject}"
            yield Limit(rule, kind, unit, key, subject, limit, length, kind == "tokens_per_minute")


def _subject(per: Subject, principal: Principal) -> str:
    """Who is counted. A request without a user counts for its workload, one without a team for its namespace."""
    workload = principal.workload
    match per:
        case Subject.USER:
            return f"user {principal.user}" if principal.user else f"workload {workload.name}"
        case Subject.WORKLOAD:
            return f"workload {workload.name}"
        case Subject.NAMESPACE:
            return f"namespace {workload.namespace}"
        case Subject.TEAM:
            return f"team {principal.teams[0]}" if principal.teams else f"namespace {workload.namespace}"
        case Subject.ORGANIZATION:
            return "the organization"
