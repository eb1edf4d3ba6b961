"""From the `Lock`s of a batch to a working set: one statement for each kind of row, however many transactions."""

import collections
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmgov.instants import Instant
from llmgov.ledger import rows, sums, timing
from llmgov.ledger.book import Ended, Lock, Put, WindowId
from llmgov.ledger.rows import Attempt, LeaseRow
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd
from llmgov_store.postgres import escaping, tables
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.tables import (
    ACCOUNTS,
    APPROVALS,
    ATTEMPTS,
    CLUSTERS,
    CORRECTIONS,
    EPOCHS,
    KEYS,
    LEASES,
    RECORDS,
    WINDOWS,
)
from llmgov_store.working import Summed, WorkingSet

_BY_WINDOW = 'JOIN unnest($1::text[], $2::bigint[]) AS wanted (account, "start") USING (account, "start")'
_ON_WINDOW = "JOIN unnest($1::text[], $2::bigint[]) AS wanted (account, window_start) USING (account, window_start)"
_IN_TIME = (
    "JOIN unnest($1::text[], $2::bigint[], $3::bigint[]) AS wanted (scope, first, last) ON windows.scope = wanted.scope"
    ' AND windows."end" > wanted.first AND windows."start" <= wanted.last'
)
_UNFINISHED = "WHERE holder = ANY($1::text[]) AND unfinished ORDER BY id"
_HEADS = (
    "JOIN (SELECT wanted.writer, (SELECT max(own.seq) FROM records AS own WHERE own.writer = wanted.writer) AS seq"
    " FROM unnest($1::text[]) AS wanted (writer)) AS heads USING (writer, seq)"
)
_EACH = (
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS wanted (scope, first, last, place)"
    " ORDER BY place"
)
_SUMMED = (
    "SELECT (SELECT coalesce(sum(cost), 0)::bigint FROM sums"  # noqa: S608 - from code
    " WHERE scope = wanted.scope AND start >= first AND start < last)" + _EACH
)
_BY_ATTEMPTS = (
    "SELECT (SELECT coalesce(sum(coalesce(corrected, (settlement ->> 'cost')::bigint)), 0)::bigint"  # noqa: S608
    " FROM attempts WHERE time >= first AND time < last AND settlement IS NOT NULL"
    " AND (intent #> '{subject,path}' ? wanted.scope OR beside ? wanted.scope))" + _EACH
)
_USERS = (
    "SELECT (SELECT count(*) FROM windows WHERE base = wanted.base AND base <> '' AND start = wanted.start)"
    " FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS wanted (base, start, place) ORDER BY place"
)
_RETURNS = (
    "SELECT lease, serial FROM returns JOIN unnest($1::text[], $2::bigint[]) AS wanted (lease, serial)"
    " USING (lease, serial)"
)
_EDITION_AND_EPOCH = f"SELECT number, {tables.LEDGER_EPOCH.columns} FROM edition LEFT JOIN ledger_epoch ON true"  # noqa: S608
_ENDED = 'WHERE "end" < $1 AND leased = 0 AND unknown = 0 ORDER BY "end", account LIMIT $2'
_GONE = (
    "WHERE gone < $1 AND NOT EXISTS (SELECT FROM leases WHERE leases.holder = epochs.holder AND unfinished)"
    " ORDER BY gone, holder LIMIT $2"
)


_PENDING = "WHERE workload = ANY($1::text[]) AND kind = 'request' AND state = 'pending'"
_EXPIRED = "WHERE kind = 'request' AND state = 'pending' AND expires < $1 ORDER BY expires, id LIMIT $2"
_OLD_NOTICES = "SELECT id FROM outbox WHERE at < $1 ORDER BY at, id LIMIT $2"


async def load(connection: Connection, locks: Sequence[Lock]) -> WorkingSet:
    """All rows that `locks` name, as the statements of this transaction see them."""
    working = WorkingSet()
    await _load_by_identity(connection, locks, working)
    await _load_money(connection, locks, working)
    await _load_sums(connection, locks, working)
    await _load_facts(connection, locks, working)
    for lock in locks:
        if lock.ended is not None:
            await _load_ended(connection, lock.ended, working)
    return working


async def _load_by_identity(connection: Connection, locks: Sequence[Lock], working: WorkingSet) -> None:
    epochs = await EPOCHS.among(connection, "holder", (holder for lock in locks for holder in lock.holders))
    attempts = await ATTEMPTS.among(connection, "id", (id_ for lock in locks for id_ in lock.attempts))
    keys = await KEYS.among(connection, "subject", (subject for lock in locks for subject in lock.subjects))
    corrections = await CORRECTIONS.among(connection, "id", (id_ for lock in locks for id_ in lock.corrections))
    working.apply(
        Put(
            epochs={row.holder: row for row in epochs},
            attempts={row.id: row for row in attempts},
            keys={row.subject: row for row in keys},
            corrections={row.id: row for row in corrections},
            approvals={row.id: row for row in await _approvals(connection, locks)},
        )
    )


