"""Where commands find a ledger: in local mode's state folder, in the database that the replicas of a hub share, or in
the file of an operator of one process.

Each command is written once, over a `Source`. Whatever a database says of itself holds no password, and neither does
the command line, which other users of a machine can see.
"""

import asyncio
import contextlib
import dataclasses
import os
import pathlib
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Generic, Protocol, TypeAlias, TypeVar

from llmgov.instants import Instant
from llmgov.ledger.store import Reader, Store, StoreError
from llmgov_cli import errors, observe
from llmgov_cli.hub import DATABASE_URL
from llmgov_cli.local import lock, state

if TYPE_CHECKING:  # what reads manifests takes longer to import than most commands run
    from llmgov import resources
    from llmgov_store.postgres.store import PostgresReader

WRITER = "cli"
"""The audit chain of what is decided on the command line: a hub's chain is its own."""

_SQLITE = "sqlite:///"
"""How the URL of a ledger in a file begins, as the operator takes it (`llmgov_store.opening`)."""

T = TypeVar("T")
Rows_co = TypeVar("Rows_co", bound=Reader, covariant=True)


@dataclasses.dataclass(frozen=True, slots=True)
class Ledger(Generic[Rows_co]):
    """An open ledger: its rows, the clock that its windows go by, and as whom its database let this process in."""

    rows: Rows_co
    clock: Callable[[], Instant]
    login: str = ""


class Source(Protocol):
    """A ledger that can be opened, and what is known of the configuration in force beside it."""

    @property
    def kinds(self) -> "Collection[type[resources.Resource]]":
        """The kinds of resources that `serving` has."""
        ...

    def reader(self) -> AbstractAsyncContextManager[Ledger[Reader]]:
        """Open it for reading.

        Raises:
            StoreError: it cannot be opened.
        """
        ...

    def writer(self) -> AbstractAsyncContextManager[Ledger[Store]]:
        """Open it for changes.

        Raises:
            StoreError: it cannot be opened.
        """
        ...

    async def serving(self, ledger: Ledger[Reader]) -> state.Run:
        """What is in force.

        Raises:
            CommandError: nothing is known of it.
        """
        ...

    def ended(self, run: state.Run) -> str | None:
        """A sentence, where whoever `serving` spoke for enforces nothing any more."""
        ...

    def explained(self, error: StoreError, *, changing: bool) -> str:
        """An error of the ledger, met while reading or changing it, as a sentence that names the place."""
        ...


@dataclasses.dataclass(frozen=True, slots=True)
class Folder:
    """A state folder of local mode."""

    path: pathlib.Path

    @property
    def kinds(self) -> "Collection[type[resources.Resource]]":
        from llmgov import resources

        return tuple(resources.KINDS.values())

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[Ledger[Reader]]:
        from llmgov_store.sqlite import store as sqlite

        rows = sqlite.SqliteReader.open(self.path / "ledger.db")
        try:
            yield Ledger(rows, observe.now)
        finally:
            await rows.close()

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[Ledger[Store]]:
        from llmgov_store.sqlite import store as sqlite

        rows = sqlite.SqliteStore.open(self.path / "ledger.db")
        try:
            yield Ledger(rows, observe.now)
        finally:
            await rows.close()

    async def serving(self, ledger: Ledger[Reader]) -> state.Run:  # noqa: ARG002 (the folder says it)
        return state.read_run(self.path)

    def ended(self, run: state.Run) -> str | None:
        return None if lock.served(self.path) else f"nobody serves {self.path} now (process {run.pid} ended)"

    def explained(self, error: StoreError, *, changing: bool) -> str:  # noqa: ARG002 (a file has no roles)
        return f"{self.path}/ledger.db: {error}"


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """A database of PostgreSQL; to read it takes the role of a report (docs/ledger.md), to change it the hub's."""

    url: str = dataclasses.field(repr=False)

    @property
    def kinds(self) -> "Collection[type[resources.Resource]]":
        from llmgov_cli import published

        return published.KINDS

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[Ledger[Reader]]:
        from llmgov_store.postgres import store as postgres

        async with _closing(await postgres.PostgresReader.open(self.url)) as rows:
            yield Ledger(rows, await rows.clock())

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[Ledger[Store]]:
        from llmgov_store.postgres import store as postgres

        async with _closing(await postgres.PostgresStore.open(self.url)) as rows:
            yield Ledger(rows, await rows.clock(), await rows.login())

    async def serving(self, ledger: Ledger[Reader]) -> state.Run:
        return await _published(ledger)

    def ended(self, run: state.Run) -> str | None:  # noqa: ARG002 (a database knows of no process)
        return None

    def explained(self, error: StoreError, *, changing: bool) -> str:
        if "permission denied" not in str(error):
            return str(error)
        doing, role = ("changing", "llmgov_hub") if changing else ("reading", "llmgov_reader")
        return f"{error}; {doing} the ledger takes a login of the role {role}"


