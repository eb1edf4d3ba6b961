"""`decide`: one request in, one complete `Decision` out (design section 5, step 3). No I/O, no clock.

Gather what applies (the plan), then walk the chain of checks: model access, rate, content, cost and compliance (last,
since nobody should be asked to approve what could not go anyway). Every matching policy is asked, the strictest answer
wins, and priority decides which is named. The first link that refuses ends it, and only a request that passes them all
is counted in the rate windows.
"""

import re

from llmgov.instants import Duration, Instant
from llmgov.policy import compliance, content, cost, limits, places, rate, refusals, rules
from llmgov.policy.decision import Action, ApprovalRequest, Decision, Evaluation, Principal, Violation
from llmgov.policy.plan import Plan
from llmgov.policy.runtime import Runtime
from llmgov.policy.state import State
from llmgov.policy.verdict import Verdict
from llmgov.wire.events import METERED, Reason, Refusal, ReplaceText, Request

SETTINGS = "GovernanceSettings/default"
"""What violations of the settings themselves name as their policy."""

_MODEL_NAME = re.compile(r"[!-~]{1,256}")


def decide(
    request: Request,
    principal: Principal,
    runtime: Runtime,
    state: State,
    now: Instant,
    *,
    patience: Duration | None = None,
    stopped: frozenset[str] = frozenset(),
) -> Decision:
    """Everything that is to be known about a request before it is dispatched.

    `patience` is how long the client waits at most (`x-stainless-read-timeout`); `stopped` names models
    (`provider/model`) that cost more than was held and may not be used under cost limits until acknowledged.
    A decision with `rate_keys` must be ended by `State.release` or `State.cancel`.
    """
    plan = runtime.plan(principal, request.route.format, request.model)
    draft = _Draft(plan, runtime)
    impossible = _impossible(request, principal, plan)
    if impossible is not None:
        return draft.refused(impossible)
    if draft.add(plan.access) or draft.unknown_parts(request):
        return draft.refused()
    tokens = limits.estimate(request.cost, request.output_limit)
    admission = rate.check(plan.limits, tokens, state, now, patience, plan.unopposed.rates)
    if draft.add(admission.verdict):
        return draft.refused()
    found, redactions = content.check(plan.filters, plan.finder, request.texts, plan.unopposed.contents)
    if draft.add(found):
        return draft.refused()
    if request.route.operation in METERED:
        costs = cost.check(plan, request, stopped, runtime.directory.askings)
        cheaper = costs.plan.cheaper if costs.plan is not None else ""
        needs = compliance.check(plan, request, principal, costs.worst_case, runtime.directory, now, cheaper)
    else:
        costs, needs = _FREE, _UNASKED
    if draft.add(costs.verdict) or draft.add(needs.verdict):
        return draft.refused(asks=needs.asks)
    return draft.admitted(request, admission, redactions, costs, needs, state, now)


_FREE = cost.Outcome(Verdict())
_UNASKED = compliance.Outcome(Verdict())
"""What costs and approvals say of a request that nobody pays for."""


