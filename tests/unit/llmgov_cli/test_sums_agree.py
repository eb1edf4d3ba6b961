"""Two ways of asking for the same money never show different sums, whatever happened to it before.

Every command that shows money is asked, and what it shows is compared with the plain sums of the history.
"""

import asyncio
import contextlib
import dataclasses
import datetime
import io
import json
import pathlib
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any

from hypothesis import example, given, settings

from llmgov.audit import record, tally
from llmgov.ledger import balances, windows
from llmgov.ledger.store import Reader, Store
from llmgov.snapshot import Account, Period
from llmgov_cli import audit_sources, correcting, get, observe, sources, spend, unknown
from llmgov_store.memory import MemoryStore
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from llmgov_store.sqlite.store import SqliteReader, SqliteStore
from tests.support import histories, machine, postgres
from tests.support.books import Dispatch, Loan
from tests.support.histories import History, Plan


@dataclasses.dataclass(frozen=True)
class Kept(sources.Database):
    """A ledger of whatever kind, looked at as a database is, at the time when its history ends."""

    rows: Callable[[], AbstractAsyncContextManager[Reader]]
    now: int

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[sources.Ledger[Reader]]:
        async with self.rows() as rows:
            yield sources.Ledger(rows, lambda: self.now)


@contextlib.asynccontextmanager
async def _closing(rows: Any) -> AsyncIterator[Any]:
    try:
        yield rows
    finally:
        await rows.close()


def _micro(shown: str) -> int:
    return int(Decimal(shown) * 1_000_000)


def _document(command: Callable[[str, io.StringIO], int]) -> Any:
    out = io.StringIO()
    assert command("json", out) == 0
    return json.loads(out.getvalue())


def _table(command: Callable[[str, io.StringIO], int], output: str = "") -> list[dict[str, str]]:
    """A table's rows by heading; the notes below an empty line are none of it."""
    out = io.StringIO()
    assert command(output, out) == 0
    headings, *rows = (line.split("   ") for line in out.getvalue().partition("\n\n")[0].splitlines())
    cells = ([cell.strip() for cell in row if cell.strip()] for row in rows)
    return [dict(zip([heading.strip() for heading in headings if heading.strip()], row, strict=True)) for row in cells]


