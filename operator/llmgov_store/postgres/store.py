"""The ledger in PostgreSQL: what any number of hub replicas share, and reports read beside them."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg
import msgspec

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
from llmgov_store.postgres import clocks, connecting, loading, locking, schema, summing, tables
from llmgov_store.postgres.clocks import DatabaseClock
from llmgov_store.postgres.committing import Commits, Opened
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.escaping import escape, escaped, unescape
from llmgov_store.postgres.lane import Lane
from llmgov_store.postgres.rows import Table

T = TypeVar("T")

R = TypeVar("R", bound=msgspec.Struct)

_WHOLE_SECONDS = 600
"""How long reading one table from end to end may take: a check, that nobody waits for."""

_READERS = 4
"""How many reads of one process run at a time."""


class PostgresReader:
    """A `llmgov.ledger.store.Reader` over a database; the role of its URL needs no right to write."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._closed = False

    @classmethod
    async def open(cls, url: str) -> "PostgresReader":
        """Look at the ledger in the database at `url`.

        Raises:
            StoreError: it cannot be reached, or its schema is not this version's.
        """
        return cls(await _pool(url))

    async def close(self) -> None:
        """Finish what was asked for, then close the connections."""
        if not self._closed:
            self._closed = True
            await self._pool.close()

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        if self._closed:
            raise StoreError("the store is closed")
        with connecting.translated():
            async with self._pool.acquire(timeout=connecting.COMMAND_SECONDS) as connection:
                return await work(connection)

    async def clock(self) -> DatabaseClock:
        """The ledger's clock, measured once; whoever goes by it for long has it measured again (`keep`).

        Raises:
            StoreError: the database does not answer.
        """
        clock = DatabaseClock(lambda: self._read(clocks.database_time))
        await clock.measure()
        return clock

    async def login(self) -> str:
        """As whom the database let this process in: it asked for a password or a certificate, not for a name.

        Raises:
            StoreError: the database does not answer.
        """
        name: str = await self._read(lambda connection: connection.fetchval("SELECT session_user::text"))
        return name

    async def accounts(self) -> list[AccountRow]:
        return await self._read(
            lambda connection: tables.ACCOUNTS.select(
                connection, "WHERE base IN (SELECT published.key FROM published) ORDER BY key"
            )
        )

    async def windows(self, at: Instant) -> list[Window]:
        return await self._read(
            lambda connection: tables.WINDOWS.select(
                connection, 'WHERE start <= $1 AND "end" > $1 ORDER BY account, start', at
            )
        )

    async def nearest_windows(self, at: Instant) -> list[Window]:
        return await self._read(lambda connection: tables.WINDOWS.select(connection, summing.NEAREST, at))

    async def spent(self, scope: str, start: Instant, end: Instant) -> MicroUsd:
        (found,) = await self.spent_each([(scope, Span(start, end))])
        return found

    async def spent_each(self, wanted: Sequence[tuple[str, Span]]) -> list[MicroUsd]:
        times = [(scope, *span) for scope, span in wanted]
        found = await self._read(lambda connection: loading.spent(connection, times))
        return [found[each] for each in times]

    async def borrowers(self, account: str, start: Instant) -> dict[Epoch, MicroUsd]:
        found = await self._read(
            lambda connection: connection.fetch(
                "SELECT holder, number, sum(amount - returned - spent)::bigint FROM leases"
                " WHERE account = $1 AND window_start = $2 AND state = 'open' AND amount - returned - spent > 0"
                " GROUP BY holder, number",
                escape(account),
                start,
            )
        )
        return {Epoch(unescape(holder), number): outstanding for holder, number, outstanding in found}

    async def leases(self, holder: str) -> list[LeaseRow]:
        return await self._read(lambda connection: loading.unfinished(connection, [holder]))

    async def unaccounted(self) -> list[LeaseRow]:
        return await self._read(lambda connection: tables.LEASES.select(connection, _UNACCOUNTED))

    async def attempts(self, start: Instant, end: Instant) -> list[Attempt]:
        return await self._read(lambda connection: tables.ATTEMPTS.select(connection, _ATTEMPTS_WITHIN, start, end))

    async def each_attempt(self, start: Instant, end: Instant, take: Callable[[Attempt], object]) -> None:
        await self._read(lambda connection: tables.ATTEMPTS.each(connection, take, _ATTEMPTS_WITHIN, start, end))

    async def corrections(self, start: Instant, end: Instant) -> list[Correction]:
        return await self._read(
            lambda connection: tables.CORRECTIONS.select(
                connection, "WHERE at >= $1 AND at < $2 ORDER BY at, id", start, end
            )
        )

    async def ledger_epoch(self) -> LedgerEpoch | None:
        return await self._read(loading.ledger_epoch)

    async def database(self) -> str:
        return await self._read(schema.life)

    async def unreported(self, ledger_epoch: str) -> list[str]:
        found = await self._read(
            lambda connection: connection.fetch(
                "SELECT DISTINCT holder FROM leases WHERE state = 'open' AND holder NOT IN"
                " (SELECT holder FROM epochs WHERE reported = $1) ORDER BY holder",
                escape(ledger_epoch),
            )
        )
        return [unescape(holder) for (holder,) in found]

    async def balances(self) -> Balances:
        return await balances.gathered(self.add_up)

    async def add_up(self, begin: Callable[[Balances], Callable[[Attempt], object]]) -> None:
        await self._read(lambda connection: _add_up(connection, begin))

    async def approvals(self) -> list[ApprovalRow]:
        return await self._read(lambda connection: tables.APPROVALS.select(connection, "ORDER BY created DESC, id"))

    async def opened(self, at: Instant) -> list[ApprovalRow]:
        return await self._read(lambda connection: tables.APPROVALS.select(connection, summing.QUERIES.opened, at))

    async def approvals_told(self, at: Instant, most: int) -> list[ApprovalRow]:
        return await self._read(lambda connection: tables.APPROVALS.select(connection, summing.QUERIES.told, at, most))

    async def approvals_of(self, digests: Sequence[str]) -> list[ApprovalRow]:
        found = await self._read(lambda connection: tables.APPROVALS.among(connection, "digest", digests))
        return sorted(found, key=lambda row: (-row.created, row.id))

    async def outbox(self) -> list[OutboxEntry]:
        return await self._read(lambda connection: tables.OUTBOX.select(connection, "ORDER BY at, id"))

    async def undelivered(self) -> list[OutboxEntry]:
        return await self._read(
            lambda connection: tables.OUTBOX.select(connection, "WHERE delivered IS NULL ORDER BY at, id")
        )

    async def violations(self, start: Instant, end: Instant) -> list[ViolationRow]:
        return await self._read(
            lambda connection: tables.VIOLATIONS.select(
                connection, 'WHERE at >= $1 AND at < $2 ORDER BY at, event, "index"', start, end
            )
        )

    async def violated(self, start: Instant, end: Instant) -> dict[str, Violated]:
        return await self._read(lambda connection: summing.violated_between(connection, start, end))

    async def records(self, writer: str, after: int = 0, limit: int = 1000) -> list[AuditRow]:
        return await self._read(
            lambda connection: tables.RECORDS.select(
                connection, "WHERE writer = $1 AND seq > $2 ORDER BY seq LIMIT $3", escape(writer), after, limit
            )
        )

    async def writers(self) -> list[str]:
        found = await self._read(lambda connection: connection.fetch(_WRITERS))
        return [unescape(writer) for (writer,) in found]

    async def checkpoints(self) -> list[bytes]:
        found = await self._read(lambda connection: connection.fetch("SELECT data FROM checkpoints ORDER BY position"))
        return [data for (data,) in found]

    async def subject_keys(self) -> list[SubjectKeyRow]:
        return await self._read(lambda connection: tables.KEYS.select(connection, "ORDER BY id"))

    async def parts(self, at: Instant, only: Sequence[str] = ()) -> list[PartRow]:
        return await self._read(lambda connection: tables.PARTS.select(connection, _PARTS_AT, at, escaped(only)))

    async def parts_now(self, part: str) -> list[PartRow]:
        condition = "WHERE part = $1 AND until IS NULL ORDER BY cluster"
        return await self._read(lambda connection: tables.PARTS.select(connection, condition, escape(part)))

    async def part_versions(self) -> list[PartVersion]:
        return await self._read(lambda connection: loading.part_versions(connection, "ORDER BY since, cluster, part"))

    async def edition(self) -> int:
        return await self._read(loading.edition)

    async def part(self, cluster: str, part: str, version: str) -> PartRow | None:
        condition = "WHERE cluster = $1 AND part = $2 AND version = $3 ORDER BY since DESC LIMIT 1"
        names = (escape(cluster), escape(part), version)
        found = await self._read(lambda connection: tables.PARTS.select(connection, condition, *names))
        return found[0] if found else None


