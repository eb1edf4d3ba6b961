"""Tamper with everything, and see it found and located."""

import copy
import itertools
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.audit import checkpoint, events, record, retention, sealing, signing, tally, verify
from llmgov.audit.findings import Finding, Outcome, Report
from llmgov.instants import DAY, SECOND
from tests.unit.llmgov.audit import history as h


def _verify(history: h.History, **options: Any) -> Report:
    return verify.verify(history.records, history.checkpoints, h.PINS, **options)


def _first(report: Report) -> tuple[Outcome, str, str, int]:
    found: Finding = report.findings[0]
    return report.outcome, found.code, found.writer, found.seq


def _everything(history: h.History) -> dict[str, Any]:
    return {"anchor": history.anchor(), "ledger": h.SUMS, "keys": {key.id: key for key in h.KEYS.values()}}


def test_an_untouched_history_is_ok_and_adds_up() -> None:
    history = h.make()
    report = _verify(history, **_everything(history))
    assert report.findings == ()
    assert report == Report(
        Outcome.OK,
        findings=(),
        found=0,
        records=8,
        writers=("hub-0", "hub-1"),
        signed=7,
        unsigned=1,
        anchored=7,
        anchor_knows=7,
        erased=0,
        removed=0,
        attempts=3,
        cost=550,
        unsettled=(),
        unmatched=(),
        gaps=(),
        reconciled=True,
    )


def test_no_record_is_empty_unless_an_anchor_knows_of_some() -> None:
    nothing = h.History()
    assert _verify(nothing).outcome is Outcome.EMPTY
    assert _first(_verify(nothing, anchor=h.make().anchor()))[:2] == (Outcome.TRUNCATED, "AnchorAhead")


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))] or [path]
    if isinstance(value, list):
        return [leaf for index, inner in enumerate(value) for leaf in _leaves(inner, (*path, index))] or [path]
    return [path]


def _other(value: Any) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return ("1" if value[:1] != "1" else "2") + value[1:]
        case _:
            return [1]


def _changed(one: record.AuditRecord, path: tuple[Any, ...]) -> record.AuditRecord:
    document = copy.deepcopy(msgspec.structs.asdict(one))
    document["seal"] = None if one.seal is None else msgspec.structs.asdict(one.seal)
    target = document
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = _other(target[path[-1]])
    seal = document.pop("seal")
    return record.AuditRecord(**document, seal=None if seal is None else record.Seal(**seal))


def _every_change() -> list[Any]:
    cases = []
    for seq in (3, 5):  # an intent and a refusal of hub-0, both signed, neither at an end
        history = h.make()
        one = history.records[history.at("hub-0", seq)]
        document = msgspec.structs.asdict(one) | {"seal": msgspec.structs.asdict(one.seal)}
        del document["box"]
        cases += [pytest.param(seq, path, id=f"{one.kind} {'.'.join(map(str, path))}") for path in _leaves(document)]
    return cases


@pytest.mark.parametrize(("seq", "path"), _every_change())
def test_every_changed_field_of_a_record_is_found_at_that_record(seq: int, path: tuple[Any, ...]) -> None:
    history = h.make()
    index = history.at("hub-0", seq)
    history.records[index] = _changed(history.records[index], path)
    report = _verify(history)
    assert report.outcome is Outcome.TAMPERED
    assert any(found.seq == seq for found in report.findings), report.findings


@pytest.mark.parametrize("name", [field for field in checkpoint.Checkpoint.__struct_fields__ if field != "writer"])
def test_every_changed_field_of_a_checkpoint_is_found(name: str) -> None:
    history = h.make()
    one = history.checkpoints[1]
    history.checkpoints[1] = msgspec.structs.replace(one, **{name: _other(getattr(one, name))})
    report = _verify(history)
    assert report.outcome is Outcome.TAMPERED
    assert any(found.code == "CheckpointForged" for found in report.findings)


def test_a_changed_record_with_its_hash_made_right_is_found_by_the_next_ones_link() -> None:
    history = h.make()
    index = history.at("hub-0", 3)
    forged = msgspec.structs.replace(history.records[index], recorded=1)
    history.records[index] = msgspec.structs.replace(forged, hash=record.digest(forged))
    assert _first(_verify(history)) == (Outcome.TAMPERED, "LinkBroken", "hub-0", 3)


