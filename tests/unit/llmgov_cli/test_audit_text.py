"""The record as a table: every kind of record there is has a line, whether its personal values are at hand or not."""

import typing

import pytest

from llmgov.audit import events, facts
from llmgov.ledger import messages
from llmgov.policy.decision import Action, Violation
from llmgov_cli import audit_text
from tests.unit.llmgov.audit import history as h

VIOLATION = Violation("shop/pii", Action.FLAG, "pattern:ssn", "an SSN", path="messages[0].content")
ID = audit_text.HEADINGS.index("WHAT") + 1
"""The column that only `-o wide` has."""

EVENTS: list[tuple[events.AuditEvent, str, str]] = [
    (h.intent(1), "held $0.0005", "pod:1/1"),
    (h.settlement(1, 300), "settled $0.0003", "pod:1/1"),
    (h.refused(3), "400 content shop/pii", ""),
    (
        messages.Violated("pod:1/4", h.START, "r4", "pod:1/1", h.subject("jane"), (VIOLATION,)),
        "flag shop/pii pattern:ssn",
        "",
    ),
    (events.InForce(h.START, "organization", "v2", "v1", "root"), "organization v2", ""),
    (events.ApprovalDecided(h.START, "a1", True, "root", "digest"), "a1 approved", ""),
    (
        events.Corrected(h.START, "c1", "attempt", "pod-0:1/1", 900_000, 250_000, "root", "the bill"),
        "attempt pod-0:1/1 from $0.90 to $0.25",
        "pod-0:1/1",
    ),
    (
        events.Corrected(h.START, "c2", "holder", "pod-0", 2, 1, "root", "the bill", "c|user|Month|UTC|jane", h.START),
        "holder pod-0 from $0.000002 to $0.000001",
        "pod-0",
    ),
    (events.LedgerBegun(h.START, "life", 2), "generation 2: nothing is lent until sidecars report", ""),
    (events.LossAccepted(h.START, "life", 2, "root", "gone", 3), "generation 2: lends again without 3 reports", ""),
    (events.Erased(h.START, "k9", "root"), "key k9 destroyed", ""),
    (events.Tombstone(h.START, "hub-0", 1, ("0" * 64,), 1, 300), "1 record of hub-0 from 1", ""),
]


def test_the_table_of_these_tests_has_every_kind_of_record() -> None:
    kinds = {kind.__struct_config__.tag for kind in typing.get_args(events.AuditEvent)}
    assert {facts.kind(event) for event, _, _ in EVENTS} == kinds


@pytest.mark.parametrize("known", [True, False], ids=["its key at hand", "sealed"])
@pytest.mark.parametrize(("event", "what", "id_"), EVENTS, ids=[facts.kind(event) for event, _, _ in EVENTS])
def test_every_kind_of_record_has_a_line(event: events.AuditEvent, what: str, id_: str, known: bool) -> None:
    history, key = h.History(), h.KEYS["jane"]
    history.append("hub-0", event, None if facts.subject_of(event) is None else key)
    (one,) = history.records
    row = audit_text.row(audit_text.shown(one, {key.id: key} if known else {}))
    assert len(row) == len(audit_text.HEADINGS) + len(audit_text.WIDE)
    assert (row[1], row[2], row[ID - 1], row[ID]) == ("hub-0#1", facts.kind(event), what, id_)
    who = {"intent": "jane", "refused": "joe", "violated": "jane", "corrected": "root", "erased": "root"}
    if one.kind in who:
        assert row[4] == (who[one.kind] if known else "(sealed)")
