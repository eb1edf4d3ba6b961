"""The tables of the PostgreSQL ledger, and how what the steps of a batch put is written to them.

Every transaction writes to the tables in the same order, and to each in one statement whose rows are in order. Rows
that no advisory lock protects (an account's definition, a notice) can then be written by two at a time: the second
waits for the first, and never both for each other.
"""

from collections.abc import Container, Iterable, Sequence

import msgspec

from llmgov.ledger import rows, sums
from llmgov.ledger.book import Put, WindowId
from llmgov_store.postgres import escaping
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.rows import Table

ACCOUNTS = Table("accounts", rows.AccountRow, ["key"], changed_only=True)
WINDOWS = Table("windows", rows.Window, ["account", "start"])
LEASES = Table("leases", rows.LeaseRow, ["id"])
EPOCHS = Table("epochs", rows.EpochRow, ["holder"])
ATTEMPTS = Table("attempts", rows.Attempt, ["id"], lasting=["intent"])
SUMS = Table("sums", rows.Sum, ["scope", "start"])
APPROVALS = Table("approvals", rows.ApprovalRow, ["id"])
OUTBOX = Table("outbox", rows.OutboxEntry, ["id"])
VIOLATIONS = Table("violations", rows.ViolationRow, ["event", "index"])
RECORDS = Table("records", rows.AuditRow, ["writer", "seq"])
KEYS = Table("subject_keys", rows.SubjectKeyRow, ["subject"])
PARTS = Table("parts", rows.PartRow, ["cluster", "part", "version", "since"])
CLUSTERS = Table("clusters", rows.ClusterRow, ["cluster"])
CORRECTIONS = Table("corrections", rows.Correction, ["id"])
LEDGER_EPOCH = Table("ledger_epoch", rows.LedgerEpoch, ["only_row"])

_PUBLISH = (
    "WITH named AS (SELECT * FROM unnest($1::text[], $2::text[]) AS named (cluster, part)),"
    " wanted AS (SELECT * FROM unnest($3::text[], $4::text[], $5::text[]) AS wanted (cluster, part, key)),"
    " ended AS (DELETE FROM published AS old USING named WHERE (old.cluster, old.part) = (named.cluster, named.part)"
    "  AND NOT EXISTS (SELECT FROM wanted"
    "   WHERE (wanted.cluster, wanted.part, wanted.key) = (old.cluster, old.part, old.key)))"
    " INSERT INTO published (cluster, part, key) SELECT cluster, part, key FROM wanted ON CONFLICT DO NOTHING"
)
_END_PARTS = (
    "UPDATE parts SET until = ended.until"
    " FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])"
    "  AS ended (cluster, part, version, since, until)"
    " WHERE (parts.cluster, parts.part, parts.version, parts.since)"
    "  = (ended.cluster, ended.part, ended.version, ended.since)"
)
_ADD = (
    "INSERT INTO sums (scope, start, cost) SELECT scope, start,"
    " cost + coalesce((SELECT known.cost FROM sums AS known"
    " WHERE known.scope = given.scope AND known.start = given.start), 0)"
    " FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS given (scope, start, cost)"
    " ON CONFLICT (scope, start) DO UPDATE SET cost = excluded.cost"
)
"""Nobody else changes them: their scopes are locked. A check looks at what is to be inserted, before it is found to be
there already; so that has to be the sum, and not a difference."""
_RETURNS = "INSERT INTO returns (lease, serial) SELECT * FROM unnest($1::text[], $2::bigint[])"
_REMOVE_APPROVALS = "DELETE FROM approvals WHERE id = ANY($1::text[])"
_REMOVE_NOTICES = (
    "DELETE FROM outbox USING (SELECT id FROM outbox WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE) AS locked"
    " WHERE outbox.id = locked.id"
)
"""Locked in order, since no advisory lock protects a notice."""
_EVENTS = "INSERT INTO events (id) SELECT unnest($1::text[])"


def gather(puts: Iterable[Put]) -> Put:
    """What the steps of a batch put, one after the other, as if one step had."""
    whole = Put()
    for put in puts:
        whole.accounts.update(put.accounts)
        whole.published.update(put.published)
        for published in put.published.values():
            whole.accounts.update((row.key, row) for row in published)
        whole.windows.update(put.windows)
        whole.leases.update(put.leases)
        whole.epochs.update(put.epochs)
        whole.attempts.update(put.attempts)
        whole.approvals.update(put.approvals)
        whole.keys.update(put.keys)
        whole.outbox = {**put.outbox, **whole.outbox}
        whole.returns |= put.returns
        whole.events |= put.events
        whole.spends += put.spends
        whole.corrections.update(put.corrections)
        whole.removed_windows |= put.removed_windows
        whole.removed_holders |= put.removed_holders
        whole.removed_approvals |= put.removed_approvals
        whole.removed_notices |= put.removed_notices
        whole.violations += put.violations
        whole.records += put.records
        whole.parts += put.parts
        whole.ended_parts += put.ended_parts
        whole.clusters.update(put.clusters)
        whole.edition = whole.edition if put.edition is None else put.edition
        whole.ledger_epoch = put.ledger_epoch or whole.ledger_epoch
    return whole


