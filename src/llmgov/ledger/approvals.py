"""Approvals: how they come to be asked for, decided, and used up.

An approval is known by what it covers, so that what is asked for twice is one row. It is decided once (but a model that
was denied to go on may still be let go on); a request's is used once, in the transaction that lends for it
(`llmgov.ledger.grants`).
"""

from collections.abc import Iterable

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Refused, Settlement
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, OutboxEntry
from llmgov.snapshot import Approval, Audience, Denial, TargetKind, approval_id, asking, short_name

PENDING_LIFE: Duration = 7 * instants.DAY
"""How long a request's approval may wait for a decision; then it can be asked for again."""

APPROVED_LIFE: Duration = instants.DAY
"""How long an approved request may be sent."""

FOR_EVER: Instant = 2**62
"""The expiry of what does not expire."""

MAX_PENDING = 100
"""Of one workload's requests so many wait for a decision at a time: nobody decides more, and who sends others all the
time must not fill the ledger. What is asked for beyond stays refused, and can be asked for again."""

MAX_PENDING_OF_USER = 10
"""The same of one verified user of a workload: so one of its users does not keep the others from asking."""

MAX_DENIALS = 1000
"""So many of the latest denials are told to sidecars; who asks for an older one is told to wait for an approval."""

MAX_REASON = 200
"""Characters of a denial's reason that an application is shown."""


_USER = f"{TargetKind.USER.value}/"

_WHERE = "; `llmgov approvals list` shows what waits"


class ApprovalError(Exception):
    """An approval cannot be decided; the message, made for its caller, says why."""


def ask(book: Book, row: ApprovalRow) -> None:
    """Put a pending approval, and tell the administrators, once."""
    book.put_approval(row)
    message = f"{row.policy} waits for an approval: {row.summary}"
    entry = OutboxEntry(
        f"approval/{row.id}/{row.created}", row.created, Audience.ADMINS.value, row.id, "approval", message
    )
    book.put.outbox.setdefault(entry.id, entry)


def ask_for_request(book: Book, event: Refused, now: Instant) -> None:
    """Ask for what a refused request needs, unless that is asked for, granted or denied already.

    The latest row of this digest must be in the book where there is one (`askings`); what is over stays, and it is
    asked for anew under another id. Who decides is told where an earlier approval was used up: most often its attempt
    failed at the provider, and this is the application's retry.

    All that waits of its workload must be in the book, too: beyond `MAX_PENDING` of it, or `MAX_PENDING_OF_USER` of a
    verified user of it, nothing is asked for, and the administrators are told that once a day.
    """
    if not event.approval_digest:
        return
    asked = [row for row in book.approvals.values() if _is_of(row, event.approval_digest)]
    known = max(asked, key=_asking, default=None)
    if known is not None and not _is_over(known, now):
        return
    summary = f"{event.approval_summary or event.message}; request {event.request_id}"
    if known is not None and known.state is ApprovalState.USED and known.decided is not None:
        summary += f"; approved before, at {instants.to_rfc3339(known.decided)}, for an attempt that was made since"
    by = workload(event)
    row = ApprovalRow(
        id=approval_id(event.approval_digest, 1 if known is None else _asking(known) + 1),
        kind=ApprovalKind.REQUEST,
        policy=event.policy or "",
        summary=summary,
        created=now,
        expires=now + PENDING_LIFE,
        digest=event.approval_digest,
        requested_by=event.subject.user or by,
        workload=by,
        user=_verified_user(event),
    )
    waiting = [each for each in book.approvals.values() if _waits(each, by, now)]
    if row.user and sum(each.user == row.user for each in waiting) >= MAX_PENDING_OF_USER:
        _tell_of_more(book, row, f"{by}/{row.user}", f"{row.user} in {by}", MAX_PENDING_OF_USER)
    elif len(waiting) >= MAX_PENDING:
        _tell_of_more(book, row, by, by, MAX_PENDING)
    else:
        ask(book, row)


