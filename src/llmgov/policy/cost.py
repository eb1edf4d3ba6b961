"""The check of kind `costLimit`, and the plan of what to hold for an attempt (design section 5, step 4).

Here it is decided whether a request's worst case can be bounded, and which output maximum it may have. Whether there
is money for it, the ledger says later; `lower` then sets the maximum that the money held affords.
"""

from collections.abc import Mapping, Sequence

import msgspec

from llmgov import money
from llmgov.money import PICO_PER_MICRO, MicroUsd, PicoUsd
from llmgov.policy import places, refusals
from llmgov.policy import verdict as verdicts
from llmgov.policy.decision import Action, Clamp, CostPlan, Violation
from llmgov.policy.plan import Plan
from llmgov.policy.rules import Rule
from llmgov.policy.verdict import Verdict
from llmgov.prices import bound, multiplier
from llmgov.snapshot import CostLimit, ModelPrice, short_name
from llmgov.wire.events import CostFacts, Edit, Format, Refusal, Request, SetNumber

_WITHIN = "within its limits"

ASSUMED_OUTPUT = 200_000
"""What is held for an output of unknown maximum where nothing is limited and costs are only counted."""

_LIST_PRICE = {Format.OPENAI: "service_tier: default", Format.ANTHROPIC: "service_tier: standard_only"}
"""How a request asks for the list price, whatever its account is set to."""


class Outcome(msgspec.Struct, frozen=True):
    """The verdict; the plan, `None` where nothing is known to be paid; the edits and the clamp that are due already.

    `worst_case` is `None` where it cannot be known.
    """

    verdict: Verdict
    plan: CostPlan | None = None
    clamp: Clamp | None = None
    edits: tuple[Edit, ...] = ()
    worst_case: MicroUsd | None = None


class _Output(msgspec.Struct, frozen=True):
    """An output maximum: from `least` to `most` tokens (equal where it is fixed). `policy` is what lowered it."""

    least: int
    most: int
    fixed: bool
    policy: str = ""


def within(rules: Sequence[Rule[CostLimit]]) -> Verdict:
    """What is said of a request that keeps within every rule's limits: first by those that bound a request's cost."""
    bounding = [rule for rule in rules if rule.body.max_request_cost is not None]
    return verdicts.passing([*bounding, *(rule for rule in rules if rule.body.max_request_cost is None)], _WITHIN)


def check(plan: Plan, request: Request, stopped: frozenset[str], askings: Mapping[str, int]) -> Outcome:
    """Bound the cost of a request, or say why that cannot be done where money is limited.

    `stopped` models wait for an approval, of the number among `askings` where that is not the first.
    """
    verdict = Verdict()
    outcome = _check(plan, request, stopped, askings, verdict)
    if outcome.verdict is plan.unopposed.costs:
        return outcome
    looked_at = {evaluation.policy for evaluation in verdict.evaluations}
    for rule in plan.costs:
        if rule.id not in looked_at:
            verdict.passed(rule, _WITHIN)
    return outcome


def _check(
    plan: Plan, request: Request, stopped: frozenset[str], askings: Mapping[str, int], verdict: Verdict
) -> Outcome:
    price = plan.price or _fallback(plan)
    if price is None:
        return _unpriced(plan, verdict)
    if _stopped(plan, stopped, askings, verdict) or _unbounded(plan, request.cost, verdict):
        return Outcome(verdict)
    output = _output(plan, request, price, verdict)
    if output is None:
        return Outcome(verdict)
    return _bounded(plan, request, price, output, verdict)


def affords(plan: CostPlan, amount: MicroUsd) -> int | None:
    """The output maximum that `amount` pays for, at most the plan's; `None` if it does not pay for the least."""
    if amount < plan.least:
        return None
    if not plan.pico_per_output:
        return plan.max_output
    tokens = (amount * PICO_PER_MICRO - plan.base_pico) // plan.pico_per_output
    return max(plan.min_output, min(plan.max_output, tokens))


def fitting(plan: CostPlan, amount: MicroUsd) -> int | None:
    """An output maximum, of at least one token, with which the request would fit into `amount`; `None` if none does."""
    if not plan.pico_per_output:
        return None
    tokens = (amount * PICO_PER_MICRO - plan.base_pico) // plan.pico_per_output
    return min(tokens, plan.max_output) if tokens >= 1 else None


