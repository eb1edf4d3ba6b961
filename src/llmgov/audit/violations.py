"""Compare the violations that the store lists with those on record, whatever their number: by how many of each kind."""

import collections
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from llmgov.audit import record
from llmgov.audit.findings import Findings
from llmgov.ledger.rows import ViolationRow


class _Kind(NamedTuple):
    """What is compared of a violation; who it was and its sentence are sealed in the record."""

    policy: str
    action: str
    reason: str
    namespace: str
    dry_run: bool

    def __str__(self) -> str:
        dry = " (dry run)" if self.dry_run else ""
        return f"{self.action} {self.reason} of {self.policy or 'no policy'} in {self.namespace or 'no namespace'}{dry}"


class Violations:
    """Counts them; memory grows with the kinds alone."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._counts: collections.Counter[_Kind] = collections.Counter()

    def add(self, one: record.AuditRecord) -> None:
        """Count those of one record.

        Raises:
            RecordError: its facts are not those of a refusal or violation.
        """
        if one.kind not in ("refused", "violated"):
            return
        try:
            namespace = one.facts["subject"]["namespace"]
            self._counts.update(_kind(violation, namespace) for violation in one.facts["violations"])
        except (KeyError, TypeError) as error:
            raise record.RecordError(f"not the facts of a {one.kind}: {error}") from error

    def compare(self, rows: Iterable[ViolationRow], *, incomplete: bool) -> None:
        """A finding for each kind of which the store has another number; more of them are right where records are
        `incomplete`: removed in their time, or cut off, which is a finding of its own."""
        stored = collections.Counter(
            _Kind(row.policy, row.action.value, row.reason, row.namespace, row.dry_run) for row in rows
        )
        for kind in sorted(stored.keys() | self._counts.keys()):
            here, there = stored[kind], self._counts[kind]
            if here < there or (here > there and not incomplete):
                text = f"{kind}: the store has {here}, the records say {there}"
                self._findings.tampered("ViolationsDiffer", "", 0, text)


def _kind(violation: Mapping[str, Any], namespace: str) -> _Kind:
    return _Kind(violation["policy"], violation["action"], violation["reason"], namespace, violation["dryRun"])
