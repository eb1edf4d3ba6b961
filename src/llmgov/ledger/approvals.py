"""Approvals: how they come to be asked for, decided, and used up.

An approval is known by what it covers, so that what is asked for twice is one row. It is decided once; a request's is
used once, in the transaction that lends for it (`llmgov.ledger.grants`).
"""

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Refused, Settlement
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, OutboxEntry
from llmgov.snapshot import Approval, Audience, Denial, approval_id

PENDING_LIFE: Duration = 7 * instants.DAY
"""How long a request's approval may wait for a decision; then it can be asked for again."""

APPROVED_LIFE: Duration = instants.DAY
"""How long an approved request may be sent."""

FOR_EVER: Instant = 2**62
"""The expiry of what does not expire."""

MAX_DENIALS = 1000
"""So many of the latest denials are told to sidecars; who asks for an older one is told to wait for an approval."""

MAX_REASON = 200
"""Characters of a denial's reason that an application is shown."""


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

    The row of this digest must be in the book where it exists (`request_id`). Who decides is told where an earlier
    approval was used up: most often its attempt failed at the provider, and this is the application's retry.
    """
    if event.approval_digest is None:
        return
    id_ = approval_id(event.approval_digest)
    known = book.approvals.get(id_)
    if known is not None and known.state is not ApprovalState.USED and now < known.expires:
        return
    summary = event.approval_summary or event.message
    if known is not None and known.state is ApprovalState.USED and known.decided is not None:
        summary += f"; approved before, at {instants.to_rfc3339(known.decided)}, for an attempt that was made since"
    who = event.subject.user or f"{event.subject.namespace}/{event.subject.service_account}"
    row = ApprovalRow(
        id=id_,
        kind=ApprovalKind.REQUEST,
        policy=event.policy or "",
        summary=summary,
        created=now,
        expires=now + PENDING_LIFE,
        digest=event.approval_digest,
        requested_by=who,
    )
    ask(book, row)


def stop_model(book: Book, model: str, settlement: Settlement, now: Instant) -> None:
    """A model cost more than was held for it, or nobody can tell what it cost: it is stopped under cost limits until
    somebody acknowledges that."""
    id_ = approval_id(model)
    known = book.approvals.get(id_)
    if known is not None and known.state is ApprovalState.PENDING:
        return
    why = settlement.stop or "has cost more than its known price allows"
    summary = f"{model} {why} (attempt {settlement.id}); approve to use it again"
    row = ApprovalRow(id_, ApprovalKind.OVERRUN, model, summary, now, FOR_EVER, digest=model)
    ask(book, row)


def decide(book: Book, id_: str, actor: str, now: Instant, *, approve: bool, reason: str = "") -> ApprovalRow:
    """Approve or deny.

    Raises:
        ApprovalError: there is none of this id, it was decided already, or it expired.
    """
    row = book.approvals.get(id_)
    if row is None:
        raise ApprovalError(f"there is no approval {id_}")
    if row.state is not ApprovalState.PENDING:
        raise ApprovalError(f"approval {id_} is {row.state.value} already")
    if now >= row.expires:
        raise ApprovalError(f"approval {id_} expired at {instants.to_rfc3339(row.expires)}")
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


def usable(row: ApprovalRow, now: Instant) -> bool:
    """Whether a request's approval may still be used."""
    return row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.APPROVED and now < row.expires


def for_directory(rows: list[ApprovalRow], now: Instant) -> tuple[Approval, ...]:
    """The open approvals of requests, as sidecars' directories name them."""
    return tuple(Approval(row.id, row.digest, row.expires) for row in rows if usable(row, now))


def denials(rows: list[ApprovalRow], now: Instant) -> tuple[Denial, ...]:
    """What was denied and is not asked for again yet, the latest decisions first."""
    denied = [
        row
        for row in rows
        if row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.DENIED and now < row.expires
    ]
    latest = sorted(denied, key=lambda row: (-(row.decided or 0), row.id))[:MAX_DENIALS]
    return tuple(Denial(row.id, row.digest, row.expires, shown_reason(row)) for row in latest)


def shown_reason(row: ApprovalRow) -> str:
    """Why it was denied in one line, since that becomes a part of a sentence."""
    return " ".join(row.reason.split())[:MAX_REASON]


def stopped_models(rows: list[ApprovalRow]) -> frozenset[str]:
    """Models (`provider/model`) that overran and were not acknowledged since."""
    return frozenset(
        row.digest for row in rows if row.kind is ApprovalKind.OVERRUN and row.state is not ApprovalState.APPROVED
    )