@dataclasses.dataclass(frozen=True, slots=True)
class File:
    """A ledger in one file, as an operator of one process keeps it: it says of itself what a database does."""

    path: pathlib.Path

    @property
    def kinds(self) -> "Collection[type[resources.Resource]]":
        from llmgov_cli import published

        return published.KINDS

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[Ledger[Reader]]:
        from llmgov_store.sqlite import store as sqlite

        rows = sqlite.SqliteReader.open(self.path)
        try:
            yield Ledger(rows, observe.now)
        finally:
            await rows.close()

    @contextlib.asynccontextmanager
    async def writer(self) -> AsyncIterator[Ledger[Store]]:
        from llmgov_store.sqlite import store as sqlite

        if not self.path.exists():  # it would be made, and be somebody's second ledger
            raise StoreError("there is no such file")
        rows = sqlite.SqliteStore.open(self.path)
        try:
            yield Ledger(rows, observe.now)
        finally:
            await rows.close()

    async def serving(self, ledger: Ledger[Reader]) -> state.Run:
        return await _published(ledger)

    def ended(self, run: state.Run) -> str | None:  # noqa: ARG002 (a file knows of no process)
        return None

    def explained(self, error: StoreError, *, changing: bool) -> str:  # noqa: ARG002 (a file has no roles)
        return f"{self.path}: {error}"


async def _published(ledger: Ledger[Reader]) -> state.Run:
    from llmgov_cli import published

    return published.run(await ledger.rows.accounts(), await ledger.rows.parts(ledger.clock()))


Where: TypeAlias = Source | pathlib.Path | None
"""A source, a state folder that somebody named, or the one that `state.find` finds."""

_Postgres = TypeVar("_Postgres", bound="PostgresReader")


@contextlib.asynccontextmanager
async def _closing(rows: _Postgres) -> AsyncIterator[_Postgres]:
    try:
        yield rows
    finally:
        await rows.close()


def chosen(
    folder: pathlib.Path | None, database: str | None, environment: Mapping[str, str] = os.environ
) -> Database | File | pathlib.Path | None:
    """What `--state` and `--database` name; without either what the environment does, if anything.

    Raises:
        CommandError: both are given, or the database's URL holds a password, which belongs into the environment.
    """
    if folder is not None and database is not None:
        raise errors.CommandError("--state and --database name two ledgers; give one of them")
    if database is not None:
        _refuse_password(database)
        return _named(database)
    if folder is None and environment.get(DATABASE_URL):
        return _named(environment[DATABASE_URL])
    return folder


def _named(url: str) -> Database | File:
    """Any other URL is the database's to refuse."""
    path = url.removeprefix(_SQLITE)
    return File(pathlib.Path(path)) if path not in ("", url) else Database(url)


def _refuse_password(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        named = any("password" in name for name, _ in urllib.parse.parse_qsl(parts.query))
        holds = named or parts.password is not None
    except ValueError:  # the store says what is wrong with it, without repeating it
        holds = False
    if holds:
        raise errors.CommandError(
            "--database: others on this machine can read a password in a command line; set"
            f" {DATABASE_URL} to the whole URL instead, or PGPASSFILE or PGPASSWORD beside a URL without it"
        )


def find(where: Where) -> Source:
    """The source.

    Raises:
        CommandError: there is no state folder.
    """
    return _at(state.find(where)) if where is None or isinstance(where, pathlib.Path) else where


def _at(folder: pathlib.Path) -> Source:
    """A folder with a ledger and nothing else of `llmgov local` is an operator's, such as `make cluster` leaves."""
    ledger = folder / "ledger.db"
    is_local = any((folder / name).exists() for name in ("run.json", "signing.key", "signing.pub"))
    return File(ledger) if ledger.exists() and not is_local else Folder(folder)


def read(source: Source, gather: Callable[[Ledger[Reader]], Awaitable[T]]) -> T:
    """Open the ledger for reading, gather, and close it again.

    Raises:
        CommandError: the ledger cannot be opened or read.
    """

    async def look() -> T:
        async with source.reader() as ledger:
            return await gather(ledger)

    with explained(source):
        return asyncio.run(look())


def change(source: Source, act: Callable[[Ledger[Store]], Awaitable[T]]) -> T:
    """Open the ledger, change it, and close it again.

    Raises:
        CommandError: the ledger cannot be opened or written.
    """

    async def do() -> T:
        async with source.writer() as ledger:
            return await act(ledger)

    with explained(source, changing=True):
        return asyncio.run(do())


@contextlib.contextmanager
def explained(source: Source, *, changing: bool = False) -> Iterator[None]:
    """Say what the ledger cannot do, and whose rights it takes to read or to change it.

    Raises:
        CommandError: it could not.
    """
    try:
        yield
    except StoreError as error:
        raise errors.CommandError(source.explained(error, changing=changing)) from error
