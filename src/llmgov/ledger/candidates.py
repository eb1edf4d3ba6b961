"""One need of a lease request, looked up: the account in force, its open window, and what may be lent from it."""

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

from llmgov.instants import Instant
from llmgov.ledger import approvals, ceilings, windows
from llmgov.ledger.book import Book, WindowLock
from llmgov.ledger.ceilings import Ceiling
from llmgov.ledger.messages import Need
from llmgov.ledger.rows import AccountRow, ApprovalKind, ApprovalRow, ApprovalState, Window, scope
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov.snapshot import Account, approval_id

Definitions: TypeAlias = Mapping[str, Account]
"""The accounts that the ledger itself knows to be in force, by the key without a user: these decide, and what a sidecar
with an older snapshot believes only where there is none."""


@dataclasses.dataclass(frozen=True, slots=True)
class Candidate:
    """What a grant decides by."""

    need: Need
    account: Account
    window: Window
    ceiling: Ceiling
    utmost: Ceiling

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
        """Whether approvals could let the attempt in hand pass: what they open must pay for it."""
        return self.ceiling.approvable and self.utmost.amount - self.window.used >= self.need.least

    @property
    def stops_at(self) -> int:
        """The percentage of the limit that stops the attempt, as far as approvals could take it."""
        return self.ceiling.percent if self.approvable else self.utmost.percent

    @property
    def binds(self) -> bool:
        """Whether the limit is enforced."""
        return self.need.enforced and not self.account.dry_run


def lock(need: Need, definitions: Definitions, now: Instant) -> WindowLock:
    """What `look_up` needs of the store."""
    account = definitions.get(need.account.key, need.account)
    return WindowLock(need.key, scope(account, need.key), windows.current(account.period, account.time_zone, now))


def look_up(book: Book, need: Need, definitions: Definitions, now: Instant) -> Candidate:
    """The need's account and window, which is opened by its first use."""
    account = definitions.get(need.account.key, need.account)
    known = book.accounts.get(need.key)
    if known is None or known.account != account:
        book.put_account(AccountRow(need.key, scope(account, need.key), account))
    span = windows.current(account.period, account.time_zone, now)
    window = book.windows.get((need.key, span.start)) or _open(book, need.key, account, span, now)
    ceiling = ceilings.ceiling(account, window, book.opened(window))
    return Candidate(need, account, window, ceiling, ceilings.utmost(account, window))


def _open(book: Book, key: str, account: Account, span: Span, now: Instant) -> Window:
    """A window's first use: its rate is fixed, and it begins with what its scope already spent."""
    spent = book.backfill.get((key, span.start), 0)
    window = Window(key, scope(account, key), span.start, span.end, account.nano_usd, spent)
    ceilings.put_and_notify(book, account, window, now)
    return book.windows[key, span.start]


def approval(candidate: Candidate, now: Instant) -> ApprovalRow | None:
    """The approval that would open the threshold in the way; `None` where none can."""
    if not candidate.approvable:
        return None
    window, percent, source = candidate.window, candidate.ceiling.percent, candidate.account.source
    return ApprovalRow(
        id=approval_id(f"{window.account}/{window.start}/{percent}"),
        kind=ApprovalKind.THRESHOLD,
        policy=source,
        summary=f"spend beyond {percent} % of {source}",
        created=now,
        expires=window.end,
        account=window.account,
        window_start=window.start,
        threshold=percent,
    )


def ask_for_approval(book: Book, candidate: Candidate, now: Instant) -> ApprovalRow | None:
    """Ask, once, for the approval that would let the request pass; as it stands, `None` where none can."""
    wanted = approval(candidate, now)
    if wanted is None:
        return None
    known = book.approvals.get(wanted.id)
    if known is None:
        approvals.ask(book, wanted)
    return known or wanted


def strictness(book: Book, candidate: Candidate, now: Instant) -> int:
    """How far a refusing account is from letting the attempt pass; the lowest is the strictest.

    0: no approval can help; 1: one could and was denied; 2: one may still be granted.
    """
    wanted = approval(candidate, now)
    if wanted is None:
        return 0
    known = book.approvals.get(wanted.id)
    return 1 if known is not None and known.state is ApprovalState.DENIED else 2
