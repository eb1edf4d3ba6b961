"""A URL names a ledger: what opens, who else may open it, and the sentence where it does not open."""

import asyncio
import pathlib
import subprocess
import sys
import time

import pytest

from llmgov.ledger.book import Lock
from llmgov.ledger.store import StoreError
from llmgov_store import opening
from tests.support import machine, postgres

ANOTHER = """
import asyncio, sys
from llmgov_store import opening
asyncio.run(opening.open_store(sys.argv[1]))
"""


def url(path: pathlib.Path) -> str:
    return f"sqlite:///{path}"


async def number(ledger: opening.Opened) -> int:
    """Write, and say how often that was done."""
    await ledger.store.transact(Lock(configuration="test"), lambda book: book.put_edition(book.edition + 1))
    return await ledger.store.edition()


def another(path: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Open the ledger in another process."""
    return subprocess.run([sys.executable, "-c", ANOTHER, url(path)], capture_output=True, text=True, timeout=60)


def test_a_ledger_in_a_file_is_for_one_process_at_a_time(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.db"

    async def check() -> None:
        ledger = await opening.open_store(url(path))
        assert await number(ledger) == 1
        assert abs(ledger.clock() - time.time_ns() // 1000) < 60_000_000
        await ledger.announce()
        refused = another(path)
        sentence = (
            f"{path} is in use by another process, and a ledger in SQLite is for one: end that process, or keep the"
            " ledger in PostgreSQL"
        )
        assert sentence in refused.stderr
        with pytest.raises(StoreError, match="is in use by another process"):
            await opening.open_store(url(path))
        await ledger.close()
        assert another(path).returncode == 0, "the lock ends with its process"
        ledger = await opening.open_store(url(path))
        assert await number(ledger) == 2
        await ledger.close()

    asyncio.run(check())


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("mysql://localhost/x", "the ledger's URL cannot be read: write postgresql://"),
        ("sqlite:///", "the ledger's URL cannot be read: write postgresql://"),
        (
            "sqlite:////nowhere/at/ledger.db",
            "cannot open /nowhere/at/ledger.db.lock: No such file or directory",
        ),
    ],
)
def test_what_does_not_open_is_a_sentence(given: str, sentence: str) -> None:
    with pytest.raises(StoreError) as raised:
        asyncio.run(opening.open_store(given))
    assert sentence in str(raised.value)


def test_a_file_that_is_no_ledger_leaves_no_lock(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"no database at all, however one reads it")
    for _ in range(2):
        with pytest.raises(StoreError, match=r"cannot open the ledger ledger\.db"):
            asyncio.run(opening.open_store(url(path)))


@machine.requires("postgres")
def test_a_ledger_in_postgresql_is_for_any_number_and_goes_by_the_databases_clock() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            first, second = [await opening.open_store(database.hub) for _ in range(2)]
            assert await number(first) == 1
            assert await number(second) == 2
            assert abs(first.clock() - second.clock()) < 1_000_000
            for ledger in (first, second):
                await ledger.close()

    asyncio.run(check())
