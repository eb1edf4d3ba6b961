"""`llmgov audit` over a real state folder: exit codes, texts, and what tampering with the database does to them."""

import asyncio
import io
import json
import os
import pathlib
import sqlite3
from typing import Any

import msgspec
import pytest

from llmgov import instants
from llmgov.audit import checkpoint, record, signing
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import AccountRow, Attempt, AuditRow, LeaseRow, Spend, SubjectKeyRow, ViolationRow, Window
from llmgov.policy.decision import Action
from llmgov.snapshot import Target, TargetKind
from llmgov_cli import audit, audit_keys, errors
from llmgov_store.sqlite.store import SqliteStore
from tests.support import ledgers
from tests.unit.llmgov.audit import history as h

ACCOUNT = "c|organization|Month|UTC"
LISTED = ("pod:1/3", 0, h.START, "shop/pii", Action.DENY, "pattern:ssn", "", False, "shop", "web", "joe", "gpt-4o")


def _store(folder: pathlib.Path, history: h.History) -> None:
    """Put a history where a hub would have put it."""

    def step(book: Book) -> None:
        for one in history.records:
            book.put_record(AuditRow(one.writer, one.seq, one.hash, one.recorded, one.kind, record.encode(one)))
        for number, cost, user in ((1, 300, "jane"), (2, 200, "jane"), (4, 50, "joe")):
            intent = h.intent(number, user)
            book.put_attempt(Attempt(intent.id, intent, h.settlement(number, cost)))
            book.put.spends.append(Spend(intent.subject.path, intent.at, cost))
        _put_account(book)
        book.put.violations.append(ViolationRow(*LISTED))
        for name, key in h.KEYS.items():
            book.put_key(SubjectKeyRow(key.id, f"user/{name}", key.secret))

    async def fill() -> None:
        store = SqliteStore.open(folder / "ledger.db")
        await store.transact(Lock(), step)
        for one in history.checkpoints:
            await store.put_checkpoint(checkpoint.encode(one))
        await store.close()

    asyncio.run(fill())
    (folder / "signing.pub").write_text(f"{h.SIGNER.public.hex()}\n")
    anchors = b"".join(checkpoint.encode(one) + b"\n" for one in history.checkpoints)
    (folder / "anchors.jsonl").write_bytes(anchors)


def _put_account(book: Book) -> None:
    """The organization's account, from one lease of which the attempts were paid."""
    span = (h.START - 1, h.START + instants.DAY)
    book.put_account(AccountRow(ACCOUNT, "organization", ledgers.account(Target(TargetKind.ORGANIZATION))))
    book.put_window(Window(ACCOUNT, "organization", *span, 1_000_000_000, spent=550, leased=9_450))
    book.put_lease(LeaseRow("lease-1", ACCOUNT, *span, "pod", 1, 10_000, h.START + instants.DAY, spent=550))


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    _store(tmp_path, h.make())
    return tmp_path


def _sql(folder: pathlib.Path, statement: str, *values: Any) -> None:
    connection = sqlite3.connect(folder / "ledger.db")
    with connection:
        assert connection.execute(statement, values).rowcount > 0
    connection.close()


def _verify(**options: Any) -> tuple[int, str]:
    out = io.StringIO()
    return audit.run_verify(out, **options), out.getvalue()


def _export(folder: pathlib.Path, **options: Any) -> pathlib.Path:
    target = folder / "export.jsonl"
    assert audit.run_export(io.StringIO(), target=target, state=folder, **options) == 0
    return target


def test_an_untouched_folder_is_ok(folder: pathlib.Path) -> None:
    code, text = _verify(state=folder)
    assert code == 0
    assert text == (
        "ok: 8 records of hub-0, hub-1\n"
        "  signed: 7; after the last checkpoint, chained only: 1\n"
        "  known to the anchor: 7\n"
        "  settled attempts: 3, $0.00055, as the ledger has them\n"
    )


