"""One request decided as the proxy and the hub would, without either: what `policy test` judges and `explain` shows."""

import dataclasses
from typing import Protocol

from llmgov.instants import Duration, Instant
from llmgov.ledger import telling
from llmgov.ledger.commands import Held
from llmgov.policy import cost, engine, identity
from llmgov.policy.decision import Action, Clamp, Decision, Principal, Violation, Workload
from llmgov.policy.output import OutputScanner
from llmgov.policy.runtime import Runtime
from llmgov.policy.state import State
from llmgov.resources import durations
from llmgov.snapshot import Approval, Directory, Snapshot
from llmgov.wire import splice
from llmgov.wire.events import Edit, Reason, Refusal, Request, Text, TextRole
from llmgov.wire.malformed import RequestError
from llmgov_cli import bodies, cases, till

_FAR: Instant = 2**62


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What is decided of a request in the end, money included.

    `decision` is the engine's, `None` where the request was not understood; `body` what would be sent; `held` what is
    set aside in each of `accounts`, in micro-USD; `wait` how long it is throttled; `answer` what the client would get
    of the situation's answer, and `answer_violations` what was found there.
    """

    action: Action
    body: bytes
    decision: Decision | None = None
    refusal: Refusal | None = None
    clamp: Clamp | None = None
    held: int | None = None
    accounts: tuple[till.Standing, ...] = ()
    wait: Duration | None = None
    answer: str = ""
    answer_violations: tuple[Violation, ...] = ()

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Everything that would be recorded, of the request and of its answer."""
        return (() if self.decision is None else self.decision.violations) + self.answer_violations


class Configuration(Protocol):
    """A configuration, as it was compiled now or was in force once."""

    def snapshot(self, namespace: str) -> Snapshot:
        """The whole configuration of a namespace.

        Raises:
            KeyError: it has none.
        """
        ...


def decide(compiled: Configuration, situation: cases.Situation) -> Outcome:
    """Decide a request in a situation.

    Raises:
        KeyError: the principal's namespace has no configuration.
        till.UnknownBudgetError: `spent` names a Budget that does not count the request.
        ValueError: an amount, time, operation or role that is none.
    """
    try:
        request = bodies.parse(situation.request)
    except RequestError as error:
        return Outcome(Action.DENY, b"", refusal=error.refusal)
    runtime = Runtime(compiled.snapshot(situation.principal.namespace), _directory(situation.principal, ()))
    principal = _principal(situation.principal, runtime)
    decision = _decide(request, principal, runtime, situation)
    asked = decision.approval_request
    if asked is not None and situation.approved:
        granted = Approval(id="what-if", digest=asked.digest, expires=_FAR)
        runtime = Runtime(runtime.snapshot, _directory(situation.principal, (granted,)))
        decision = _decide(request, principal, runtime, situation)
    outcome = _settled(request, decision, situation)
    if situation.answer is None or outcome.refusal is not None:
        return outcome
    return _answered(outcome, runtime.output_scanner(decision.output), situation.answer)


def _directory(given: cases.Principal, approvals: tuple[Approval, ...]) -> Directory:
    roles = {} if given.user is None else {given.user: given.roles}
    return Directory(roles=roles, approvals=approvals)


def _principal(given: cases.Principal, runtime: Runtime) -> Principal:
    unknown = [role for role in given.roles if role not in runtime.permissions]
    if unknown:
        raise ValueError(f"there is no LLMRole {unknown[0]}")
    workload = Workload(given.namespace, given.service_account, given.labels)
    return identity.principal(workload, runtime, given.user, verified=given.verified)


def _decide(request: Request, principal: Principal, runtime: Runtime, situation: cases.Situation) -> Decision:
    state, now = State(), situation.now
    for earlier in sorted(situation.earlier, key=lambda each: -durations.parse(each.ago)):
        then = now - durations.parse(earlier.ago)
        for _ in range(earlier.requests):
            before = engine.decide(request, principal, runtime, state, then)
            if not earlier.running:
                state.release(before.rate_keys, None, then)
    return engine.decide(request, principal, runtime, state, now)


def _settled(request: Request, decision: Decision, situation: cases.Situation) -> Outcome:
    """The decision with the ledger's word about the money."""
    now, plan = situation.now, decision.plan
    wait = None if decision.throttle_until is None else decision.throttle_until - now
    if decision.refusal is not None or plan is None:
        return _outcome(request, decision, decision.edits, refusal=decision.refusal, clamp=decision.clamp, wait=wait)
    accounts = till.standings(plan, situation.spent, now)
    answer = till.hold(decision, plan, accounts, now, approved=situation.approved)
    if not isinstance(answer, Held):
        return _outcome(request, decision, (), refusal=telling.told(answer.refusal, plan), accounts=accounts)
    lowered = cost.lower(plan, answer.amount, answer.tightest)
    return _outcome(
        request,
        decision,
        decision.edits if lowered is None else (*decision.edits, lowered[1]),
        clamp=decision.clamp if lowered is None else lowered[0],
        held=answer.amount,
        accounts=accounts,
        wait=wait,
    )


def _answered(outcome: Outcome, scanner: OutputScanner | None, answer: str) -> Outcome:
    """The outcome of a request that was allowed, once its answer went through the output filters."""
    if scanner is None:
        return dataclasses.replace(outcome, answer=answer)
    scan = scanner.scan_answer((Text("answer", answer, TextRole.OUTPUT),))
    if scan.refusal is not None:
        return dataclasses.replace(outcome, action=Action.DENY, refusal=scan.refusal, answer_violations=scan.violations)
    text = scan.edits[-1].text if scan.edits else answer
    action = Action.REDACT if scan.edits and outcome.action is not Action.THROTTLE else outcome.action
    return dataclasses.replace(outcome, action=action, answer=text, answer_violations=scan.violations)


def _outcome(
    request: Request,
    decision: Decision,
    edits: tuple[Edit, ...],
    *,
    refusal: Refusal | None = None,
    clamp: Clamp | None = None,
    held: int | None = None,
    accounts: tuple[till.Standing, ...] = (),
    wait: Duration | None = None,
) -> Outcome:
    """The outcome, with the body that would be sent: none where the request is refused, or has none itself."""
    body = b"" if refusal is not None or not request.body else splice.apply(request.body, edits)
    return Outcome(_action(decision, refusal, clamp), body, decision, refusal, clamp, held, accounts, wait)


def _action(decision: Decision, refusal: Refusal | None, clamp: Clamp | None) -> Action:
    if refusal is not None:
        return Action.REQUIRE_APPROVAL if refusal.reason is Reason.APPROVAL else Action.DENY
    if clamp is not None and decision.action in (Action.ALLOW, Action.FLAG):
        return Action.CLAMP
    return decision.action
