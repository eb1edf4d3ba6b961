"""What a simulated disk keeps when a process dies, and when the machine does; real spool and volume run on it."""

import functools
import random
from typing import Any

import pytest

from llmgov import instants
from llmgov_sidecar import spool, volume
from tests.simulator import loop
from tests.simulator.disk import Disk
from tests.simulator.loop import KilledError, Loop, Process
from tests.simulator.sidecar import installed


def in_process(process: Process, work: Any) -> Any:
    return Loop().run_in(process, work)


def a_spool(disk: Disk, segment_bytes: int = 1000) -> spool.Spool:
    return spool.Spool(disk.root / "spool", segment_bytes, 10_000, list)  # type: ignore[arg-type]


def records(disk: Disk) -> list[bytes]:
    return list(a_spool(disk).read_all())


@pytest.fixture(autouse=True)
def simulated() -> Any:
    with installed(10 * instants.MINUTE):
        yield


def test_the_death_of_a_process_loses_nothing_that_was_written() -> None:
    disk, process = Disk(random.Random(1)), Process("p")
    in_process(process, lambda: a_spool(disk).append(b"one"))
    process.kill()
    assert records(disk) == [b"one"]


def test_the_death_of_the_machine_loses_a_tail_of_what_was_not_synced() -> None:
    outcomes = set()
    for seed in range(200):
        disk = Disk(random.Random(seed))
        written = a_spool(disk)
        written.append(b"synced")
        written.sync()
        for text in (b"a", b"b", b"c"):
            written.append(text)
        disk.lose_power()
        outcomes.add(b"".join(records(disk)))
    assert outcomes == {b"synced", b"synceda", b"syncedab", b"syncedabc"}


def test_what_is_synced_is_found_and_what_is_only_written_is_not() -> None:
    disk = Disk(random.Random(1))
    written = a_spool(disk)
    written.append(b"lease-1")
    assert not disk.has_synced(b"lease-1")
    written.sync()
    assert disk.has_synced(b"lease-1")


def test_a_volume_knows_that_its_machine_died_and_forgets_no_boot() -> None:
    for seed in range(100):
        disk = Disk(random.Random(seed))
        for boot in range(1, 4):
            process = Process("p", f"machine-{disk.machine}")
            found = in_process(process, functools.partial(volume.open_volume, disk.root))
            assert (found.boots, found.torn) == (boot, boot > 1)
            disk.lose_power()


def test_a_dead_process_writes_nothing_more() -> None:
    disk, process = Disk(random.Random(1)), Process("p")
    written = in_process(process, lambda: a_spool(disk))
    process.kill()
    with pytest.raises(KilledError):
        written.append(b"late")
    assert records(disk) == []


def test_a_disk_that_refuses_leaves_no_half_record() -> None:
    for seed in range(50):
        disk = Disk(random.Random(seed))
        written = a_spool(disk)
        written.append(b"first")
        disk.refuses = 1.0
        with pytest.raises(OSError, match=r"simulated disk|could be written"):
            written.append(b"refused")
        disk.refuses = 0.0
        written.append(b"second")
        assert records(disk) == [b"first", b"second"]


def test_a_process_can_be_killed_before_and_after_each_write() -> None:
    disk, steps = Disk(random.Random(1)), list[str]()
    disk.on_step = steps.append
    written = a_spool(disk)
    written.append(b"one")
    written.sync()
    name = "000000000001.spool"
    assert steps == [f"write {name}", f"wrote {name}", f"sync {name}", f"synced {name}"]
    assert loop.current() is loop.WORLD
