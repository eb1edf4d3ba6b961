"""A ledger as a URL names it, with the clock it goes by and the way to say that its configuration changed.

`postgresql://USER:PASSWORD@HOST:PORT/DATABASE` is for any number of processes. `sqlite:///PATH` (four slashes where
PATH begins with one) is for one: a second is refused by a lock on the file beside it.
"""

import asyncio
import dataclasses
import fcntl
import os
import pathlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

from llmgov.instants import Instant
from llmgov.ledger.store import Store, StoreError

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")


@dataclasses.dataclass(frozen=True, slots=True)
class Opened:
    """An open ledger, to be used and closed in one event loop.

    `clock` is the ledger's: the database's, or of a file this machine's. `announce` tells hubs that another
    configuration is in force and never raises. `keep` is to be run, for ever, as long as it is used: it keeps the clock
    right. `close` ends all of it.
    """

    store: Store
    clock: Callable[[], Instant]
    announce: Callable[[], Awaitable[None]]
    keep: Callable[[], Awaitable[None]]
    close: Callable[[], Awaitable[None]]


async def open_store(url: str) -> Opened:
    """Open the ledger at `url`; a file is made where there is none.

    Raises:
        StoreError: it cannot be opened, is no URL of a ledger, its schema is not this version's, or another process has
            the file.
    """
    if url.startswith(POSTGRES):
        return await _open_postgres(url)
    if url.startswith(SQLITE) and url != SQLITE:
        return _open_sqlite(pathlib.Path(url.removeprefix(SQLITE)))
    raise StoreError(
        "the ledger's URL cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, or sqlite:///PATH"
    )


async def _open_postgres(url: str) -> Opened:
    from llmgov_store.postgres import connecting
    from llmgov_store.postgres.announcing import Announcer
    from llmgov_store.postgres.store import PostgresStore

    store = await PostgresStore.open(url)
    try:
        clock = await store.clock()
    except BaseException:
        await store.close()
        raise
    announcer = Announcer(lambda: connecting.connect(url))

    async def close() -> None:
        announcer.close()
        await store.close()

    return Opened(store, clock, announcer.announce, clock.keep, close)


def _open_sqlite(path: pathlib.Path) -> Opened:
    from llmgov_store.sqlite.store import SqliteStore

    lock = _lock(path)
    try:
        store = SqliteStore.open(path)
    except BaseException:
        os.close(lock)
        raise

    async def close() -> None:
        await store.close()
        os.close(lock)

    return Opened(store, _machine_clock, _tell_nobody, _wait_for_ever, close)


def _lock(path: pathlib.Path) -> int:
    """A descriptor that holds the lock until it is closed, or until this process ends, however it does.

    Raises:
        StoreError: another process has it, or the file beside the ledger cannot be made.
    """
    beside = path.with_name(f"{path.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"cannot open {beside}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise StoreError(
            f"{path} is in use by another process, and a ledger in SQLite is for one: end that process, or keep the"
            " ledger in PostgreSQL"
        ) from error
    return descriptor


def _machine_clock() -> Instant:
    return time.time_ns() // 1_000


async def _tell_nobody() -> None:
    """Of a file no other process lends."""


async def _wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()
