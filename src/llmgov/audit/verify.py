"""Prove an export: offline, from its records and checkpoints, pinned keys, an anchor and the ledger's sums.

What it proves, and what it cannot: docs/threat-model.md. In one sentence: without the signing key nobody can change,
remove, insert or reorder what a checkpoint covers unseen, and even with it not what an anchor knows.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from llmgov.audit import (
    approvals,
    boxes,
    canonical,
    checkpoint,
    events,
    follow,
    record,
    retention,
    sealing,
    signing,
    tally,
    violations,
)
from llmgov.audit.findings import Findings, Outcome, Report
from llmgov.ledger.rows import ApprovalRow, ViolationRow
from llmgov.money import format_amount


class Kept(msgspec.Struct, frozen=True):
    """What a store keeps beside the records, which must say the same; an export brings none of it."""

    approvals: tuple[ApprovalRow, ...]
    violations: tuple[ViolationRow, ...]


class Verifier:
    """Reads an export once, front to back: every record, and each checkpoint some time after its last record.

    `tombstones` must be known beforehand (an export begins with them). Memory grows with what no checkpoint covers,
    with unsettled attempts and with subjects, not with the records.
    """

    def __init__(
        self,
        pins: signing.Pins,
        *,
        tombstones: Iterable[events.Tombstone] = (),
        anchor: checkpoint.Anchor | None = None,
        keys: Mapping[str, sealing.SubjectKey] | None = None,
    ) -> None:
        self._pins = pins
        self._findings = Findings()
        self._boxes = boxes.Boxes(self._findings, keys or {})
        self._tally = tally.Tally()
        self._approvals = approvals.Approvals(self._findings)
        self._violations = violations.Violations(self._findings)
        self._removed_until = 0
        self._records = 0
        self._checkpoints = 0
        self._fits = False
        self._removed: dict[str, dict[int, str]] = {}
        self._anchored = self._accept_anchor(anchor)
        for tombstone in tombstones:
            self._accept_tombstone(tombstone)
        self._followers = {writer: self._follower(writer) for writer in self._anchored | self._removed}

    def add_record(self, one: record.AuditRecord) -> None:
        """The next record of the export."""
        self._records += 1
        try:
            self._at(one.writer).add_record(one)
            self._boxes.add(one)
            self._tally.add(one)
            self._approvals.add(one)
            self._violations.add(one)
        except (record.RecordError, canonical.CanonicalError) as error:
            text = f"record {one.seq} of {one.writer} is none: {error}"
            self._findings.tampered("RecordUnreadable", one.writer, one.seq, text)

    def add_checkpoint(self, one: checkpoint.Checkpoint) -> None:
        """The next checkpoint of the export."""
        self._checkpoints += 1
        self._fits |= self._pins.names(one.signer)
        self._at(one.writer).add_checkpoint(one)

    def unreadable(self, where: str, why: str) -> None:
        """What stands at `where` is neither record nor checkpoint."""
        self._findings.tampered("EntryUnreadable", "", 0, f"{where}: {why}")

    def cut(self, why: str) -> None:
        """The export itself ends before its end."""
        self._findings.truncated("ExportCut", "", 0, why)

    def unanchored(self, place: str) -> None:
        """`place`, where this store's checkpoints are kept outside of it, holds none."""
        self._findings.truncated("AnchorMissing", "", 0, f"checkpoints were signed, and {place} knows of none")

    def report(
        self, ledger: tally.Sums | None = None, unbalanced: Iterable[str] = (), kept: Kept | None = None
    ) -> Report:
        """The result, once everything was read; `ledger` are its sums and `kept` its lists, where they are at hand.

        `unbalanced` has a sentence for each of the ledger's balances that its own rows do not add up to.
        """
        for follower in self._followers.values():
            follower.finish()
        followers = self._followers.values()
        unsigned = sum(follower.unsigned for follower in followers)
        if self._records and not any(follower.checkpoints for follower in followers):
            self._findings.truncated("NothingSigned", "", 0, f"{self._without()}: nothing is proved")
        sums = self._tally.sums()
        self._approvals.finish(self._removed_until)
        if kept is not None:
            incomplete = bool(self._removed) or self._findings.outcome(1) is Outcome.TRUNCATED
            self._violations.compare(kept.violations, incomplete=incomplete)
            self._approvals.compare(kept.approvals, self._removed_until)
        reconciled = None if ledger is None else self._reconcile(ledger, sums, unbalanced)
        erased = self._boxes.finish()
        removed = sum(map(len, self._removed.values()))
        return Report(
            outcome=self._findings.outcome(self._records + removed),
            findings=tuple(self._findings.first),
            found=self._findings.count,
            records=self._records,
            writers=tuple(sorted(self._followers)),
            signed=max(self._records + removed - unsigned, 0),
            unsigned=unsigned,
            anchored=sum(follower.anchored for follower in followers),
            erased=erased,
            removed=removed,
            attempts=sums.attempts,
            cost=sums.cost,
            unsettled=tuple(self._tally.unsettled()),
            unmatched=tuple(self._tally.unmatched()),
            gaps=tuple(self._tally.gaps()),
            reconciled=reconciled,
            anchor_knows=sum(one.last for one in self._anchored.values()),
            kinds=dict(self._findings.kinds),
            foreign=0 if self._fits else self._checkpoints,
        )

    def _without(self) -> str:
        """How there can be records without a checkpoint that counts."""
        if self._checkpoints or self._anchored:
            return "no checkpoint of a pinned key is there"
        return "nothing was signed yet, or every checkpoint was removed"

    def _accept_anchor(self, anchor: checkpoint.Anchor | None) -> dict[str, checkpoint.Checkpoint]:
        accepted = {}
        for one in anchor.checkpoints if anchor is not None else ():
            wrong = self._pins.verify(one.signer, "checkpoint", checkpoint.signed(one), one.signature)
            self._fits |= self._pins.names(one.signer)
            if wrong is None:
                accepted[one.writer] = one
            else:
                self._findings.tampered("AnchorForged", one.writer, one.last, f"the anchor of {one.writer} {wrong}")
        return accepted

    def _accept_tombstone(self, one: events.Tombstone) -> None:
        wrong = self._pins.verify(one.signer, "tombstone", retention.signed(one), one.signature)
        self._fits |= self._pins.names(one.signer)
        if wrong is not None:
            text = f"the tombstone of {one.writer} from record {one.first} {wrong}"
            self._findings.tampered("TombstoneForged", one.writer, one.first, text)
            return
        self._removed.setdefault(one.writer, {}).update(enumerate(one.hashes, one.first))
        self._tally.bury(one)
        self._removed_until = max(self._removed_until, one.at)

    def _at(self, writer: str) -> follow.Follower:
        if writer not in self._followers:
            self._followers[writer] = self._follower(writer)
        return self._followers[writer]

    def _follower(self, writer: str) -> follow.Follower:
        removed, anchored = self._removed.get(writer, {}), self._anchored.get(writer)
        return follow.Follower(writer, self._pins, self._findings, removed=removed, anchored=anchored)

    def _reconcile(self, ledger: tally.Sums, audit: tally.Sums, unbalanced: Iterable[str]) -> bool:
        before = self._findings.count
        if ledger.attempts != audit.attempts:
            self._differ("settled attempts", str(ledger.attempts), str(audit.attempts))
        if ledger.cost != audit.cost:
            self._differ("in all", _usd(ledger.cost), _usd(audit.cost))
        for target in sorted(ledger.targets.keys() | audit.targets.keys()):
            here, there = ledger.targets.get(target, 0), audit.targets.get(target, 0)
            if here != there:
                self._differ(target, _usd(here), _usd(there))
        for sentence in unbalanced:
            self._findings.tampered("BalanceDiffers", "", 0, sentence)
        return self._findings.count == before

    def _differ(self, what: str, ledger: str, audit: str) -> None:
        self._findings.tampered("SumsDiffer", "", 0, f"{what}: the ledger has {ledger}, the records say {audit}")


