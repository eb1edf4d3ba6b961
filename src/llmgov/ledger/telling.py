"""The ledger's no, as the client hears it: in the currency of the limit that refused."""

from llmgov import money
from llmgov.ledger.messages import LeaseRefusal, Why
from llmgov.policy import cost, refusals
from llmgov.policy.decision import CostPlan
from llmgov.wire.events import Refusal


def too_many_users(refused: LeaseRefusal) -> Refusal:
    """The answer to a user of whom the ledger keeps no account any more in this window (`USERS`)."""
    return refusals.too_many_users(refused.source, refused.limit)


def told(refused: LeaseRefusal, plan: CostPlan) -> Refusal:
    """The answer to an attempt of `plan` that an account refused (`EXHAUSTED` or `APPROVAL`)."""
    needed = refusals.with_tier(money.show(plan.least, refused.currency, refused.nano_usd, up=True), plan.cheaper)
    limit = money.show_units(refused.units, refused.currency)
    if refused.why is Why.APPROVAL:
        return refusals.threshold_approval(refused.source, refused.threshold, limit, needed, refused.approval)
    left = max(refused.remaining, 0)
    remaining = f"{money.show(left, refused.currency, refused.nano_usd)} left"
    if refused.threshold < 100:
        remaining += f" up to {refused.threshold} % of {limit}"
    if refused.denied is not None:
        remaining += f" (going beyond that was denied{': ' if refused.denied else ''}{refused.denied})"
    return refusals.budget_exhausted(
        refused.source,
        needed,
        remaining,
        refused.window_end,
        cost.fitting(plan, refused.remaining),
        details={"needed": money.format_amount(plan.least), "remaining": money.format_amount(left)},
    )
