"""The audit's results as text. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from llmgov import instants
from llmgov.audit import record, sealing
from llmgov.audit.findings import Outcome, Report
from llmgov.money import format_amount
from llmgov_cli import printable

HEADINGS = ("TIME", "RECORD", "KIND", "REQUEST", "WHO", "MODEL", "WHAT")

WIDE = ("ID",)
"""What `-o wide` adds: the attempt that an intent or a settlement is of, or what was corrected, to correct it by."""


class Wanted(msgspec.Struct, frozen=True):
    """Which records to show; `None` matches all. `attempts` are those of the request, whose ends do not name it."""

    kind: str | None
    request: str | None
    attempts: frozenset[str] = frozenset()

    def with_attempts(self, records: Iterable[record.AuditRecord]) -> "Wanted":
        """The same, knowing the attempts that the request's intents began."""
        begun = (one.facts for one in records if one.kind == "intent" and one.facts.get("request") == self.request)
        return msgspec.structs.replace(self, attempts=frozenset(str(facts["id"]) for facts in begun))

    def matches(self, one: record.AuditRecord) -> bool:
        """Whether the record is wanted."""
        return self.kind in (None, one.kind) and (
            self.request in (None, one.facts.get("request"))
            or (one.kind == "settlement" and one.facts.get("id") in self.attempts)
        )

    def __str__(self) -> str:
        """How a sentence about such records ends."""
        kind = "" if self.kind is None else f" of kind {self.kind}"
        return kind if self.request is None else f"{kind} of request {self.request}"


def report(result: Report) -> str:
    """What a person reads: the verdict first, then what it rests on."""
    return "".join(f"{printable.line(line)}\n" for line in _report(result))


def shown(one: record.AuditRecord, keys: Mapping[str, sealing.SubjectKey]) -> dict[str, Any]:
    """A record as a document, personal values in the clear where their key is at hand."""
    facts: dict[str, Any] = dict(sealing.reveal(one.facts, _values(one, keys)))
    return {
        "record": f"{one.writer}#{one.seq}",
        "recorded": instants.to_rfc3339(one.recorded),
        "kind": one.kind,
    } | facts


def row(document: dict[str, Any]) -> tuple[str, ...]:
    """A shown record as a line of the table, the columns of `-o wide` last."""
    subject = _workload(document)
    workload = f"{subject.get('namespace', '')}/{subject.get('serviceAccount', '')}" if subject else ""
    who = _text(subject.get("user") or document.get("actor") or workload)
    model = "/".join(filter(None, (subject.get("provider"), subject.get("model") or document.get("model"))))
    request = _text(document.get("request", ""))
    record_, kind = document["record"], document["kind"]
    return (document["recorded"], record_, kind, request, who, model, _what(document), _id(document))


def _workload(document: dict[str, Any]) -> dict[str, Any]:
    """Who asked whom; of a correction `subject` is the id of what was corrected."""
    subject = document.get("subject")
    return subject if isinstance(subject, dict) else {}


def _id(document: dict[str, Any]) -> str:
    match document["kind"]:
        case "intent" | "settlement":
            return str(document["id"])
        case "corrected":
            return str(document["subject"])
        case _:
            return ""


def _report(result: Report) -> Iterator[str]:
    if result.outcome is Outcome.EMPTY:
        yield "EMPTY: there is no record"
        return
    if result.outcome is Outcome.OK:
        yield f"ok: {_count(result.records, 'record')} of {', '.join(result.writers)}"
    else:
        yield f"{result.outcome.value.upper()}: {_count(result.found, 'finding')} in {_count(result.records, 'record')}"
        yield from _findings(result)
    yield f"  signed: {result.signed}; after the last checkpoint, chained only: {result.unsigned}"
    yield f"  known to the anchor: {_anchored(result)}"
    yield f"  settled attempts: {result.attempts}, ${format_amount(result.cost)}{_reconciled(result)}"
    yield from _remarks(result)


def _findings(result: Report) -> Iterator[str]:
    """A few of each kind, and how many more there are."""
    for code, number in result.kinds.items():
        shown = [finding for finding in result.findings if finding.code == code]
        yield from (f"  {finding}" for finding in shown)
        if number > len(shown):
            yield f"  {code}: {number - len(shown)} more"


def _anchored(result: Report) -> str:
    if not result.anchor_knows:
        return "none, so a cut end would not show"
    here = result.anchored or "none of these"
    return str(here) if result.anchored == result.anchor_knows else f"{here}; it knows {result.anchor_knows}"


def _reconciled(result: Report) -> str:
    match result.reconciled:
        case None:
            return "; not compared with the ledger, whose sums were not at hand"
        case True:
            return ", as the ledger has them"
        case False:
            return ", and the ledger has others"


def _remarks(result: Report) -> Iterator[str]:
    if result.erased:
        yield f"  erased: the personal fields of {_count(result.erased, 'record')}"
    if result.removed:
        yield f"  removed when their retention ended: {_count(result.removed, 'record')}"
    if result.unsettled:
        yield f"  not settled yet: {_some(result.unsettled)}"
    if result.unmatched:
        yield f"  settled without an intent on record: {_some(result.unmatched)}"
    for gap in result.gaps[:_SOME]:
        yield f"  never reported by sidecar {gap.epoch}: {gap.first} to {gap.last}"


def _values(one: record.AuditRecord, keys: Mapping[str, sealing.SubjectKey]) -> dict[str, str]:
    key = None if one.seal is None else keys.get(one.seal.key)
    if key is None or one.box is None:
        return {}
    try:
        return record.opened(one, key).values
    except sealing.SealingError:
        return {}


def _what(document: dict[str, Any]) -> str:
    match document["kind"]:
        case "intent":
            return f"held ${format_amount(int(document['hold']))}"
        case "settlement":
            return f"{document['outcome']} ${format_amount(int(document['cost']))}"
        case "refused":
            times = f" ×{document['count']}" if document["count"] > 1 else ""
            return f"{document['status']} {document['reason']} {document.get('policy', '')}".rstrip() + times
        case "violated":
            return ", ".join(f"{one['action']} {one['policy']} {one['reason']}" for one in document["violations"])
        case "inForce":
            return f"{document['part']} {document['version']}"
        case "approvalDecided":
            return f"{document['approval']} {'approved' if document['approved'] else 'denied'}"
        case "corrected":
            before, after = (format_amount(int(document[name])) for name in ("before", "after"))
            return f"{document['what']} {document['subject']} from ${before} to ${after}"
        case "ledgerBegun":
            return f"generation {document['generation']}: nothing is lent until sidecars report"
        case "lossAccepted":
            return f"generation {document['generation']}: lends again without {document['waiting']} reports"
        case "erased":
            return f"key {document['key']} destroyed"
        case "tombstone":
            return f"{_count(len(document['hashes']), 'record')} of {document['writer']} from {document['first']}"
        case _:
            return ""


def _text(value: Any) -> str:
    """A value, or what stands for one that only a destroyed or absent key opens."""
    return value if isinstance(value, str) else "(sealed)"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _some(names: tuple[str, ...]) -> str:
    more = len(names) - _SOME
    return ", ".join(names[:_SOME]) + (f" and {more} more" if more > 0 else "")


_SOME = 5
