"""`decide`: one request in, one complete `Decision` out (design section 5, step 3). No I/O, no clock.

Gather what applies (the plan), then walk the chain of checks: model access, rate, content, compliance, cost. The first
link that refuses ends it. Only a request that passes them all is counted in the rate windows.
"""

import re

from llmgov.instants import Duration, Instant
from llmgov.policy import access, limits, rate, refusals
from llmgov.policy.decision import Action, Decision, Evaluation, Principal, Violation
from llmgov.policy.runtime import Plan, Runtime
from llmgov.policy.state import State
from llmgov.policy.verdict import Verdict
from llmgov.wire.events import METERED, Refusal, Request

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
    if draft.add(access.check(plan, principal, runtime)):
        return draft.refused()
    tokens = limits.estimate(request.cost, request.output_limit)
    admission = rate.check(plan.limits, tokens, state, now, patience)
    if draft.add(admission.verdict):
        return draft.refused()
    return draft.admitted(admission, state, now)


class _Draft:
    """A decision in the making."""

    def __init__(self, plan: Plan, runtime: Runtime) -> None:
        self._plan = plan
        self._runtime = runtime
        self._violations: list[Violation] = []
        self._evaluations: list[Evaluation] = []
        self._refusal: Refusal | None = None

    def add(self, verdict: Verdict) -> bool:
        """Take in one link's verdict; true where it refuses."""
        self._violations += verdict.violations
        self._evaluations += verdict.evaluations
        self._refusal = verdict.refusal
        return verdict.refusal is not None

    def refused(self, refusal: Refusal | None = None) -> Decision:
        """The decision of a request that may not go."""
        return Decision(
            Action.DENY,
            refusal=refusal or self._refusal,
            provider=self._plan.provider,
            model=self._plan.model,
            path=self._plan.path,
            violations=tuple(self._violations),
            evaluations=(*self._evaluations, *self._plan.skipped),
            observed=self._runtime.observes,
        )

    def admitted(self, admission: rate.Admission, state: State, now: Instant) -> Decision:
        """The decision of a request that may go, now or later; counts it."""
        keys = rate.commit(admission, state)
        waits = admission.queued or admission.at > now
        return Decision(
            Action.THROTTLE if waits else Action.ALLOW,
            throttle_until=admission.at if waits else None,
            queued=admission.queued,
            provider=self._plan.provider,
            model=self._plan.model,
            path=self._plan.path,
            violations=tuple(self._violations),
            evaluations=(*self._evaluations, *self._plan.skipped),
            rate_headers=rate.headers(self._plan.limits, state, now),
            rate_keys=keys,
            reserved_tokens=admission.tokens,
            max_wait=admission.max_wait,
            observed=self._runtime.observes,
            retries=access.retries(self._plan),
            fallback_models=access.fallback_models(self._plan),
        )


def _impossible(request: Request, principal: Principal, plan: Plan) -> Refusal | None:
    """What no configuration can let pass: a request that names no model, or that nobody serves."""
    metered = request.route.operation in METERED
    if (metered or request.model) and _MODEL_NAME.fullmatch(request.model) is None:
        return refusals.bad_model_name()
    if plan.provider is None:
        return refusals.no_provider(request.route.format.value, principal.workload.namespace)
    return None
