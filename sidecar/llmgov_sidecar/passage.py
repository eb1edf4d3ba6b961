"""One request on its way through the proxy: what is known of it, phase by phase, and what the phases share."""

from collections.abc import Callable

import msgspec

from llmgov.instants import Instant
from llmgov.ledger.messages import Subject
from llmgov.policy.decision import Action, ApprovalRequest, Clamp, Decision, Principal, Violation, Workload
from llmgov.wire.events import Format, Refusal, Request
from llmgov_sidecar.caller import Caller
from llmgov_sidecar.configuration import Active
from llmgov_sidecar.server import Exchange

Observer = Callable[[str], None]
"""Told of each step of an attempt: held, intent, dispatched, first_byte, usage, settled."""

UNMETERED = "unmetered"
"""The operation of a route that a policy lets pass uncounted."""


_STRICTNESS = (Action.FLAG, Action.REDACT, Action.DENY)
"""What filters do to answers, the strictest last."""


class RefusedError(Exception):
    """The request ends here, with an answer of ours; `asks` is the approval that is to be pending from now on."""

    def __init__(
        self, refusal: Refusal, violations: tuple[Violation, ...] = (), asks: ApprovalRequest | None = None
    ) -> None:
        super().__init__(refusal.reason.value)
        self.refusal = refusal
        self.violations = violations
        self.asks = asks


class Passage(msgspec.Struct):
    """What is known of one request; later phases fill in later fields."""

    exchange: Exchange
    caller: Caller
    request_id: str
    began: Instant
    workload: Workload
    shape: Format = Format.OPENAI
    operation: str = ""
    active: Active | None = None
    request: Request | None = None
    principal: Principal | None = None
    decision: Decision | None = None
    strip: tuple[str, ...] = ()
    clamp: Clamp | None = None
    violations: list[Violation] = msgspec.field(default_factory=list)
    status: int = 0
    cost: int = 0
    attempts: int = 0
    tokens: int | None = None
    dispatched: bool = False
    answered: Violation | None = None
    _subject: tuple[Decision | None, Subject] | None = None

    def subject(self) -> Subject:
        """For whom and for what: the facts that reports group by."""
        if self._subject is None or self._subject[0] is not self.decision:
            self._subject = self.decision, self._facts()
        return self._subject[1]

    def _facts(self) -> Subject:
        principal, decision = self.principal, self.decision
        provider = decision.provider if decision else None
        asked = self.request.model if self.request else ""
        return Subject(
            namespace=self.workload.namespace,
            service_account=self.workload.service_account,
            user=principal.user if principal else None,
            teams=principal.teams if principal else (),
            path=decision.path if decision else (),
            provider=provider.kind if provider else "",
            model=(decision.model if decision else "") or asked,
            operation=self.operation,
            pod=self.workload.pod,
        )

    def judged(self, violations: tuple[Violation, ...]) -> None:
        """Filters did something to the answer; the strictest thing counts."""
        for violation in violations:
            if violation.dry_run or violation.action not in _STRICTNESS:
                continue
            if self.answered is None or _strictness(violation) > _strictness(self.answered):
                self.answered = violation

    @property
    def action(self) -> Action:
        """What came of the request so far: what became of its answer, and else what was decided."""
        asked = self._asked
        if self.answered is None or (self.answered.action is Action.FLAG and asked is not Action.ALLOW):
            return asked
        return self.answered.action

    @property
    def _asked(self) -> Action:
        if self.clamp is not None:
            return Action.CLAMP
        return self.decision.action if self.decision is not None else Action.ALLOW

    @property
    def policy(self) -> str | None:
        """The policy that shaped an allowed request or its answer most, for the answer's header."""
        if self.answered is not None and self.action is self.answered.action:
            return self.answered.policy
        if self.clamp is not None and self.clamp.policy:
            return self.clamp.policy
        acted = [violation for violation in self.violations if not violation.dry_run]
        return acted[0].policy if acted else None


def _strictness(violation: Violation) -> int:
    return _STRICTNESS.index(violation.action)
