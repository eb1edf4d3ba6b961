"""One need of a lease request, looked up: the account in force, its open window, and what may be lent from it."""

import dataclasses

import msgspec

from llmgov import money
from llmgov.instants import Instant
from llmgov.ledger import approvals, ceilings, windows
from llmgov.ledger.book import Book, WindowLock
from llmgov.ledger.ceilings import Ceiling
from llmgov.ledger.definitions import Definitions, decisive, user_of
from llmgov.ledger.messages import LeaseRequest, Need
from llmgov.ledger.rows import AccountRow, ApprovalKind, ApprovalRow, ApprovalState, Window, scope
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov.snapshot import Account, TargetKind, approval_id

MAX_USERS = 10_000
"""How many users of one definition of each user may have a window at a time: so the ledger's tables are bounded,
whatever names tokens bear."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """What a grant decides by; `whole` is what the attempt in hand needs, the need what it lacks of that."""

    need: Need
    whole: MicroUsd
    account: Account
    window: Window
    ceiling: Ceiling

    @property
    def utmost(self) -> Ceiling:
        """Up to where approvals could open it; only what does not suffice asks."""
        return ceilings.utmost(self.account, self.window)

    @property
    def free(self) -> MicroUsd:
        """What may be lent."""
        return max(0, self.ceiling.amount - self.window.used)

    @property
    def suffices(self) -> bool:
        """Whether the attempt in hand can be served."""
        return self.free >= self.need.least

    @property
    def refuses(self) -> bool:
        """Whether it stops the request: what is not enforced never does."""
        return self.binds and not self.suffices

    @property
    def approvable(self) -> bool:
        """Whether approvals could let the attempt in hand pass: what they open must pay for it.

        What is only lent may come back until it is sent again, and does not count.
        """
        room = self.utmost.amount - self.window.spent - self.window.unknown
        return self.ceiling.approvable and room >= max(self.whole, self.need.least)

    @property
    def stops_at(self) -> int:
        """The percentage of the limit that stops the attempt, as far as approvals could take it."""
        return self.ceiling.percent if self.approvable else self.utmost.percent

    @property
    def binds(self) -> bool:
        """Whether the limit is enforced."""
        return self.need.enforced and not self.account.dry_run

    @property
    def definition(self) -> Account:
        """By which it is lent, as sidecars have it (`policy.runtime`): in dry run where nothing may be refused, so that
        what is lent beyond a limit is given back once it is enforced."""
        return self.account if self.binds else msgspec.structs.replace(self.account, dry_run=True)


def lock(need: Need, definitions: Definitions, now: Instant) -> WindowLock:
    """What `look_up` needs of the store; where what it finds there says otherwise, nothing is lent (`decisive`)."""
    account = definitions.get(need.account.key, need.account)
    span = windows.current(account.period, account.time_zone, now)
    return WindowLock(need.key, scope(account, need.key), span, _base(account, need.key))


def _base(account: Account, key: str) -> str:
    return "" if user_of(account, key) is None else account.key


def is_full(book: Book, need: Need, definitions: Definitions, now: Instant, max_users: int) -> bool:
    """Whether the need is a user's first in a window that has `max_users` already: of others nobody was counted."""
    if not _base(definitions.get(need.account.key, need.account), need.key):
        return False
    wanted = lock(need, definitions, now)
    return book.users.get((wanted.base, wanted.span.start), 0) >= max_users


def look_up(book: Book, need: Need, definitions: Definitions, now: Instant, whole: MicroUsd = 0) -> Candidate:
    """The need's account and window, which is opened by its first use.

    A window's rate is fixed when it opens; a limit that is written in another currency from now on fixes that one's.
    """
    account = decisive(book, need.key, need.account, definitions)
    assert account is not None, "what nobody defines is not looked up"
    span = windows.current(account.period, account.time_zone, now)
    window = window_of(book, need, account, span, now)
    ceiling = ceilings.ceiling(account, window, book.opened(window))
    return Candidate(need, whole, account, window, ceiling)


def window_of(book: Book, need: Need, account: Account, span: Span, now: Instant) -> Window:
    """The window of `span`, opened where it is not, of the account that `account` defines."""
    known = book.accounts.get(need.key)
    if known is None or known.account != account:
        book.put_account(AccountRow(need.key, scope(account, need.key), account))
    window = book.windows.get((need.key, span.start)) or _open(book, need.key, account, span, now)
    if window.currency not in ("", account.currency):
        window = msgspec.structs.replace(window, currency=account.currency, nano_usd=account.nano_usd)
        book.put_window(window)
    return window


def _open(book: Book, key: str, account: Account, span: Span, now: Instant) -> Window:
    """A window's first use: its rate is fixed, and it begins with what its scope already spent."""
    spent = book.backfill.get((key, span.start), 0)
    window = Window(
        account=key,
        scope=scope(account, key),
        start=span.start,
        end=span.end,
        nano_usd=account.nano_usd,
        spent=spent,
        currency=account.currency,
        base=_base(account, key),
    )
    ceilings.put_and_notify(book, account, window, now)
    return book.windows[key, span.start]


def approval(candidate: Candidate, now: Instant) -> ApprovalRow | None:
    """The approval that would open the threshold in the way; `None` where none can."""
    if not candidate.approvable:
        return None
    account, window, percent = candidate.account, candidate.window, candidate.ceiling.percent
    return ApprovalRow(
        id=approval_id(f"{window.account}/{window.start}/{percent}"),
        kind=ApprovalKind.THRESHOLD,
        policy=account.source,
        summary=f"spend beyond {percent} % of {account.source} ({money.show_units(account.limit, account.currency)})",
        created=now,
        expires=window.end,
        account=window.account,
        window_start=window.start,
        threshold=percent,
    )


def ask_for_approval(book: Book, candidate: Candidate, request: LeaseRequest, now: Instant) -> ApprovalRow | None:
    """Ask, once, for the approval that would let the request pass; as it stands, `None` where none can.

    It opens the threshold for everybody; who decides is told of the request that met it first.
    """
    wanted = approval(candidate, now)
    if wanted is None:
        return None
    known = book.approvals.get(wanted.id)
    if known is None:
        user, workload = _named(request, TargetKind.USER), _named(request, TargetKind.WORKLOAD)
        who = f"{user} in {workload}" if user else workload
        summary = f"{wanted.summary}, first for {_needed(candidate, request)} of {who}"
        if request.request_id:
            summary += f"; request {request.request_id}"
        wanted = msgspec.structs.replace(wanted, summary=summary, requested_by=user or workload)
        approvals.ask(book, wanted)
    return known or wanted


def _named(request: LeaseRequest, kind: TargetKind) -> str:
    """The name of the target of a kind on the charging path; empty where there is none."""
    prefix = f"{kind.value}/"
    return next((target.removeprefix(prefix) for target in request.path if target.startswith(prefix)), "")


def _needed(candidate: Candidate, request: LeaseRequest) -> str:
    """What the request may cost at least, in the account's currency; a need has only what is missing of that."""
    least = max(request.least, candidate.need.least)
    return money.show(least, candidate.account.currency, candidate.window.nano_usd, up=True)


def strictness(book: Book, candidate: Candidate, now: Instant) -> int:
    """How far a refusing account is from letting the attempt pass; the lowest is the strictest.

    0: no approval can help; 1: one could and was denied; 2: one may still be granted.
    """
    wanted = approval(candidate, now)
    if wanted is None:
        return 0
    known = book.approvals.get(wanted.id)
    return 1 if known is not None and known.state is ApprovalState.DENIED else 2
