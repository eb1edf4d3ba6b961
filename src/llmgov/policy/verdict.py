"""What one link of the chain of checks says: values that the engine puts together into a `Decision`."""

from collections.abc import Iterable

import msgspec

from llmgov.policy.decision import Action, Evaluation, Violation
from llmgov.policy.rules import Rule
from llmgov.snapshot import Audience, Body
from llmgov.wire.events import Refusal


class Verdict(msgspec.Struct):
    """Collected while a check walks its rules in order of priority; the first refusal is the one that is shown."""

    violations: list[Violation] = msgspec.field(default_factory=list)
    evaluations: list[Evaluation] = msgspec.field(default_factory=list)
    refusal: Refusal | None = None

    def passed(self, rule: Rule[Body], outcome: str) -> None:
        """Record that a rule was looked at and had no objection."""
        self.evaluations.append(rule.evaluation(outcome))

    def refuse(
        self, rule: Rule[Body], reason: str, refusal: Refusal, action: Action = Action.DENY, path: str | None = None
    ) -> None:
        """Record a rule's objection; it takes effect only where the rule acts."""
        self.note(rule, action, reason, refusal.message, path)
        if rule.acts and self.refusal is None:
            self.refusal = refusal

    def note(self, rule: Rule[Body], action: Action, reason: str, message: str, path: str | None = None) -> None:
        """Record a violation that stops nothing by itself."""
        self.evaluations.append(rule.evaluation(f"{action.value}: {reason}"))
        self.violations.append(
            Violation(rule.id, action, reason, message, dry_run=not rule.acts, path=path, notify=notify(rule.body))
        )


def passing(rules: Iterable[Rule[Body]], outcome: str) -> Verdict:
    """What a link says where none of its rules objects; nothing is added to it later, so it serves all requests."""
    verdict = Verdict()
    for rule in rules:
        verdict.passed(rule, outcome)
    return verdict


def notify(body: Body) -> tuple[Audience, ...]:
    """Whom a policy wants told of its violations; costs and access have their own ways."""
    return getattr(body, "notify", ())
