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
    seq = head.seq + 1
    committed, values = sealing.commit(facts.of(event), salt)
    box = _box(values, salt, key, record.context(head.writer, seq))
    unhashed = record.AuditRecord(
        writer=head.writer,
        seq=seq,
        previous=head.hash,
        recorded=now,
        kind=facts.kind(event),
        retention_days=_retention(event, retention_days),
        facts=committed,
        hash="",
        seal=None if box is None or key is None else record.Seal(key.id, sealing.box_digest(box)),
        box=box,
    )
    encoded = canonical.Encoded(canonical.encode(committed))
    linked = msgspec.structs.replace(unhashed, hash=record.digest(unhashed, encoded))
    return linked, ChainHead(head.writer, seq, linked.hash), record.encode(linked, encoded)


def _box(values: dict[str, str], salt: bytes, key: sealing.SubjectKey | None, context: bytes) -> bytes | None:
    if not values:
        return None
    if key is None:
        raise sealing.SealingError("an event with personal fields needs its subject's key")
    return sealing.seal(sealing.Opening(salt, values), key, context)


def _retention(event: events.AuditEvent, default: int) -> int:
    match event:
        case events.Tombstone():
            return 0  # it stands for what is gone, as long as the chain is verified
        case messages.Intent(retention_days=int(days)):
            return days
        case _:
            return default
