"""Attempts one by one: the same as all at once, of one moment, in memory that does not grow with their number."""

import tracemalloc

import pytest

from llmgov.ledger.book import Book, Lock
from llmgov.ledger.rows import Attempt
from llmgov.ledger.store import Store
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
async def test_memory_does_not_grow_with_the_number_of_attempts(store: Store) -> None:
    if isinstance(store, MemoryStore):
        return  # it has them all in memory anyway
    for first in range(0, MANY, BATCH):
        await _fill(store, first, first + BATCH)
    seen = 0

    def count(_: Attempt) -> None:
        nonlocal seen
        seen += 1

    tracemalloc.start()
    try:
        await store.each_attempt(0, NOW + MANY, count)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == MANY
    assert peak < BOUND
