"""What passed by an approval was approved on record, before, and once; the store lists what the records say."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from llmgov.audit import events, record, retention, verify
from llmgov.audit.findings import Outcome, Report
from llmgov.instants import DAY, SECOND
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState, ViolationRow
from llmgov.policy.decision import Action
from tests.unit.llmgov.audit import history as h

ROW = ApprovalRow("apr-1", ApprovalKind.REQUEST, "ns/p", "dear", h.START, h.START + DAY, decided=h.START, digest="d")
LISTED = ViolationRow(
    "pod:1/3", 0, h.START, "shop/pii", Action.DENY, "pattern:ssn", "an SSN", False, "shop", "web", "joe", "gpt-4o"
)


def _decided(history: h.History, approved: bool = True, approval: str = "apr-1") -> None:
    history.append("cli", events.ApprovalDecided(h.START, approval, approved, "jane", "d"), h.KEYS["jane"])


def _used(history: h.History, number: int = 1, approval: str = "apr-1") -> None:
    intent = msgspec.structs.replace(h.intent(number), approval=approval)
    history.append("hub-0", intent, h.KEYS["jane"])


def _verify(history: h.History, rows: tuple[ApprovalRow, ...] | None = None) -> Report:
    for writer in sorted({one.writer for one in history.records}):
        history.sign(writer)
    return _read(history).report(kept=None if rows is None else verify.Kept(rows, ()))


def _read(history: h.History, **options: Any) -> verify.Verifier:
    verifier = verify.Verifier(h.PINS, **options)
    for entry in verify.merge(history.records, history.checkpoints):
        if isinstance(entry, record.AuditRecord):
            verifier.add_record(entry)
        else:
            verifier.add_checkpoint(entry)
    return verifier


def _of(*steps: Callable[[h.History], None]) -> h.History:
    history = h.History()
    for step in steps:
        step(history)
    return history


def deny(history: h.History) -> None:
    _decided(history, approved=False)


def approve(history: h.History) -> None:
    _decided(history)


def approve_another(history: h.History) -> None:
    _decided(history, approval="apr-2")


def use(history: h.History) -> None:
    _used(history, number=len(history.records) + 1)


def wait(history: h.History) -> None:
    for number in range(70):
        history.append("hub-0", events.InForce(h.START, "organization", f"v{number}"))


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((approve, use), {}),
        ((deny, approve, use), {}),
        ((use,), {"ApprovalMissing": "record 1 of hub-0 passed by approval apr-1, which nobody approved on record"}),
        ((approve_another, use), {"ApprovalMissing": "which nobody approved on record"}),
        ((deny, use), {"ApprovalMissing": "which was denied"}),
        ((use, wait, approve), {"ApprovalMissing": "which was approved only afterwards"}),
        ((use, approve), {}),
        (
            (approve, use, use),
            {"ApprovalReused": "record 2 of hub-0 passed by approval apr-1, which record 1 of hub-0"},
        ),
        ((approve, use, approve, use), {}),
        ((approve, use, approve, use, use), {"ApprovalReused": "which record 2 of hub-0 had used up"}),
    ],
    ids=[
        "approved and used",
        "denied, asked again and approved",
        "never decided",
        "another one was approved",
        "denied",
        "approved long after it was used",
        "the clocks of two writers differ a little",
        "used twice",
        "asked anew, approved and used again",
        "used once more than it was approved",
    ],
)
def test_a_use_needs_a_decision_on_record(
    steps: tuple[Callable[[h.History], None], ...], expected: dict[str, str]
) -> None:
    report = _verify(_of(*steps))
    assert [finding.code for finding in report.findings] == list(expected)
    assert report.outcome is (Outcome.TAMPERED if expected else Outcome.OK)
    for finding in report.findings:
        assert expected[finding.code] in finding.message


@pytest.mark.parametrize(
    ("steps", "row", "expected"),
    [
        ((approve,), {"state": ApprovalState.APPROVED}, None),
        ((approve, use), {"state": ApprovalState.USED}, None),
        ((deny,), {"state": ApprovalState.DENIED}, None),
        ((), {"state": ApprovalState.PENDING}, None),
        ((approve, use), {"state": ApprovalState.PENDING}, None),
        ((), {"state": ApprovalState.APPROVED}, "the ledger has it as approved, and no such decision is on record"),
        ((), {"state": ApprovalState.APPROVED, "kind": ApprovalKind.THRESHOLD}, "no such decision is on record"),
        ((), {"state": ApprovalState.APPROVED, "kind": ApprovalKind.OVERRUN}, "no such decision is on record"),
        ((deny,), {"state": ApprovalState.APPROVED}, "no such decision is on record"),
        ((approve,), {"state": ApprovalState.DENIED}, "no such decision is on record"),
        ((approve, use), {"state": ApprovalState.APPROVED}, "approved, and it was used up on record"),
        ((approve,), None, "a decision is on record, and the ledger has no such approval"),
    ],
    ids=[
        "approved",
        "used",
        "denied",
        "pending",
        "asked anew by a ledger that took the same id again",
        "forged",
        "forged for a threshold",
        "forged for a stopped model",
        "turned from denied to approved",
        "turned from approved to denied",
        "used, and opened again",
        "deleted",
    ],
)
def test_the_ledgers_approvals_are_those_on_record(
    steps: tuple[Callable[[h.History], None], ...], row: dict[str, Any] | None, expected: str | None
) -> None:
    rows = () if row is None else (msgspec.structs.replace(ROW, **row),)
    found = [finding for finding in _verify(_of(*steps, wait), rows).findings if finding.code == "ApprovalsDiffer"]
    assert len(found) == (expected is not None)
    if expected is not None:
        assert expected in found[0].message


def test_a_decision_that_retention_removed_is_not_missed() -> None:
    history = _of(approve, use)
    history.append("hub-0", h.settlement(9, 5))
    history.sign("cli")
    history.sign("hub-0")
    gone = [one for one in history.records if one.writer == "cli"]
    stones = retention.tombstones(gone, now=h.START + 9 * SECOND, signer=h.SIGNER)
    history.records = [one for one in history.records if one.writer != "cli"]
    used = (msgspec.structs.replace(ROW, state=ApprovalState.USED),)
    assert _read(history, tombstones=stones).report(kept=verify.Kept(used, ())).findings == ()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ((LISTED,), None),
        ((), "deny pattern:ssn of shop/pii in shop: the store has 0, the records say 1"),
        ((LISTED, LISTED), "the store has 2, the records say 1"),
        ((msgspec.structs.replace(LISTED, dry_run=True),), "in shop (dry run): the store has 1, the records say 0"),
        ((msgspec.structs.replace(LISTED, policy="shop/x"),), "shop/x in shop: the store has 1, the records say 0"),
        ((msgspec.structs.replace(LISTED, reason="x"),), "deny x of shop/pii in shop: the store has 1"),
    ],
    ids=["listed", "deleted", "one too many", "called a dry run", "put down to another policy", "for another reason"],
)
def test_the_violations_that_are_listed_are_those_on_record(
    rows: tuple[ViolationRow, ...], expected: str | None
) -> None:
    report = _read(h.make()).report(kept=verify.Kept((), rows))
    assert report.outcome is (Outcome.OK if expected is None else Outcome.TAMPERED)
    messages = [finding.message for finding in report.findings if finding.code == "ViolationsDiffer"]
    assert bool(messages) is (expected is not None)
    assert expected is None or any(expected in message for message in messages)
