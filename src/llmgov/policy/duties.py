"""What compliance rules owe the record, whatever is decided about a request."""

import dataclasses
from collections.abc import Sequence

from llmgov.policy.rules import Rule
from llmgov.snapshot import Compliance


@dataclasses.dataclass(slots=True, frozen=True)
class Duties:
    """Whether the intent must be durable before dispatch, whether the request is logged, how long the record stays."""

    strict_audit: bool
    log_request: bool
    retention_days: int | None


def of(rules: Sequence[Rule[Compliance]]) -> Duties:
    """The strictest of all rules that act: any strict audit, any log, the longest retention."""
    bodies = [rule.body for rule in rules if rule.acts]
    return Duties(
        any(body.require_audit for body in bodies),
        any(body.log_all_requests for body in bodies),
        max((body.retention_days for body in bodies if body.retention_days is not None), default=None),
    )