@pytest.mark.parametrize(
    ("statement", "code", "text"),
    [
        ("UPDATE records SET data = CAST('x' AS BLOB) WHERE kind = 'refused'", 3, "EntryUnreadable: record 5 of hub-0"),
        ("DELETE FROM records WHERE writer = 'hub-0' AND seq = 3", 3, "RecordMissing: record 3 of hub-0 is missing"),
        ("DELETE FROM records WHERE writer = 'hub-0' AND seq > 4", 4, "records 5 to 5 of hub-0 are signed for"),
        ("DELETE FROM checkpoints", 4, "NothingSigned"),
        ("UPDATE checkpoints SET data = CAST('x' AS BLOB) WHERE position = 2", 3, "EntryUnreadable: checkpoint 2"),
        ("DELETE FROM violations", 3, "ViolationsDiffer: deny pattern:ssn of shop/pii in shop: the store has 0, the"),
        (
            "UPDATE violations SET action = 'flag'",
            3,
            "ViolationsDiffer: deny pattern:ssn of shop/pii in shop: the store",
        ),
        ("DELETE FROM attempts WHERE id = 'pod:1/1'", 3, "settled attempts: the ledger has 2, the records say 3"),
    ],
)
def test_what_was_done_to_the_database_is_the_exit_code(
    folder: pathlib.Path, statement: str, code: int, text: str
) -> None:
    _sql(folder, statement)
    found = _verify(state=folder)
    assert found[0] == code
    assert text in found[1]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "UPDATE windows SET spent = 0",
            "BalanceDiffers: spent of c|organization|Month|UTC from 2023-11-14T22:13:19.999999Z: the ledger has $0",
        ),
        ("UPDATE windows SET spent = 551", "the ledger has $0.000551, by its settled attempts it is $0.00055"),
        ("UPDATE windows SET leased = 0", "leased of c|organization|Month|UTC"),
        ("UPDATE windows SET unknown = 1", "unknown of c|organization|Month|UTC"),
        ("UPDATE leases SET state = 'lost'", "by its lost leases it is $0.00945"),
        ("UPDATE leases SET spent = 0", "BalanceDiffers: spent of lease lease-1: the ledger has $0"),
        (
            "UPDATE sums SET cost = 0 WHERE scope = 'organization'",
            "sum of organization from 2023-11-14T22:00:00Z: the ledger has $0.00, by its settled attempts it is",
        ),
        ("DELETE FROM sums", "sum of organization from 2023-11-14T22:00:00Z: the ledger has $0"),
        ("UPDATE sums SET start = start + 900000000", "the ledger has $0.00055, by its settled attempts it is $0.00"),
        ("DELETE FROM windows", "lease lease-1: the ledger has no window of c|organization|Month|UTC"),
    ],
)
def test_a_balance_that_grants_use_is_what_its_parts_add_up_to(folder: pathlib.Path, statement: str, text: str) -> None:
    _sql(folder, statement)
    code, found = _verify(state=folder)
    assert code == 3
    assert text in found
    assert "and the ledger has others" in found


def test_a_changed_cost_names_its_record(folder: pathlib.Path) -> None:
    one = next(one for one in h.make().records if one.writer == "hub-0" and one.seq == 4)
    forged = msgspec.structs.replace(one, facts=one.facts | {"cost": 1})
    _sql(folder, "UPDATE records SET data = ? WHERE writer = 'hub-0' AND seq = 4", record.encode(forged))
    code, text = _verify(state=folder)
    assert code == 3
    assert "RecordChanged: record 4 of hub-0 was changed" in text
    assert "in all: the ledger has $0.00055, the records say $0.000351" in text


def test_an_empty_folder_is_empty(tmp_path: pathlib.Path) -> None:
    _store(tmp_path, h.History())
    for table in ("leases", "windows", "sums", "attempts", "violations"):
        _sql(tmp_path, f"DELETE FROM {table}")  # noqa: S608 - names from here
    assert _verify(state=tmp_path) == (5, "EMPTY: there is no record\n")


