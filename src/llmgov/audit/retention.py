"""Retention: which records' time is over, and the signed tombstones that stand for them.

An attempt leaves as a whole: neither its intent nor its settlement before both are due, so that the sums of what stays
plus the tombstones' are always those of the ledger. Only what a checkpoint covers may leave.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from llmgov.audit import events, facts, record, signing
from llmgov.audit.canonical import Json
from llmgov.audit.tally import Tally
from llmgov.instants import DAY, Instant


def due(records: Iterable[record.AuditRecord], signed: Mapping[str, int], now: Instant) -> list[record.AuditRecord]:
    """Those of `records` (all there are, in order of each writer's chain) that may be removed now.

    `signed` says up to which `seq` each writer's checkpoints reach.
    """
    known = list(records)
    over = [one for one in known if _is_over(one, now) and one.seq <= signed.get(one.writer, 0)]
    staying = {_attempt(one) for one in known} - {None}
    leaving = {_attempt(one) for one in over if one.kind == "settlement"}
    leaving &= {_attempt(one) for one in over if one.kind == "intent"}
    staying -= leaving
    return [one for one in over if _attempt(one) not in staying]


def tombstones(
    removed: Sequence[record.AuditRecord], *, now: Instant, signer: signing.Signer
) -> list[events.Tombstone]:
    """One signed tombstone for each unbroken run of the records that `due` named."""
    paths = _paths(removed)
    return [_tombstone(run, paths, now, signer) for run in _runs(removed)]


def signed(tombstone: events.Tombstone) -> dict[str, Json]:
    """What a tombstone's signature is over: every field but the signature."""
    document = facts.tombstone(tombstone)
    del document["signature"]
    return document


def read(document: Any) -> events.Tombstone:
    """The tombstone that a record's facts or a line of an export hold.

    Raises:
        RecordError: they hold none.
    """
    try:
        found = msgspec.convert(document, type=_Facts)
    except msgspec.ValidationError as error:
        raise record.RecordError(f"not a tombstone: {error}") from error
    fields = msgspec.structs.asdict(found) | {
        "cost": int(found.cost),
        "targets": {target: int(cost) for target, cost in found.targets.items()},
    }
    return events.Tombstone(**fields)


class _Facts(msgspec.Struct, forbid_unknown_fields=True):
    at: int
    writer: str
    first: int
    hashes: tuple[record.Hash, ...]
    attempts: int
    cost: record.Whole
    targets: dict[str, record.Whole]
    signer: str
    signature: str


def _tombstone(
    run: Sequence[record.AuditRecord], paths: Mapping[str, record.AuditRecord], now: Instant, signer: signing.Signer
) -> events.Tombstone:
    tally = Tally()
    for one in run:
        if one.kind == "settlement":
            tally.add(paths[one.facts["id"]])
            tally.add(one)
        elif one.kind == "corrected":
            tally.add(one)
    sums = tally.sums()
    unsigned = events.Tombstone(
        at=now,
        writer=run[0].writer,
        first=run[0].seq,
        hashes=tuple(one.hash for one in run),
        attempts=sums.attempts,
        cost=sums.cost,
        targets=sums.targets,
        signer=signer.id,
    )
    return msgspec.structs.replace(unsigned, signature=signer.sign("tombstone", signed(unsigned)))


def _is_over(one: record.AuditRecord, now: Instant) -> bool:
    return one.retention_days > 0 and one.recorded + one.retention_days * DAY <= now


def _attempt(one: record.AuditRecord) -> str | None:
    return str(one.facts["id"]) if one.kind in ("intent", "settlement") else None


def _paths(removed: Iterable[record.AuditRecord]) -> dict[str, record.AuditRecord]:
    return {one.facts["id"]: one for one in removed if one.kind == "intent"}


def _runs(removed: Sequence[record.AuditRecord]) -> Iterator[list[record.AuditRecord]]:
    run: list[record.AuditRecord] = []
    for one in sorted(removed, key=lambda each: (each.writer, each.seq)):
        if run and (run[-1].writer, run[-1].seq + 1) != (one.writer, one.seq):
            yield run
            run = []
        run.append(one)
    if run:
        yield run
