"""The spool on disk: order, torn tails, trimming, and the journal's segments against the replay's arithmetic."""

import asyncio
import os
import pathlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.ledger import replay
from llmgov.ledger.commands import Leased, Returned
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Intent,
    Lease,
    LeaseReturn,
    Outcome,
    Refused,
    Settlement,
    Subject,
)
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.spool import Position, Spool, SpoolFullError

SUBJECT = Subject("shop", "web", None, (), (), "openai", "gpt-4o", "chat.completions")
EPOCH = Epoch("pod-1", 7)


def spool(folder: pathlib.Path, segment: int = 200, capacity: int = 10_000) -> Spool:
    return Spool(folder, segment, capacity, lambda: ())


def read_everything(made: Spool, limit: int) -> list[bytes]:
    found: list[bytes] = []
    position = made.first
    while True:
        records, behind = made.read(position, limit)
        if not records and behind == position:
            return found
        found += records
        position = behind


@settings(max_examples=40, deadline=None)
@given(payloads=st.lists(st.binary(min_size=1, max_size=120), max_size=30), limit=st.integers(1, 500))
def test_what_was_appended_is_read_in_order_in_any_portions(
    tmp_path_factory: pytest.TempPathFactory, payloads: list[bytes], limit: int
) -> None:
    folder = tmp_path_factory.mktemp("spool")
    made = spool(folder)
    for payload in payloads:
        made.append(payload)
    assert read_everything(made, limit) == payloads
    made.close()
    again = spool(folder)
    assert list(again.read_all()) == payloads
    again.close()


@pytest.mark.parametrize("cut", range(1, 60, 4))
def test_a_torn_tail_loses_the_last_record_and_no_other(tmp_path: pathlib.Path, cut: int) -> None:
    made = spool(tmp_path, segment=10_000)
    made.append(b"first")
    made.append(b"x" * 60)
    made.close()
    (path,) = tmp_path.glob("*.spool")
    path.write_bytes(path.read_bytes()[:-cut])
    again = spool(tmp_path, segment=10_000)
    assert list(again.read_all()) == [b"first"]
    again.append(b"after")
    assert read_everything(again, 1000) == [b"first", b"after"]
    again.close()


def test_a_flipped_bit_ends_a_segment(tmp_path: pathlib.Path) -> None:
    made = spool(tmp_path, segment=10_000)
    for payload in (b"one", b"two", b"three"):
        made.append(payload)
    made.close()
    (path,) = tmp_path.glob("*.spool")
    raw = bytearray(path.read_bytes())
    raw[8 + 3 + 8] ^= 1
    path.write_bytes(bytes(raw))
    again = spool(tmp_path, segment=10_000)
    assert list(again.read_all()) == [b"one"]
    again.close()


def test_trimming_removes_whole_segments_and_never_the_current_one(tmp_path: pathlib.Path) -> None:
    made = spool(tmp_path, segment=20)
    for number in range(10):
        made.append(b"record %d" % number)
    before = made.used
    made.trim(made.end.segment + 5)
    assert made.used < before
    assert read_everything(made, 1000)[-1] == b"record 9"
    assert len(read_everything(made, 1000)) <= 2
    assert made.first.segment == made.end.segment
    made.close()


def intent(number: int, hold: int, lease: str = "L1") -> Intent:
    charged = (Charged(lease, "account", hold),)
    return Intent(f"{EPOCH}/{number}", 0, "req", SUBJECT, hold, charged, ("v",))


def settlement(number: int, cost: int) -> Settlement:
    return Settlement(f"{EPOCH}/{number}", 0, Outcome.SETTLED, cost, {}, 200, "gpt-4o")


def refused(number: int) -> Refused:
    return Refused(f"{EPOCH}/{number}", 0, "req", SUBJECT, "policy_denied", None, "llmgov: no", (), 403)


@settings(max_examples=30, deadline=None)
@given(
    costs=st.lists(st.tuples(st.integers(1, 50), st.booleans()), min_size=1, max_size=40),
    returned=st.integers(0, 100),
    segment=st.integers(100, 2000),
)
def test_a_trimmed_journal_replays_to_the_same_money_as_a_whole_one(
    tmp_path_factory: pytest.TempPathFactory, costs: list[tuple[int, bool]], returned: int, segment: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal = Journal(folder, segment, 10_000_000)
    journal.take(Leased(Lease("L1", "account", 0, 10**15, 10_000, 10**15)))
    expected = 10_000 - returned
    for number, (cost, ends) in enumerate(costs):
        journal.begin(intent(number, 50))
        if ends:
            journal.end_attempt(settlement(number, cost))
            expected -= cost
        else:
            expected -= 50
        if number == len(costs) // 2 and returned:
            journal.give_back(Returned(LeaseReturn(EPOCH, "L1", 1, returned, False)))
            journal.acknowledged(LeaseReturn(EPOCH, "L1", 1, returned, False))
    journal.trim(journal.end, recovered=True)
    assert journal.used < segment + 2000 + 200 * len(costs)
    journal.close()
    again = Journal(folder, segment, 10_000_000)
    found = replay.replay(again.earlier(), Epoch("pod-1", 8), 1, torn=False)
    assert len(found.settlements) == sum(not ends for _, ends in costs)
    (last,) = [message for message in found.returns if message.final]
    assert last.amount == expected
    assert last.serial == (2 if returned else 1)
    again.close()


def test_records_at_the_head_of_a_segment_are_not_delivered_again(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path, 300, 1_000_000)
    for number in range(20):
        journal.begin(intent(number, 5))
    position: Position | None = None
    seen: list[str] = []
    while position != journal.end:
        events, position = journal.events(position, 500)
        seen += [event.id for event in events]
    assert seen == [f"{EPOCH}/{number}" for number in range(20)]
    journal.close()


def test_refusals_fill_half_attempts_nine_tenths_and_ends_always_fit(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path, 1_000_000, 20_000)
    number = 0
    while journal.note(refused(number)):
        number += 1
    assert 9_000 < journal.used < 11_000
    begun = 0
    while journal.used < 18_000:
        journal.begin(intent(begun, 5))
        begun += 1
    with pytest.raises(SpoolFullError):
        journal.begin(intent(begun, 5))
    for ended in range(begun):
        journal.end_attempt(settlement(ended, 1))
    assert journal.open_attempts == 0
    journal.close()


def test_a_segment_goes_only_when_what_was_carried_out_of_it_is_on_the_disk(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable: dict[int, int] = {}
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        durable[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", noted)
    journal = Journal(tmp_path, 200, 10_000)
    journal.take(Leased(Lease("L1", "account", 0, 10**15, 10_000, 10**15)))
    asyncio.run(journal.sync())
    for number in range(5):
        journal.note(refused(number))
    journal.trim(journal.end, recovered=True)
    journal.close()
    for segment in tmp_path.glob("*.spool"):  # the machine loses power
        os.truncate(segment, durable.get(segment.stat().st_ino, 0))
    again = Journal(tmp_path, 200, 10_000)
    found = replay.replay(again.earlier(), Epoch("pod-1", 8), 1, torn=True)
    assert found.inventory.leases == ("L1",), "a lease that is not named is believed to be unused"
    again.close()


def test_a_sync_that_is_late_survives_the_end_of_its_segment(tmp_path: pathlib.Path) -> None:
    spool = Spool(tmp_path, 1, 10_000, lambda: ())
    spool.append(b"first")
    late = spool.syncing()
    spool.append(b"second, in a segment of its own")
    late()
    assert spool.end.segment > 1
    spool.close()
