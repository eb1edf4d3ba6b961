"""Check what stands beside the records: sealed boxes are there and right, or their key was destroyed on record."""

from collections.abc import Mapping

from llmgov.audit import record, sealing
from llmgov.audit.findings import Findings


class Boxes:
    """Checks boxes; `keys` (by id) are those of the subjects that the verifier may read, usually none."""

    def __init__(self, findings: Findings, keys: Mapping[str, sealing.SubjectKey]) -> None:
        self._findings = findings
        self._keys = keys
        self._erased: set[str] = set()
        self._missing: dict[str, tuple[str, int]] = {}
        self._sealed: dict[str, int] = {}

    def add(self, one: record.AuditRecord) -> None:
        """Check one record's box."""
        if one.kind == "erased":
            self._erased.add(str(one.facts.get("key")))
        if one.seal is not None:
            self._sealed[one.seal.key] = self._sealed.get(one.seal.key, 0) + 1
        if one.box is not None:
            self._check(one, one.box)
        elif one.seal is not None:
            self._missing.setdefault(one.seal.key, (one.writer, one.seq))

    def finish(self) -> int:
        """How many records were erased; boxes that are missing without that are findings."""
        for key, (writer, seq) in self._missing.items():
            if key not in self._erased:
                text = f"record {seq} of {writer} lacks its sealed fields, and no erasure of key {key} is on record"
                self._findings.tampered("BoxMissing", writer, seq, text)
        return sum(count for key, count in self._sealed.items() if key in self._erased)

    def _check(self, one: record.AuditRecord, box: bytes) -> None:
        wrong = self._wrong(one, box)
        if wrong is not None:
            self._findings.tampered("BoxChanged", one.writer, one.seq, f"record {one.seq} of {one.writer}: {wrong}")

    def _wrong(self, one: record.AuditRecord, box: bytes) -> str | None:
        if one.seal is None or sealing.box_digest(box) != one.seal.digest:
            return "its sealed fields were changed"
        key = self._keys.get(one.seal.key)
        if key is None:
            return None
        try:
            record.opened(one, key)
        except sealing.SealingError as error:
            return str(error)
        return None
