"""The check of kind `contentFilter` on requests: every string that reaches the model is scanned.

Block refuses, redact replaces what was found by `[REDACTED:name]`, flag puts on record. Protected strings (thinking,
signatures, ids) are never rewritten: where a redaction would be due there, the request is blocked. What was found is
named by pattern and JSON path, never repeated.
"""

import dataclasses
from collections.abc import Sequence

from llmgov.policy import escapes, refusals, scanner
from llmgov.policy import verdict as verdicts
from llmgov.policy.decision import Action
from llmgov.policy.rules import Rule
from llmgov.policy.scanner import Hit, Scanner
from llmgov.policy.verdict import Verdict
from llmgov.snapshot import ContentFilter, OnDetect
from llmgov.wire import paths
from llmgov.wire.events import ReplaceText, Text, TextRole

_NOTHING = "nothing found"


@dataclasses.dataclass(slots=True)
class _Finding:
    """What one pattern of one filter found: where first, how often, and whether only where nothing is rewritten."""

    path: str
    protected: str | None
    count: int


def clean(rules: Sequence[Rule[ContentFilter]]) -> Verdict:
    """What is said of a request in which nothing is found."""
    return verdicts.passing(rules, _NOTHING)


def check(
    rules: Sequence[Rule[ContentFilter]], finder: Scanner, texts: Sequence[Text], unopposed: Verdict
) -> tuple[Verdict, tuple[ReplaceText, ...]]:
    """Scan the texts for all rules at once; `finder` was made of the rules' filters, in their order.

    The edits are due only if nothing refuses. `unopposed` is `clean` of the rules.
    """
    if not rules or not _suspicious(finder, texts):
        return unopposed, ()
    findings: dict[tuple[int, str], _Finding] = {}
    edits: list[ReplaceText] = []
    for text in texts:
        data = text.text.encode("utf-8", "surrogatepass")
        hits = find(finder, data)
        if not hits:
            continue
        _record(findings, finder, hits, text)
        due = [hit for hit in hits if any(_redacts(rules[owner]) for owner in finder.items[hit.item].owners)]
        if due:
            plain = scanner.redact(data, scanner.merge(due, finder.items))
            edits.append(ReplaceText(text.path, plain.decode("utf-8", "surrogatepass")))
    if not findings:
        return unopposed, ()
    verdict = Verdict()
    _judge(rules, findings, verdict)
    return verdict, tuple(edits)


def _suspicious(finder: Scanner, texts: Sequence[Text]) -> bool:
    """Whether `find` may find anything in one of the texts. Nearly always it would not."""
    for data in finder.joined([text.text for text in texts]):
        if finder.occurring(data):
            return True
        if b"\\" in data and any(finder.occurring(plain) for plain in escapes.levels(data)):
            return True
    return False


def find(finder: Scanner, data: bytes) -> list[Hit]:
    """All hits in a text, also those that JSON's escapes hide; their spans are places in `data`."""
    found = finder.hits(data)
    if b"\\" not in data:
        return found
    hits = set(found)
    for depth, plain in enumerate(escapes.levels(data), 1):
        if finder.occurring(plain):
            mapped = escapes.Mapped(data, depth)
            for hit in finder.hits(plain):
                start, end = mapped.origin(hit.start), mapped.origin(hit.end)
                hits.add(Hit(start, end, hit.item, end))
    return sorted(hits)


def _redacts(rule: Rule[ContentFilter]) -> bool:
    return rule.acts and rule.body.on_detect is OnDetect.REDACT


def _record(findings: dict[tuple[int, str], _Finding], finder: Scanner, hits: Sequence[Hit], text: Text) -> None:
    where = paths.shown(text.path)
    protected = where if text.role is TextRole.PROTECTED else None
    seen: set[tuple[int, str, int, int]] = set()
    for hit in hits:
        item = finder.items[hit.item]
        for owner in item.owners:
            if (owner, item.name, hit.start, hit.end) in seen:
                continue
            seen.add((owner, item.name, hit.start, hit.end))
            found = findings.get((owner, item.name))
            if found is None:
                findings[owner, item.name] = _Finding(where, protected, 1)
            else:
                found.count += 1
                found.protected = found.protected or protected


def _judge(rules: Sequence[Rule[ContentFilter]], findings: dict[tuple[int, str], _Finding], verdict: Verdict) -> None:
    for owner, rule in enumerate(rules):
        own = {name: found for (index, name), found in findings.items() if index == owner}
        if not own:
            verdict.passed(rule, _NOTHING)
        for name, found in own.items():
            _object(rule, name, found, verdict)


def _object(rule: Rule[ContentFilter], name: str, found: _Finding, verdict: Verdict) -> None:
    reason = f"pattern:{name}"
    match rule.body.on_detect:
        case OnDetect.BLOCK:
            verdict.refuse(rule, reason, refusals.content(rule.id, name, found.path), path=found.path)
        case OnDetect.REDACT if found.protected is not None:
            refusal = refusals.content(rule.id, name, found.protected, protected=True)
            verdict.refuse(rule, reason, refusal, path=found.protected)
        case OnDetect.REDACT:
            verdict.note(rule, Action.REDACT, reason, _sentence(rule, name, found, "redacted"), found.path)
        case OnDetect.FLAG:
            verdict.note(rule, Action.FLAG, reason, _sentence(rule, name, found, "put on record"), found.path)


def _sentence(rule: Rule[ContentFilter], name: str, found: _Finding, done: str) -> str:
    times = "" if found.count == 1 else f" and {found.count - 1} more"
    return f"llmgov: policy {rule.id} found {name} in {refusals.in_request(found.path)}{times}; {done}"
