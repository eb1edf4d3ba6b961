"""What a sidecar keeps of its configuration, what that costs, and what it says at the next start."""

import asyncio
import os
import pathlib
from collections.abc import Iterator

import msgspec
import pytest

from llmgov import instants, snapshot
from llmgov.snapshot import Approval, Directory, Settings, Snapshot
from llmgov_sidecar.configuration import Configuration
from tests.support import policies

NOON = instants.from_rfc3339("2026-11-24T12:00:00Z")
SNAPSHOT = policies.configure(settings=Settings(max_staleness=5 * instants.MINUTE)).snapshot
STRICTER = msgspec.structs.replace(
    SNAPSHOT, organization=msgspec.structs.replace(SNAPSHOT.organization, settings=Settings(max_staleness=0))
)
APPROVED = Directory(approvals=(Approval("apr-1", "d", NOON + instants.HOUR),))


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def configuration(tmp_path: pathlib.Path, clock: Clock) -> Configuration:
    return Configuration(tmp_path, clock)


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """The file handles that were synced, which is what a write costs."""
    seen: list[int] = []
    really = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (seen.append(handle), really(handle))[1])
    return seen


def _apply(configuration: Configuration, *given: tuple[Snapshot, Directory]) -> None:
    async def all_of_them() -> None:
        for new, directory in given:
            await configuration.apply(new, directory, {})

    asyncio.run(all_of_them())


def _kept(folder: pathlib.Path) -> Snapshot:
    return snapshot.decode((folder / "snapshot.json").read_bytes())


def test_a_directory_that_changed_costs_no_write(
    configuration: Configuration, tmp_path: pathlib.Path, syncs: list[int]
) -> None:
    _apply(configuration, (SNAPSHOT, Directory()))
    inode = (tmp_path / "snapshot.json").stat().st_ino
    _apply(configuration, (SNAPSHOT, APPROVED), (SNAPSHOT, Directory()))
    assert len(syncs) == 1
    assert (tmp_path / "snapshot.json").stat().st_ino == inode
    assert configuration.current is not None
    assert configuration.current.runtime.directory == Directory()


@pytest.mark.parametrize("last", [SNAPSHOT, STRICTER], ids=["back again", "another"])
def test_every_change_of_a_part_is_written(
    configuration: Configuration, tmp_path: pathlib.Path, syncs: list[int], last: Snapshot
) -> None:
    _apply(configuration, (SNAPSHOT, Directory()), (STRICTER, APPROVED), (SNAPSHOT, APPROVED), (last, Directory()))
    assert _kept(tmp_path) == last
    assert len(syncs) == (3 if last == SNAPSHOT else 4)


@pytest.mark.parametrize(
    ("minutes", "stale"), [(4, False), (6, True)], ids=["within what the settings allow", "beyond"]
)
def test_a_start_counts_staleness_from_when_the_hub_last_handed_something_out(
    configuration: Configuration, clock: Clock, tmp_path: pathlib.Path, minutes: int, *, stale: bool
) -> None:
    _apply(configuration, (SNAPSHOT, Directory()))
    clock.now += instants.HOUR
    _apply(configuration, (SNAPSHOT, APPROVED))
    clock.now += minutes * instants.MINUTE
    later = Configuration(tmp_path, clock)
    assert later.load()
    assert later.stale is stale


def test_a_file_that_somebody_removed_is_written_again(configuration: Configuration, tmp_path: pathlib.Path) -> None:
    _apply(configuration, (SNAPSHOT, Directory()))
    (tmp_path / "snapshot.json").unlink()
    _apply(configuration, (SNAPSHOT, APPROVED))
    assert _kept(tmp_path) == SNAPSHOT


def test_what_could_not_be_written_is_written_the_next_time(
    configuration: Configuration, tmp_path: pathlib.Path
) -> None:
    _apply(configuration, (SNAPSHOT, Directory()))
    (tmp_path / "snapshot.tmp").mkdir()
    with pytest.raises(IsADirectoryError):
        _apply(configuration, (STRICTER, Directory()))
    (tmp_path / "snapshot.tmp").rmdir()
    _apply(configuration, (STRICTER, APPROVED))
    assert _kept(tmp_path) == STRICTER


def test_a_start_writes_once_whatever_is_there(tmp_path: pathlib.Path, clock: Clock, syncs: list[int]) -> None:
    _apply(Configuration(tmp_path, clock), (SNAPSHOT, Directory()))
    again = Configuration(tmp_path, clock)
    assert again.load()
    _apply(again, (SNAPSHOT, Directory()), (SNAPSHOT, APPROVED))
    assert len(syncs) == 2


def test_of_several_at_once_the_last_is_kept(configuration: Configuration, tmp_path: pathlib.Path) -> None:
    async def at_once() -> None:
        async with asyncio.TaskGroup() as tasks:
            for new in (SNAPSHOT, STRICTER) * 10:
                tasks.create_task(configuration.apply(new, Directory(), {}))

    asyncio.run(at_once())
    assert _kept(tmp_path) == STRICTER
