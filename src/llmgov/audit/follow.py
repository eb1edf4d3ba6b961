"""Follow one writer's chain, record by record and checkpoint by checkpoint.

After a fault it goes on from what the record claims, so that one changed record is one finding and not a thousand.
"""

from collections.abc import Mapping

import msgspec

from llmgov.audit import checkpoint, record, signing
from llmgov.audit.findings import Findings
from llmgov.instants import Instant


class _Link(msgspec.Struct, frozen=True):
    """A hash that no checkpoint covers yet; `recorded` is `None` for a removed record."""

    seq: int
    hash: str
    recorded: Instant | None


class Follower:
    """The state of one chain: its last record, the hashes that no checkpoint covers yet, its last checkpoint.

    `removed` maps each `seq` that a tombstone stands for to its hash; `anchored` is the checkpoint that is known from
    outside. Every deviation goes into `findings`.
    """

    def __init__(
        self,
        writer: str,
        pins: signing.Pins,
        findings: Findings,
        *,
        removed: Mapping[int, str],
        anchored: checkpoint.Checkpoint | None,
    ) -> None:
        self.writer = writer
        self._pins = pins
        self._findings = findings
        self._removed = removed
        self._anchored = anchored
        self._seq = 0
        self._hash = record.GENESIS
        self._open: list[_Link] = []
        self._last: checkpoint.Checkpoint | None = None

    @property
    def unsigned(self) -> int:
        """How many records no checkpoint covers."""
        return len(self._open)

    @property
    def checkpoints(self) -> int:
        """How many checkpoints the chain has, by their numbers."""
        return 0 if self._last is None else self._last.number

    @property
    def anchored(self) -> int:
        """Up to which record the chain is known from outside."""
        return 0 if self._anchored is None else min(self._anchored.last, self._seq)

    def add_record(self, one: record.AuditRecord) -> None:
        """The next record, as it stands in the export."""
        self._skip_removed(one.seq)
        if one.seq <= self._seq:
            self._tampered("RecordRepeated", one.seq, f"{self._name(one.seq)} stands after record {self._seq}")
            return
        if one.seq > self._seq + 1:
            self._missing(self._seq + 1, one.seq - 1)
        elif one.previous != self._hash:
            self._broken(one.seq)
        if record.digest(one) != one.hash:
            self._tampered("RecordChanged", one.seq, f"{self._name(one.seq)} was changed: its hash is another")
        self._advance(_Link(one.seq, one.hash, one.recorded))

    def add_checkpoint(self, one: checkpoint.Checkpoint) -> None:
        """The next checkpoint, as it stands in the export."""
        wrong = self._pins.verify(one.signer, "checkpoint", checkpoint.signed(one), one.signature)
        if wrong is not None:
            self._tampered("CheckpointForged", one.last, f"{_name_of(one)} {wrong}")
            return
        self._skip_removed(one.last + 1)
        self._check_order(one)
        self._check_root(one)
        self._check_anchor(one)
        self._last = one

    def finish(self) -> None:
        """The export ends here."""
        self._skip_removed(max(self._removed, default=0) + 1)
        if self._last is not None and self._last.last > self._seq:
            which = f"records {self._seq + 1} to {self._last.last} of {self.writer}"
            self._truncated("RecordsCut", self._seq + 1, f"{which} are signed for, and missing at the end")
        if self._anchored is not None and self.checkpoints < self._anchored.number:
            known = f"the anchor knows records up to {self._anchored.last} of {self.writer}"
            self._truncated("AnchorAhead", self._seq + 1, f"{known}; the signed ones here end before")
        times = [link.recorded for link in self._open if link.recorded is not None]
        if times and max(times) - min(times) > checkpoint.ANCHOR_EVERY:
            tail = f"records {self._open[0].seq} to {self._seq} of {self.writer}"
            self._truncated(
                "CheckpointsCut", self._open[0].seq, f"{tail} should have been signed: checkpoints are missing"
            )

    def _check_order(self, one: checkpoint.Checkpoint) -> None:
        if self._last is None and one.number > 1:
            self._truncated("CheckpointsCut", one.first, f"{_name_of(one)} is the first: the ones before are missing")
            return
        expected = (1, 1, record.GENESIS)
        if self._last is not None:
            expected = (self._last.number + 1, self._last.last + 1, checkpoint.digest(self._last))
        if (one.number, one.first, one.previous) != expected:
            self._tampered("CheckpointMissing", one.first, f"{_name_of(one)} does not follow number {expected[0] - 1}")

    def _check_root(self, one: checkpoint.Checkpoint) -> None:
        covered = [link.hash for link in self._open if one.first <= link.seq <= one.last]
        self._open = [link for link in self._open if link.seq > one.last]
        span = f"records {one.first} to {one.last} of {self.writer}"
        if len(covered) < one.last - one.first + 1:
            return  # what is missing is found by its place, or at the end
        if covered[-1] != one.head or checkpoint.root(covered) != one.root:
            self._tampered("RootDiffers", one.last, f"{_name_of(one)}: of {span} at least one is not what was signed")

    def _check_anchor(self, one: checkpoint.Checkpoint) -> None:
        if self._anchored is not None and self._anchored.number == one.number and self._anchored != one:
            self._tampered("AnchorDiffers", one.last, f"{_name_of(one)} is not the one that the anchor knows")

    def _broken(self, seq: int) -> None:
        if self._seq:
            text = f"{self._name(self._seq)} was replaced: record {seq} names another hash before it"
            self._tampered("LinkBroken", self._seq, text)
        else:
            self._tampered("LinkBroken", seq, f"{self._name(seq)} does not begin a chain")

    def _missing(self, first: int, last: int) -> None:
        which = (
            f"record {first} of {self.writer} is"
            if first == last
            else f"records {first} to {last} of {self.writer} are"
        )
        if self._seq:
            self._tampered("RecordMissing", first, f"{which} missing, and no tombstone stands there")
        else:
            self._truncated("RecordsCut", first, f"{which} missing at the beginning, and no tombstone stands there")

    def _skip_removed(self, before: int) -> None:
        while self._seq + 1 < before and self._seq + 1 in self._removed:
            self._advance(_Link(self._seq + 1, self._removed[self._seq + 1], None))

    def _advance(self, link: _Link) -> None:
        self._seq, self._hash = link.seq, link.hash
        self._open.append(link)

    def _tampered(self, code: str, seq: int, message: str) -> None:
        self._findings.tampered(code, self.writer, seq, message)

    def _truncated(self, code: str, seq: int, message: str) -> None:
        self._findings.truncated(code, self.writer, seq, message)

    def _name(self, seq: int) -> str:
        return f"record {seq} of {self.writer}"


def _name_of(one: checkpoint.Checkpoint) -> str:
    return f"checkpoint {one.number} of {one.writer}"
