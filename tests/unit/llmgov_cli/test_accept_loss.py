"""A ledger that waits for sidecars after a failover: it is said wherever money is shown, and can be ended."""

import asyncio
import contextlib
import io
import json
import pathlib
import sqlite3
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Collection, Iterator
from typing import Any

import pytest

from llmgov import resources
from llmgov.ledger.messages import LeaseGrant, LeaseRequest, Need
from llmgov.ledger.store import Reader, Store
from llmgov.snapshot import OrganizationPart, Period
from llmgov_cli import accepting, audit, errors, get, published, sources
from llmgov_cli.local import state
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from llmgov_store.sqlite.store import SqliteStore
from tests.support import ledgers, machine, postgres
from tests.support.ledgers import CENT

YEAR = ledgers.account(period=Period.YEAR)
NEVER = "nobody is to be asked"


async def _lend(hub: Hub, number: int) -> bool:
    request = LeaseRequest(ledgers.epoch(), number, (Need(YEAR.key, YEAR, CENT, CENT),), ledgers.PATH)
    return isinstance(await hub.lease(request), LeaseGrant)


async def _fill(store: Store, clock: Callable[[], int]) -> None:
    """A pod has a lease, and then a backup is restored."""
    hub = Hub(store, clock, writer="hub-1")
    await hub.configuration.publish({"organization": OrganizationPart("test", accounts=(YEAR,))})
    await hub.register("pod-1")
    assert await _lend(hub, 1)
    await hub.recovery.begin("root", "restored the backup of the night")


@contextlib.contextmanager
def _folder(path: pathlib.Path) -> Iterator[sources.Source]:
    async def fill() -> None:
        store = SqliteStore.open(path / "ledger.db")
        await _fill(store, lambda: ledgers.NOW)
        await store.close()

    asyncio.run(fill())
    yield _Bare(path)


class _Bare(sources.Folder):
    """A state folder that no process has served: what is in force stands in the ledger, as in a database."""

    @property
    def kinds(self) -> Collection[type[resources.Resource]]:
        return published.KINDS

    async def serving(self, ledger: sources.Ledger[Reader]) -> state.Run:
        return published.run(await ledger.rows.accounts(), await ledger.rows.parts(ledger.clock()))

    def ended(self, run: state.Run) -> str | None:
        return None


@contextlib.contextmanager
def _database(_: pathlib.Path) -> Iterator[sources.Source]:
    with postgres.kept_database() as database:

        async def fill() -> None:
            store = await PostgresStore.open(database.hub)
            await _fill(store, await store.clock())
            await store.close()

        asyncio.run(fill())
        yield sources.Database(database.hub)


@pytest.fixture(params=["folder", pytest.param("database", marks=machine.requires("postgres"))])
def source(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[sources.Source]:
    with (_folder if request.param == "folder" else _database)(tmp_path) as opened:
        yield opened


def _is_lent(source: sources.Source) -> bool:
    return sources.change(source, lambda ledger: _lend(Hub(ledger.rows, ledger.clock, writer="hub-1"), 2))


def _accepted(source: sources.Source) -> list[dict[str, Any]]:
    out = io.StringIO()
    audit.run_show(out, state=source, kind="lossAccepted", output="json")
    return list(json.loads(out.getvalue()))


def _run(source: sources.Source, answer: bool | str, reason: str = "the node is gone") -> tuple[int, str]:
    out = io.StringIO()

    def confirm(question: str) -> bool:
        assert question == "Accept the loss?"
        assert isinstance(answer, bool), answer
        return answer

    return accepting.run(reason, source, out, confirm=confirm), out.getvalue()


def test_what_it_means_is_said_and_asked_and_no_changes_nothing(source: sources.Source) -> None:
    code, said = _run(source, answer=False)
    assert code == 1
    assert "The ledger lends nothing since 20" in said
    assert "it waits for holders of leases to report what they hold, 1 of them (pod-1)." in said
    assert "budgets may be exceeded by as much. It goes on record with your name and the reason." in said
    assert said.endswith("Nothing was changed.\n")
    assert (_is_lent(source), _accepted(source)) == (False, [])


def test_yes_lends_again_and_is_on_record_with_who_and_why(
    source: sources.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "ceo")
    code, said = _run(source, answer=True)
    assert (code, said.splitlines()[-1]) == (
        0,
        "The ledger lends again (its life 2); `llmgov audit show --kind lossAccepted` has it.",
    )
    assert _is_lent(source)
    (accepted,) = _accepted(source)
    assert (accepted["reason"], accepted["waiting"], accepted["generation"]) == ("the node is gone", 1, 2)
    assert accepted["actor"] == _user_and_login(source)


def _user_and_login(source: sources.Source) -> str:
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    if not isinstance(source, sources.Database):
        return user
    return f"{user} (login {urllib.parse.urlsplit(source.url).username})"


def test_where_nothing_waits_there_is_nothing_to_accept(source: sources.Source) -> None:
    _run(source, answer=True)
    with pytest.raises(errors.CommandError, match=r"^the ledger lends: there is no loss to accept$"):
        _run(source, NEVER)
    assert len(_accepted(source)) == 1


def test_without_a_reason_nobody_is_asked(source: sources.Source) -> None:
    with pytest.raises(errors.CommandError, match="reason: must not be empty"):
        _run(source, NEVER, reason=" ")


@pytest.mark.parametrize("what", ["budgets", "accounts"])
def test_who_looks_at_budgets_is_told_that_nothing_is_lent(
    source: sources.Source, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    get.run(what, source, "", io.StringIO())
    said = capsys.readouterr().err
    assert "llmgov: the ledger lends nothing since 20" in said
    assert "(pod-1); `llmgov spend accept-loss` lends without them\n" in said
    _run(source, answer=True)
    get.run(what, source, "", io.StringIO())
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("what", ["budgets", "accounts"])
def test_of_a_life_that_no_replica_has_noticed_no_time_is_told(
    tmp_path: pathlib.Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with _folder(tmp_path) as source:
        _run(source, answer=True)
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
            connection.execute("UPDATE database SET name = 'another'")
        get.run(what, source, "", io.StringIO())
    assert capsys.readouterr().err == (
        "llmgov: the ledger lends nothing: its database began another life, not noticed by any replica yet: does one"
        " run?\n"
    )


def test_a_life_that_no_replica_has_noticed_yet_is_noticed(tmp_path: pathlib.Path) -> None:
    with _folder(tmp_path) as source:
        _run(source, answer=True)
        with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
            connection.execute("UPDATE database SET name = 'another'")
        assert "lends again (its life 3)" in _run(source, answer=True)[1]


def test_where_nobody_can_be_asked_yes_has_to_be_given(tmp_path: pathlib.Path) -> None:
    with _folder(tmp_path):
        (tmp_path / "run.json").write_text("{}")
        words = ["spend", "accept-loss", "--reason", "x", "--state", str(tmp_path)]
        command = [sys.executable, "-m", "llmgov_cli.main", *words]
        asked = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert (asked.returncode, asked.stderr) == (
            2,
            "llmgov: nobody is there to ask; nothing was changed: give --yes\n",
        )
        done = subprocess.run([*command, "--yes"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode == 0
