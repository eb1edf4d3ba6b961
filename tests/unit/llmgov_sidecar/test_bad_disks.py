"""Disks that fill up, keep no order of files, or leave zeros: what was written is whole, or known not to be.

Full disks are real: the process may not write files beyond a size, so that a write is cut short, and the next refused.
"""

import asyncio
import contextlib
import os
import pathlib
import resource
from collections.abc import Iterator

import pytest

from llmgov.ledger.messages import Event
from llmgov_sidecar import volume
from llmgov_sidecar.calls import Calls, Waits
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.spool import Position, Spool
from llmgov_sidecar.tasks import Tasks
from tests.bench.bench_hub import BenchHub
from tests.unit.llmgov_sidecar.test_spool import intent, read_everything, settlement, spool

CARRIED = [b"a" * 40, b"b" * 40, b"c" * 40]


@contextlib.contextmanager
def full_beyond(size: int) -> Iterator[None]:
    """No file gets longer than this: a write up to there is cut short, and one from there on refused."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def durable(monkeypatch: pytest.MonkeyPatch) -> dict[int, int]:
    """How long each file was, by its inode, when it was synced last."""
    found: dict[int, int] = {}
    fsync = os.fsync

    def noted(handle: int) -> None:
        fsync(handle)
        found[os.fstat(handle).st_ino] = os.fstat(handle).st_size

    monkeypatch.setattr(os, "fsync", noted)
    return found


def lose_power(folder: pathlib.Path, durable: dict[int, int]) -> None:
    """The machine dies after the newest segment got to the disk by itself, and before anything else did."""
    for segment in sorted(folder.glob("*.spool"))[:-1]:
        os.truncate(segment, durable.get(segment.stat().st_ino, 0))


@pytest.mark.parametrize("restarts", [False, True], ids=["of one boot", "of two boots"])
def test_where_something_of_a_segment_survives_all_of_those_before_does(
    tmp_path: pathlib.Path, durable: dict[int, int], restarts: bool
) -> None:
    made = spool(tmp_path, segment=10)
    made.append(b"the first, which fills a segment")
    if restarts:
        made.close()
        made = spool(tmp_path, segment=10)
    made.append(b"the second")
    made.close()
    lose_power(tmp_path, durable)
    again = spool(tmp_path)
    assert list(again.read_all()) == [b"the first, which fills a segment", b"the second"]
    again.close()


@pytest.mark.parametrize("room", range(100, 144))
def test_a_disk_that_fills_up_while_a_segment_begins_loses_nothing_that_is_carried(
    tmp_path: pathlib.Path, room: int
) -> None:
    carried = [b"what is carried into the first one"]
    made = Spool(tmp_path, 60, 10_000, lambda: carried)
    made.append(b"x" * 30)
    carried[:] = CARRIED
    with full_beyond(room):
        assert made.append(b"goes on") == Position(1, 95)
    assert made.used == 95
    assert made.append(b"and on") == Position(2, 3 * 48 + 14)
    made.trim(2)
    assert read_everything(made, 1000) == [*CARRIED, b"and on"]
    made.close()


def test_a_spool_that_ends_in_zeros_is_read_up_to_them(tmp_path: pathlib.Path) -> None:
    journal = Journal(tmp_path, 10_000, 100_000)
    journal.begin(intent(1, 5))
    journal.close()
    (segment,) = tmp_path.glob("*.spool")
    segment.write_bytes(segment.read_bytes() + bytes(100))
    again = Journal(tmp_path, 10_000, 100_000)
    assert list(again.earlier()) == [intent(1, 5)]
    again.begin(intent(2, 5))
    found: list[Event] = []
    position = None
    while position != again.end:
        events, position = again.events(position, 1000)
        found += events
    assert found == [intent(1, 5), intent(2, 5)]
    again.close()


@pytest.fixture
def machine(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """The file that tells one boot of a machine from another."""
    path = tmp_path / "boot_id"
    path.write_text("one")
    monkeypatch.setattr(volume, "_BOOT_ID", path)
    return path


def test_a_full_disk_lets_no_volume_forget_its_starts(tmp_path: pathlib.Path, machine: pathlib.Path) -> None:
    folder = tmp_path / "volume"
    assert volume.open_volume(folder).boots == 1
    key = (folder / "digest.key").read_bytes()
    for room in range(0, 30, 7):
        with full_beyond(room), pytest.raises(OSError, match=r"large|could be written"):
            volume.open_volume(folder)
    machine.write_text("another")
    found = volume.open_volume(folder)
    assert (found.boots, found.torn, found.key) == (2, True, key)


@pytest.mark.parametrize("content", [b"", b'{"boots": 3, "mach', bytes(40)], ids=["empty", "cut short", "zeros"])
def test_a_volume_whose_starts_cannot_be_read_is_torn(
    tmp_path: pathlib.Path, machine: pathlib.Path, content: bytes
) -> None:
    assert not volume.open_volume(tmp_path).torn
    (tmp_path / "boot.json").write_bytes(content)
    assert volume.open_volume(tmp_path).torn


def test_who_waits_behind_a_refused_record_waits_for_what_there_is(tmp_path: pathlib.Path) -> None:
    """The refused one began a segment, so that the end of the spool has moved without a record."""

    async def main() -> None:
        hub, journal = BenchHub(), Journal(tmp_path, 1, 100_000)
        tasks = Tasks(lambda *_: None)
        delivery = Delivery(hub, journal, Calls(Waits(), lambda *_: None))
        tasks.keep("delivery", delivery.run)
        assert await delivery.wait(journal.begin(intent(1, 0)), 5)
        journal.end_attempt(settlement(1, 0))
        assert await delivery.wait(journal.end, 5)
        before = journal.end
        with full_beyond(0), pytest.raises(OSError, match="large"):
            journal.begin(intent(2, 0))
        assert journal.end > before
        assert await delivery.wait(journal.end, 5)
        await tasks.stop()
        journal.close()

    asyncio.run(main())
