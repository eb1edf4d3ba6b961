"""One record: what is hashed of it, and its exact bytes at rest and in an export."""

import hashlib
from typing import Annotated, Any, TypeAlias

import msgspec

from llmgov.audit import canonical, sealing
from llmgov.audit.canonical import Json
from llmgov.instants import Instant

FORMAT = 1

GENESIS = "0" * 64
"""What the first record of a chain names as the hash before it."""

_DOMAIN = b"llmgov audit record\n"


Hash: TypeAlias = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""A SHA-256 in hex."""

Whole: TypeAlias = int | Annotated[str, msgspec.Meta(pattern="^-?[0-9]{1,60}$")]
"""A whole number on record: as its digits where it is beyond what every reader of JSON holds exactly."""


class Seal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which key the record's box is sealed, and the box's SHA-256 (hex)."""

    key: str
    digest: Hash


class AuditRecord(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """A link of one writer's chain.

    `seq` counts from 1; `previous` and `hash` are SHA-256 (hex); `recorded` is the writer's clock, `facts` the event
    with personal values replaced by commitments. `retention_days` 0 keeps it for ever. `box` opens the commitments;
    it stands beside what is hashed, so that it can be dropped when its key was destroyed.
    """

    writer: str
    seq: int
    previous: Hash
    recorded: Instant
    kind: str
    retention_days: int
    facts: dict[str, Any]
    hash: Hash
    seal: Seal | None = None
    box: bytes | None = None


class RecordError(ValueError):
    """Bytes that are no record, or not in their exact form."""


def content(record: AuditRecord, facts: canonical.Encoded | None = None) -> bytes:
    """The canonical bytes that the record's hash is over: everything but the hash and the box.

    `facts` are the record's, where they were encoded before: they are most of it.
    """
    document: dict[str, Json] = {
        "format": FORMAT,
        "writer": record.writer,
        "seq": record.seq,
        "previous": record.previous,
        "recorded": record.recorded,
        "kind": record.kind,
        "retentionDays": record.retention_days,
        "facts": record.facts if facts is None else facts,
    }
    if record.seal is not None:
        document["seal"] = {"key": record.seal.key, "digest": record.seal.digest}
    return canonical.encode(document)


def digest(record: AuditRecord, facts: canonical.Encoded | None = None) -> str:
    """The hash that the record should carry: SHA-256 (hex) over a domain line and `content`."""
    return hashlib.sha256(_DOMAIN + content(record, facts)).hexdigest()


def context(writer: str, seq: int) -> bytes:
    """What binds a box to its record."""
    return canonical.encode([writer, seq])


def encode(record: AuditRecord, facts: canonical.Encoded | None = None) -> bytes:
    """The record at rest: canonical JSON of all its fields, the box as base64. Equal records have equal bytes."""
    document: dict[str, Json] = {
        "writer": record.writer,
        "seq": record.seq,
        "previous": record.previous,
        "recorded": record.recorded,
        "kind": record.kind,
        "retention_days": record.retention_days,
        "facts": record.facts if facts is None else facts,
        "hash": record.hash,
    }
    if record.seal is not None:
        document["seal"] = {"key": record.seal.key, "digest": record.seal.digest}
    if record.box is not None:
        document["box"] = sealing.box_text(record.box)
    return canonical.encode(document)


def decode(data: bytes) -> AuditRecord:
    """Read what `encode` wrote.

    Raises:
        RecordError: anything else, even where it would mean the same (a repeated key, another order, a space).
    """
    try:
        record = msgspec.json.decode(data, type=AuditRecord)
        exact = encode(record)
    except (ValueError, RecursionError) as error:
        raise RecordError(f"not a record: {error}") from error
    if exact != data:
        raise RecordError("not the exact bytes of a record")
    return record


def opened(record: AuditRecord, key: sealing.SubjectKey) -> sealing.Opening:
    """The personal values of a record, checked against its commitments.

    Raises:
        SealingError: no box, not this key's, or values that the record did not commit to.
    """
    if record.box is None:
        raise sealing.SealingError("the record has no box")
    opening = sealing.unseal(record.box, key, context(record.writer, record.seq))
    wrong = sealing.mismatches(record.facts, opening)
    if wrong:
        raise sealing.SealingError(f"the box does not open {', '.join(wrong)}")
    return opening