def _verified_user(event: Refused) -> str:
    """Who sent it, as the charging path says: anybody may claim a name, and only a verified one is in it."""
    users = (scope.removeprefix(_USER) for scope in event.subject.path if scope.startswith(_USER))
    return next(users, "")


def workload(event: Refused) -> str:
    """Whose request it was: those of one workload wait together."""
    return short_name(f"{event.subject.namespace}/{event.subject.service_account}")


def _waits(row: ApprovalRow, by: str, now: Instant) -> bool:
    pending = row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.PENDING
    return pending and row.workload == by and now < row.expires


def _tell_of_more(book: Book, row: ApprovalRow, asker: str, name: str, most: int) -> None:
    more = f"{name} asks for more approvals than the {most} that may wait at a time"
    message = f"{more}: {row.policy} refused this and others without asking: {row.summary}{_WHERE}"
    id_ = f"approvals/{short_name(asker)}/{row.created // instants.DAY}"
    entry = OutboxEntry(id_, row.created, Audience.ADMINS.value, row.policy, "approvals", message)
    book.put.outbox.setdefault(entry.id, entry)


def askings(rows: Iterable[ApprovalRow]) -> dict[str, int]:
    """As which asking each request's digest was asked for last."""
    found: dict[str, int] = {}
    for row in rows:
        if row.kind is ApprovalKind.REQUEST:
            found[row.digest] = max(found.get(row.digest, 1), _asking(row))
    return found


def told(rows: list[ApprovalRow], now: Instant, most: int) -> list[ApprovalRow]:
    """Those of `rows` that a directory is made of, in their order: what may be used, the `most` latest denials, the
    `most` latest askings that are not named as the first, and the latest of each stopped model."""
    asked = [row for row in _latest(rows, ApprovalKind.REQUEST).values() if _asking(row) + _is_over(row, now) > 1]
    kept = {row.id for row in rows if usable(row, now)}
    kept.update(row.id for row in _denied(rows, now)[:most])
    kept.update(row.id for row in sorted(asked, key=lambda row: (-row.created, row.id))[:most])
    kept.update(row.id for row in _latest(rows, ApprovalKind.OVERRUN).values())
    return [row for row in rows if row.id in kept]


def next_askings(rows: list[ApprovalRow], now: Instant) -> dict[str, int]:
    """As which asking sidecars name the approval of a digest or a model now, where that is not the first.

    Of digests the latest ones; of models all: there are few, and one may stop at any time.
    """
    latest = _latest(rows, ApprovalKind.REQUEST).values()
    numbers = [(row, _asking(row) + _is_over(row, now)) for row in latest]
    told = sorted((pair for pair in numbers if pair[1] > 1), key=lambda pair: (-pair[0].created, pair[0].id))
    models = {model: _next_stop(row) for model, row in _latest(rows, ApprovalKind.OVERRUN).items()}
    digests = {row.digest: number for row, number in told[:MAX_DENIALS]}
    return digests | {model: number for model, number in models.items() if number > 1}


def _is_of(row: ApprovalRow, digest: str) -> bool:
    return row.kind is ApprovalKind.REQUEST and row.digest == digest


def _asking(row: ApprovalRow) -> int:
    return asking(row.id)


def _is_over(row: ApprovalRow, now: Instant) -> bool:
    """Whether what it covers has to be asked for anew."""
    return row.state is ApprovalState.USED or now >= row.expires


def _latest(rows: Iterable[ApprovalRow], kind: ApprovalKind) -> dict[str, ApprovalRow]:
    """The latest asking of each digest. That of a model was once its name, however long."""
    ordered = sorted((row for row in rows if row.kind is kind), key=_asking)
    return {short_name(row.digest): row for row in ordered}


