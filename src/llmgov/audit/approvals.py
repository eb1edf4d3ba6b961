"""Check what passed by an approval: that it was approved on record, before, and used once."""

import collections
import itertools
from collections.abc import Iterable

import msgspec

from llmgov.audit import record
from llmgov.audit.findings import Findings
from llmgov.instants import MINUTE, Duration, Instant
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState

LEEWAY: Duration = MINUTE
"""How far the clocks of two writers may be apart: a decision and its use may be in two chains."""


class _Decision(msgspec.Struct, frozen=True):
    recorded: Instant
    approved: bool


class _Use(msgspec.Struct, frozen=True, order=True):
    recorded: Instant
    writer: str
    seq: int

    def __str__(self) -> str:
        return f"record {self.seq} of {self.writer}"


class _Decided(msgspec.Struct):
    approval: str
    approved: bool


class Approvals:
    """Gathers decisions and uses, in whatever order; memory grows with them.

    An approval of a request is named by the one intent that used it. What opened a threshold or let a model go on is
    named by none: of those only the store's own rows can be compared with the decisions on record.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._decisions: dict[str, list[_Decision]] = collections.defaultdict(list)
        self._uses: dict[str, dict[str, _Use]] = collections.defaultdict(dict)

    def add(self, one: record.AuditRecord) -> None:
        """Look at one record.

        Raises:
            RecordError: a decision's facts lack what they have.
        """
        if one.kind == "approvalDecided":
            decided = _read(one)
            self._decisions[decided.approval].append(_Decision(one.recorded, decided.approved))
        elif one.kind == "intent" and one.facts.get("approval") is not None:
            use = _Use(one.recorded, one.writer, one.seq)
            self._uses[str(one.facts["approval"])].setdefault(str(one.facts.get("id")), use)

    def finish(self, since: Instant) -> None:
        """All records were seen; of uses up to `since` the decisions may have been removed in their time."""
        for approval, uses in self._uses.items():
            late = sorted(use for use in uses.values() if use.recorded > since)
            granted = itertools.chain(self._granted(approval), itertools.repeat(None))
            for before, use, when in zip((None, *late), late, granted, strict=False):
                self._check(approval, use, before, when)

    def compare(self, rows: Iterable[ApprovalRow], since: Instant) -> None:
        """Compare the approvals that the store has with the decisions on record."""
        known = {row.id: row for row in rows}
        for row in known.values():
            wrong = self._wrong(row, since)
            if wrong is not None:
                self._findings.tampered("ApprovalsDiffer", "", 0, f"approval {row.id}: {wrong}")
        for approval in sorted(self._decisions.keys() - known.keys()):
            text = f"approval {approval}: a decision is on record, and the ledger has no such approval"
            self._findings.tampered("ApprovalsDiffer", "", 0, text)

    def _granted(self, approval: str) -> list[Instant]:
        return sorted(one.recorded for one in self._decisions.get(approval, ()) if one.approved)

    def _check(self, approval: str, use: _Use, before: _Use | None, granted: Instant | None) -> None:
        what = f"{use} passed by approval {approval}"
        if granted is None and before is not None:
            self._findings.tampered("ApprovalReused", use.writer, use.seq, f"{what}, which {before} had used up")
        elif granted is None:
            why = "was denied" if approval in self._decisions else "nobody approved on record"
            self._findings.tampered("ApprovalMissing", use.writer, use.seq, f"{what}, which {why}")
        elif granted > use.recorded + LEEWAY:
            self._findings.tampered(
                "ApprovalMissing", use.writer, use.seq, f"{what}, which was approved only afterwards"
            )

    def _wrong(self, row: ApprovalRow, since: Instant) -> str | None:
        """What contradicts the row; a decision from up to `since` may have been removed from the record in its time."""
        if row.state is ApprovalState.PENDING:
            return None
        wanted = row.state is not ApprovalState.DENIED
        decisions = sum(one.approved is wanted for one in self._decisions.get(row.id, ()))
        if not decisions:
            old = row.decided is not None and row.decided <= since
            return None if old else f"the ledger has it as {row.state.value}, and no such decision is on record"
        open_ = row.kind is ApprovalKind.REQUEST and row.state is ApprovalState.APPROVED
        if open_ and len(self._uses.get(row.id, ())) >= decisions:
            return "the ledger has it as approved, and it was used up on record"
        return None


def _read(one: record.AuditRecord) -> _Decided:
    try:
        return msgspec.convert(one.facts, type=_Decided)
    except msgspec.ValidationError as error:
        raise record.RecordError(f"not the facts of a {one.kind}: {error}") from error