class _Draft:
    """A decision in the making: the verdicts of the chain's links so far, of which the last may refuse."""

    __slots__ = ("_plan", "_refusal", "_runtime", "_verdicts")

    def __init__(self, plan: Plan, runtime: Runtime) -> None:
        self._plan = plan
        self._runtime = runtime
        self._verdicts: list[Verdict] = []
        self._refusal: Refusal | None = None

    def add(self, verdict: Verdict) -> bool:
        """Take in one link's verdict; true where it refuses."""
        self._verdicts.append(verdict)
        self._refusal = verdict.refusal
        return verdict.refusal is not None

    def unknown_parts(self, request: Request) -> bool:
        """Refuse what cannot be checked, where the settings say so."""
        if not request.unknown_parts or not self._runtime.settings.refuse_unknown_parts:
            return False
        where = places.of_unknown(request.unknown_parts[0], self._plan.finder)
        refusal = refusals.unknown_parts(where)
        observed = self._runtime.observes
        violation = Violation(SETTINGS, Action.DENY, "unknown_part", refusal.message, observed, where)
        return self.add(Verdict([violation], refusal=None if observed else refusal))

    def refused(self, refusal: Refusal | None = None, asks: ApprovalRequest | None = None) -> Decision:
        """The decision of a request that may not go."""
        refusal = refusal or self._refusal
        pending = refusal is not None and refusal.reason is Reason.APPROVAL
        plan, duties, (violations, evaluations, policies) = self._plan, self._plan.duties, self._said()
        return Decision(
            Action.REQUIRE_APPROVAL if pending else Action.DENY,
            refusal=refusal,
            approval_request=asks if pending else None,
            provider=plan.provider,
            model=plan.model,
            path=plan.path,
            violations=violations,
            evaluations=evaluations,
            policies=policies,
            strict_audit=duties.strict_audit,
            log_request=duties.log_request,
            retention_days=duties.retention_days,
            observed=self._runtime.observes,
        )

    def admitted(
        self,
        request: Request,
        admission: rate.Admission,
        redactions: tuple[ReplaceText, ...],
        costs: cost.Outcome,
        needs: compliance.Outcome,
        state: State,
        now: Instant,
    ) -> Decision:
        """The decision of a request that may go, now or later; counts it."""
        plan, duties, (violations, evaluations, policies) = self._plan, self._plan.duties, self._said()
        keys = rate.commit(admission, state)
        waits = admission.queued or admission.at > now
        return Decision(
            _action(waits, redactions, costs, violations),
            throttle_until=admission.at if waits else None,
            queued=admission.queued,
            max_wait=admission.max_wait,
            edits=(*_alias(plan, request), *redactions, *costs.edits),
            output=plan.output,
            clamp=costs.clamp,
            plan=costs.plan,
            provider=plan.provider,
            model=plan.model,
            path=plan.path,
            violations=violations,
            evaluations=evaluations,
            policies=policies,
            approval=needs.approval,
            approval_request=needs.asks if needs.approval is not None else None,
            strict_audit=duties.strict_audit,
            log_request=duties.log_request,
            retention_days=duties.retention_days,
            rate_headers=rate.headers(plan.limits, admission.windows, now),
            rate_keys=keys,
            reserved_tokens=admission.tokens,
            observed=self._runtime.observes,
            retries=plan.retries,
            fallback_models=plan.fallback_models,
        )

    def _said(self) -> tuple[tuple[Violation, ...], tuple[Evaluation, ...], tuple[str, ...]]:
        """All violations, evaluations and policies; of a request that nobody objects to they are the plan's."""
        verdicts, unopposed = self._verdicts, self._plan.unopposed
        if verdicts == unopposed.verdicts:
            return unopposed.violations, unopposed.evaluations, unopposed.policies
        violations = tuple([one for verdict in verdicts for one in verdict.violations])
        evaluations = (*(one for verdict in verdicts for one in verdict.evaluations), *self._plan.skipped)
        return violations, evaluations, rules.applied(evaluations)


def _alias(plan: Plan, request: Request) -> tuple[ReplaceText, ...]:
    """What the client calls by an alias, the provider knows by its name; an Azure deployment is its own name.

    A request without a body names its model in its path (`llmgov.wire.route.naming`).
    """
    if plan.model == plan.asked or plan.kind == "azure-openai" or not request.body:
        return ()
    return (ReplaceText("model", plan.model),)


def _action(
    waits: bool, redactions: tuple[ReplaceText, ...], costs: cost.Outcome, violations: tuple[Violation, ...]
) -> Action:
    if waits:
        return Action.THROTTLE
    if redactions:
        return Action.REDACT
    if costs.clamp is not None:
        return Action.CLAMP
    if violations and any(found.action is Action.FLAG and not found.dry_run for found in violations):
        return Action.FLAG
    return Action.ALLOW


def _impossible(request: Request, principal: Principal, plan: Plan) -> Refusal | None:
    """What no configuration can let pass: a request that names no model, or that nobody serves."""
    metered = request.route.operation in METERED
    if (metered or request.model) and _MODEL_NAME.fullmatch(request.model) is None:
        return refusals.bad_model_name()
    if plan.provider is None:
        return refusals.no_provider(request.route.format.value, principal.workload.namespace)
    return None