def _rechain(history: h.History, writer: str, seq: int) -> None:
    """Change a record and make every hash after it right, as who can write the database would."""
    previous = None
    for index, one in enumerate(history.records):
        if one.writer != writer or one.seq < seq:
            continue
        forged = msgspec.structs.replace(one, **({"recorded": 1} if previous is None else {"previous": previous}))
        history.records[index] = msgspec.structs.replace(forged, hash=record.digest(forged))
        previous = history.records[index].hash


def test_a_chain_made_right_from_a_record_on_is_found_by_the_checkpoint_over_it() -> None:
    history = h.make()
    _rechain(history, "hub-0", 4)
    report = _verify(history)
    assert _first(report) == (Outcome.TAMPERED, "RootDiffers", "hub-0", 5)
    assert report.found == 1
    assert "records 3 to 5 of hub-0" in report.findings[0].message


def test_a_chain_made_right_and_signed_again_with_the_stolen_key_is_found_by_the_anchor() -> None:
    history = h.make()
    anchor = history.anchor()
    _rechain(history, "hub-0", 4)
    del history.checkpoints[1]
    history.sign("hub-0")
    assert _verify(history).outcome is Outcome.OK
    assert _first(_verify(history, anchor=anchor)) == (Outcome.TAMPERED, "AnchorDiffers", "hub-0", 6)


def test_a_chain_signed_with_another_key_is_found() -> None:
    history = h.make()
    del history.checkpoints[1:]
    history.sign("hub-0", h.OTHER_SIGNER)
    report = _verify(history)
    assert _first(report) == (Outcome.TAMPERED, "CheckpointForged", "hub-0", 6)
    assert "is not pinned" in report.findings[0].message


@pytest.mark.parametrize("seq", [2, 3, 4])
def test_a_removed_record_is_found_where_it_was(seq: int) -> None:
    history = h.make()
    del history.records[history.at("hub-0", seq)]
    report = _verify(history)
    assert _first(report) == (Outcome.TAMPERED, "RecordMissing", "hub-0", seq)
    assert report.found == 1


@pytest.mark.parametrize(("left", "right"), list(itertools.combinations(range(1, 7), 2)))
def test_swapped_records_are_found(left: int, right: int) -> None:
    history = h.make()
    here, there = history.at("hub-0", left), history.at("hub-0", right)
    history.records[here], history.records[there] = history.records[there], history.records[here]
    report = _verify(history)
    assert report.outcome is Outcome.TAMPERED
    assert {found.seq for found in report.findings} & {left, right}


def test_a_repeated_record_is_found() -> None:
    history = h.make()
    index = history.at("hub-0", 4)
    history.records.insert(index, history.records[index])
    assert _first(_verify(history)) == (Outcome.TAMPERED, "RecordRepeated", "hub-0", 4)


def test_an_inserted_record_is_found() -> None:
    history = h.make()
    index = history.at("hub-0", 4)
    twin = msgspec.structs.replace(history.records[index], seq=3, previous=history.records[index - 1].previous)
    history.records.insert(index, msgspec.structs.replace(twin, hash=record.digest(twin)))
    assert _first(_verify(history))[:2] == (Outcome.TAMPERED, "RecordRepeated")


@pytest.mark.parametrize("number", [0, 1])
def test_a_removed_checkpoint_is_found(number: int) -> None:
    history = h.make()
    history.append("hub-0", h.refused(5), h.KEYS["joe"])
    history.sign("hub-0")
    del history.checkpoints[number]
    report = _verify(history)
    code = ("CheckpointsCut", "CheckpointMissing")[number]
    assert report.findings[0].code == code


def test_a_chain_without_its_beginning_is_truncated() -> None:
    history = h.make()
    history.records = [one for one in history.records if one.writer == "hub-1" or one.seq > 2]
    history.checkpoints = history.checkpoints[1:]
    assert _first(_verify(history)) == (Outcome.TRUNCATED, "RecordsCut", "hub-0", 1)


