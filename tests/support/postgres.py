"""PostgreSQL for tests: one server for a run, or the one that LLMGOV_TEST_POSTGRES names, and a database for each test.

The server starts at the first test that needs it (each xdist worker has its own). A test's database is copied from
one that was migrated once; its tables belong to a superuser, and the ledger is used by roles with their least rights.
"""

import asyncio
import atexit
import contextlib
import dataclasses
import functools
import os
import secrets
import urllib.parse
from collections.abc import AsyncIterator, Iterator

from llmgov_store.postgres import connecting, migration
from tests.support import postgres_server
from tests.support.postgres_server import Server

VARIABLE = "LLMGOV_TEST_POSTGRES"
"""The environment variable with a superuser's URL of a server to use instead of an own one."""

_HUB, _READER, _PASSWORD = "llmgov_test_hub", "llmgov_test_reader", "test"


def lacking() -> str | None:
    """Why this machine has no PostgreSQL for tests; `None` where it has."""
    if os.environ.get(VARIABLE):
        return None
    return lacking_own() and f"{lacking_own()}; or set {VARIABLE} to a superuser's URL"


def lacking_own() -> str | None:
    """Why this machine cannot start a server that a test may kill; `None` where it can."""
    return None if postgres_server.programs() else "no PostgreSQL (install its server: initdb and postgres)"


@dataclasses.dataclass(frozen=True)
class Database:
    """The URLs of one database: of its owner (a superuser), of the hub's role, and of a reader's."""

    owner: str

    @property
    def hub(self) -> str:
        """The application's."""
        return _as(self.owner, _HUB)

    @property
    def reader(self) -> str:
        """A report's."""
        return _as(self.owner, _READER)

    @property
    def name(self) -> str:
        """What the server calls it."""
        return urllib.parse.urlsplit(self.owner).path.removeprefix("/")


def _as(url: str, user: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=f"{user}:{_PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


@functools.cache
def server_url() -> str:
    """A superuser's URL of the server that the tests of this process share.

    To be called by the main thread: the server ends with the thread that started it.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return given
    own = Server.new()
    atexit.register(own.close)
    return own.url("postgres")


@contextlib.asynccontextmanager
async def database(
    server: str | None = None, *, migrated: bool = True, encoding: str = "UTF8"
) -> AsyncIterator[Database]:
    """A new database, dropped in the end; `server` is a superuser's URL, by default of the shared one."""
    url = server or server_url()
    template = await _template(url)
    name = f"llmgov_test_{secrets.token_hex(6)}"
    await execute(url, f"CREATE DATABASE {name} ENCODING {encoding} TEMPLATE {template if migrated else 'template0'}")
    try:
        yield Database(urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl())
    finally:
        await execute(url, f"DROP DATABASE {name} WITH (FORCE)")


@contextlib.contextmanager
def kept_database() -> Iterator[Database]:
    """A new database that outlives event loops, as commands have one each; dropped in the end."""
    with asyncio.Runner() as runner:
        ended = contextlib.AsyncExitStack()
        try:
            yield runner.run(ended.enter_async_context(database()))
        finally:
            runner.run(ended.aclose())


_templates: dict[str, str] = {}


async def _template(url: str) -> str:
    """A migrated database to copy, and the logins."""
    if url not in _templates:
        name = f"llmgov_template_{secrets.token_hex(6)}"
        await execute(url, f"CREATE DATABASE {name} TEMPLATE template0")
        await migration.migrate(urllib.parse.urlsplit(url)._replace(path=f"/{name}").geturl())
        for login, group in ((_HUB, "llmgov_hub"), (_READER, "llmgov_reader")):
            with contextlib.suppress(Exception):  # another worker made it
                await execute(url, f"CREATE ROLE {login} LOGIN PASSWORD '{_PASSWORD}' IN ROLE {group}")
        _templates[url] = name
    return _templates[url]


async def execute(url: str, *statements: str) -> None:
    """Run statements, each on its own, as the user of `url`."""
    connection = await connecting.connect(url)
    try:
        with connecting.translated():
            for statement in statements:
                await connection.execute(statement)
    finally:
        await connection.close()
