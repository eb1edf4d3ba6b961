"""The ledger's answer to a `LeaseRequest`: leases on every account that needs one, or none.

Everything is looked up and deducted in one transaction, and what a refusal says is what was true in it. A repeated
request finds the leases of its first answer by their ids and gets the same answer again; a late copy of one that was
refused is not granted.
"""

import functools
from collections.abc import Sequence

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger import approvals, asking, candidates, ceilings, epochs, lives
from llmgov.ledger.asking import check, left_out
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.candidates import MAX_USERS, Candidate
from llmgov.ledger.definitions import Definitions, fingerprint
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Lease, LeaseGrant, LeaseRefusal, LeaseRequest, Need, Why
from llmgov.ledger.rows import ApprovalRow, ApprovalState, LeaseRow
from llmgov.money import MicroUsd

LEASE_LIFE: Duration = 10 * instants.MINUTE
"""How long a lease may be held from: as long as a hub may be away before requests stop."""

PLENTY = 8
"""A lease takes at most one part in so many of what is left, unless the attempt in hand needs more."""

AHEAD = 32
"""A lease takes at most the worst case of so many attempts like the one in hand."""


def lock(request: LeaseRequest, definitions: Definitions, now: Instant) -> Lock:
    """What `grant` needs of the store.

    Raises:
        BadInputError: the request contradicts itself: the sender is broken.
    """
    check(request, definitions)
    needs = (*request.needs, *left_out(request, definitions))
    bases = asking.bases(request, definitions)
    return Lock(
        windows=tuple(candidates.lock(need, definitions, now) for need in (*needs, *bases)),
        leases=_lease_ids(request),
        holders=(request.epoch.holder,),
        approvals=() if request.approval is None else (request.approval,),
        ledger_epoch=True,
    )


def grant(
    book: Book,
    request: LeaseRequest,
    definitions: Definitions,
    now: Instant,
    *,
    final: bool = True,
    max_users: int = MAX_USERS,
    observed: bool = False,
) -> LeaseGrant | LeaseRefusal:
    """Lend for every need, or refuse and lend nothing; `now` is the ledger's clock. `observed` says that by the
    configuration in force nothing may be refused along the request's path (`asking.as_in_force`). `book` is what `lock`
    named, which has looked at the request's words and numbers.

    An account that covers the request and that its sender has not heard of refuses like any other, and lends nothing:
    the attempt is charged to it when it is settled.

    A refusal that is not `final` is not the answer yet (the hub asks others for idle money first) and leaves no trace;
    a final one is remembered, and asks for the approval that would have helped.

    Raises:
        BadInputError: its epoch was never given out, its number was another request's, or an account is not on its path
            or was never in force: the sender is broken.
        CrowdedError: it would be refused, and too many are that are not closed: it may be sent again.
    """
    request = asking.as_in_force(book, request, observed=observed)
    epochs.require_given(book, request.epoch)
    asking.check_accounts(book, request, definitions)
    before = _rows(book, request)
    _require_same(request, before)
    if not epochs.admit(book, request.epoch):
        return _refuse(request, Why.FENCED, now)
    lent = _leases(before)
    if lent or _has_used_approval(book, request):
        return LeaseGrant(request.request, lent, now)
    if epochs.is_answered(book, request):
        return _refuse(request, Why.CLOSED, now)
    if not lives.is_open(book, now):
        refusal: LeaseRefusal | None = _refuse(request, Why.RECOVERING, now)
    else:
        refusal = _try_to_lend(book, request, definitions, now, final, max_users, observed)
    if refusal is None or final:
        epochs.remember(book, request, refused=refusal is not None)
    return refusal or LeaseGrant(request.request, _leases(_rows(book, request)), now)


def _rows(book: Book, request: LeaseRequest) -> list[LeaseRow | None]:
    """What was lent for each need."""
    return [book.leases.get(id_) for id_ in _lease_ids(request)]


def _leases(rows: Sequence[LeaseRow | None]) -> tuple[Lease, ...]:
    return tuple(_lease(row) for row in rows if row is not None)


def _require_same(request: LeaseRequest, rows: Sequence[LeaseRow | None]) -> None:
    """A number is one request's: for another one's needs that were lent nothing, nobody may get its leases."""
    for index, (need, row) in enumerate(zip(request.needs, rows, strict=True)):
        if row is not None and row.account != need.key:
            wrong = f"request {_token(request)} was lent {row.id} from {row.account}"
            raise BadInputError(Fault.REPEATED, f"needs[{index}].key", wrong)


def _has_used_approval(book: Book, request: LeaseRequest) -> bool:
    row = book.approvals.get(request.approval or "")
    return row is not None and row.used_by == _token(request)