async def _approvals(connection: Connection, locks: Sequence[Lock]) -> list[rows.ApprovalRow]:
    found = await APPROVALS.among(connection, "id", (id_ for lock in locks for id_ in lock.approvals))
    found += await APPROVALS.among(connection, "kind", (kind.value for lock in locks for kind in lock.approval_kinds))
    workloads = escaping.escaped(workload for lock in locks for workload in lock.workloads)
    if workloads:
        found += await APPROVALS.select(connection, _PENDING, workloads)
    wanted = {(window.account, window.span.start) for lock in locks for window in lock.windows}
    if wanted:
        found += await APPROVALS.select(connection, _ON_WINDOW, *tables.texts_and_numbers(wanted))
    return found


async def _load_money(connection: Connection, locks: Sequence[Lock], working: WorkingSet) -> None:
    """Leases, windows and accounts."""
    attempts = [Attempt(intent.id, intent) for lock in locks for intent in lock.intents]
    attempts += working.rows.attempts.values()
    charged = [part for attempt in attempts if attempt.intent is not None for part in attempt.intent.charged]
    wanted = [id_ for lock in locks for id_ in lock.leases]
    leases = await LEASES.among(connection, "id", [*wanted, *(part.lease for part in charged)])
    leases += await unfinished(connection, (holder for lock in locks for holder in lock.leases_of))
    lent = {row.id: row for row in leases}
    accounts = {row.key: row for row in await ACCOUNTS.among(connection, "key", (part.key for part in charged))}
    keys = {(window.account, window.span.start) for lock in locks for window in lock.windows}
    keys.update((row.account, row.window_start) for row in leases)
    keys.update((row.account, row.window_start) for row in working.rows.approvals.values() if row.account)
    windows = await _windows(connection, keys, _times(attempts, accounts, lent))
    missing = {account for account, _ in windows.keys() | keys} - accounts.keys()
    accounts.update((row.key, row) for row in await ACCOUNTS.among(connection, "key", missing))
    working.apply(Put(accounts=accounts, windows=windows, leases=lent))


def _times(
    attempts: Iterable[Attempt], accounts: Mapping[str, rows.AccountRow], leases: Mapping[str, LeaseRow]
) -> dict[str, Span]:
    """Of each scope on the attempts' paths, from when to when they count, both included."""
    times: dict[str, list[Instant]] = collections.defaultdict(list)
    for attempt in attempts:
        if attempt.intent is not None:
            at = timing.of(attempt, attempt.intent, leases)
            charged = (accounts[part.key].scope for part in attempt.intent.charged if part.key in accounts)
            for scope in {*attempt.scopes, *charged}:
                times[scope].append(at)
    return {scope: Span(min(instants), max(instants)) for scope, instants in times.items()}


async def _windows(connection: Connection, keys: set[WindowId], times: dict[str, Span]) -> dict[WindowId, rows.Window]:
    """Those of `keys`, nearly all of which are among the windows of `times`, where there are such."""
    found: dict[WindowId, rows.Window] = {}
    if times:
        scopes = [escaping.escape(scope) for scope in times]
        firsts, lasts = zip(*times.values(), strict=True)
        in_time = await WINDOWS.select(connection, _IN_TIME, scopes, firsts, lasts)
        found.update(((row.account, row.start), row) for row in in_time)
    if rest := keys - found.keys():
        named = await WINDOWS.select(connection, _BY_WINDOW, *tables.texts_and_numbers(rest))
        found.update(((row.account, row.start), row) for row in named)
    return found


async def _load_sums(connection: Connection, locks: Sequence[Lock], working: WorkingSet) -> None:
    """Of windows that do not exist what their scopes spent, and how many users have one."""
    new = [
        window
        for lock in locks
        for window in lock.windows
        if (window.account, window.span.start) not in working.rows.windows
    ]
    working.summed.update(await spent(connection, sorted({(window.scope, *window.span) for window in new})))
    bases = {(window.base, window.span.start) for window in new if window.base}
    if bases:
        working.users.update(await _users(connection, sorted(bases)))


async def _users(connection: Connection, bases: Sequence[WindowId]) -> dict[WindowId, int]:
    found = await connection.fetch(_USERS, *tables.texts_and_numbers(bases))
    return {key: int(count) for key, (count,) in zip(bases, found, strict=True)}