async def write(connection: Connection, put: Put, known: Container[str] = ()) -> None:
    """Write what was gathered; referenced rows first. Of attempts whose intent is `known` to be there it is not
    written again: it is the most of their row."""
    await ACCOUNTS.put(connection, put.accounts.values())
    await WINDOWS.put(connection, put.windows.values())
    await LEASES.put(connection, put.leases.values())
    await EPOCHS.put(connection, put.epochs.values())
    await ATTEMPTS.put(connection, (_without_intent(row) if row.id in known else row for row in put.attempts.values()))
    await _add(connection, put.spends)
    await CORRECTIONS.add(connection, put.corrections.values())
    await APPROVALS.put(connection, put.approvals.values())
    await KEYS.add(connection, put.keys.values())
    await OUTBOX.keep(connection, put.outbox.values())
    await VIOLATIONS.add(connection, put.violations)
    await RECORDS.add(connection, put.records)
    await _write_configuration(connection, put)
    await _write_facts(connection, put)


def _without_intent(row: rows.Attempt) -> rows.Attempt:
    return msgspec.structs.replace(row, intent=None)


async def _add(connection: Connection, spends: Sequence[rows.Spend]) -> None:
    """Add to the sums of scopes what was spent."""
    changes = {key: cost for key, cost in sums.changes(spends).items() if cost}
    if changes:
        scopes, starts = texts_and_numbers(changes)
        await connection.execute(_ADD, scopes, starts, [cost for _, cost in sorted(changes.items())])


async def _write_configuration(connection: Connection, put: Put) -> None:
    """What is in force; of parts that a batch puts and ends, first that they are there."""
    await PARTS.add(connection, put.parts)
    if put.ended_parts:
        await connection.execute(_END_PARTS, *_ended(put.ended_parts))
    await CLUSTERS.put(connection, put.clusters.values())
    if put.published:
        wanted = sorted((*name, row.key) for name, accounts in put.published.items() for row in accounts)
        await connection.execute(_PUBLISH, *_texts(put.published, 2), *_texts(wanted, 3))
    if put.edition is not None:
        await connection.execute("UPDATE edition SET number = $1", put.edition)


def _ended(parts: Sequence[rows.PartVersion]) -> Sequence[Sequence[str | int | None]]:
    names = _texts(((row.cluster, row.part, row.version) for row in parts), 3)
    return [*names, [row.since for row in parts], [row.until for row in parts]]


def _texts(given: Iterable[Sequence[str]], width: int) -> list[list[str]]:
    """Tuples of `width` texts, as the columns of a statement."""
    columns: list[list[str]] = [[] for _ in range(width)]
    for texts in given:
        for column, text in zip(columns, texts, strict=True):
            column.append(escaping.escape(text))
    return columns


async def _write_facts(connection: Connection, put: Put) -> None:
    """What is no row: that a return or an event was taken, and which life of the database it is."""
    if put.returns:
        await connection.execute(_RETURNS, *texts_and_numbers(put.returns))
    if put.events:
        await connection.execute(_EVENTS, escaping.escaped(put.events))
    if put.ledger_epoch is not None:
        await LEDGER_EPOCH.put(connection, [put.ledger_epoch])
    if put.removed_windows:
        await _remove_windows(connection, put.removed_windows)
    if put.removed_holders:
        await _remove_holders(connection, put.removed_holders)
    if put.removed_approvals:
        await connection.execute(_REMOVE_APPROVALS, escaping.escaped(put.removed_approvals))
    if put.removed_notices:
        await connection.execute(_REMOVE_NOTICES, escaping.escaped(put.removed_notices))


async def _remove_windows(connection: Connection, windows: Iterable[WindowId]) -> None:
    columns = texts_and_numbers(windows)
    wanted = "unnest($1::text[], $2::bigint[]) AS wanted (account, start)"
    of_lease = "leases.account = wanted.account AND leases.window_start = wanted.start"
    of_approval = "(approvals.account, approvals.window_start, state) = (wanted.account, wanted.start, 'pending')"
    for statement in (
        f"DELETE FROM returns USING leases, {wanted} WHERE returns.lease = leases.id AND {of_lease}",  # noqa: S608
        f"DELETE FROM leases USING {wanted} WHERE {of_lease}",  # noqa: S608
        f"DELETE FROM windows USING {wanted} WHERE (windows.account, windows.start) = (wanted.account, wanted.start)",  # noqa: S608
        f"DELETE FROM approvals USING {wanted} WHERE {of_approval}",  # noqa: S608
    ):
        await connection.execute(statement, *columns)


async def _remove_holders(connection: Connection, holders: Iterable[str]) -> None:
    wanted = escaping.escaped(holders)
    await connection.execute("DELETE FROM epochs WHERE holder = ANY($1::text[])", wanted)
    await connection.execute(
        "DELETE FROM events USING unnest($1::text[]) AS wanted (holder)"
        " WHERE id >= wanted.holder || ':' AND id < wanted.holder || ';'",
        wanted,
    )


def texts_and_numbers(pairs: Iterable[tuple[str, int]]) -> tuple[list[str], list[int]]:
    """Pairs in order, as the columns of a statement."""
    texts, numbers = zip(*sorted(pairs), strict=True)
    return [escaping.escape(text) for text in texts], list(numbers)