def lower(plan: CostPlan, held: MicroUsd, tightest: str = "") -> tuple[Clamp, SetNumber] | None:
    """The output maximum to set for the money held, and what to say of it.

    It names the account whose key is `tightest` where money lowers the maximum, and otherwise what the plan names.
    `None` where the client's own maximum stands, or where the model's own limit is not lowered.
    """
    tokens = affords(plan, held)
    if plan.field is None or tokens is None or tokens == plan.price.max_output_tokens:
        return None
    short = tokens < plan.max_output
    sources = (charge.account.source for charge in plan.accounts if short and charge.key == tightest)
    return Clamp(plan.field, plan.asked, tokens, next(sources, plan.policy)), SetNumber(plan.field, tokens)


def _fallback(plan: Plan) -> ModelPrice | None:
    """What a rule says that unknown models cost; a rule in dry run has no say where costs are really limited."""
    free = plan.terms.limiting is None
    said = (rule.body.fallback_price for rule in plan.costs if rule.acts or free)
    return next((price for price in said if price is not None), None)


def _refuse(plan: Plan, verdict: Verdict, reason: str, refusal: Refusal) -> bool:
    """Refuse for the sake of `refusal.policy`, which limits costs; only on record, and false, where nothing acts."""
    acts, source = plan.terms.limiting is not None, refusal.policy or ""
    rule = next((rule for rule in plan.costs if rule.id == source), None)
    if rule is not None:
        verdict.note(rule, Action.DENY, reason, refusal.message)
    else:
        verdict.violations.append(Violation(source, Action.DENY, reason, refusal.message, dry_run=not acts))
    if acts:
        verdict.refusal = refusal
    return acts


def _unpriced(plan: Plan, verdict: Verdict) -> Outcome:
    if plan.terms.concerned is not None:
        name = f"{plan.kind}/{plan.model}"
        _refuse(plan, verdict, "unknown_price", refusals.unknown_price(plan.terms.concerned, name))
    return Outcome(verdict)


def _stopped(plan: Plan, stopped: frozenset[str], askings: Mapping[str, int], verdict: Verdict) -> bool:
    if not stopped or plan.terms.concerned is None:
        return False
    name = f"{plan.kind}/{plan.model}"
    short = short_name(name)
    if short not in stopped:
        return False
    refusal = refusals.model_stopped(plan.terms.concerned, name, askings.get(short, 1))
    return _refuse(plan, verdict, "model_stopped", refusal)


def _unbounded(plan: Plan, facts: CostFacts, verdict: Verdict) -> bool:
    if not facts.refused or plan.terms.concerned is None:
        return False
    unbounded = facts.refused[0]
    where = places.of_unknown(unbounded.path, plan.finder)
    refusal = refusals.unbounded_cost(plan.terms.concerned, where, unbounded.why)
    return _refuse(plan, verdict, "unbounded_cost", refusal)


def _output(plan: Plan, request: Request, price: ModelPrice, verdict: Verdict) -> _Output | None:
    """The output maximum of a request, `None` where it is refused."""
    limit = request.output_limit
    if limit is None or not request.cost.produces_output:
        return _Output(0, 0, fixed=True)
    if limit.value is not None:
        return _asked(plan.costs, limit.value, limit.field, verdict)
    narrowest = plan.terms.narrowest
    known = [most for most in (price.max_output_tokens, price.context_window) if most is not None][:1]
    if narrowest is not None and narrowest.body.max_output_tokens is not None:
        known.append(narrowest.body.max_output_tokens)
    if not known:
        return None if _no_maximum(plan, price, verdict) else _Output(ASSUMED_OUTPUT, ASSUMED_OUTPUT, fixed=True)
    most = min(known)
    lowered = narrowest is not None and most == narrowest.body.max_output_tokens
    least = min(most, plan.terms.least_output(price))
    return _Output(least, most, fixed=False, policy=narrowest.id if lowered and narrowest else "")


def _asked(rules: tuple[Rule[CostLimit], ...], asked: int, field: str, verdict: Verdict) -> _Output | None:
    """The client's own maximum stands, but for a lower one of a policy: the lowest, unless one forbids clamping."""
    most, policy = asked, ""
    for rule in rules:
        ceiling = rule.body.max_output_tokens
        if ceiling is None or asked <= ceiling:
            continue
        if not rule.body.clamp:
            refusal = refusals.output_too_long(rule.id, asked, ceiling, field)
            verdict.refuse(rule, "output_too_long", refusal, path=field)
            continue
        message = f"llmgov: policy {rule.id} allows at most {ceiling} output tokens; {field} was lowered from {asked}"
        verdict.note(rule, Action.CLAMP, "max_output_tokens", message, field)
        if rule.acts and ceiling < most:
            most, policy = ceiling, rule.id
    return None if verdict.refusal is not None else _Output(most, most, fixed=True, policy=policy)


