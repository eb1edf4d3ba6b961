"""The connection on which a store writes, and what became of a commit whose answer was lost.

When the connection breaks, what is under way fails and the next commit opens another. Should it break, or should the
answer not come in time, at the moment of a commit, the writer's own row in `lanes` tells: each commit puts its number
there. Before it is asked for, the session that was lost is ended: its process may not have read yet what was sent to
it, and would commit after the answer. Where that cannot be found out in time, later commits have a row of their own,
and whatever the lost session still does to the old one says nothing of them. With a synchronous standby the answer is
safe there, since the question is a commit, too.
"""

import asyncio
import contextlib
import datetime
import uuid
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple, TypeAlias

import asyncpg

from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting
from llmgov_store.postgres.connecting import ERRORS, Connection

Opened: TypeAlias = tuple[Connection, str]
"""A connection, and the database's name for its life."""

_OUTCOME_SECONDS: Final = 10.0
"""How long to find out whether a commit came about."""

_RETRY_SECONDS: Final = 0.1

_END_MILLISECONDS: Final = 1000
"""How long the server waits at a time for a session to end."""

_SESSION = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"

_END = """
    SELECT pg_terminate_backend(pid, $3) FROM pg_stat_activity
    WHERE (pid, backend_start) = ($1, $2) AND pid <> pg_backend_pid()
"""
"""A role may end its own sessions. Nothing is found where it has ended already, after a failover for one."""

_OUTCOME = "INSERT INTO lanes (id, batch) VALUES ($1, 0) ON CONFLICT (id) DO UPDATE SET at = now() RETURNING batch"


class _Session(NamedTuple):
    """A connection's process at the server; its start tells it from a later one with the same number."""

    pid: int
    start: datetime.datetime


class Commits:
    """Commits, one after the other; `connect` opens its connection and checks what is at the other end."""

    def __init__(self, connect: Callable[[], Awaitable[Opened]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None
        self._session: _Session | None = None
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

    def _begin_anew(self) -> None:
        """The lost session may still commit: by another name than what is committed from now on."""
        self._id, self._number = uuid.uuid4(), 0

    def _statement(self) -> str:
        """Number the writer's row, and commit: one message."""
        return (
            f"INSERT INTO lanes (id, batch) VALUES ('{self._id}', {self._number})"  # noqa: S608 - made here
            " ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, at = now()"
            " WHERE lanes.batch < excluded.batch; COMMIT"
        )

    async def _roll_back(self, connection: Connection) -> bool:
        """End a transaction that failed, or the connection where that is lost; whether it lives."""
        with contextlib.suppress(*ERRORS):
            await connection.execute("ROLLBACK", timeout=connecting.CONNECT_SECONDS)
            return True
        self._drop()
        return False

    async def _has_committed(self) -> bool:
        """Whether the latest commit came about.

        Raises:
            StoreError: that is not known.
        """
        end, lost = asyncio.get_running_loop().time() + _OUTCOME_SECONDS, self._session
        while True:
            try:
                connection = await self._connected()
                await _end(connection, lost)
                return bool(await connection.fetchval(_OUTCOME, self._id) == self._number)
            except (StoreError, *ERRORS) as error:
                self._drop()
                if asyncio.get_running_loop().time() > end:
                    self._begin_anew()
                    message = "the database was lost at a commit: it may or may not have been written"
                    raise StoreError(message) from error
                await asyncio.sleep(_RETRY_SECONDS)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            connection, self._life = await self._connect()
            self._session = await _session(connection)
            self._connection = connection
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
                await self._connection.close(timeout=connecting.CONNECT_SECONDS)
            self._drop()


async def _session(connection: Connection) -> _Session:
    try:
        return _Session(*await connection.fetchrow(_SESSION))
    except BaseException:
        connection.terminate()
        raise


async def _end(connection: Connection, lost: _Session | None) -> None:
    """End another session than this connection's, so that nothing that was sent to it comes about any more.

    Raises:
        TimeoutError: it has not ended yet: its process is stopped, or the machine that it is on.
    """
    if lost is not None and await connection.fetchval(_END, *lost, _END_MILLISECONDS) is False:
        raise TimeoutError
