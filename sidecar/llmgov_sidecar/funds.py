"""The money of one attempt: set aside before it is put on record (design section 5, step 5).

Where nothing limits it, or what limits it cannot be reached and may be passed over, nothing is charged, and the hold
only says what the attempt may cost.
"""

from typing import assert_never

import msgspec

from llmgov import snapshot
from llmgov.ledger import billing, ceilings, telling
from llmgov.ledger.commands import Held
from llmgov.ledger.messages import Charged, LeaseRefusal, Why
from llmgov.ledger.purse import Wish
from llmgov.money import MicroUsd
from llmgov.policy import refusals
from llmgov.policy.decision import Action, ApprovalRequest, Charge, Decision, Violation
from llmgov.snapshot import Approval, AuditMode, OnFailure, Settings
from llmgov_sidecar.leasing import NoMoneyError
from llmgov_sidecar.passage import Passage, RefusedError
from llmgov_sidecar.services import Services


class Hold(msgspec.Struct, frozen=True):
    """What is set aside; `ticket` names it at the purse where it is `leased`.

    `tightest` is the account that has the least left, where that is less than was wanted; `over` are accounts beyond a
    percentage of their limit that is not enforced. `strict` says that it may be of strict leases: the intent has to be
    on record at the hub before anything is dispatched.
    """

    amount: MicroUsd
    charged: tuple[Charged, ...] = ()
    leased: bool = False
    tightest: str = ""
    ticket: str = ""
    over: dict[str, int] = {}
    strict: bool = False


NOTHING = Hold(0)

_OF_NO_ACCOUNT = (Why.USERS, Why.NOT_TAKEN)
"""Why nothing is lent whatever the accounts could give."""


def is_strict(decision: Decision, settings: Settings) -> bool:
    """Whether the intent has to be on record at the hub before the attempt is dispatched."""
    return decision.strict_audit or settings.audit is AuditMode.STRICT


async def set_aside(services: Services, passage: Passage, decision: Decision) -> Hold:
    """The worst case of a decided request, from every account that it is charged to.

    Raises:
        RefusedError: there is not enough, or nobody can say and it must be known.
    """
    plan = decision.plan
    accounts, least, want = (plan.accounts, plan.least, plan.want) if plan is not None else ((), 0, 0)
    enforced = _any_enforced(accounts)
    if not enforced:
        # Nobody's limit keeps a client's own maximum within what the ledger's columns can sum.
        least, want = min(least, billing.MAX_COST), min(want, billing.MAX_COST)
    if not accounts and decision.approval is None:
        return Hold(want)
    ticket = str(next(services.tickets))
    assert passage.active is not None
    strict = is_strict(decision, passage.active.runtime.settings)
    wish = Wish(ticket, accounts, least, want, decision.path, _approval(decision), passage.request_id, strict)
    try:
        answer = await _lend(services, wish)
    except NoMoneyError as error:
        if _fails_open(services, passage, decision, enforced=enforced):
            return Hold(min(want, billing.MAX_COST))
        raise RefusedError(refusals.unavailable(str(error))) from error
    if isinstance(answer, LeaseRefusal):
        if answer.why in _OF_NO_ACCOUNT and not enforced and decision.approval is None:
            return Hold(want)  # nobody may be refused, though the ledger keeps no account of this
        raise _out_of_money(answer, decision)
    return Hold(answer.amount, answer.charged, True, answer.tightest, ticket, answer.over, strict)


def found_over(hold: Hold, decision: Decision) -> list[Violation]:
    """What is to be noted of accounts beyond what is not enforced."""
    return [_over(decision, key, percent) for key, percent in hold.over.items()]


def _any_enforced(accounts: tuple[Charge, ...]) -> bool:
    for one in accounts:  # noqa: SIM110 - a generator would cost as much as what it goes over
        if one.enforced:
            return True
    return False


def _approval(decision: Decision) -> str | None:
    return decision.approval.id if decision.approval is not None else None


async def _lend(services: Services, wish: Wish) -> Held | LeaseRefusal:
    """Money, and the approval with it: also where nothing is charged, an approval is used up at the hub."""
    if services.leasing is None:
        raise NoMoneyError("the ledger is out of reach")
    return await services.leasing.hold(wish)


def _fails_open(services: Services, passage: Passage, decision: Decision, *, enforced: bool) -> bool:
    assert passage.active is not None
    open_ = passage.active.runtime.settings.ledger_unavailable is OnFailure.OPEN
    # An approval is good for one attempt, and only the ledger knows whether it is still unused.
    allowed = decision.approval is None and (open_ or not enforced)
    if allowed:
        services.log.warning("passed without a lease", request_id=passage.request_id)
    return allowed


def _over(decision: Decision, key: str, percent: int) -> Violation:
    """What enforcement would have done at that percentage of the account's limit."""
    assert decision.plan is not None, "nothing is over without an account that it is charged to"
    account = next(charge.account for charge in decision.plan.accounts if charge.key == key)
    reached = f"more than {percent} % of the limit of {account.source} is spent or held"
    message = f"llmgov: with this request {reached}; that is not enforced"
    action = Action.REQUIRE_APPROVAL if ceilings.asks(account, percent) else Action.DENY
    return Violation(account.source, action, f"threshold:{percent}", message, dry_run=True)


def _out_of_money(refusal: LeaseRefusal, decision: Decision) -> RefusedError:
    plan, approval, asks = decision.plan, decision.approval, decision.approval_request
    match refusal.why:
        case Why.APPROVAL if approval is not None and asks is not None and refusal.approval == approval.id:
            return _used_up(approval, asks)
        case Why.APPROVAL:
            action, reason = Action.REQUIRE_APPROVAL, f"threshold:{refusal.threshold}"
        case Why.EXHAUSTED:
            action, reason = Action.DENY, "budget_exhausted"
        case Why.USERS:
            told = telling.too_many_users(refusal)
            return RefusedError(told, (Violation(refusal.source, Action.DENY, "too_many_users", told.message),))
        case Why.NOT_TAKEN:
            why = "the ledger does not take this request for one of this workload's, perhaps since its policies changed"
            return RefusedError(refusals.unavailable(why))
        case Why.RECOVERING:
            why = "the ledger may have lost something and waits for what every sidecar still holds"
            return RefusedError(refusals.unavailable(why))
        case Why.FENCED:
            return RefusedError(refusals.unavailable("this sidecar's place at the ledger was taken by a newer one"))
        case Why.CLOSED:
            return RefusedError(refusals.unavailable(_closed(refusal)))
        case _:
            assert_never(refusal.why)
    assert plan is not None, "no account refuses what charges none"
    told = telling.told(refusal, plan)
    return RefusedError(told, (Violation(told.policy or refusal.source, action, reason, told.message),))


def _closed(refusal: LeaseRefusal) -> str:
    """Nobody was asked where it is this sidecar that takes no more holds."""
    if refusal.request:
        return "the ledger takes this request for a late copy of one that it has answered"
    return "this sidecar is stopping"


def _used_up(approval: Approval, asks: ApprovalRequest) -> RefusedError:
    anew = snapshot.approval_id(asks.digest, snapshot.asking(approval.id) + 1)
    told = refusals.approval_used(asks.policy, anew)
    violation = Violation(asks.policy, Action.REQUIRE_APPROVAL, "approval_used", told.message)
    return RefusedError(told, (violation,), asks)
