"""The connection on which a store writes, and what became of a commit whose answer was lost.

When the connection breaks, what is under way fails and the next commit opens another. Should it break, or should the
answer not come in time, at the moment of a commit, the writer's own row in `lanes` tells: each commit puts its number
there, and asking for it waits until the server has ended the commit before (and, with a synchronous standby, until
that is safe there: the question is a commit, too).
"""

import asyncio
import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import asyncpg

from llmgov.ledger.store import StoreError
from llmgov_store import postgres_connection
from llmgov_store.postgres_connection import ERRORS, Connection

Opened: TypeAlias = tuple[Connection, str]
"""A connection, and the database's name for its life."""

_OUTCOME_SECONDS: Final = 10.0
"""How long to find out whether a commit came about."""

_RETRY_SECONDS: Final = 0.1

_OUTCOME = "INSERT INTO lanes (id, batch) VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET at = now() RETURNING batch"


class Commits:
    """Commits, one after the other; `connect` opens its connection and checks what is at the other end."""

    def __init__(self, connect: Callable[[], Awaitable[Opened]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._life = ""
        self._id = uuid.uuid4()
        self._number = 0

    async def commit(self, work: Callable[[Connection, str], Awaitable[bool]]) -> None:
        """Run `work`, which begins a transaction and says whether it wrote anything, and commit.

        Raises:
            StoreError: nothing was written, or (the message says so) it is not known whether anything was.
            Exception: what `work` and the library raise; nothing was written.
        """
        connection = await self._connected()
        self._number += 1
        wrote = False
        try:
            wrote = await work(connection, self._life)
            await connection.execute(self._statement() if wrote else "COMMIT")
        except BaseException as error:
            lives = await self._roll_back(connection)
            refused = lives and isinstance(error, asyncpg.PostgresError)
            if refused or not wrote or not await self._has_committed():
                raise

    def _statement(self) -> str:
        """Number the writer's row, and commit: one message."""
        return (
            f"INSERT INTO lanes (id, batch) VALUES ('{self._id}', {self._number})"  # noqa: S608 - made here
            " ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = now(); COMMIT"
        )

    async def _roll_back(self, connection: Connection) -> bool:
        """End a transaction that failed, or the connection where that is lost; whether it lives."""
        with contextlib.suppress(*ERRORS):
            await connection.execute("ROLLBACK", timeout=postgres_connection.CONNECT_SECONDS)
            return True
        self._drop()
        return False

    async def _has_committed(self) -> bool:
        """Whether the latest commit came about.

        Raises:
            StoreError: that is not known.
        """
        end = asyncio.get_running_loop().time() + _OUTCOME_SECONDS
        while True:
            try:
                connection = await self._connected()
                return bool(await connection.fetchval(_OUTCOME, self._id) == self._number)
            except (StoreError, *ERRORS) as error:
                self._drop()
                if asyncio.get_running_loop().time() > end:
                    message = "the database was lost at a commit: it may or may not have been written"
                    raise StoreError(message) from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection, self._life = await self._connect()
        return self._connection

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Leave no row behind, and close the connection."""
        if self._connection is not None:
            with contextlib.suppress(*ERRORS):
                await self._connection.execute("DELETE FROM lanes WHERE id = $1", self._id)
                await self._connection.close(timeout=postgres_connection.CONNECT_SECONDS)
            self._drop()
