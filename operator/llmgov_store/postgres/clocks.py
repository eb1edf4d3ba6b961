"""The ledger's clock is the database's: replicas whose machines disagree open the same windows.

Each replica knows how far the database's clock is from its own monotonic one, to within half a round trip, and asks
again now and then. Between two answers, and while the database is away, its own clock goes on from the last.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting
from llmgov_store.postgres.connecting import Connection

TRIES: Final = 5
"""How often it is asked at once: the quickest answer is believed."""

PRECISE: Duration = 20 * instants.MILLISECOND
"""Half a round trip that is good enough to stop asking."""

SECONDS_BETWEEN: Final = 30.0
"""Between two measurements: a quartz that is wrong by 100 in a million is 3 ms off by then."""


def monotonic() -> Instant:
    """The machine's own clock that never goes back, in microseconds."""
    return time.monotonic_ns() // 1_000


async def database_time(connection: Connection) -> Instant:
    """The database's clock."""
    with connecting.translated():
        return int(await connection.fetchval("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"))


class DatabaseClock:
    """Called like any clock, once it was measured; it never goes back.

    `ask` gives the database's time, `own` the machine's.
    """

    def __init__(self, ask: Callable[[], Awaitable[Instant]], own: Callable[[], Instant] = monotonic) -> None:
        self._ask = ask
        self._own = own
        self._ahead: Duration | None = None
        self._latest: Instant = 0
        self.error: Duration = 0
        """By how much it may have been off at the latest measurement."""

    def __call__(self) -> Instant:
        """The ledger's time.

        Raises:
            StoreError: it was never measured.
        """
        if self._ahead is None:
            raise StoreError("the database's clock was not read yet")
        self._latest = max(self._latest, self._own() + self._ahead)
        return self._latest

    async def measure(self) -> None:
        """Ask the database, some times where answers are slow.

        Raises:
            StoreError: it does not answer; the clock goes on by the measurement before.
        """
        best: tuple[Duration, Duration] | None = None
        for _ in range(TRIES):
            before = self._own()
            there = await self._ask()
            error = (self._own() - before + 1) // 2
            if best is None or error < best[0]:
                best = error, there - before - error
            if error <= PRECISE:
                break
        assert best is not None
        self.error, self._ahead = best

    async def keep(self, failed: Callable[[StoreError], None] = lambda _: None) -> None:
        """Measure again and again, until cancelled; `failed` is told when the database does not answer."""
        while True:
            try:
                await self.measure()
            except StoreError as error:
                failed(error)
            await asyncio.sleep(SECONDS_BETWEEN)