@pytest.mark.parametrize("kept", [1, 2, 3, 4])
def test_records_cut_before_their_checkpoint_are_truncated_without_any_anchor(kept: int) -> None:
    history = h.make()
    history.records = [one for one in history.records if one.writer == "hub-1" or one.seq <= kept]
    assert _first(_verify(history)) == (Outcome.TRUNCATED, "RecordsCut", "hub-0", kept + 1)


def test_an_end_cut_cleanly_is_found_by_the_anchor() -> None:
    history = h.make()
    anchor = history.anchor()
    history.records = [one for one in history.records if one.writer == "hub-1" or one.seq <= 2]
    del history.checkpoints[1]
    assert _verify(history).outcome is Outcome.OK
    assert _first(_verify(history, anchor=anchor)) == (Outcome.TRUNCATED, "AnchorAhead", "hub-0", 3)


def test_a_whole_writer_cut_away_is_found_by_the_anchor_and_the_sums() -> None:
    history = h.make()
    anchor = history.anchor()
    history.records = [one for one in history.records if one.writer == "hub-0"]
    history.checkpoints = [one for one in history.checkpoints if one.writer == "hub-0"]
    assert _first(_verify(history, anchor=anchor)) == (Outcome.TRUNCATED, "AnchorAhead", "hub-1", 1)
    report = _verify(history, ledger=h.SUMS)
    assert report.outcome is Outcome.TAMPERED
    assert [found.message for found in report.findings][:2] == [
        "settled attempts: the ledger has 3, the records say 2",
        "in all: the ledger has $0.00055, the records say $0.0005",
    ]


def test_an_anchor_that_nobody_pinned_proves_nothing_and_says_so() -> None:
    history, other = h.make(), h.History()
    other.append("hub-0", h.intent(1), h.KEYS["jane"])
    other.sign("hub-0", h.OTHER_SIGNER)
    assert _first(_verify(history, anchor=other.anchor()))[:2] == (Outcome.TAMPERED, "AnchorForged")


def test_records_without_any_signature_prove_nothing() -> None:
    history = h.make()
    history.checkpoints.clear()
    assert _first(_verify(history))[:2] == (Outcome.TRUNCATED, "NothingSigned")


def test_a_tail_that_should_long_be_signed_is_truncated() -> None:
    history = h.make()
    for number in range(10, 80):
        history.append("hub-1", h.settlement(number, 1))
    assert _first(_verify(history)) == (Outcome.TRUNCATED, "CheckpointsCut", "hub-1", 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: msgspec.structs.replace(s, cost=s.cost + 1), "in all: the ledger has $0.000551, the records say"),
        (lambda s: msgspec.structs.replace(s, attempts=4), "settled attempts: the ledger has 4, the records say 3"),
        (lambda s: msgspec.structs.replace(s, targets=s.targets | {"team/x": 1}), "team/x: the ledger has $0.000001"),
        (lambda s: msgspec.structs.replace(s, targets={}), "namespace/shop: the ledger has $0.00, the records"),
    ],
    ids=["another total", "another count", "a target more", "no target"],
)
def test_sums_that_differ_from_the_ledgers_are_found(change: Callable[[tally.Sums], tally.Sums], message: str) -> None:
    report = _verify(h.make(), ledger=change(h.SUMS))
    assert report.outcome is Outcome.TAMPERED
    assert report.findings[0].message.startswith(message)


def _erase(history: h.History, user: str) -> None:
    """What the hub does: destroy the key, put that on record, drop the boxes."""
    history.append("hub-0", events.Erased(h.START, h.KEYS[user].id, "web"), h.KEYS["web"])
    history.records = [
        msgspec.structs.replace(one, box=None) if one.seal and one.seal.key == h.KEYS[user].id else one
        for one in history.records
    ]


def test_an_erased_person_keeps_verifying_and_nobody_can_read_them() -> None:
    history = h.make()
    _erase(history, "jane")
    left = {key.id: key for name, key in h.KEYS.items() if name != "jane"}
    report = _verify(history, anchor=history.anchor(), ledger=h.SUMS, keys=left)
    assert (report.outcome, report.erased, report.findings) == (Outcome.OK, 2, ())
    assert b"jane" not in b"".join(map(record.encode, history.records))