async def _load_facts(connection: Connection, locks: Sequence[Lock], working: WorkingSet) -> None:
    put = Put()
    writers = escaping.escaped(lock.writer for lock in locks if lock.writer is not None)
    if writers:
        put.records += await RECORDS.select(connection, _HEADS, writers)
    returns = {pair for lock in locks for pair in lock.returns}
    if returns:
        known = await connection.fetch(_RETURNS, *tables.texts_and_numbers(returns))
        put.returns.update((escaping.unescape(lease), serial) for lease, serial in known)
    events = escaping.escaped(id_ for lock in locks for id_ in lock.events)
    if events:
        known = await connection.fetch("SELECT id FROM events WHERE id = ANY($1::text[])", events)
        put.events.update(escaping.unescape(id_) for (id_,) in known)
    clusters = {lock.configuration for lock in locks if lock.configuration is not None}
    if clusters:
        await _load_configurations(connection, clusters, working)
    if clusters or any(lock.edition or lock.ledger_epoch for lock in locks):
        put.edition, put.ledger_epoch = await _edition_and_epoch(connection)
    working.apply(put)


async def _load_ended(connection: Connection, ended: Ended, working: WorkingSet) -> None:
    windows = await WINDOWS.select(connection, _ENDED, ended.before, ended.most)
    keys = {(row.account, row.start): row for row in windows}
    leases = await LEASES.select(connection, _ON_WINDOW, *tables.texts_and_numbers(keys)) if keys else []
    accounts = await ACCOUNTS.among(connection, "key", (row.account for row in windows))
    gone = await EPOCHS.select(connection, _GONE, ended.before, ended.most)
    asked = await APPROVALS.select(connection, _EXPIRED, ended.before, ended.most)
    told = await connection.fetch(_OLD_NOTICES, ended.before, ended.most)
    working.notices.extend(escaping.unescape(id_) for (id_,) in told)
    working.apply(
        Put(
            accounts={row.key: row for row in accounts},
            windows=keys,
            leases={row.id: row for row in leases},
            epochs={row.holder: row for row in gone},
            approvals={row.id: row for row in asked},
        )
    )


async def _load_configurations(connection: Connection, clusters: Iterable[str], working: WorkingSet) -> None:
    for row in await part_versions(connection, "WHERE until IS NULL"):
        working.in_force[row.cluster][row.part] = row
    working.clusters.update((row.cluster, row) for row in await CLUSTERS.among(connection, "cluster", clusters))


async def part_versions(connection: Connection, condition: str, *values: Any) -> list[rows.PartVersion]:
    """Versions of parts for which `condition` (what follows FROM) holds, without their documents."""
    found = await connection.fetch(
        f"SELECT cluster, part, version, since, until, actor, octet_length(document) FROM parts {condition}",  # noqa: S608 - from code
        *values,
    )
    return [_part_version(*record) for record in found]


def _part_version(
    cluster: str, part: str, version: str, since: Instant, until: Instant | None, actor: str, size: int
) -> rows.PartVersion:
    unescape = escaping.unescape
    return rows.PartVersion(unescape(cluster), unescape(part), unescape(version), since, until, unescape(actor), size)


async def _edition_and_epoch(connection: Connection) -> tuple[int, rows.LedgerEpoch | None]:
    """Both in one statement: every grant needs both."""
    (number, *columns) = await connection.fetchrow(_EDITION_AND_EPOCH)
    return int(number), None if columns[0] is None else tables.LEDGER_EPOCH.row(columns)


async def edition(connection: Connection) -> int:
    """The number of the configuration in force."""
    return int(await connection.fetchval("SELECT number FROM edition"))


async def ledger_epoch(connection: Connection) -> rows.LedgerEpoch | None:
    """The ledger's epoch."""
    found = await tables.LEDGER_EPOCH.select(connection, "")
    return found[0] if found else None


async def unfinished(connection: Connection, holders: Iterable[str]) -> list[LeaseRow]:
    """The holders' leases that have money outstanding, or may still be held from, by id."""
    wanted = escaping.escaped(holders)
    return await LEASES.select(connection, _UNFINISHED, wanted) if wanted else []


async def spent(connection: Connection, wanted: Sequence[Summed]) -> dict[Summed, MicroUsd]:
    """What attempts that count in a time cost a scope, for each of `wanted`."""
    times = [(each, sums.parts(Span(*each[1:]))) for each in dict.fromkeys(wanted)]
    quarters = [(each, parts.quarters) for each, parts in times]
    rest = [(each, part) for each, parts in times for part in parts.rest]
    found = dict.fromkeys(wanted, 0)
    for statement, spans in ((_SUMMED, quarters), (_BY_ATTEMPTS, rest)):
        for (each, _), cost in zip(spans, await _costs(connection, statement, spans), strict=True):
            found[each] += cost
    return found


async def _costs(connection: Connection, statement: str, wanted: Sequence[tuple[Summed, Span]]) -> Sequence[MicroUsd]:
    if not wanted:
        return ()
    scopes = [escaping.escape(scope) for (scope, *_), _ in wanted]
    firsts, lasts = zip(*(span for _, span in wanted), strict=True)
    return [int(cost) for (cost,) in await connection.fetch(statement, scopes, firsts, lasts)]
