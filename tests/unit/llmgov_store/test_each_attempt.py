"""Attempts one by one: the same as all at once, of one moment, in memory that does not grow with their number."""

import tracemalloc
from collections.abc import Awaitable, Callable

import msgspec
import pytest

from llmgov.audit import tally
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import Attempt
from llmgov.ledger.store import Store
from llmgov_cli import audit_sources
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import NOW, on_every_store

MANY, BATCH = 20_000, 2_000
BOUND = 6 * 2**20
"""Bytes: 20,000 attempts are some 60 MB as objects, the 500 that are fetched at a time below 2 MB."""


def _attempt(number: int) -> Attempt:
    name = f"pod-1:1/{number}"
    return Attempt(name, ledgers.intent(name, 100, at=NOW + number), ledgers.settlement(name, 1, at=NOW + number))


async def _fill(store: Store, first: int, last: int) -> None:
    def put(book: Book) -> None:
        for number in range(first, last):
            book.put_attempt(_attempt(number))

    await store.transact(Lock(), put)


@on_every_store
async def test_each_is_handed_on_in_order(store: Store) -> None:
    await _fill(store, 0, 1200)
    taken: list[Attempt] = []
    await store.each_attempt(NOW + 1, NOW + 1150, taken.append)
    assert taken == await store.attempts(NOW + 1, NOW + 1150) == [_attempt(number) for number in range(1, 1150)]


@on_every_store
async def test_what_the_taker_raises_comes_out_and_the_store_goes_on(store: Store) -> None:
    await _fill(store, 0, 600)

    def refuse(attempt: Attempt) -> None:
        raise KeyError(attempt.id)

    with pytest.raises(KeyError, match="pod-1:1/0"):
        await store.each_attempt(0, NOW + 600, refuse)
    assert len(await store.attempts(0, NOW + 600)) == 600


@on_every_store
async def test_all_else_comes_before_the_attempts_which_come_by_their_ids(store: Store) -> None:
    await _fill(store, 0, 30)
    taken: list[Balances | Attempt] = []

    def begin(given: Balances) -> Callable[[Attempt], object]:
        taken.append(given)
        return taken.append

    await store.add_up(begin)
    whole = await store.balances()
    assert taken == [msgspec.structs.replace(whole, attempts=()), *whole.attempts]
    assert list(whole.attempts) == sorted((_attempt(number) for number in range(30)), key=lambda each: each.id)


@on_every_store
async def test_memory_does_not_grow_with_the_number_of_attempts(store: Store) -> None:
    if isinstance(store, MemoryStore):
        return  # it has them all in memory anyway
    for first in range(0, MANY, BATCH):
        await _fill(store, first, first + BATCH)
    sums: list[tally.Sums] = []
    found: list[str] = []

    async def add() -> None:
        sums.append(await audit_sources.ledger_sums(store))

    async def check() -> None:
        found.extend(await audit_sources.unbalanced(store))

    assert await _peak(add) < BOUND
    assert await _peak(check) < BOUND
    assert (sums[0].attempts, sums[0].cost) == (MANY, MANY)
    assert found, "nothing was charged by a rule, so the sums are not there"


async def _peak(act: Callable[[], Awaitable[None]]) -> int:
    """Bytes that were in use at most, more than before."""
    tracemalloc.start()
    try:
        await act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