def _no_maximum(plan: Plan, price: ModelPrice, verdict: Verdict) -> bool:
    if plan.terms.concerned is None:
        return False
    why = f"the output maximum of {price.model} is not known; set one"
    return _refuse(plan, verdict, "unbounded_cost", refusals.unbounded_request(plan.terms.concerned, why))


def _bounded(plan: Plan, request: Request, price: ModelPrice, output: _Output, verdict: Verdict) -> Outcome:
    priced = _priced(plan, request.cost, price, verdict)
    if priced is None:
        return Outcome(verdict)
    base, per_token, cheaper = priced[0], priced[1], _cheaper(request, price)
    objected = bool(verdict.violations)
    if not objected and _fits(plan, base + output.most * per_token):
        most, policy, verdict = output.most, output.policy, plan.unopposed.costs
    else:
        lowered = _within_request_cost(plan, base, per_token, output, verdict, cheaper)
        if lowered is None:
            return Outcome(verdict)
        most, policy = lowered
    limit = request.output_limit
    clamped = output.fixed and limit is not None and limit.value is not None and limit.value != output.most
    sets = limit is not None and not output.fixed and (plan.terms.limiting is not None)
    built = CostPlan(
        least=money.round_up(base + output.least * per_token),
        want=money.round_up(base + most * per_token),
        min_output=output.least,
        max_output=most,
        base_pico=base,
        pico_per_output=per_token,
        price=price,
        accounts=plan.charges,
        field=limit.field if limit is not None and sets else None,
        asked=limit.value if limit is not None else None,
        policy=policy or plan.terms.limiting or "",
        cheaper=cheaper,
    )
    if limit is None or not clamped:
        return Outcome(verdict, built, worst_case=built.want)
    clamp = Clamp(limit.field, limit.value, output.most, output.policy)
    return Outcome(verdict, built, clamp, (SetNumber(limit.field, output.most),), built.want)


def _priced(plan: Plan, facts: CostFacts, price: ModelPrice, verdict: Verdict) -> tuple[PicoUsd, PicoUsd] | None:
    """The base and what each token of the answer costs, at most; `None` where nothing bounds them."""
    if plan.plain is not None and bound.is_plain(facts):
        return bound.of_plain(facts, plan.plain)
    try:
        return bound.both(facts, price)
    except bound.BoundError as error:
        if plan.terms.concerned is not None:
            refusal = refusals.unbounded_request(plan.terms.concerned, str(error))
            _refuse(plan, verdict, "unbounded_cost", refusal)
        return None


def _fits(plan: Plan, most: PicoUsd) -> bool:
    """Whether the worst case is within every rule's bound of a request's cost."""
    for rule in plan.costs:
        limit = rule.body.max_request_cost
        if limit is not None and most > limit * PICO_PER_MICRO:
            return False
    return True


def _cheaper(request: Request, price: ModelPrice) -> str:
    """What to ask for to be bounded at the list price, empty where the request is."""
    return _LIST_PRICE[request.route.format] if multiplier.assumes_tier(price, request.cost.service_tier) else ""


def _within_request_cost(
    plan: Plan, base: PicoUsd, per_token: PicoUsd, output: _Output, verdict: Verdict, cheaper: str
) -> tuple[int, str] | None:
    """The output maximum under every `maxRequestCost`, and the policy that lowers it last.

    `None` where even the least costs more.
    """
    most, policy = output.most, output.policy
    for rule in plan.costs:
        limit = rule.body.max_request_cost
        if limit is None:
            continue
        room = limit * PICO_PER_MICRO - base
        tokens = room // per_token if per_token else (output.most if room >= 0 else -1)
        if tokens >= most:
            verdict.passed(rule, _WITHIN)
        elif tokens >= output.least and not output.fixed and rule.body.clamp:
            most, policy = (tokens, rule.id) if rule.acts else (most, policy)
            verdict.passed(rule, f"output maximum at most {tokens}")
        else:
            cost = money.round_up(base + (output.most if output.fixed else output.least) * per_token)
            refusal = _too_dear(rule, limit, cost, tokens if tokens > 0 else None, cheaper)
            verdict.refuse(rule, "request_too_dear", refusal)
            if rule.acts:
                return None
    return most, policy


def _too_dear(rule: Rule[CostLimit], limit: MicroUsd, cost: MicroUsd, fits: int | None, cheaper: str) -> Refusal:
    """In the currency that the limit was written in, at the rate that it was turned into micro-USD with."""
    written = rule.body.written
    if written is None:
        most, needed = money.show(limit), money.show(cost)
    else:
        most = money.show_units(written.units, written.currency)
        needed = money.show(cost, written.currency, written.nano_usd, up=True)
    return refusals.request_too_dear(rule.id, most, refusals.with_tier(needed, cheaper), fits)
