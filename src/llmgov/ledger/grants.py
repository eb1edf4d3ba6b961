"""The ledger's answer to a `LeaseRequest`: leases on every account that needs one, or none.

Everything is looked up and deducted in one transaction, and what a refusal says is what was true in it. A repeated
request finds the leases of its first answer by their ids and gets the same answer again.
"""

import dataclasses
from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger import approvals, ceilings, windows
from llmgov.ledger.book import Book, Lock, WindowLock
from llmgov.ledger.messages import Epoch, Lease, LeaseGrant, LeaseRefusal, LeaseRequest, Need, Why
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalKind,
    ApprovalRow,
    ApprovalState,
    EpochRow,
    LeaseRow,
    Window,
    scope,
)
from llmgov.money import MicroUsd
from llmgov.snapshot import Account

LEASE_LIFE: Duration = 10 * instants.MINUTE
"""How long a lease may be held from: as long as a hub may be away before requests stop."""

PLENTY = 8
"""A lease takes at most one part in so many of what is left, unless the attempt in hand needs more."""

AHEAD = 32
"""A lease takes at most the worst case of so many attempts like the one in hand."""

Definitions: TypeAlias = Mapping[str, Account]
"""The accounts that the ledger itself knows to be in force, by the key without a user: these decide, and what a sidecar
with an older snapshot believes only where there is none."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Candidate:
    """One need looked up: the account in force, its open window, and what may be lent."""

    need: Need
    account: Account
    window: Window
    ceiling: ceilings.Ceiling

    @property
    def free(self) -> MicroUsd:
        return max(0, self.ceiling.amount - self.window.used)

    @property
    def enforced(self) -> bool:
        return self.need.enforced and not self.account.dry_run

    @property
    def suffices(self) -> bool:
        return self.free >= self.need.least


def lock(request: LeaseRequest, definitions: Definitions, now: Instant) -> Lock:
    """What `grant` needs of the store."""
    return Lock(
        windows=tuple(_window_lock(need, definitions, now) for need in request.needs),
        leases=tuple(_lease_id(request, index) for index in range(len(request.needs))),
        holders=(request.epoch.holder,),
        approvals=() if request.approval is None else (request.approval,),
    )


def _window_lock(need: Need, definitions: Definitions, now: Instant) -> WindowLock:
    account = definitions.get(need.account.key, need.account)
    return WindowLock(need.key, scope(account, need.key), windows.current(account.period, account.time_zone, now))


def grant(book: Book, request: LeaseRequest, definitions: Definitions, now: Instant) -> LeaseGrant | LeaseRefusal:
    """Lend for every need, or refuse and lend nothing; `now` is the ledger's clock.

    Raises:
        ValueError: two needs of one account, or amounts that are none: the sender is broken.
    """
    _check(request)
    if not _admit(book, request.epoch):
        return _refuse(request, Why.FENCED, now)
    lent = _lent(book, request)
    if lent:
        return LeaseGrant(request.request, lent, now)
    if request.approval is not None and not _consumable(book, request, now):
        return _refuse(request, Why.APPROVAL, now, source="approval")
    candidates = [_candidate(book, need, definitions, now) for need in request.needs]
    for candidate in candidates:
        if candidate.enforced and not candidate.suffices:
            return _refuse_candidate(book, request, candidate, now)
    for index, candidate in enumerate(candidates):
        _lend(book, request, index, candidate, now)
    _consume(book, request)
    return LeaseGrant(request.request, _lent(book, request), now)


def _lent(book: Book, request: LeaseRequest) -> tuple[Lease, ...]:
    ids = (_lease_id(request, index) for index in range(len(request.needs)))
    return tuple(_lease(book.leases[id_]) for id_ in ids if id_ in book.leases)


def _check(request: LeaseRequest) -> None:
    if len({need.key for need in request.needs}) != len(request.needs):
        raise ValueError("a lease request names one account twice")
    if any(not 0 <= need.least <= need.want for need in request.needs):
        raise ValueError("a lease request wants less than it needs")


def _admit(book: Book, epoch: Epoch) -> bool:
    """Whether `epoch` is its holder's newest; a newer one fences the older from here on."""
    row = book.epochs.get(epoch.holder)
    if row is not None and row.number > epoch.number:
        return False
    if row is None or row.number < epoch.number:
        book.put_epoch(EpochRow(epoch.holder, epoch.number))
    return True


