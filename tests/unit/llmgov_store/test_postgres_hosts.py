"""URLs that name several servers: the first that will do is taken, whatever those before it do."""

import asyncio
import contextlib
import urllib.parse
from collections.abc import AsyncIterator

import pytest

from llmgov.ledger.book import Lock
from llmgov.ledger.store import StoreError
from llmgov_store.postgres import connecting
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import machine, postgres

pytestmark = machine.requires("postgres")


@contextlib.asynccontextmanager
async def silent() -> AsyncIterator[str]:
    """The host and port of somebody who accepts and never answers."""
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.close()


def behind(first: str, url: str, query: str = "") -> str:
    """The URL with another host before its own."""
    parts = urllib.parse.urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}{at}{first},{host}", query=query or parts.query).geturl()


async def used(url: str) -> None:
    store = await PostgresStore.open(url)
    try:
        assert await store.edition() == 0
        await store.transact(Lock(), lambda _: None)
    finally:
        await store.close()


@pytest.mark.parametrize("query", ["", "target_session_attrs=primary", "target_session_attrs=read-write"])
def test_one_that_accepts_and_never_answers_does_not_hide_the_next(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "CONNECT_SECONDS", 1.0)

    async def check() -> None:
        async with postgres.database() as database, silent() as first:
            await used(behind(first, database.hub, query))

    asyncio.run(check())


def test_one_that_refuses_does_not_hide_the_next_and_all_that_do_are_an_error() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            await used(behind("127.0.0.1:1", database.hub))
        with pytest.raises(StoreError, match="cannot connect to the ledger's database"):
            await connecting.connect("postgresql://u:p@127.0.0.1:1,127.0.0.1:2/db")

    asyncio.run(check())


def test_a_server_for_reading_and_writing_is_wanted_of_readers_too() -> None:
    """Their connections are read-only, which no server is that is asked for the other."""

    async def check() -> None:
        async with postgres.database() as database:
            await used(f"{database.hub}?target_session_attrs=read-write")
            reader = await PostgresReader.open(f"{database.reader}?target_session_attrs=read-write")
            assert await reader.accounts() == []
            await reader.close()

    asyncio.run(check())


def test_a_standby_that_is_preferred_is_looked_for_among_all() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            url = f"{behind('127.0.0.1:1', database.reader)}?target_session_attrs=prefer-standby"
            reader = await PostgresReader.open(url)
            assert await reader.accounts() == []
            await reader.close()

    asyncio.run(check())
