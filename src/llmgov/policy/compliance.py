"""The check of kind `compliance`: what must be on record, and what somebody must approve first.

An approval covers exactly one request: its digest is over who asks, the model, and every byte of the body.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from llmgov import money
from llmgov.instants import Instant
from llmgov.money import MicroUsd
from llmgov.policy import globs, refusals
from llmgov.policy import verdict as verdicts
from llmgov.policy.decision import Action, ApprovalRequest, Principal
from llmgov.policy.plan import Plan
from llmgov.policy.rules import Rule
from llmgov.policy.verdict import Verdict
from llmgov.snapshot import Approval, Compliance, Denial, Directory, approval_id
from llmgov.wire.events import Refusal, Request

_NOT_NEEDED = "no approval needed"


class Outcome(msgspec.Struct, frozen=True):
    """The verdict; the open approval that the request uses up; the one to ask for where there is none any more."""

    verdict: Verdict
    approval: Approval | None = None
    asks: ApprovalRequest | None = None


def check(
    plan: Plan,
    request: Request,
    principal: Principal,
    worst_case: MicroUsd | None,
    directory: Directory,
    now: Instant,
    cheaper: str = "",
) -> Outcome:
    """Whether a request needs an approval that it does not have.

    `worst_case` is what it may cost; `None` is not known, which counts as above every bound. `cheaper` is what the
    client could ask for to get a lower one (`CostPlan.cheaper`).
    """
    if plan.unapproved is None or (worst_case is not None and worst_case <= plan.unapproved):
        return Outcome(plan.unopposed.compliance)
    verdict = Verdict()
    approval: Approval | None = None
    asks: ApprovalRequest | None = None
    mark = ""
    for rule in plan.compliance:
        why = _why(rule.body, plan, worst_case, cheaper)
        if why is None:
            verdict.passed(rule, _NOT_NEEDED)
            continue
        mark = mark or digest(request, principal, plan)
        held = _open(directory, mark, now)
        reason, sentence = why
        if rule.acts and asks is None:
            size = _size(request, worst_case)
            asks = ApprovalRequest(mark, rule.id, _summary(principal, plan, size, sentence))
        if held is not None:
            verdict.passed(rule, f"approved ({held.id})")
            approval = held if rule.acts else approval
            continue
        refusal = _refusal(rule, sentence, mark, directory, now)
        verdict.refuse(rule, reason, refusal, Action.REQUIRE_APPROVAL)
    return Outcome(verdict, approval, asks)


def none(rules: Sequence[Rule[Compliance]]) -> Verdict:
    """What is said of a request that needs no approval."""
    return verdicts.passing(rules, _NOT_NEEDED)


def unapproved(rules: Sequence[Rule[Compliance]], kind: str, model: str) -> MicroUsd | None:
    """The most that a request for this model may cost without any rule asking for an approval; a request whose cost is
    not known costs more than any bound. `None` is without bound, and -1 that every request needs one."""
    if any(_is_sensitive(rule.body, kind, model) for rule in rules):
        return -1
    bounds = [rule.body.approve_cost_above for rule in rules]
    return min((bound for bound in bounds if bound is not None), default=None)


def digest(request: Request, principal: Principal, plan: Plan) -> str:
    """What an approval covers: workload, user, provider, model and body, in hexadecimal SHA-256."""
    body = hashlib.sha256(request.body).hexdigest()
    parts = (principal.workload.name, principal.user or "", plan.kind, plan.model, request.route.operation.value, body)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _why(body: Compliance, plan: Plan, worst_case: MicroUsd | None, cheaper: str) -> tuple[str, str] | None:
    """The reason and the sentence of a need for approval."""
    if _is_sensitive(body, plan.kind, plan.model):
        return "sensitive_model", f"{plan.kind}/{plan.model} is a sensitive model"
    if body.approve_cost_above is None:
        return None
    bound = money.show(body.approve_cost_above)
    if worst_case is None:
        return "cost_unknown", f"what the request may cost is not known, and above {bound} it needs approval"
    if worst_case > body.approve_cost_above:
        cost = refusals.with_tier(money.show(worst_case), cheaper)
        return "high_cost", f"the request may cost {cost}, and above {bound} it needs approval"
    return None


def _is_sensitive(body: Compliance, kind: str, model: str) -> bool:
    return bool(model) and globs.of(body.sensitive_models).match_model(kind, model)


def _open(directory: Directory, mark: str, now: Instant) -> Approval | None:
    return next(
        (approval for approval in directory.approvals if approval.digest == mark and now < approval.expires), None
    )


def _denial(directory: Directory, mark: str, now: Instant) -> Denial | None:
    return next((denial for denial in directory.denials if denial.digest == mark and now < denial.expires), None)


def _refusal(rule: Rule[Compliance], why: str, mark: str, directory: Directory, now: Instant) -> Refusal:
    """Nothing is pending for a rule in dry run, so there is no approval to name."""
    if not rule.acts:
        return refusals.approval_not_asked(rule.id, why)
    denial = _denial(directory, mark, now)
    if denial is not None:
        return refusals.approval_denied(rule.id, why, denial)
    return refusals.approval_required(rule.id, why, approval_id(mark, directory.askings.get(mark, 1)))


def _size(request: Request, worst_case: MicroUsd | None) -> str:
    """What an approver weighs: the most that it may cost, and how long an answer it asks for."""
    cost = "cost not known" if worst_case is None else f"up to {money.show(worst_case)}"
    asked = request.output_limit.value if request.output_limit is not None else None
    if not request.cost.produces_output:
        return cost
    return f"{cost}, {'no output maximum set' if asked is None else f'at most {asked} output tokens'}"


def _summary(principal: Principal, plan: Plan, size: str, sentence: str) -> str:
    who = f"{principal.user} in {principal.workload.name}" if principal.user else principal.workload.name
    return f"{who} wants {plan.kind}/{plan.model} ({size}): {sentence}"