def verify(
    records: Iterable[record.AuditRecord],
    checkpoints: Iterable[checkpoint.Checkpoint],
    pins: signing.Pins,
    *,
    tombstones: Iterable[events.Tombstone] = (),
    anchor: checkpoint.Anchor | None = None,
    ledger: tally.Sums | None = None,
    keys: Mapping[str, sealing.SubjectKey] | None = None,
) -> Report:
    """Verify all records (each writer's in order) and all checkpoints (likewise), as a store has them.

    `anchor` shows cut ends, `ledger` (`tally.Sums`) money that one side lacks, `keys` (by id) let sealed fields be
    compared with their commitments; without them only that the boxes are unchanged.
    """
    verifier = Verifier(pins, tombstones=tombstones, anchor=anchor, keys=keys)
    for entry in merge(records, checkpoints):
        if isinstance(entry, record.AuditRecord):
            verifier.add_record(entry)
        else:
            verifier.add_checkpoint(entry)
    return verifier.report(ledger)


def merge(
    records: Iterable[record.AuditRecord], checkpoints: Iterable[checkpoint.Checkpoint]
) -> Iterator[record.AuditRecord | checkpoint.Checkpoint]:
    """Records in their order, each checkpoint as soon as its last record stands before it."""
    waiting: dict[str, collections.deque[checkpoint.Checkpoint]] = collections.defaultdict(collections.deque)
    for one in checkpoints:
        waiting[one.writer].append(one)
    for each in records:
        due = waiting[each.writer]
        while due and due[0].last < each.seq:
            yield due.popleft()
        yield each
        while due and due[0].last == each.seq:
            yield due.popleft()
    for rest in waiting.values():
        yield from rest


def _usd(amount: int) -> str:
    return f"${format_amount(amount)}"
