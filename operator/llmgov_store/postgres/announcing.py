"""Says that another configuration is in force, for a process that is no replica of a hub and has no bus."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from llmgov.ledger.store import StoreError
from llmgov_store.postgres import recalls
from llmgov_store.postgres.connecting import ERRORS, Connection

TRY_SECONDS: Final = 1.0
"""How long one try may take. What is said later than that is no use: by then the replicas have looked."""

_TRIES: Final = 2
"""A connection that broke while nothing was said is noticed only by saying something."""


class Announcer:
    """Announces through a connection of its own, which `connect` opens when it is first needed, and anew once it broke.

    An announcement may be lost: replicas look at the edition of what is in force all the time, and in each transaction
    that lends. So nothing is raised.
    """

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    async def announce(self) -> None:
        """Wake the replicas of the hub."""
        for _ in range(_TRIES):
            with contextlib.suppress(StoreError, *ERRORS):
                async with asyncio.timeout(TRY_SECONDS):
                    await recalls.announce(await self._connected())
                    return
            self.close()

    async def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = await self._connect()
        return self._connection

    def close(self) -> None:
        """Break the connection: nothing is on its way."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