@pytest.mark.parametrize("gzip", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "encrypted"])
def test_an_export_is_proved_elsewhere(folder: pathlib.Path, gzip: bool, encrypted: bool) -> None:
    key = folder / "export.key"
    key.write_text("# for the auditor\n" + "ab" * 32)
    options = {"key": key} if encrypted else {}
    target = _export(folder, gzip=gzip, **options)
    pins, anchor = [folder / "signing.pub"], folder / "anchors.jsonl"
    code, text = _verify(source=target, pins=pins, anchor=anchor, **options)
    assert code == 0
    assert "as the ledger has them" in text
    target.write_bytes(target.read_bytes()[:-30])
    # What is cut within a sealed piece cannot be told from what was changed.
    assert _verify(source=target, pins=pins, **options)[0] == (3 if encrypted else 4)
    target.write_bytes(b"")
    assert _verify(source=target, pins=pins, **options)[0] == 5


def test_a_file_without_a_key_pins_nothing(tmp_path: pathlib.Path) -> None:
    (tmp_path / "empty.pub").write_text("# nothing here\n\n")
    with pytest.raises(errors.CommandError, match=r"empty\.pub holds no key"):
        audit_keys.pins([tmp_path / "empty.pub"])


def test_an_export_without_a_pinned_key_is_not_even_tried(folder: pathlib.Path) -> None:
    with pytest.raises(errors.CommandError, match="name its file with --pin"):
        _verify(source=_export(folder))


def test_an_encrypted_export_without_its_key_is_not_even_tried(folder: pathlib.Path) -> None:
    key = folder / "export.key"
    key.write_text("ab" * 32)
    target = _export(folder, key=key)
    with pytest.raises(errors.CommandError, match=r"export\.jsonl is encrypted: name its key file with --key"):
        _verify(source=target, pins=[folder / "signing.pub"], anchor=folder / "anchors.jsonl")


def test_what_the_anchor_knows_is_said_where_it_is_not_here(folder: pathlib.Path) -> None:
    _sql(folder, "DELETE FROM records")
    _sql(folder, "DELETE FROM checkpoints")
    code, text = _verify(state=folder)
    assert code == 3
    assert "AnchorAhead" in text
    assert "  known to the anchor: none of these; it knows 7\n" in text
    (folder / "anchors.jsonl").unlink()
    assert "  known to the anchor: none, so a cut end would not show\n" in _verify(state=folder)[1]


@pytest.mark.parametrize("how", ["vanished", "empty", "half a line"])
def test_an_anchor_that_knows_of_nothing_is_found_missing(folder: pathlib.Path, how: str) -> None:
    anchors = folder / "anchors.jsonl"
    kept = anchors.read_bytes()
    anchors.unlink()
    if how != "vanished":
        anchors.write_bytes(b"" if how == "empty" else kept[:20])
    code, text = _verify(state=folder)
    assert (code, "AnchorMissing: checkpoints were signed, and anchors.jsonl knows of none" in text) == (4, True)
    elsewhere = folder / "elsewhere.jsonl"
    elsewhere.write_bytes(kept)
    assert _verify(state=folder, anchor=elsewhere)[0] == 0
    elsewhere.write_bytes(b"")
    for options in ({"state": folder}, {"source": _export(folder), "pins": [folder / "signing.pub"]}):
        with pytest.raises(errors.CommandError, match=r"elsewhere\.jsonl holds no checkpoint, so it proves nothing"):
            _verify(anchor=elsewhere, **options)


@pytest.mark.parametrize(
    ("since", "missing"),
    [(0, False), (checkpoint.ANCHOR_EVERY, False), (checkpoint.ANCHOR_EVERY + 1, True)],
    ids=["just signed", "as old as an anchor may be", "older"],
)
def test_a_checkpoint_may_be_on_its_way_to_the_anchor_for_a_minute(
    folder: pathlib.Path, since: int, missing: bool
) -> None:
    (folder / "anchors.jsonl").unlink()
    oldest = min(one.at for one in h.make().checkpoints)
    code, text = _verify(state=folder, clock=lambda: oldest + since)
    assert ("AnchorMissing" in text, code) == ((True, 4) if missing else (False, 0))


def test_a_checkpoint_that_cannot_be_read_is_not_taken_for_a_new_one(folder: pathlib.Path) -> None:
    (folder / "anchors.jsonl").unlink()
    _sql(folder, "UPDATE checkpoints SET data = CAST('x' AS BLOB)")
    assert "AnchorMissing" in _verify(state=folder, clock=lambda: h.START)[1]