def test_boxes_that_nobody_erased_on_record_must_be_there() -> None:
    history = h.make()
    index = history.at("hub-0", 3)
    history.records[index] = msgspec.structs.replace(history.records[index], box=None)
    assert _first(_verify(history)) == (Outcome.TAMPERED, "BoxMissing", "hub-0", 3)


def test_a_changed_box_is_found_without_any_key() -> None:
    history = h.make()
    index = history.at("hub-0", 3)
    box = history.records[index].box or b""
    history.records[index] = msgspec.structs.replace(history.records[index], box=box[:-1] + bytes([box[-1] ^ 1]))
    assert _first(_verify(history)) == (Outcome.TAMPERED, "BoxChanged", "hub-0", 3)


def test_a_box_that_says_something_else_than_the_record_is_found_with_the_key() -> None:
    history = h.History()
    history.append("hub-0", h.intent(1), h.KEYS["jane"])
    one = history.records[0]
    lie = sealing.Opening(b"1" * 32, {"subject.user": "joe"})
    box = sealing.seal(lie, h.KEYS["jane"], record.context("hub-0", 1))
    seal = record.Seal(h.KEYS["jane"].id, sealing.box_digest(box))
    forged = msgspec.structs.replace(one, box=box, seal=seal)
    history.records[0] = msgspec.structs.replace(forged, hash=record.digest(forged))
    history.sign("hub-0")
    assert _verify(history).outcome is Outcome.OK
    report = _verify(history, keys={h.KEYS["jane"].id: h.KEYS["jane"]})
    assert _first(report) == (Outcome.TAMPERED, "BoxChanged", "hub-0", 1)


def test_numbers_that_a_sidecar_never_reported_are_listed_and_prove_nothing() -> None:
    history = h.make()
    history.append("hub-1", h.refused(9), h.KEYS["joe"])
    report = _verify(history)
    assert report.outcome is Outcome.OK
    assert report.gaps == (tally.Gap("pod:1", 5, 8),)


def test_open_ends_of_attempts_are_listed() -> None:
    history = h.make()
    history.append("hub-1", h.intent(5), h.KEYS["jane"])
    history.append("hub-1", h.settlement(6, 7))
    report = _verify(history)
    assert (report.unsettled, report.unmatched) == (("pod:1/5",), ("pod:1/6",))
    assert (report.attempts, report.cost) == (3, 550)


def test_a_settlement_before_its_intent_in_another_chain_counts_all_the_same() -> None:
    history = h.History()
    history.append("hub-1", h.settlement(1, 300))
    history.append("hub-0", h.intent(1), h.KEYS["jane"])
    history.sign("hub-0")
    history.sign("hub-1")
    sums = tally.Sums(1, 300, dict.fromkeys(h.SUMS.targets, 300))
    assert _verify(history, ledger=sums).outcome is Outcome.OK


@pytest.mark.parametrize(
    "facts", [{}, {"id": 7}, {"id": "x", "cost": 1.5}, {"id": "x", "cost": "1e9"}, {"id": "x"}], ids=repr
)
def test_a_record_without_proper_facts_is_a_finding_and_not_a_crash(facts: dict[str, Any]) -> None:
    history = h.History()
    history.append("hub-0", h.settlement(1, 5))
    history.records[0] = msgspec.structs.replace(history.records[0], facts=facts)
    assert "RecordUnreadable" in {found.code for found in _verify(history).findings}


# Retention


def _retire(history: h.History, days: int) -> list[events.Tombstone]:
    now = h.START + days * DAY + 60 * SECOND
    signed = {one.writer: one.last for one in history.checkpoints}
    removed = retention.due(history.records, signed, now)
    history.records = [one for one in history.records if one not in removed]
    return retention.tombstones(removed, now=now, signer=h.SIGNER)


def test_nothing_is_removed_before_its_time() -> None:
    history = h.make()
    assert _retire(history, 364) == []


def test_what_is_removed_keeps_verifying_with_chain_roots_and_sums() -> None:
    history = h.make()
    anchor = history.anchor()
    tombstones = _retire(history, 365)
    assert [(one.kind, one.seq) for one in history.records] == [("inForce", 6)]  # no checkpoint covers it yet
    report = _verify(history, tombstones=tombstones, anchor=anchor, ledger=h.SUMS)
    assert (report.outcome, report.findings) == (Outcome.OK, ())
    assert (report.records, report.removed, report.cost) == (1, 7, 550)


