"""The database's clock as replicas see it, in virtual time: how far off it may be, and that it never goes back."""

import asyncio
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgov.ledger.store import StoreError
from llmgov_store.postgres.clocks import PRECISE, DatabaseClock
from llmgov_store.postgres.store import PostgresReader
from tests.support import machine, postgres

SECOND = 1_000_000


class World:
    """An own clock and a database's that is `ahead` of it; a question takes `there` and `back`."""

    def __init__(self, ahead: int, there: int = 0, back: int = 0) -> None:
        self.own, self.ahead, self.there, self.back = 10 * SECOND, ahead, there, back
        self.asked = 0

    async def ask(self) -> int:
        self.asked += 1
        self.own += self.there
        read = self.own + self.ahead
        self.own += self.back
        return read

    def clock(self) -> DatabaseClock:
        return DatabaseClock(self.ask, lambda: self.own)


@given(ahead=st.integers(-(10**15), 10**15), there=st.integers(0, SECOND), back=st.integers(0, SECOND))
def test_it_is_off_by_half_a_round_trip_at_most_and_says_so(ahead: int, there: int, back: int) -> None:
    world = World(ahead, there, back)
    clock = world.clock()
    asyncio.run(clock.measure())
    assert clock.error <= (there + back + 1) // 2
    if world.own + ahead > 0:
        assert abs(clock() - (world.own + ahead)) <= clock.error + 1


def test_between_measurements_it_goes_on_by_its_own() -> None:
    world = World(5 * SECOND)
    clock = world.clock()
    asyncio.run(clock.measure())
    first = clock()
    world.own += 7
    assert clock() == first + 7


@given(st.lists(st.tuples(st.integers(0, SECOND), st.integers(-SECOND, SECOND)), max_size=20))
def test_it_never_goes_back_whatever_the_database_says(changes: list[tuple[int, int]]) -> None:
    world = World(5 * SECOND)
    clock = world.clock()
    asyncio.run(clock.measure())
    seen = [clock()]
    for passed, moved in changes:
        world.own += passed
        world.ahead += moved
        asyncio.run(clock.measure())
        seen.append(clock())
    assert seen == sorted(seen)


@pytest.mark.parametrize(("back", "asked"), [(PRECISE, 1), (3 * PRECISE, 5)], ids=["a quick answer", "slow ones"])
def test_it_asks_again_where_answers_are_slow(back: int, asked: int) -> None:
    world = World(0, back=back)
    asyncio.run(world.clock().measure())
    assert world.asked == asked


def test_before_the_first_answer_there_is_no_time() -> None:
    with pytest.raises(StoreError, match="was not read yet"):
        World(0).clock()()


@machine.requires("postgres")
def test_it_is_the_real_database_s() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            reader = await PostgresReader.open(database.reader)
            clock = await reader.clock()
            assert abs(clock() - time.time_ns() // 1_000) < clock.error + 50_000  # one machine, one clock
            await reader.close()
            with pytest.raises(StoreError, match="closed"):
                await clock.measure()
            assert clock() > 0

    asyncio.run(check())
