"""What 10,000 accounts and 10,000 users cost: a grant, a report, and a budget that begins in the middle of its window.

The rows that make a ledger large are written by SQL, which is quicker than so many attempts; what is measured is not.
"""

import asyncio
import os
import pathlib
import statistics
import sys
import time
from typing import Any

import msgspec

from llmgov.ledger import sums, windows
from llmgov.ledger.candidates import MAX_USERS
from llmgov.ledger.messages import LeaseGrant, LeaseRefusal, LeaseRequest, Need
from llmgov.snapshot import Period, Target, TargetKind
from llmgov_cli.hub import DATABASE_URL
from llmgov_hub.hub import Hub
from llmgov_store.postgres import connecting
from llmgov_store.postgres.store import PostgresStore
from tests.bench import ledger_world
from tests.bench.ledger_world import HOLD, USD, Sidecar
from tests.support.postgres import Database

ROUNDS = 20
LLMGOV = str(pathlib.Path(sys.executable).with_name("llmgov"))


async def size(database: Database) -> float:
    """Bytes that the database takes, indexes included."""
    return float(await _execute(database, "SELECT pg_database_size(current_database())"))


async def measure(database: Database, users: int = MAX_USERS) -> None:
    """Print how long each takes."""
    store = await PostgresStore.open(database.hub)
    try:
        clock = await store.clock()
        hub = Hub(store, clock, writer="accounts")
        await hub.configuration.resume()
        span = windows.current(Period.MONTH, "Europe/Berlin", clock())
        quarters = await _execute(database, _SPEND, "team/late", span.start, clock(), sums.QUARTER)
        opening = await _seconds(hub, _late(Sidecar(0, 0, await hub.register("late"))))
        print(
            f"a grant that opens an account whose target spent in {quarters:,} quarters of an hour of the month:"
            f" {opening * 1000:.0f} ms"
        )
        opened = await _execute(database, _OPEN, *span)
        await _execute(database, "ANALYZE")
        print(f"windows opened for {opened:,} accounts: a grant takes {await _median(hub, 'later'):.1f} ms (median)")
        alone = await _report(None)
        print(f"`llmgov get budgets` of them: {await _report(database):.1f} s; the command alone {alone:.1f} s")
        await _execute(database, _USERS, *span, ledger_world.EACH_USER.key, users - 1)
        await _print_users(hub, users)
    finally:
        await store.close()


def _late(sidecar: Sidecar) -> LeaseRequest:
    """A request that is charged to an account that nobody used before, too."""
    request, late = sidecar.request(USD), ledger_world.account(Target(TargetKind.TEAM, "late"))
    needs = (*request.needs, Need(late.key, late, HOLD, USD))
    path = (*request.path, str(late.target))
    return msgspec.structs.replace(request, needs=needs, path=path, accounts=(*request.accounts, late.key))


async def _seconds(hub: Hub, request: LeaseRequest) -> float:
    begin = time.perf_counter()
    reply = await hub.lease(request)
    took = time.perf_counter() - begin
    assert isinstance(reply, LeaseGrant), reply
    return took


async def _median(hub: Hub, holder: str) -> float:
    """Milliseconds of a grant on eight accounts, one after the other."""
    sidecar = Sidecar(0, 1, await hub.register(holder))
    return statistics.median([await _seconds(hub, sidecar.request(USD)) for _ in range(ROUNDS)]) * 1000


async def _report(database: Database | None) -> float:
    """Seconds of the command, or of one that reads no ledger."""
    arguments = ("--version",) if database is None else ("get", "budgets")
    environment = {**os.environ, **({} if database is None else {DATABASE_URL: database.reader})}
    begin = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        LLMGOV, *arguments, env=environment, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise RuntimeError(f"llmgov {' '.join(arguments)} failed")
    return time.perf_counter() - begin


async def _print_users(hub: Hub, users: int) -> None:
    """The last user for whom there is a place, and the one after."""
    last = await _seconds(hub, Sidecar(1, 1, await hub.register("last")).request(USD))
    begin = time.perf_counter()
    refused = await hub.lease(Sidecar(1, 2, await hub.register("beyond")).request(USD))
    took = time.perf_counter() - begin
    assert users != MAX_USERS or isinstance(refused, LeaseRefusal), refused
    print(
        f"the first grant to a user beside {users - 1:,} others: {last * 1000:.1f} ms;"
        f" one user too many is refused in {took * 1000:.1f} ms"
    )


async def _execute(database: Database, statement: str, *values: Any) -> Any:
    """Run one statement; the value that it gives."""
    connection = await connecting.connect(database.owner, statement_timeout="60s")
    try:
        return await connection.fetchval(statement, *values)
    finally:
        await connection.close()


_SPEND = """
    WITH made AS (
        INSERT INTO sums (scope, start, cost)
        SELECT $1, start, 5000 FROM generate_series($2::bigint, $3::bigint, $4::bigint) AS start RETURNING 1
    ) SELECT count(*) FROM made
"""

_INTO_WINDOWS = """
    INSERT INTO windows (account, scope, start, "end", nano_usd, spent, leased, unknown, told, currency, base)
    SELECT key, scope, $1::bigint, $2::bigint, 1000000000, 5000, 0, 0, '[]', 'USD',
"""

_OPEN = f"""
    WITH made AS (
        {_INTO_WINDOWS} '' FROM accounts JOIN published USING (key)
        WHERE account #>> '{{target,kind}}' <> 'user' ON CONFLICT DO NOTHING
    ) SELECT count(*) FROM published
"""  # noqa: S608 - from code

_USERS = f"""
    WITH wanted AS (
        SELECT key || '|sql-' || number AS key, 'user/sql-' || number AS scope, account, key AS base
        FROM accounts, generate_series(
            1, $4::int - (SELECT count(*)::int FROM windows WHERE base = $3 AND windows.start = $1)
        ) AS number WHERE key = $3
    ), made AS (
        INSERT INTO accounts (key, scope, account) SELECT key, scope, account FROM wanted
    ) {_INTO_WINDOWS} base FROM wanted
"""  # noqa: S608 - from code
