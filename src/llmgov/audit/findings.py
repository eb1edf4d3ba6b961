"""What a verification found, as values."""

import collections
import enum

import msgspec

from llmgov.audit.tally import Gap
from llmgov.money import MicroUsd


class Outcome(enum.Enum):
    """How a verification ends; the first that holds."""

    TAMPERED = "tampered"
    """Something was changed, removed, inserted, reordered or signed by somebody else."""
    TRUNCATED = "truncated"
    """What is there is right, and an end is missing."""
    EMPTY = "empty"
    """There is no record, and no anchor that knows of any."""
    OK = "ok"


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong: where (`seq` 0 where no single record is meant) and what, as a sentence.

    `code` is an upper-camel-case word, stable, with an anchor in the docs.
    """

    outcome: Outcome
    code: str
    writer: str
    seq: int
    message: str

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class Report(msgspec.Struct, frozen=True):
    """The result. `findings` are the first `EXAMPLES` of each code, `kinds` counts those of each, `found` all.

    `signed` records are under a checkpoint of a pinned key; the `unsigned` after the last checkpoint are chained only,
    and whoever can write the database could have changed them. `anchored` are those that an anchor knows, of the
    `anchor_knows` that it knows in all, 0 where there is none. `erased` counts records whose personal fields can be
    read by nobody any more, `removed` those that tombstones stand for; `unsettled` are attempts without settlement,
    `unmatched` settlements without intent, `gaps` numbers that no sidecar reported: none of the last three proves
    tampering. `reconciled` says whether the sums are the ledger's, `None` where these were not at hand. `foreign` is
    how many checkpoints there are where no signature at all, of the anchor neither, is said to be by a pinned key (the
    key is probably of another record then, and the findings say nothing); else 0.
    """

    outcome: Outcome
    findings: tuple[Finding, ...]
    found: int
    records: int
    writers: tuple[str, ...]
    signed: int
    unsigned: int
    anchored: int
    erased: int
    removed: int
    attempts: int
    cost: MicroUsd
    unsettled: tuple[str, ...]
    unmatched: tuple[str, ...]
    gaps: tuple[Gap, ...]
    reconciled: bool | None = None
    anchor_knows: int = 0
    kinds: dict[str, int] = {}
    foreign: int = 0


EXAMPLES = 5
"""One changed column of a table makes a finding for each row: a few show what it is, and the number how much."""


class Findings:
    """Collects findings, and knows the outcome they amount to."""

    def __init__(self) -> None:
        self.first: list[Finding] = []
        self.kinds: collections.Counter[str] = collections.Counter()
        self._tampered = False

    @property
    def count(self) -> int:
        """How many there are."""
        return self.kinds.total()

    def tampered(self, code: str, writer: str, seq: int, message: str) -> None:
        """Something is not as it was written."""
        self._tampered = True
        self._add(Finding(Outcome.TAMPERED, code, writer, seq, message))

    def truncated(self, code: str, writer: str, seq: int, message: str) -> None:
        """An end is missing."""
        self._add(Finding(Outcome.TRUNCATED, code, writer, seq, message))

    def outcome(self, records: int) -> Outcome:
        """The outcome of a verification that read so many records."""
        if self._tampered:
            return Outcome.TAMPERED
        if self.count:
            return Outcome.TRUNCATED
        return Outcome.OK if records else Outcome.EMPTY

    def _add(self, finding: Finding) -> None:
        self.kinds[finding.code] += 1
        if self.kinds[finding.code] <= EXAMPLES:
            self.first.append(finding)