class Check:
    """Everything that shows the money of a history that was played, against its books."""

    def __init__(self, history: History, source: sources.Source) -> None:
        self.history = history
        self.books = history.books
        self.source = source
        self.now = history.now

    def all(self) -> None:
        self.spend()
        self.windows()
        self.unknown()
        self.corrections()
        self.accounts()
        self.budgets()
        self.ledger()

    def spend(self) -> None:
        """`llmgov spend`, by everything, as a document and as a table."""
        names: dict[str, Callable[[Dispatch], str]] = {
            "team": lambda each: each.team or "(none)",
            "user": lambda each: each.user or "(none)",
            "model": lambda each: each.model,
            "namespace": lambda each: each.namespace,
            "day": lambda each: _day(each.at),
        }
        for by, name in names.items():
            wanted: dict[str, list[int]] = defaultdict(lambda: [0] * 6)
            for each in self.books.attempts.values():
                if each.begun:
                    unknown = each.final if each.is_unknown and each.corrected is None else 0
                    ended = (1, each.final, unknown, each.final - each.cost, 0, 0)
                    line = ended if each.ended else (0, 0, 0, 0, 1, each.hold)
                    wanted[name(each)] = [a + b for a, b in zip(wanted[name(each)], line, strict=True)]

            def command(output: str, out: io.StringIO, by: str = by) -> int:
                return spend.run(by, self.source, output, out)

            lost = self._lost()
            if lost:
                wanted["(lost pods)"] = [0, lost, 0, lost, 0, 0]
            document = _document(command)
            assert {line[by]: _line(line) for line in document["lines"]} == dict(wanted), by
            total = [sum(column) for column in zip(*wanted.values(), strict=True)] or [0] * 6
            assert _line(document["total"]) == total
            table = {row[by.upper()]: _line({k.lower(): v for k, v in row.items()}) for row in _table(command)}
            assert table == {**wanted, "total": total}, by
            billed = {(row["account"], row["from"]): _micro(row["spent"]) for row in document["lostLeases"]}
            assert billed == self._of_loans(lambda loan: loan.billed)

    def _lost(self) -> int:
        """What lost pods were billed of all time, each loss in one account."""
        whole = [account for account in self.history.accounts if str(account.target) == "organization"]
        if whole:
            longest = max(whole, key=lambda account: account.period is Period.MONTH)
            return sum(loan.billed for loan in self.books.loans.values() if loan.account == longest.key)
        by_holder: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for loan in self.books.loans.values():
            by_holder[loan.holder][loan.account] += loan.billed
        return sum(max(each.values()) for each in by_holder.values())

    def windows(self) -> None:
        """`llmgov spend` of a window of the organization: by everything what `llmgov get accounts` says of it."""
        shown = _document(lambda output, out: get.run("accounts", self.source, output, out))
        for account in self.history.accounts:
            if str(account.target) != "organization":
                continue
            now = windows.current(account.period, account.time_zone, self.now)
            spans = {(loan.start, loan.end) for loan in self.books.loans.values() if loan.account == account.key}
            for start, end in {*spans, now}:
                totals = {by: self._total(by, start, end) for by in ("team", "user", "model", "namespace", "day")}
                spent = self.books.spent("organization", account.key, start, end)
                assert totals == dict.fromkeys(totals, spent), (account.source, start)
                if (start, end) == now:
                    (row,) = [row for row in shown if row["limitedBy"] == account.source]
                    assert _micro(row["spent"]) == spent * 10**9 // account.nano_usd

    def _total(self, by: str, start: int, end: int) -> int:
        document = _document(lambda output, out: spend.run(by, self.source, output, out, start=start, end=end))
        total = _micro(document["total"]["spent"])
        assert sum(_micro(line["spent"]) for line in document["lines"]) == total
        return total

    def unknown(self) -> None:
        """`llmgov spend unknown`: all that nobody accounted for, and nothing else."""
        document = _document(lambda output, out: unknown.run(self.source, output, out))
        attempts = {each.id: each.cost for each in self.books.settled() if each.is_unknown and each.corrected is None}
        assert {row["attempt"]: _micro(row["charged"]) for row in document["attempts"]} == attempts
        lost = {name: loan.outstanding for name, loan in self.books.loans.items() if loan.lost and loan.outstanding}
        assert {row["lease"]: _micro(row["unknown"]) for row in document["leases"]} == lost

    def corrections(self) -> None:
        """`llmgov spend corrections`: the last one of each attempt is what it costs."""
        rows = _document(lambda output, out: correcting.show(self.source, output, out))
        assert len(rows) == self.history.corrections
        last = {row["subject"]: _micro(row["after"]) for row in rows if row["kind"] == "attempt"}
        assert last == {each.id: each.corrected for each in self.books.settled() if each.corrected is not None}

    def _of_loans(self, amount: Callable[[Loan], int]) -> dict[tuple[str, str], int]:
        """A sum over loans, by account and by when its window began, where there is any."""
        sums: dict[tuple[str, str], int] = defaultdict(int)
        for loan in self.books.loans.values():
            sums[loan.account, f"{_time(loan.start)}"] += amount(loan)
        return {key: total for key, total in sums.items() if total}

    def accounts(self) -> None:
        """`llmgov get accounts`: all that are in force, with what their targets spent and what is lent."""
        rows = _document(lambda output, out: get.run("accounts", self.source, output, out))
        assert {row["limitedBy"] for row in rows} == {account.source for account in self.history.accounts}
        for row in rows:
            account = next(each for each in self.history.accounts if each.source == row["limitedBy"])
            assert (_micro(row["spent"]), _micro(row["held"])) == self._sums(account, row["target"]), row

    def budgets(self) -> None:
        """`llmgov get budgets`: each is one row of the accounts, as a table, too."""
        accounts = _document(lambda output, out: get.run("accounts", self.source, output, out))
        known = {
            (row["limitedBy"], row["target"], row["spent"], row["held"], row["used"], row["state"]) for row in accounts
        }

        def command(output: str, out: io.StringIO) -> int:
            return get.run("budgets", self.source, output, out)

        names = {each.source for each in self.history.accounts if each.source.startswith("Budget/")}
        if not names:
            return
        items = _document(command)["items"]
        table = _table(command)
        assert len(items) == len(table) == len(names)
        for item, row in zip(items, table, strict=True):
            status, source = item["status"], f"Budget/llm-governance/{item['metadata']['name']}"
            shown = (status["target"], status["spent"], status["held"], status["used"], status["state"])
            assert (source, *shown) in known
            assert (row["TARGET"], row["SPENT"], row["HELD"], row["USED"], row["STATE"]) == shown

    def ledger(self) -> None:
        """Windows, leases, attempts, the record and what a new account would begin with."""
        sources.read(self.source, self._ledger)

    async def _ledger(self, ledger: sources.Ledger[Reader]) -> None:
        rows = ledger.rows
        assert list(balances.differences(await rows.balances())) == []
        for window in (await rows.balances()).windows:
            spent = self.books.spent(window.scope, window.account, window.start, window.end)
            assert (window.spent, window.leased + window.unknown) == (
                spent,
                self.books.held(window.account, window.start),
            ), window
        targets: dict[str, int] = defaultdict(int)
        for each in self.books.settled():
            for target in each.plain:
                targets[target] += each.final
        settled = list(self.books.settled())
        sums = tally.Sums(len(settled), sum(each.final for each in settled), dict(targets))
        assert await audit_sources.ledger_sums(rows) == sums
        found = tally.Tally()
        for row in await rows.records("hub", limit=10_000):
            found.add(record.decode(row.data))
        assert found.sums() == sums
        for target, cost in targets.items():
            assert await rows.spent(target, 0, observe.ALL_TIME) == cost
        assert len(await rows.corrections(0, observe.ALL_TIME)) == self.history.corrections

    def _sums(self, account: Account, target: str) -> tuple[int, int]:
        """SPENT and HELD of an account's window now, in its currency."""
        user = target.removeprefix("user").removeprefix("/") if account is histories.PEOPLE else ""
        key = f"{account.key}|{user}" if user else account.key
        span = windows.current(account.period, account.time_zone, self.now)
        spent = self.books.spent(target, key, *span), self.books.held(key, span.start)
        return spent[0] * 10**9 // account.nano_usd, spent[1] * 10**9 // account.nano_usd