def stop_model(book: Book, model: str, settlement: Settlement, now: Instant) -> None:
    """A model cost more than was held for it, or nobody can tell what it cost: it is stopped under cost limits until
    somebody acknowledges that.

    What was decided covers what was known then: this is asked for under another id. All of the kind must be in the
    book.
    """
    digest = short_name(model)
    known = _latest(book.approvals.values(), ApprovalKind.OVERRUN).get(digest)
    if known is not None and known.state is ApprovalState.PENDING:
        return
    id_ = approval_id(model, 1 if known is None else _asking(known) + 1)
    why = settlement.stop or "has cost more than its known price allows"
    summary = f"{model} {why} (attempt {settlement.id}); approve to use it again"
    row = ApprovalRow(id_, ApprovalKind.OVERRUN, model, summary, now, FOR_EVER, digest=digest)
    ask(book, row)


def _next_stop(row: ApprovalRow) -> int:
    """As which asking a model waits, or would wait if it stopped now; `row` is the latest one."""
    return _asking(row) + (row.state is ApprovalState.APPROVED)


def decide(book: Book, id_: str, actor: str, now: Instant, *, approve: bool, reason: str = "") -> ApprovalRow:
    """Approve or deny. Also a denied model is approved, as nothing asks for that again while it is stopped.

    All approvals of stopped models must be in the book.

    Raises:
        ApprovalError: there is none of this id, it was decided already, or it expired.
    """
    row = book.approvals.get(id_)
    if row is None:
        raise ApprovalError(f"there is no approval {id_}")
    if row.state is not ApprovalState.PENDING and not (approve and _stays_stopped(book, row)):
        raise ApprovalError(f"approval {id_} is {row.state.value} already{_WHERE}")
    if now >= row.expires:
        raise ApprovalError(f"approval {id_} expired at {instants.to_rfc3339(row.expires)}{_WHERE}")
    expires = now + APPROVED_LIFE if approve and row.kind is ApprovalKind.REQUEST else row.expires
    decided = msgspec.structs.replace(
        row,
        state=ApprovalState.APPROVED if approve else ApprovalState.DENIED,
        decided=now,
        decided_by=actor,
        reason=reason,
        expires=expires,
    )
    book.put_approval(decided)
    return decided


def _stays_stopped(book: Book, row: ApprovalRow) -> bool:
    """Whether it is the denial that keeps a model stopped: not one before a later overrun."""
    stops = row.kind is ApprovalKind.OVERRUN and row.state is ApprovalState.DENIED
    return stops and _latest(book.approvals.values(), ApprovalKind.OVERRUN)[short_name(row.digest)] == row


def usable(row: ApprovalRow, now: Instant) -> bool:
    """Whether a request's approval may still be used."""
    return row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.APPROVED and now < row.expires


def for_directory(rows: list[ApprovalRow], now: Instant) -> tuple[Approval, ...]:
    """The open approvals of requests, as sidecars' directories name them."""
    return tuple(Approval(row.id, row.digest, row.expires) for row in rows if usable(row, now))


def denials(rows: list[ApprovalRow], now: Instant) -> tuple[Denial, ...]:
    """What was denied and is not asked for again yet, the latest decisions first."""
    latest = _denied(rows, now)[:MAX_DENIALS]
    return tuple(Denial(row.id, row.digest, row.expires, shown_reason(row)) for row in latest)


def _denied(rows: Iterable[ApprovalRow], now: Instant) -> list[ApprovalRow]:
    requests = (row for row in rows if row.kind is ApprovalKind.REQUEST and now < row.expires)
    denied = (row for row in requests if row.state is ApprovalState.DENIED)
    return sorted(denied, key=lambda row: (-(row.decided or 0), row.id))


def shown_reason(row: ApprovalRow) -> str:
    """Why it was denied in one line, since that becomes a part of a sentence."""
    return " ".join(row.reason.split())[:MAX_REASON]


def stopped_models(rows: list[ApprovalRow]) -> frozenset[str]:
    """Models (`short_name` of `provider/model`) that overran and were not acknowledged since."""
    latest = _latest(rows, ApprovalKind.OVERRUN)
    return frozenset(model for model, row in latest.items() if row.state is not ApprovalState.APPROVED)
