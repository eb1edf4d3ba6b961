"""What the ledger would say to one request, given what was spent: its own grant and purse, over a made-up book."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

from llmgov import money, snapshot
from llmgov.instants import Instant
from llmgov.ledger import ceilings, epochs, grants, windows
from llmgov.ledger.book import Book
from llmgov.ledger.commands import Command, Held, Refused, Send
from llmgov.ledger.messages import LeaseGrant, LeaseRequest
from llmgov.ledger.purse import Purse, Wish
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, Window, scope
from llmgov.policy.decision import Charge, CostPlan, Decision

_ATTEMPT = "attempt"


@dataclasses.dataclass(frozen=True, slots=True)
class Standing:
    """An account that the request is charged to, in micro-USD: its limit and what was spent in this window."""

    charge: Charge
    window: Window
    limit: money.MicroUsd


class UnknownBudgetError(Exception):
    """`spent` names a Budget that this request is not charged to; the message lists those that it is."""


def standings(plan: CostPlan, spent: Mapping[str, str], now: Instant) -> tuple[Standing, ...]:
    """The accounts that a plan charges, with what was spent of them.

    Raises:
        UnknownBudgetError: `spent` names an account that is not among them.
        llmgov.money.MoneyError: an amount of `spent` is none.
    """
    charges = {charge.key: charge for charge in plan.accounts}
    names = {name for charge in charges.values() for name in _names(charge.account)}
    for name in spent:
        if name not in names:
            known = ", ".join(sorted(charge.account.source for charge in charges.values())) or "nothing"
            raise UnknownBudgetError(f"spent.{name} does not count this request; charged is: {known}")
    return tuple(_standing(charge, spent, now) for charge in charges.values())


def _names(account: snapshot.Account) -> tuple[str, ...]:
    """What `spent` may call an account: `Budget/namespace/name`, `namespace/name`, `name`."""
    id_ = account.source.removeprefix("Budget/")
    return account.source, id_, id_.rpartition("/")[2]


def _standing(charge: Charge, spent: Mapping[str, str], now: Instant) -> Standing:
    account = charge.account
    amount = next((spent[name] for name in _names(account) if name in spent), "0")
    span = windows.current(account.period, account.time_zone, now)
    window = Window(
        account=charge.key,
        scope=scope(account, charge.key),
        start=span.start,
        end=span.end,
        nano_usd=account.nano_usd,
        spent=money.in_usd(money.parse_amount(amount), account.nano_usd),
    )
    return Standing(charge, window, ceilings.limit(account, account.nano_usd))


def hold(
    decision: Decision, plan: CostPlan, accounts: Sequence[Standing], now: Instant, *, approved: bool
) -> Held | Refused:
    """What becomes of the request's hold; `approved` opens every threshold that an approval can open."""
    book = Book(windows={(each.window.account, each.window.start): each.window for each in accounts})
    if approved:
        book.approvals = {row.id: row for each in accounts for row in _approvals(each, now)}
    purse = Purse(epochs.register(book, "what-if"))
    wish = Wish(_ATTEMPT, plan.accounts, plan.least, plan.want, decision.path)
    return _answer(purse, purse.hold(wish, now), book, now)


def _answer(purse: Purse, commands: Sequence[Command], book: Book, now: Instant) -> Held | Refused:
    """Carry out a purse's commands until it holds or gives up; it asks again only for what it was not lent."""
    queue = list(commands)
    while queue:
        command = queue.pop(0)
        if isinstance(command, Held | Refused):
            return command
        if isinstance(command, Send) and isinstance(command.message, LeaseRequest):
            reply = grants.grant(book, command.message, {}, now)
            queue += purse.on_grant(reply, now) if isinstance(reply, LeaseGrant) else purse.on_refusal(reply, now)
    raise RuntimeError("the purse neither held nor refused")


def _approvals(standing: Standing, now: Instant) -> Iterator[ApprovalRow]:
    window = standing.window
    for threshold in standing.charge.account.thresholds:
        if snapshot.ThresholdAction.REQUIRE_APPROVAL in threshold.actions:
            yield ApprovalRow(
                id=f"{window.account}/{threshold.percent}",
                kind=ApprovalKind.THRESHOLD,
                policy=standing.charge.account.source,
                summary="",
                created=now,
                expires=window.end,
                state=ApprovalState.APPROVED,
                account=window.account,
                window_start=window.start,
                threshold=threshold.percent,
            )
