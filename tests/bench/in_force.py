"""When parts come into force: the database as a hub sees it, which is told of changes and looks itself."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from llmgov_store.postgres import connecting, recalls
from llmgov_store.postgres.connecting import Connection

LOOK_SECONDS = 0.01
"""Between two looks where nothing is told: by so much a measurement may be too long."""


class InForce:
    """Reads what is in force in one database."""

    def __init__(self, connection: Connection, told: asyncio.Event) -> None:
        self._connection = connection
        self._told = told

    async def version(self, part: str) -> str | None:
        """The version of a part that is in force."""
        query = "SELECT version FROM parts WHERE part = $1 AND until IS NULL"
        found: str | None = await self._connection.fetchval(query, part)
        return found

    async def count(self, beginning: str) -> int:
        """How many parts are in force whose names begin so."""
        query = "SELECT count(*) FROM parts WHERE starts_with(part, $1) AND until IS NULL"
        return int(await self._connection.fetchval(query, beginning))

    async def replaced(self, part: str, version: str | None) -> None:
        """Return as soon as another version than this is committed."""
        while await self.version(part) == version:
            await self._look_again()

    async def reached(self, beginning: str, count: int) -> None:
        """Return as soon as so many parts are in force."""
        while await self.count(beginning) < count:
            await self._look_again()

    async def _look_again(self) -> None:
        self._told.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_SECONDS):
                await self._told.wait()


@contextlib.asynccontextmanager
async def watching(url: str) -> AsyncIterator[InForce]:
    """Watch a database."""
    connection, told = await connecting.connect(url), asyncio.Event()
    try:
        await connection.add_listener(recalls.CONFIGURATION, lambda *_: told.set())
        yield InForce(connection, told)
    finally:
        connection.terminate()