def _consumable(book: Book, request: LeaseRequest, now: Instant) -> bool:
    row = book.approvals.get(request.approval or "")
    if row is None:
        return False
    return approvals.usable(row, now) or row.used_by == _token(request)


def _consume(book: Book, request: LeaseRequest) -> None:
    if request.approval is not None:
        row = book.approvals[request.approval]
        book.put_approval(msgspec.structs.replace(row, state=ApprovalState.USED, used_by=_token(request)))


def _candidate(book: Book, need: Need, definitions: Definitions, now: Instant) -> _Candidate:
    account = definitions.get(need.account.key, need.account)
    known = book.accounts.get(need.key)
    if known is None or known.account != account:
        book.put_account(AccountRow(need.key, scope(account, need.key), account))
    span = windows.current(account.period, account.time_zone, now)
    window = book.windows.get((need.key, span.start)) or _open(book, need.key, account, span, now)
    return _Candidate(need, account, window, ceilings.ceiling(account, window, book.opened(window)))


def _open(book: Book, key: str, account: Account, span: windows.Span, now: Instant) -> Window:
    """A window's first use: its rate is fixed, and it begins with what its scope already spent."""
    spent = book.backfill.get((key, span.start), 0)
    window = Window(key, scope(account, key), span.start, span.end, account.nano_usd, spent)
    ceilings.put_and_notify(book, account, window, now)
    return book.windows[key, span.start]


def _lend(book: Book, request: LeaseRequest, index: int, candidate: _Candidate, now: Instant) -> None:
    window = candidate.window
    amount = size(candidate.need, candidate.free)
    if amount == 0:
        return
    row = LeaseRow(
        id=_lease_id(request, index),
        account=window.account,
        window_start=window.start,
        window_end=window.end,
        holder=request.epoch.holder,
        number=request.epoch.number,
        amount=amount,
        deadline=min(now + LEASE_LIFE, window.end),
        over=None if candidate.suffices else candidate.ceiling.percent,
    )
    book.put_lease(row)
    book.put_window(msgspec.structs.replace(window, leased=window.leased + amount))


def size(need: Need, free: MicroUsd) -> MicroUsd:
    """How much to lend where `free` may be lent: generous while there is plenty, `need.least` when there is not.

    What a single attempt would like beyond its least never takes more than half of what is left.
    """
    generous = max(need.want, min(free // PLENTY, AHEAD * need.want))
    return max(need.least, min(generous, free // 2))


def _refuse_candidate(book: Book, request: LeaseRequest, candidate: _Candidate, now: Instant) -> LeaseRefusal:
    approval = _pending(book, candidate, now) if candidate.ceiling.approvable else None
    window, account = candidate.window, candidate.account
    return LeaseRefusal(
        request=request.request,
        why=Why.EXHAUSTED if approval is None else Why.APPROVAL,
        key=window.account,
        remaining=candidate.free,
        limit=ceilings.limit(account, window.nano_usd),
        window_end=window.end,
        now=now,
        threshold=candidate.ceiling.percent,
        source=account.source,
        approval=approval,
    )


def _pending(book: Book, candidate: _Candidate, now: Instant) -> str | None:
    """The approval that would open the threshold, asked for once; `None` where it was denied."""
    window, percent, account = candidate.window, candidate.ceiling.percent, candidate.account
    for row in book.approvals.values():
        if (row.account, row.window_start, row.threshold) == (window.account, window.start, percent):
            return None if row.state is ApprovalState.DENIED else row.id
    row = ApprovalRow(
        id=approvals.identity(f"{window.account}/{window.start}/{percent}"),
        kind=ApprovalKind.THRESHOLD,
        policy=account.source,
        summary=f"spend beyond {percent} % of {account.source}",
        created=now,
        expires=window.end,
        account=window.account,
        window_start=window.start,
        threshold=percent,
    )
    approvals.ask(book, row)
    return row.id


def _refuse(request: LeaseRequest, why: Why, now: Instant, source: str = "") -> LeaseRefusal:
    return LeaseRefusal(request.request, why, "", 0, 0, now, now, source=source, approval=request.approval)


def _token(request: LeaseRequest) -> str:
    return f"{request.epoch}/{request.request}"


def _lease_id(request: LeaseRequest, index: int) -> str:
    return f"{_token(request)}/{index}"


def _lease(row: LeaseRow) -> Lease:
    return Lease(row.id, row.account, row.window_start, row.window_end, row.amount, row.deadline, row.over)
