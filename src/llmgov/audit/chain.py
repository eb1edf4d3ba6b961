"""Append: an event becomes the next link of its writer's chain.

Each writer (a hub replica) has a chain of its own, so that replicas never wait for each other. The caller keeps the
head in the transaction that stores the record: two records with one `seq` must be impossible there (a unique key).
"""

import msgspec

from llmgov.audit import canonical, events, facts, record, sealing
from llmgov.instants import Instant
from llmgov.ledger import messages

DEFAULT_RETENTION_DAYS = 365
"""The guide's `audit.retention.default_days`."""


class ChainHead(msgspec.Struct, frozen=True):
    """Where a chain stands: `seq` and `hash` of its last record (0 and `GENESIS` before the first)."""

    writer: str
    seq: int = 0
    hash: str = record.GENESIS


class Prepared(msgspec.Struct, frozen=True):
    """What of a record does not depend on where it will stand: its facts with commitments for what is personal, their
    exact bytes, and what opens them. It serves for one record, since its salt does."""

    event: events.AuditEvent
    facts: dict[str, canonical.Json]
    encoded: canonical.Encoded
    opening: sealing.Opening


def prepare(event: events.AuditEvent, salt: bytes) -> Prepared:
    """Make most of the record of `event`: that may be done before the chain is locked. `salt` are 32 random bytes.

    Raises:
        SealingError: the salt has the wrong size.
        CanonicalError: a value that has no exact bytes.
    """
    committed, values = sealing.commit(facts.of(event), salt)
    encoded = canonical.Encoded(canonical.encode(committed))
    return Prepared(event, committed, encoded, sealing.Opening(salt, values))


def append(
    head: ChainHead,
    event: events.AuditEvent,
    *,
    now: Instant,
    salt: bytes,
    key: sealing.SubjectKey | None,
    retention_days: int = DEFAULT_RETENTION_DAYS,
) -> tuple[record.AuditRecord, ChainHead, bytes]:
    """The record of `event` that follows `head`, the head after it, and the record's exact bytes at rest.

    `now` is the writer's clock; `salt` 32 random bytes, used for nothing else; `key` that of `facts.subject_of(event)`,
    `None` where that is; `retention_days` for events that bring none of their own.

    Raises:
        SealingError: the event has personal fields and `key` is `None`, or salt or key have the wrong size.
        CanonicalError: a value that has no exact bytes.
    """
    return link(head, prepare(event, salt), now=now, key=key, retention_days=retention_days)


def link(
    head: ChainHead,
    prepared: Prepared,
    *,
    now: Instant,
    key: sealing.SubjectKey | None,
    retention_days: int = DEFAULT_RETENTION_DAYS,
) -> tuple[record.AuditRecord, ChainHead, bytes]:
    """The same, of what was prepared."""
    seq = head.seq + 1
    box = _box(prepared.opening, key, record.context(head.writer, seq))
    unhashed = record.AuditRecord(
        writer=head.writer,
        seq=seq,
        previous=head.hash,
        recorded=now,
        kind=facts.kind(prepared.event),
        retention_days=_retention(prepared.event, retention_days),
        facts=prepared.facts,
        hash="",
        seal=None if box is None or key is None else record.Seal(key.id, sealing.box_digest(box)),
        box=box,
    )
    linked = msgspec.structs.replace(unhashed, hash=record.digest(unhashed, prepared.encoded))
    return linked, ChainHead(head.writer, seq, linked.hash), record.encode(linked, prepared.encoded)


def _box(opening: sealing.Opening, key: sealing.SubjectKey | None, context: bytes) -> bytes | None:
    if not opening.values:
        return None
    if key is None:
        raise sealing.SealingError("an event with personal fields needs its subject's key")
    return sealing.seal(opening, key, context)


def _retention(event: events.AuditEvent, default: int) -> int:
    match event:
        case events.Tombstone():
            return 0  # it stands for what is gone, as long as the chain is verified
        case messages.Intent(retention_days=int(days)):
            return days
        case _:
            return default
