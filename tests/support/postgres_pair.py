"""A primary server and a standby that follows it, reached by one URL that names both, as an administrator writes it."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator

from llmgov_store.postgres import connecting
from tests.support import postgres_server
from tests.support.postgres_server import Server

_NAME = "standby"

_STATE = "SELECT sync_state FROM pg_stat_replication WHERE application_name = $1 AND state = 'streaming'"

_STANDBY = {"synchronous_standby_names": "", "wal_retrieve_retry_interval": "100ms"}
"""When it has taken over it waits for nobody; and it looks often whether there is somebody to follow."""


class Pair:
    """Both run; each commit of a synchronous pair is with both when it is acknowledged."""

    def __init__(self, primary: Server, standby: Server) -> None:
        self._primary = primary
        self._standby = standby

    def url(self, database: str = "postgres", user: str = postgres_server.SUPERUSER) -> str:
        """Where a database is, on whichever of the two is the primary."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in (self._primary, self._standby))
        return f"postgresql://{user}@{hosts}/{database}?target_session_attrs=primary"

    async def state(self) -> str | None:
        """What the standby is to the primary: `sync`, `async`, or nothing while it does not follow."""
        connection = await connecting.connect(self._primary.url("postgres"))
        try:
            found: str | None = await connection.fetchval(_STATE, _NAME)
            return found
        finally:
            await connection.close()

    async def cut_off(self) -> None:
        """From now on the standby receives nothing; what it has it keeps."""
        await self._configure("ALTER SYSTEM SET primary_conninfo = ''")
        await until(self._is_alone)

    async def join_again(self) -> None:
        """After `cut_off`: the standby asks for what it missed."""
        await self._configure("ALTER SYSTEM RESET primary_conninfo")

    async def _configure(self, statement: str) -> None:
        connection = await connecting.connect(self._standby.url("postgres"))
        try:
            await connection.execute(statement)
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            await connection.close()

    async def _is_alone(self) -> bool:
        return await self.state() is None

    async def fail_over(self) -> None:
        """Kill the primary for good, and promote the standby."""
        self._primary.stop(signal.SIGKILL)
        connection = await connecting.connect(self._standby.url("postgres"))
        try:
            assert await connection.fetchval("SELECT pg_promote()")
        finally:
            await connection.close()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds."""
    while True:
        if await holds():
            return
        await asyncio.sleep(0.02)


@contextlib.contextmanager
def running(*, synchronous: bool) -> Iterator[Pair]:
    """A pair of servers for one test. Nothing is synced: processes die in it, and no machine."""
    primary = Server.new(fsync=False, synchronous_standby_names=_NAME if synchronous else "")
    try:
        standby = primary.standby(_NAME, **_STANDBY)
        try:
            yield Pair(primary, standby)
        finally:
            standby.close()
    finally:
        primary.close()