def test_before_anything_was_signed_no_anchor_is_missing(folder: pathlib.Path) -> None:
    (folder / "anchors.jsonl").unlink()
    _sql(folder, "DELETE FROM checkpoints")
    assert "AnchorMissing" not in _verify(state=folder)[1]


def test_a_key_that_does_not_fit_is_no_tampering(folder: pathlib.Path) -> None:
    key, other = folder / "export.key", folder / "other.key"
    key.write_text("ab" * 32)
    other.write_text("cd" * 32)
    target = _export(folder, key=key)
    with pytest.raises(errors.CommandError, match=r"does not open with .*other\.key: the key does not fit"):
        _verify(source=target, pins=[folder / "signing.pub"], key=other)


def _pin(folder: pathlib.Path, signer: signing.Signer) -> list[pathlib.Path]:
    (folder / "other.pub").write_text(f"{signer.public.hex()}\n")
    return [folder / "other.pub"]


def test_a_pin_that_signed_no_checkpoint_is_the_wrong_pin(folder: pathlib.Path) -> None:
    pins = _pin(folder, h.OTHER_SIGNER)
    for options in (
        {"state": folder},
        {"state": folder, "output": "json"},
        {"source": _export(folder), "anchor": folder / "anchors.jsonl"},
    ):
        with pytest.raises(errors.CommandError) as raised:
            _verify(pins=pins, **options)
        said = f"none of the 3 checkpoints was signed by the pinned key {h.OTHER_SIGNER.id}: is it the key of this"
        assert str(raised.value).startswith(said)


def test_among_several_pins_one_that_fits_is_enough(folder: pathlib.Path) -> None:
    pins = [*_pin(folder, h.OTHER_SIGNER), folder / "signing.pub"]
    assert _verify(state=folder, pins=pins)[0] == 0


def _resign(folder: pathlib.Path, writers: set[str]) -> None:
    """Whoever can write the database signs chains of these writers with a key of their own."""
    forged = h.make()
    kept = [one for one in forged.checkpoints if one.writer not in writers]
    forged.checkpoints = kept
    for writer in sorted(writers):
        forged.sign(writer, h.OTHER_SIGNER)
    _sql(folder, "DELETE FROM checkpoints")
    store = SqliteStore.open(folder / "ledger.db")

    async def put() -> None:
        for one in forged.checkpoints:
            await store.put_checkpoint(checkpoint.encode(one))
        await store.close()

    asyncio.run(put())


def test_one_forged_checkpoint_among_others_is_tampering(folder: pathlib.Path) -> None:
    (folder / "anchors.jsonl").unlink()
    _resign(folder, {"hub-1"})
    code, text = _verify(state=folder)
    assert (code, "CheckpointForged: checkpoint 1 of hub-1" in text) == (3, True)


def test_where_the_anchor_is_by_the_pinned_key_it_fits_and_the_rest_is_forged(folder: pathlib.Path) -> None:
    _resign(folder, {"hub-0", "hub-1"})
    assert _verify(state=folder)[0] == 3
    (folder / "anchors.jsonl").unlink()
    with pytest.raises(errors.CommandError, match=r"none of the 2 checkpoints .* then somebody else signed the record"):
        _verify(state=folder)


def test_of_a_record_without_a_checkpoint_it_is_said_that_nothing_was_signed(folder: pathlib.Path) -> None:
    (folder / "anchors.jsonl").unlink()
    _sql(folder, "DELETE FROM checkpoints")
    code, text = _verify(state=folder)
    assert code == 4
    assert "NothingSigned: nothing was signed yet, or every checkpoint was removed: nothing is proved" in text


def test_findings_of_one_kind_are_shown_by_a_few_and_their_number(folder: pathlib.Path) -> None:
    _sql(folder, "UPDATE sums SET cost = cost + 1")
    _sql(folder, "UPDATE windows SET spent = 0")
    report = json.loads(_verify(state=folder, output="json")[1])
    assert report["found"] == sum(report["kinds"].values()) > len(report["findings"]) == 5
    assert list(report["kinds"]) == ["BalanceDiffers"]
    lines = _verify(state=folder)[1].splitlines()
    assert len([line for line in lines if line.startswith("  BalanceDiffers: ")]) == 6
    assert lines[6] == f"  BalanceDiffers: {report['found'] - 5} more"


