"""The ledger in one SQLite file: local mode's truth about money, and what a single hub without PostgreSQL uses.

Other processes may open the same file at the same time: to look (`SqliteReader`, which cannot write) or to decide an
approval (`SqliteStore`, which waits its turn).
"""

import contextlib
import pathlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

from llmgov.instants import Instant
from llmgov.ledger import balances
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import Epoch
from llmgov.ledger.rows import (
    AccountRow,
    ApprovalRow,
    Attempt,
    AuditRow,
    Correction,
    LeaseRow,
    LedgerEpoch,
    OutboxEntry,
    PartRow,
    PartVersion,
    SubjectKeyRow,
    ViolationRow,
    Window,
)
from llmgov.ledger.store import StoreError
from llmgov.ledger.violated import Violated
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov_store.sqlite import schema, summing, tables, threads

T = TypeVar("T")


class SqliteReader:
    """A `llmgov.ledger.store.Reader` over a file that another process may be writing."""

    def __init__(self, reader: threads.Reader) -> None:
        self._reader = reader

    @classmethod
    def open(cls, path: pathlib.Path) -> "SqliteReader":
        """Open an existing ledger for reading.

        Raises:
            StoreError: there is none, or it was written by a newer version of this software.
        """
        return cls(threads.Reader(_checked(path)))

    async def close(self) -> None:
        await self._reader.close()

    async def accounts(self) -> list[AccountRow]:
        return await self._reader.run(
            lambda connection: tables.ACCOUNTS.select(
                connection, "WHERE base IN (SELECT key FROM published) ORDER BY key"
            )
        )

    async def windows(self, at: Instant) -> list[Window]:
        return await self._reader.run(
            lambda connection: tables.WINDOWS.select(
                connection, 'WHERE start <= ? AND "end" > ? ORDER BY account, start', at, at
            )
        )

    async def nearest_windows(self, at: Instant) -> list[Window]:
        return await self._reader.run(lambda connection: tables.WINDOWS.select(connection, summing.NEAREST, at))

    async def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        return await self._reader.run(lambda connection: tables.spent(connection, scope, start, end))

    async def spent_each(self, wanted: Sequence[tuple[str, Span]]) -> list[MicroUsd]:
        return await self._reader.run(
            lambda connection: [tables.spent(connection, scope, *span) for scope, span in wanted]
        )

    async def borrowers(self, account: str, start: Instant) -> dict[Epoch, MicroUsd]:
        found = await self._reader.run(
            lambda connection: connection.execute(
                "SELECT holder, number, sum(amount - returned - spent) FROM leases"
                " WHERE account = ? AND window_start = ? AND state = 'open' AND amount - returned - spent > 0"
                " GROUP BY holder, number",
                (account, start),
            ).fetchall()
        )
        return {Epoch(holder, number): outstanding for holder, number, outstanding in found}

    async def leases(self, holder: str) -> list[LeaseRow]:
        return await self._reader.run(lambda connection: tables.unfinished(connection, holder))

    async def unaccounted(self) -> list[LeaseRow]:
        return await self._reader.run(lambda connection: tables.LEASES.select(connection, tables.UNACCOUNTED))

    async def attempts(self, start: Instant, end: Instant) -> list[Attempt]:
        return await self._reader.run(
            lambda connection: tables.ATTEMPTS.select(connection, tables.ATTEMPTS_WITHIN, start, end)
        )

    async def each_attempt(self, start: Instant, end: Instant, take: Callable[[Attempt], object]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for attempt in tables.ATTEMPTS.each(connection, tables.ATTEMPTS_WITHIN, start, end):
                take(attempt)

        await self._reader.run(work)

    async def corrections(self, start: Instant, end: Instant) -> list[Correction]:
        return await self._reader.run(
            lambda connection: tables.CORRECTIONS.select(
                connection, "WHERE at >= ? AND at < ? ORDER BY at, id", start, end
            )
        )

    async def ledger_epoch(self) -> LedgerEpoch | None:
        return await self._reader.run(tables.ledger_epoch)

    async def database(self) -> str:
        return await self._reader.run(tables.database)

    async def unreported(self, ledger_epoch: str) -> list[str]:
        found = await self._reader.run(
            lambda connection: connection.execute(
                "SELECT DISTINCT holder FROM leases WHERE state = 'open' AND holder NOT IN"
                " (SELECT holder FROM epochs WHERE reported = ?) ORDER BY holder",
                (ledger_epoch,),
            ).fetchall()
        )
        return [holder for (holder,) in found]

    async def balances(self) -> Balances:
        return await balances.gathered(self.add_up)

    async def add_up(self, begin: Callable[[Balances], Callable[[Attempt], object]]) -> None:
        await self._reader.run(lambda connection: tables.add_up(connection, begin))

    async def approvals(self) -> list[ApprovalRow]:
        return await self._reader.run(
            lambda connection: tables.APPROVALS.select(connection, "ORDER BY created DESC, id")
        )

    async def opened(self, at: Instant) -> list[ApprovalRow]:
        return await self._reader.run(
            lambda connection: tables.APPROVALS.select(connection, summing.QUERIES.opened, at)
        )

    async def approvals_told(self, at: Instant, most: int) -> list[ApprovalRow]:
        return await self._reader.run(
            lambda connection: tables.APPROVALS.select(connection, summing.QUERIES.told, at, most)
        )

    async def approvals_of(self, digests: Sequence[str]) -> list[ApprovalRow]:
        found = await self._reader.run(lambda connection: tables.APPROVALS.among(connection, "digest", digests))
        return sorted(found, key=lambda row: (-row.created, row.id))

    async def outbox(self) -> list[OutboxEntry]:
        return await self._reader.run(lambda connection: tables.OUTBOX.select(connection, "ORDER BY at, id"))

    async def undelivered(self) -> list[OutboxEntry]:
        return await self._reader.run(
            lambda connection: tables.OUTBOX.select(connection, "WHERE delivered IS NULL ORDER BY at, id")
        )

    async def violations(self, start: Instant, end: Instant) -> list[ViolationRow]:
        return await self._reader.run(
            lambda connection: tables.VIOLATIONS.select(
                connection, 'WHERE at >= ? AND at < ? ORDER BY at, event, "index"', start, end
            )
        )

    async def violated(self, start: Instant, end: Instant) -> dict[str, Violated]:
        return await self._reader.run(lambda connection: summing.violated_between(connection, start, end))

    async def records(self, writer: str, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        return await self._reader.run(
            lambda connection: tables.RECORDS.select(
                connection, "WHERE writer = ? AND seq > ? ORDER BY seq LIMIT ?", writer, after, limit
            )
        )

    async def writers(self) -> list[str]:
        found = await self._reader.run(
            lambda connection: connection.execute("SELECT DISTINCT writer FROM records ORDER BY writer").fetchall()
        )
        return [writer for (writer,) in found]

    async def checkpoints(self) -> list[bytes]:
        found = await self._reader.run(
            lambda connection: connection.execute("SELECT data FROM checkpoints ORDER BY position").fetchall()
        )
        return [data for (data,) in found]

    async def subject_keys(self) -> list[SubjectKeyRow]:
        return await self._reader.run(lambda connection: tables.KEYS.select(connection, "ORDER BY id"))

    async def parts(self, at: Instant, only: Sequence[str] = ()) -> list[PartRow]:
        named = f"AND part IN ({', '.join('?' * len(only))})" if only else ""
        condition = f"WHERE since <= ? AND (until IS NULL OR until > ?) {named} ORDER BY cluster, part"
        return await self._reader.run(lambda connection: tables.PARTS.select(connection, condition, at, at, *only))

    async def parts_now(self, part: str) -> list[PartRow]:
        condition = "WHERE part = ? AND until IS NULL ORDER BY cluster"
        return await self._reader.run(lambda connection: tables.PARTS.select(connection, condition, part))

    async def part_versions(self) -> list[PartVersion]:
        return await self._reader.run(
            lambda connection: tables.part_versions(connection, "ORDER BY since, cluster, part")
        )

    async def edition(self) -> int:
        return await self._reader.run(tables.edition)

    async def part(self, cluster: str, part: str, version: str) -> PartRow | None:
        condition = "WHERE cluster = ? AND part = ? AND version = ? ORDER BY since DESC LIMIT 1"
        found = await self._reader.run(
            lambda connection: tables.PARTS.select(connection, condition, cluster, part, version)
        )
        return found[0] if found else None


class SqliteStore(SqliteReader):
    """A `llmgov.ledger.store.Store` in one file."""

    def __init__(self, reader: threads.Reader, writer: threads.Writer) -> None:
        super().__init__(reader)
        self._writer = writer

    @classmethod
    def open(cls, path: pathlib.Path) -> "SqliteStore":
        """Open the ledger, made (readable by its owner alone) or migrated where needed.

        Raises:
            StoreError: it cannot be opened, or was written by a newer version of this software.
        """
        try:
            path.touch(mode=0o600)
        except OSError as error:
            raise StoreError(f"cannot create the ledger {path.name}: {error.strerror}") from error
        connection = threads.connect(path, read_only=False)
        try:
            schema.migrate(connection)
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"cannot open the ledger {path.name}: {error}") from error
        except StoreError:
            connection.close()
            raise
        return cls(threads.Reader(_checked(path)), threads.Writer(connection))

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        def work(connection: sqlite3.Connection) -> T:
            book = tables.load(connection, lock)
            reply = step(book)
            tables.apply(connection, book.put)
            return reply

        return await self._writer.run(work)

    async def put_checkpoint(self, data: bytes) -> None:
        await self._writer.run(
            lambda connection: connection.execute("INSERT INTO checkpoints (data) VALUES (?)", (data,))
        )

    async def destroy_key(self, subject: str) -> bool:
        return await self._writer.run(
            lambda connection: connection.execute("DELETE FROM subject_keys WHERE subject = ?", (subject,)).rowcount > 0
        )

    async def delivered(self, entries: Sequence[str], now: Instant) -> None:
        await self._writer.run(
            lambda connection: connection.executemany(
                "UPDATE outbox SET delivered = ? WHERE id = ?", [(now, entry) for entry in entries]
            )
        )

    async def close(self) -> None:
        await self._writer.close()
        await super().close()


def _checked(path: pathlib.Path) -> sqlite3.Connection:
    """A connection for reading to a ledger whose schema is known."""
    connection = threads.connect(path, read_only=True)
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(connection.close)
        try:
            if schema.schema_version(connection) == 0:
                raise StoreError(f"{path.name} is no ledger")
        except sqlite3.Error as error:
            raise StoreError(f"cannot read the ledger {path.name}: {error}") from error
        on_failure.pop_all()
    return connection
