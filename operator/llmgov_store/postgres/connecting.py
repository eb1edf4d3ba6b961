"""Connections to PostgreSQL with what money needs, and its errors in the store's words.

Everything that can wait has a bound, on both ends: a replica that is paused in the middle of a transaction loses it
after `IDLE_SECONDS`, so that it does not stop the others; a server that vanishes is given up after `COMMAND_SECONDS`.
No message of this module repeats a URL, since that holds a password.
"""

import contextlib
import os
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias

import asyncpg

from llmgov.ledger.store import StoreError

SCHEMA: Final = "llmgov"
"""The schema that holds all tables."""

CONNECT_SECONDS: Final = 5.0
"""How long opening a connection may take: to each host of a URL that names several."""

LOCK_SECONDS: Final = 6
"""How long one statement waits for locks of others."""

STATEMENT_SECONDS: Final = 20
"""How long one statement may run on the server."""

IDLE_SECONDS: Final = 4
"""How long the server keeps a transaction whose client says nothing."""

COMMAND_SECONDS: Final = 30.0
"""How long the client waits for an answer to one statement."""

_SETTINGS: Final = {
    "application_name": "llmgov",
    "search_path": SCHEMA,
    "lock_timeout": f"{LOCK_SECONDS}s",
    "statement_timeout": f"{STATEMENT_SECONDS}s",
    "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "timezone": "UTC",
    # Compiling a plan takes longer than any statement of ours runs.
    "jit": "off",
    # Rows are found by their keys: on disks of today, and in memory, that is quicker than reading a table whole.
    "random_page_cost": "1.1",
}

Connection: TypeAlias = asyncpg.Connection


async def connect(url: str, **settings: str) -> Connection:
    """Open a connection; `settings` are PostgreSQL's own, beside or in place of those above.

    Raises:
        StoreError: the URL cannot be read, nobody answers in time, or the server refuses.
    """
    return await connect_with(arguments(url, **settings))


async def connect_with(given: Mapping[str, Any]) -> Connection:
    """The same, with what `arguments` made.

    Raises:
        StoreError: as for `connect`.
    """
    try:
        with translated(CONNECTING):
            return await opened(**given)
    except ValueError as error:  # its text and its causes may have parts of the password in them
        raise StoreError(_unreadable(error)) from None


async def opened(dsn: str, **given: Any) -> Connection:
    """`asyncpg.connect` to the first host of a URL that will do, each tried for a time of its own: else one that
    accepts and never answers would hide all behind it.

    Raises:
        OSError, asyncpg.PostgresError, asyncpg.InterfaceError: as the last host that was tried.
    """
    *others, last = _each_host(dsn)
    connection: Connection
    for url in others:
        with contextlib.suppress(*_NEXT):
            connection = await asyncpg.connect(url, **given)
            break
    else:
        connection = await asyncpg.connect(last, **given)
    return connection


_NEXT: Final = (
    OSError,  # TimeoutError is one, too
    asyncpg.CannotConnectNowError,
    asyncpg.ConnectionDoesNotExistError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""What leads to the next host: nobody is there, it does not serve yet, or it is no server of the kind wanted."""


def _each_host(url: str) -> list[str]:
    """The URL once for each of its hosts; as it is where a standby is preferred, since that takes a look at all."""
    scheme, rest = url.split("://", 1)
    end = next((index for index, character in enumerate(rest) if character in "/?#"), len(rest))
    user, at, hosts = rest[:end].rpartition("@")
    if "," not in hosts or _attributes(url) == "prefer-standby":
        return [url]
    return [f"{scheme}://{user}{at}{host}{rest[end:]}" for host in hosts.split(",") if host]


def _attributes(url: str) -> str:
    """Which kind of server is wanted, as the library finds it; empty where any will do."""
    given = urllib.parse.parse_qs(url.partition("?")[2]).get("target_session_attrs", ())
    return given[-1] if given else os.environ.get("PGTARGETSESSIONATTRS", "")


def read_only(url: str) -> dict[str, Any]:
    """The same as `arguments`, for connections that write nothing.

    No server is one for reading and writing by such a connection: where that is wanted, the primary is.

    Raises:
        StoreError: as for `arguments`.
    """
    given = arguments(url, default_transaction_read_only="on")
    return {**given, "target_session_attrs": "primary"} if _attributes(url) == "read-write" else given


def arguments(url: str, **settings: str) -> dict[str, Any]:
    """What `asyncpg.connect` and `asyncpg.create_pool` take for a connection to `url`.

    Raises:
        StoreError: it is no URL of a PostgreSQL database.
    """
    if not url.startswith(("postgresql://", "postgres://")):
        raise StoreError(_UNREADABLE)
    return {
        "dsn": url,
        "timeout": CONNECT_SECONDS,
        "command_timeout": COMMAND_SECONDS,
        "server_settings": {**_SETTINGS, **settings},
    }


_UNREADABLE = (
    "the database's URL cannot be read: write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, special characters of the"
    " password percent-encoded"
)


_TOLD: Final = (
    "`sslmode` parameter",
    "`sslnegotiation` parameter",
    "root certificate file",
    "direct TLS requires",
    "No such TLS version",
    "Unsupported TLS version",
)
"""How the library's sentences about a URL begin that repeat nothing which may be of its password."""


def _unreadable(error: ValueError) -> str:
    """What is wrong with a URL, as far as that may be said."""
    said = str(error.args[0]) if error.args else ""
    if not said.startswith(_TOLD):
        return _UNREADABLE
    hint = ": name another one with sslrootcert=FILE" if said.startswith("root certificate file") else ""
    return f"the database's URL cannot be used: {said}{hint}"


CONNECTING: Final = "cannot connect to the ledger's database"
FAILED: Final = "the ledger's database failed"


@contextlib.contextmanager
def translated(doing: str = FAILED) -> Iterator[None]:
    """Raise what PostgreSQL, its library or the network raises as `StoreError`; all else comes out as it is."""
    try:
        yield
    except StoreError:
        raise
    except ERRORS as error:
        if isinstance(error, ValueError):  # a column cannot hold what was given: the caller's fault, not the database's
            raise
        raise translation(error, doing) from error


ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
"""What a call of the library raises; `ValueError` where an argument is to blame."""


def translation(error: BaseException, doing: str = FAILED) -> StoreError:
    """An error of the database in the store's words."""
    if isinstance(error, TimeoutError):
        return StoreError(f"{doing}: no answer in time")
    return StoreError(f"{doing}: {error}")