def _try_to_lend(
    book: Book,
    request: LeaseRequest,
    definitions: Definitions,
    now: Instant,
    final: bool,
    max_users: int,
    observed: bool,
) -> LeaseRefusal | None:
    if request.approval is not None:
        row = book.approvals.get(request.approval)
        if row is None or not approvals.usable(row, now):
            return _refuse(request, Why.APPROVAL, now)
    unknown_here = [] if observed else left_out(request, definitions)
    for need in (*request.needs, *unknown_here):
        if candidates.is_full(book, need, definitions, now, max_users):
            return _refuse_user(request, need, now, max_users)
    whole = request.least
    found = [candidates.look_up(book, need, definitions, now, whole) for need in request.needs]
    unknown = [candidates.look_up(book, need, definitions, now, whole) for need in unknown_here]
    stopping = _stopping(book, request, found, unknown, now)
    if stopping is not None:
        approval = candidates.ask_for_approval(book, stopping, request, now) if final else None
        return _refuse_for(request, stopping, approval, now)
    for id_, candidate in zip(_lease_ids(request), found, strict=True):
        _lend(book, request, id_, candidate, now)
    _consume(book, request)
    return None


def _stopping(
    book: Book, request: LeaseRequest, found: Sequence[Candidate], unknown: Sequence[Candidate], now: Instant
) -> Candidate | None:
    """The account that refuses, the strictest where several do: nobody is to approve what another one still stops.

    Where nothing at all could be lent it is the first: an answer must leave a trace.
    """
    strict = functools.partial(candidates.strictness, book, now=now)
    refusing = min((candidate for candidate in (*found, *unknown) if candidate.refuses), key=strict, default=None)
    if refusing is None and found and request.approval is None and not any(map(_amount, found)):
        return found[0]
    return refusing


def _amount(candidate: Candidate) -> MicroUsd:
    """What is not enforced lends all that is wanted: less would lower the maximum of the output."""
    amount = size(candidate.need, candidate.free)
    return amount if candidate.binds else max(amount, candidate.need.want)


def size(need: Need, free: MicroUsd) -> MicroUsd:
    """How much to lend where `free` may be lent: generous while there is plenty, `need.least` when there is not.

    What a single attempt would like beyond its least never takes more than half of what is left.
    """
    generous = max(need.want, min(free // PLENTY, AHEAD * need.want))
    return max(need.least, min(generous, free // 2))


def _lend(book: Book, request: LeaseRequest, id_: str, candidate: Candidate, now: Instant) -> None:
    amount, window = _amount(candidate), candidate.window
    if amount == 0:
        return
    row = LeaseRow(
        id=id_,
        account=window.account,
        window_start=window.start,
        window_end=window.end,
        holder=request.epoch.holder,
        number=request.epoch.number,
        amount=amount,
        deadline=min(now + LEASE_LIFE, window.end),
        over=None if candidate.suffices else candidate.stops_at,
        definition=fingerprint(candidate.definition),
        strict_in=lives.generation(book) if request.strict else 0,
    )
    book.put_lease(row)
    book.put_window(msgspec.structs.replace(window, leased=window.leased + amount))


def _consume(book: Book, request: LeaseRequest) -> None:
    if request.approval is not None:
        row = book.approvals[request.approval]
        book.put_approval(msgspec.structs.replace(row, state=ApprovalState.USED, used_by=_token(request)))


def _refuse(request: LeaseRequest, why: Why, now: Instant) -> LeaseRefusal:
    return LeaseRefusal(request.request, why, "", 0, 0, now, now, approval=request.approval)


def _refuse_user(request: LeaseRequest, need: Need, now: Instant, max_users: int) -> LeaseRefusal:
    return LeaseRefusal(request.request, Why.USERS, "", 0, max_users, now, now, source=need.account.source)


def _refuse_for(
    request: LeaseRequest, candidate: Candidate, approval: ApprovalRow | None, now: Instant
) -> LeaseRefusal:
    window, account = candidate.window, candidate.account
    denied = approval is not None and approval.state is ApprovalState.DENIED
    return LeaseRefusal(
        request=request.request,
        why=Why.EXHAUSTED if approval is None or denied else Why.APPROVAL,
        key=window.account,
        remaining=candidate.free,
        limit=ceilings.limit(account, window.nano_usd),
        window_end=window.end,
        now=now,
        threshold=candidate.ceiling.percent,
        source=account.source,
        approval=None if approval is None or denied else approval.id,
        denied=approvals.shown_reason(approval) if approval is not None and denied else None,
        units=account.limit,
        currency=account.currency,
        nano_usd=window.nano_usd,
    )


def _token(request: LeaseRequest) -> str:
    return f"{request.epoch}/{request.request}"


def _lease_ids(request: LeaseRequest) -> tuple[str, ...]:
    """The id of what is lent for each need."""
    token = _token(request)
    return tuple(f"{token}/{index}" for index in range(len(request.needs)))


def _lease(row: LeaseRow) -> Lease:
    return Lease(
        id=row.id,
        key=row.account,
        window_start=row.window_start,
        window_end=row.window_end,
        amount=row.amount,
        deadline=row.deadline,
        over=row.over,
        definition=row.definition,
        strict=row.strict,
    )