def _line(line: dict[str, Any]) -> list[int]:
    """Attempts, spent, unknown, corrected, open, held: as numbers."""
    return [
        int(line["attempts"]),
        _micro(line["spent"]),
        _micro(line["unknown"]),
        _micro(line["corrected"]),
        int(line["open"]),
        _micro(line["held"]),
    ]


def _day(at: int) -> str:
    return _time(at)[:10]


def _time(at: int) -> str:
    return datetime.datetime.fromtimestamp(at // 1_000_000, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def _play(store: Store, plan: Plan) -> History:
    history = History(store, plan)
    await history.play()
    return history


@settings(max_examples=100, deadline=None)
@given(plan=histories.PLANS)
@example(plan=histories.KNOWN_LATE)
def test_in_memory_every_way_of_asking_shows_the_sums_of_the_history(plan: Plan) -> None:
    store = MemoryStore()
    history = asyncio.run(_play(store, plan))
    Check(history, Kept("", lambda: contextlib.nullcontext(store), history.now)).all()


@settings(max_examples=8, deadline=None)
@given(plan=histories.PLANS)
@example(plan=histories.KNOWN_LATE)
def test_in_sqlite_every_way_of_asking_shows_the_sums_of_the_history(plan: Plan) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "ledger.db"

        async def play() -> History:
            async with _closing(SqliteStore.open(path)) as store:
                return await _play(store, plan)

        history = asyncio.run(play())
        Check(history, Kept("", lambda: _closing(SqliteReader.open(path)), history.now)).all()


@machine.requires("postgres")
@settings(max_examples=5, deadline=None)
@given(plan=histories.PLANS)
@example(plan=histories.KNOWN_LATE)
def test_in_postgresql_every_way_of_asking_shows_the_sums_of_the_history(plan: Plan) -> None:
    async def play(database: postgres.Database) -> History:
        async with _closing(await PostgresStore.open(database.hub)) as store:
            return await _play(store, plan)

    @contextlib.asynccontextmanager
    async def reading(database: postgres.Database) -> AsyncIterator[Reader]:
        async with _closing(await PostgresReader.open(database.reader)) as rows:
            yield rows

    with postgres.kept_database() as database:
        history = asyncio.run(play(database))
        Check(history, Kept(database.reader, lambda: reading(database), history.now)).all()