class PostgresStore(PostgresReader):
    """A `llmgov.ledger.store.Store` in a database that others use at the same time.

    To be opened, used and closed in one event loop.
    """

    def __init__(self, pool: asyncpg.Pool, lane: Lane) -> None:
        super().__init__(pool)
        self._lane = lane

    @classmethod
    async def open(cls, url: str) -> "PostgresStore":
        """Open the ledger in the database at `url`, which has to be migrated.

        Raises:
            StoreError: it cannot be reached, or its schema is not this version's.
        """
        return cls(await _pool(url), Lane(Commits(lambda: _writer(url))))

    async def transact(self, lock: Lock, step: Callable[[Book], T]) -> T:
        """Also raises `ValueError` where a column cannot hold what was put; then nothing was written, either."""
        return await self._lane.transact(lock, step)

    async def put_checkpoint(self, data: bytes) -> None:
        await self._lane.run(lambda connection: connection.execute("INSERT INTO checkpoints (data) VALUES ($1)", data))

    async def destroy_key(self, subject: str) -> bool:
        return await self._lane.run(lambda connection: _destroy_key(connection, subject))

    async def delivered(self, entries: Sequence[str], now: Instant) -> None:
        await self._lane.run(lambda connection: connection.execute(_DELIVERED, escaped(entries), now))

    async def close(self) -> None:
        if not self._closed:
            await self._lane.close()
            await super().close()


