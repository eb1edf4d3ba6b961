"""Signed checkpoints: what fixes a chain for whoever holds the public key, and anchors that fix it from outside.

A writer signs one every few seconds (≤10 s). Whoever can write the database but not sign can then change only what no
checkpoint covers yet; whoever stole the signing key too is caught by an anchor: the latest checkpoints, kept where
neither can write (≤60 s old).
"""

import hashlib
from collections.abc import Sequence

import msgspec

from llmgov.audit import canonical, merkle, record, signing
from llmgov.audit.canonical import Json
from llmgov.instants import SECOND, Duration, Instant

SIGN_EVERY: Duration = 10 * SECOND
"""No record waits longer than this for its signature."""

ANCHOR_EVERY: Duration = 60 * SECOND
"""No checkpoint waits longer than this to be known outside."""


class Checkpoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`root` is the Merkle root over the hashes of records `first` to `last` of `writer`; `head` the last one's hash.

    `number` counts from 1; `previous` is the digest of the checkpoint before it (`record.GENESIS` for the first);
    `signer` is the key's id, `signature` in hex.
    """

    writer: str
    number: int
    first: int
    last: int
    head: record.Hash
    root: record.Hash
    previous: record.Hash
    at: Instant
    signer: str
    signature: str


class Anchor(msgspec.Struct, frozen=True):
    """The latest checkpoint of every writer that was kept outside."""

    checkpoints: tuple[Checkpoint, ...]


class CheckpointError(ValueError):
    """Bytes that are no checkpoint, or nothing to sign."""


def sign(
    previous: Checkpoint | None, writer: str, hashes: Sequence[str], *, now: Instant, signer: signing.Signer
) -> Checkpoint:
    """The checkpoint after `previous` over the hashes of all records since, in order.

    Raises:
        CheckpointError: there are none.
    """
    if not hashes:
        raise CheckpointError("a checkpoint over no record says nothing")
    first = 1 if previous is None else previous.last + 1
    unsigned = Checkpoint(
        writer=writer,
        number=1 if previous is None else previous.number + 1,
        first=first,
        last=first + len(hashes) - 1,
        head=hashes[-1],
        root=root(hashes),
        previous=record.GENESIS if previous is None else digest(previous),
        at=now,
        signer=signer.id,
        signature="",
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign("checkpoint", signed(unsigned)))


def root(hashes: Sequence[str]) -> str:
    """The Merkle root (hex) over hashes in hex."""
    return merkle.root(map(bytes.fromhex, hashes)).hex()


def signed(checkpoint: Checkpoint) -> dict[str, Json]:
    """What a checkpoint's signature is over: every field but the signature."""
    document: dict[str, Json] = msgspec.structs.asdict(checkpoint)
    del document["signature"]
    return document


def digest(checkpoint: Checkpoint) -> str:
    """What the next checkpoint names as `previous`: SHA-256 (hex) of its canonical bytes."""
    return hashlib.sha256(encode(checkpoint)).hexdigest()


def encode(checkpoint: Checkpoint) -> bytes:
    """Canonical JSON of all fields."""
    return canonical.encode(msgspec.structs.asdict(checkpoint))


def decode(data: bytes) -> Checkpoint:
    """Read what `encode` wrote.

    Raises:
        CheckpointError: anything else.
    """
    try:
        checkpoint = msgspec.json.decode(data, type=Checkpoint)
        exact = encode(checkpoint)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"not a checkpoint: {error}") from error
    if exact != data:
        raise CheckpointError("not the exact bytes of a checkpoint")
    return checkpoint


def anchor(data: bytes) -> Anchor:
    """The anchor that a file of checkpoints is, one line each, appended as they were signed.

    A last line without a line feed was being written, and does not count yet.

    Raises:
        CheckpointError: a line is no checkpoint.
    """
    latest: dict[str, Checkpoint] = {}
    for line in data.split(b"\n")[:-1]:
        one = decode(line)
        if one.writer not in latest or latest[one.writer].number < one.number:
            latest[one.writer] = one
    return Anchor(tuple(latest.values()))