def test_an_attempt_leaves_as_a_whole() -> None:
    history = h.History()
    long = msgspec.structs.replace(h.intent(1), retention_days=1000)
    history.append("hub-0", long, h.KEYS["jane"])
    history.append("hub-0", h.settlement(1, 300))
    history.append("hub-0", h.refused(2), h.KEYS["joe"])
    history.attempt("hub-0", 3, 100)
    history.sign("hub-0")
    tombstones = _retire(history, 365)
    assert [one.seq for one in history.records] == [1, 2]
    assert [(one.first, len(one.hashes), one.cost) for one in tombstones] == [(3, 3, 100)]
    sums = tally.Sums(2, 400, dict.fromkeys(h.SUMS.targets, 400))
    assert _verify(history, tombstones=tombstones, ledger=sums).outcome is Outcome.OK


@pytest.mark.parametrize("name", events.Tombstone.__struct_fields__)
def test_every_changed_field_of_a_tombstone_is_found(name: str) -> None:
    history = h.make()
    tombstones = _retire(history, 365)
    lies = {"hashes": ("0" * 64, *tombstones[0].hashes[1:]), "targets": {"organization": 1}}
    other = lies.get(name) or _other(getattr(tombstones[0], name))
    tombstones[0] = msgspec.structs.replace(tombstones[0], **{name: other})
    assert _first(_verify(history, tombstones=tombstones))[:2] == (Outcome.TAMPERED, "TombstoneForged")


def test_a_tombstone_on_record_is_read_back_from_its_facts() -> None:
    history = h.make()
    (stone, _) = _retire(history, 365)
    history.append("hub-0", stone)
    assert retention.read(history.records[-1].facts) == stone
    with pytest.raises(record.RecordError, match="not a tombstone"):
        retention.read({"at": 1})


# Any history


_STEP = st.tuples(st.sampled_from(["hub-0", "hub-1"]), st.integers(0, 900), st.booleans())


@given(st.lists(_STEP, min_size=2, max_size=12), st.data())
@settings(max_examples=60, deadline=None)
def test_any_history_is_ok_and_any_signed_record_removed_is_not(
    steps: list[tuple[str, int, bool]], data: st.DataObject
) -> None:
    history = h.History()
    for number, (writer, cost, sign) in enumerate(steps, 1):
        history.attempt(writer, number, cost)
        if sign:
            history.sign(writer)
    for writer in {writer for writer, _, _ in steps}:
        last = [one.last for one in history.checkpoints if one.writer == writer]
        if history.head(writer).seq > (last[-1] if last else 0):
            history.sign(writer)
    assert _verify(history, anchor=history.anchor()).outcome is Outcome.OK
    del history.records[data.draw(st.integers(0, len(history.records) - 1))]
    assert _verify(history).outcome in (Outcome.TAMPERED, Outcome.TRUNCATED)


def test_a_signature_belongs_to_its_kind_of_document() -> None:
    signature = h.SIGNER.sign("checkpoint", {"a": 1})
    assert h.PINS.verify(h.SIGNER.id, "checkpoint", {"a": 1}, signature) is None
    assert h.PINS.verify(h.SIGNER.id, "tombstone", {"a": 1}, signature) is not None
    assert h.PINS.verify(h.SIGNER.id, "checkpoint", {"a": 1}, "no hex") is not None
    with pytest.raises(signing.SigningError):
        signing.pins([b"short"])
    with pytest.raises(signing.SigningError):
        signing.Signer(b"short").sign("checkpoint", {})


def test_a_root_that_is_not_that_of_the_records_is_found_even_where_it_is_signed() -> None:
    history = h.make()
    one = msgspec.structs.replace(history.checkpoints[2], root="0" * 64)
    signature = h.SIGNER.sign("checkpoint", checkpoint.signed(one))
    history.checkpoints[2] = msgspec.structs.replace(one, signature=signature)
    assert _first(_verify(history)) == (Outcome.TAMPERED, "RootDiffers", "hub-1", 2)
