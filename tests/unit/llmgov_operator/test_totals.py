"""Sums since ever, of which each look reads the last minutes alone: held against reading everything."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from llmgov import instants
from llmgov.instants import MINUTE, Instant
from llmgov.ledger import violated
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import ViolationRow
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
from llmgov_operator.totals import Totals
from llmgov_store.memory import MemoryStore

NOW = instants.from_rfc3339("2026-11-24T08:30:10Z")


class _Counting(MemoryStore):
    """A ledger that notes what times are read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.read: list[tuple[Instant, Instant]] = []

    async def violated(self, start: Instant, end: Instant) -> dict[str, Violated]:
        self.read.append((start, end))
        return await super().violated(start, end)


async def _violate(store: MemoryStore, number: int, at: Instant) -> None:
    row = ViolationRow(
        f"e/{number}", 0, at, f"ns/p{number % 2}", Action.DENY, "budget_exhausted", "m", False, "ns", "sa", None, "m"
    )

    def step(book: Book) -> None:
        book.put.violations.append(row)

    await store.transact(Lock(), step)


ARRIVING = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=30)
"""Minutes until the next violation, and how many it is late."""


@given(ARRIVING)
def test_what_is_not_later_than_ten_minutes_is_counted_at_the_next_look(arriving: list[tuple[int, int]]) -> None:
    async def run() -> None:
        store, now = MemoryStore(), NOW
        totals = Totals(store)
        for number, (wait, late) in enumerate(arriving):
            now += wait * MINUTE
            await _violate(store, number, now - late * MINUTE)
            assert await totals.read(now) == violated.of(await store.violations(0, NOW * 2))

    asyncio.run(run())


def test_what_is_later_is_counted_within_the_hour() -> None:
    async def run() -> None:
        store = MemoryStore()
        totals = Totals(store)
        assert await totals.read(NOW) == {}
        await _violate(store, 1, NOW - instants.DAY)
        assert await totals.read(NOW + 59 * MINUTE) == {}
        assert set(await totals.read(NOW + 60 * MINUTE)) == {"ns/p1"}

    asyncio.run(run())


def test_a_look_reads_eleven_minutes_and_leaves_what_did_not_change_as_it_is() -> None:
    async def run() -> None:
        store = _Counting()
        await _violate(store, 1, NOW - instants.DAY)
        totals = Totals(store)
        first = await totals.read(NOW)
        store.read.clear()
        for seconds in range(5, 30 * 60, 5):
            assert (await totals.read(NOW + seconds * instants.SECOND))["ns/p1"] is first["ns/p1"]
        assert min(start for start, _ in store.read) >= NOW - 10 * MINUTE
        assert all(NOW + seconds * instants.SECOND - start <= 11 * MINUTE for seconds, (start, _) in _tails(store))

    asyncio.run(run())


def _tails(store: _Counting) -> list[tuple[int, tuple[Instant, Instant]]]:
    """Each look's second, and the time without an end that it read."""
    return list(zip(range(5, 30 * 60, 5), [each for each in store.read if each[1] > NOW * 2], strict=True))