_WRITERS = """
    WITH RECURSIVE found AS (
        (SELECT writer FROM records ORDER BY writer LIMIT 1)
        UNION ALL
        SELECT (SELECT writer FROM records WHERE writer > found.writer ORDER BY writer LIMIT 1)
        FROM found WHERE writer IS NOT NULL
    ) SELECT writer FROM found WHERE writer IS NOT NULL ORDER BY writer
"""
"""One look into the index for each writer, however many records there are."""

_PARTS_AT = """
    WHERE since <= $1 AND (until IS NULL OR until > $1) AND (cardinality($2::text[]) = 0 OR part = ANY($2))
    ORDER BY cluster, part
"""

_ATTEMPTS_WITHIN = "WHERE time >= $1 AND time < $2 ORDER BY time, id"

_UNACCOUNTED = "WHERE billed > 0 OR (state = 'lost' AND amount - returned - spent > 0) ORDER BY id"

_COMPRESS = (
    "SELECT set_config(name, 'lz4', false) FROM pg_settings"
    " WHERE name = 'default_toast_compression' AND 'lz4' = ANY(enumvals)"
)
"""Intents and their records are long enough to be compressed. Where the server can, not by its slow default."""

_FORGET_LANES = "DELETE FROM lanes WHERE at < now() - interval '7 days'"
"""What processes left that were killed; whoever lives has connected or committed since."""

_DELIVERED = """
    UPDATE outbox SET delivered = $2
    FROM (SELECT id FROM outbox WHERE id = ANY($1::text[]) ORDER BY id FOR NO KEY UPDATE) AS locked
    WHERE outbox.id = locked.id
"""
"""Locked in order, as every transaction does."""


async def _pool(url: str) -> asyncpg.Pool:
    """Connections for reading, opened when needed; one is tried now."""
    connection = await connecting.connect(url)
    try:
        await schema.check(connection)
    finally:
        await connection.close()
    return await asyncpg.create_pool(
        **connecting.read_only(url), connect=connecting.opened, min_size=0, max_size=_READERS
    )


async def _writer(url: str) -> Opened:
    """A connection whose commits are on disk, to a ledger of this version's schema; and the database's life."""
    connection = await connecting.connect(url)
    try:
        await schema.check(connection)
        life = await schema.life(connection)
        with connecting.translated():
            if await connection.fetchval("SHOW synchronous_commit") in ("off", "local"):
                await connection.execute("SET synchronous_commit = on")
            await connection.execute(_COMPRESS)
            await connection.execute(_FORGET_LANES)
    except BaseException:
        connection.terminate()
        raise
    return connection, life


async def _destroy_key(connection: Connection, subject: str) -> bool:
    await connection.execute(locking.statement(locking.bounded({f"subject/{subject}": True})))
    done = await connection.execute("DELETE FROM subject_keys WHERE subject = $1", escape(subject))
    return bool(done != "DELETE 0")


async def _add_up(connection: Connection, begin: Callable[[Balances], Callable[[Attempt], object]]) -> None:
    """Hand on everything that money is counted by, as of one moment."""
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        for bound in ("statement_timeout", "idle_in_transaction_session_timeout"):
            await connection.execute(f"SET LOCAL {bound} = '{_WHOLE_SECONDS}s'")
        take = begin(
            Balances(
                windows=await _all(connection, tables.WINDOWS, "account, start"),
                leases=await _all(connection, tables.LEASES, "id"),
                sums=await _all(connection, tables.SUMS, "scope, start", "WHERE cost <> 0"),
                accounts=await _all(connection, tables.ACCOUNTS, "key"),
                corrections=await _all(connection, tables.CORRECTIONS, "id"),
            )
        )
        await tables.ATTEMPTS.each(connection, take, "ORDER BY id")


async def _all(connection: Connection, table: Table[R], order: str, condition: str = "") -> tuple[R, ...]:
    return tuple(await table.select(connection, f"{condition} ORDER BY {order}", seconds=_WHOLE_SECONDS))
