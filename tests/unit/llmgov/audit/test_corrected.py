"""Corrections and the ledger's lives on record: what is personal, and that sums stay those of the ledger."""

import json

import msgspec
import pytest

from llmgov.audit import chain, events, facts, record, retention, sealing, tally, verify
from llmgov.audit.findings import Outcome, Report
from llmgov.instants import DAY, SECOND
from tests.unit.llmgov.audit import history as h

ROOT = sealing.SubjectKey("k9", b"r" * 32)
CORRECTED = events.Corrected(
    at=h.START,
    correction="cor-1",
    what="attempt",
    subject="pod:1/1",
    before=300,
    after=120,
    actor="root@example.com",
    reason="the bill says $0.00012",
    path=h.subject("jane").path,
)
LOST = msgspec.structs.replace(
    CORRECTED,
    what="lease",
    subject="pod:1/1/0",
    account="c|user/jane|Month|UTC",
    window_start=h.START,
    path=(),
)
BEGUN = events.LedgerBegun(h.START, "7/2", 2, "root@example.com", "restored from a backup")
ACCEPTED = events.LossAccepted(h.START, "7/2", 2, "root@example.com", "the node is gone", 3)


def append(event: events.AuditEvent) -> record.AuditRecord:
    return chain.append(chain.ChainHead("hub-0"), event, now=h.START, salt=b"s" * 32, key=ROOT)[0]


@pytest.mark.parametrize("event", [CORRECTED, LOST, BEGUN, ACCEPTED], ids=["attempt", "lease", "begun", "accepted"])
def test_who_and_why_are_sealed_and_the_money_is_not(event: events.AuditEvent) -> None:
    made = append(event)
    text = json.dumps(made.facts)
    for personal in ("root@example.com", "jane", "the bill says", "restored", "the node"):
        assert personal not in text
    assert record.opened(made, ROOT).values
    assert facts.subject_of(event) == "user/root@example.com"


def test_what_is_not_personal_is_plain() -> None:
    made = append(LOST).facts
    assert (made["what"], made["subject"], made["before"], made["after"]) == ("lease", "pod:1/1/0", 300, 120)
    assert made["windowStart"] == h.START
    assert append(ACCEPTED).facts["waiting"] == 3
    unasked = chain.append(chain.ChainHead("hub-0"), events.LedgerBegun(1, "7/2", 2), now=1, salt=b"s" * 32, key=None)[
        0
    ]
    assert unasked.facts == {"at": 1, "epoch": "7/2", "generation": 2}


def corrected_history(*more: events.Corrected) -> h.History:
    history = h.make()
    for event in (CORRECTED, *more):
        history.append("hub-1", event, ROOT)
    history.sign("hub-0")
    history.sign("hub-1")
    return history


def sums(cost: int) -> tally.Sums:
    return tally.Sums(3, cost, dict.fromkeys(h.SUMS.targets, cost))


def check(history: h.History, cost: int, tombstones: list[events.Tombstone] | None = None) -> Report:
    return verify.verify(history.records, history.checkpoints, h.PINS, tombstones=tombstones or [], ledger=sums(cost))


def test_sums_are_those_of_the_corrected_costs() -> None:
    again = msgspec.structs.replace(CORRECTED, correction="cor-2", before=120, after=500)
    assert check(corrected_history(), 550 - 180).outcome is Outcome.OK
    assert check(corrected_history(again), 550 + 200).outcome is Outcome.OK
    assert check(corrected_history(LOST), 550 - 180).outcome is Outcome.OK, "a lease's is of no attempt"
    assert {found.code for found in check(corrected_history(), 550).findings} == {"SumsDiffer"}


@pytest.mark.parametrize("alone", [False, True], ids=["with its attempt", "before its attempt"])
def test_a_correction_that_retention_removed_still_counts(alone: bool) -> None:
    history = corrected_history()
    now = h.START + 365 * DAY + 60 * SECOND
    removed = retention.due(history.records, {one.writer: one.last for one in history.checkpoints}, now)
    if alone:
        removed = [one for one in removed if one.kind == "corrected"]
    stones = retention.tombstones(removed, now=now, signer=h.SIGNER)
    history.records = [one for one in history.records if one not in removed]
    assert sum(stone.cost for stone in stones) == (-180 if alone else 550 - 180)
    assert check(history, 550 - 180, stones).outcome is Outcome.OK
