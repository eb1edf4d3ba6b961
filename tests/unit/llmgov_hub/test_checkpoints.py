"""Checkpoints: every record signed once, whatever restarts in between, and anchored after it is stored."""

import asyncio
import pathlib
from collections.abc import Sequence

import pytest

from llmgov.audit import checkpoint, signing
from llmgov.audit.events import InForce
from llmgov.ledger.book import Lock
from llmgov.ledger.store import StoreError
from llmgov_hub.checkpoints import Checkpoints
from llmgov_store.memory import MemoryStore
from llmgov_store.recorder import Recorder
from llmgov_store.sqlite.store import SqliteStore

SIGNER = signing.Signer(bytes(range(32)))


class Kept:
    """An anchor that remembers."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    async def keep(self, checkpoints: Sequence[bytes]) -> None:
        self.lines += checkpoints


async def _write(store: MemoryStore | SqliteStore, writer: str, count: int) -> None:
    recorder = Recorder(writer)
    event = InForce(1, "organization", "v1")
    for _ in range(count):
        await store.transact(recorder.lock(Lock(), [event]), lambda book: recorder.append(book, event, 1))


def _covered(store_checkpoints: Sequence[bytes]) -> list[tuple[str, int, int]]:
    return [(each.writer, each.first, each.last) for each in map(checkpoint.decode, store_checkpoints)]


def test_every_record_is_signed_once_also_after_a_restart() -> None:
    async def scenario() -> None:
        store, kept = MemoryStore(), Kept()
        await _write(store, "hub", 3)
        await Checkpoints(store, SIGNER, kept, lambda: 5).sign()
        await _write(store, "hub", 2)
        await _write(store, "cli", 1)
        restarted = Checkpoints(store, SIGNER, kept, lambda: 6)
        assert await restarted.sign() == 2
        assert await restarted.sign() == 0
        stored = await store.checkpoints()
        assert sorted(_covered(stored)) == [("cli", 1, 1), ("hub", 1, 3), ("hub", 4, 5)]
        assert kept.lines == [stored[0], stored[0], *stored[1:]], "a process cannot know what its predecessor anchored"

    asyncio.run(scenario())


def test_what_was_stored_and_not_anchored_is_anchored_later() -> None:
    class Failing(Kept):
        """Out of reach, the first times."""

        failures = 2

        async def keep(self, checkpoints: Sequence[bytes]) -> None:
            if self.failures:
                self.failures -= 1
                raise OSError("no space")
            await super().keep(checkpoints)

    async def scenario() -> None:
        store, kept = MemoryStore(), Failing()
        await _write(store, "hub", 2)
        first = Checkpoints(store, SIGNER, kept, lambda: 5)
        with pytest.raises(OSError, match="no space"):
            await first.sign()
        await _write(store, "hub", 1)
        with pytest.raises(OSError, match="no space"):
            await first.sign()
        assert await first.sign() == 0
        assert kept.lines == await store.checkpoints()

    asyncio.run(scenario())


def test_what_a_killed_process_stored_last_is_anchored_by_the_next() -> None:
    class Killed(Kept):
        """Never gets that far."""

        async def keep(self, checkpoints: Sequence[bytes]) -> None:
            raise KeyboardInterrupt

    async def scenario() -> None:
        store, kept = MemoryStore(), Kept()
        await _write(store, "hub", 2)
        with pytest.raises(KeyboardInterrupt):
            await Checkpoints(store, SIGNER, Killed(), lambda: 5).sign()
        assert await Checkpoints(store, SIGNER, kept, lambda: 6).sign() == 0
        assert kept.lines == await store.checkpoints()

    asyncio.run(scenario())


def test_a_checkpoint_that_is_not_stored_is_not_anchored() -> None:
    async def scenario() -> None:
        store, kept = MemoryStore(), Kept()
        await _write(store, "hub", 1)
        signing_ = Checkpoints(store, SIGNER, kept, lambda: 5)
        await store.close()
        with pytest.raises(StoreError):
            await signing_.sign()
        assert kept.lines == []

    asyncio.run(scenario())


def test_a_signature_that_is_cancelled_on_its_way_to_the_store_is_not_made_twice(tmp_path: pathlib.Path) -> None:
    class Leaving(SqliteStore):
        """Its caller is gone as soon as the work is on its way."""

        async def put_checkpoint(self, data: bytes) -> None:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_soon(task.cancel)
            await super().put_checkpoint(data)

    async def scenario() -> None:
        store, kept = Leaving.open(tmp_path / "ledger.db"), Kept()
        await _write(store, "hub", 2)
        signing_ = Checkpoints(store, SIGNER, kept, lambda: 5)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(signing_.sign())
        assert await signing_.sign() == 0
        await store.delivered((), 5)  # writes are in order: what went before is in by now
        assert _covered(await store.checkpoints()) == [("hub", 1, 2)]
        await store.close()

    asyncio.run(scenario())