def test_an_export_never_overwrites(folder: pathlib.Path) -> None:
    _export(folder)
    with pytest.raises(errors.CommandError, match=r"export\.jsonl cannot be written: File exists"):
        _export(folder)


@pytest.mark.parametrize("options", [{}, {"gzip": True}], ids=["plain", "packed"])
def test_an_export_is_its_owners_alone_whatever_the_umask(folder: pathlib.Path, options: dict[str, Any]) -> None:
    before = os.umask(0)
    try:
        target = _export(folder, **options)
    finally:
        os.umask(before)
    assert oct(target.stat().st_mode & 0o777) == "0o600"


def test_a_report_can_be_read_by_machines(folder: pathlib.Path) -> None:
    _sql(folder, "DELETE FROM records WHERE writer = 'hub-0' AND seq = 3")
    report = json.loads(_verify(state=folder, output="json")[1])
    assert report["outcome"] == "tampered"
    assert report["findings"][0]["seq"] == 3


def _show(**options: Any) -> list[str]:
    out = io.StringIO()
    audit.run_show(out, **options)
    return out.getvalue().splitlines()


def test_show_prints_the_newest_records_in_the_clear(folder: pathlib.Path) -> None:
    lines = _show(state=folder, limit=3)
    assert lines[0].split() == ["TIME", "RECORD", "KIND", "REQUEST", "WHO", "MODEL", "WHAT"]
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["hub-0#5", "refused"],
        ["hub-1#2", "settlement"],
        ["hub-0#6", "inForce"],
    ]
    assert lines[1].split()[3:] == ["r3", "joe", "openai/gpt-4o", "400", "content", "shop/pii"]


def test_the_wide_table_has_the_id_to_correct_an_attempt_by(folder: pathlib.Path) -> None:
    assert "ID" not in _show(state=folder)[0].split()
    lines = _show(state=folder, request="r1", output="wide")
    assert [line.split()[-1] for line in lines] == ["ID", "pod:1/1", "pod:1/1"]


def test_an_export_and_an_erased_subject_show_only_what_nobody_sealed(folder: pathlib.Path) -> None:
    source = _export(folder)
    _sql(folder, "DELETE FROM subject_keys WHERE subject = 'user/joe'")
    for options in ({"source": source}, {"state": folder}):
        (line,) = _show(kind="refused", **options)[1:]
        assert "(sealed)" in line
        assert "joe" not in line
    assert "jane" in _show(state=folder, request="r1")[1]
    assert json.loads("\n".join(_show(state=folder, request="r1", output="json")))[0]["subject"]["user"] == "jane"


def test_a_request_is_shown_with_the_ends_of_its_attempts(folder: pathlib.Path) -> None:
    for options in ({"state": folder}, {"source": _export(folder)}):
        lines = _show(request="r1", **options)[1:]
        assert [line.split()[2] for line in lines] == ["intent", "settlement"]
    assert [line.split()[2] for line in _show(request="r1", kind="settlement", state=folder)[1:]] == ["settlement"]


def test_keys_are_made_once_and_kept_private(tmp_path: pathlib.Path) -> None:
    signer = audit_keys.signer(tmp_path)
    assert audit_keys.signer(tmp_path) == signer
    assert oct((tmp_path / "signing.key").stat().st_mode & 0o777) == "0o600"
    assert audit_keys.pins([tmp_path / "signing.pub"]) == signing.pins([signer.public])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "64 hex digits"),
        ("", "holds 0 keys"),
        ("ab" * 32 + "\n" + "cd" * 32, "holds 2 keys"),
        (None, "cannot be read"),
    ],
    ids=["no key", "nothing", "two", "no file"],
)
def test_a_key_file_that_is_none_is_said_to_be_none(tmp_path: pathlib.Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "key").write_text(text)
    with pytest.raises(errors.CommandError, match=message):
        audit_keys.secret(tmp_path / "key")
