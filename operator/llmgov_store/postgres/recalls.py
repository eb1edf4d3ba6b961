"""The SQL of `notify`: which hub replica a sidecar is connected to, and what replicas ask each other for.

A notification says only "look", and to whom: what there is to see is in the tables. These are unlogged, so that a
recall waits for no disk: all they say is known to the replicas, which say it again when the tables were emptied.

Whoever deletes or answers rows that another may be writing skips those that are locked, instead of waiting: so no two
of these statements, each a transaction of its own, can wait for each other. What was skipped is found by `sweep`.
"""

import datetime
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from llmgov.ledger.messages import Epoch, Recall, Recalled
from llmgov.money import MicroUsd
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.escaping import escape, unescape

WAKE = "llmgov_hub"
"""The channel whose payload names the replica that is to look."""

CONFIGURATION = "llmgov_configuration"
"""The channel that says that another configuration is in force."""

TURN_CLASS = 0x6C67
"""The first half of the advisory locks that turns are; what locks rows of the ledger uses whole numbers of 64 bits."""


class RecallId(NamedTuple):
    """A row of `hub_recalls`, as it is stored: which replica asks, in which of its asks, and whom."""

    asker: str
    number: int
    holder: str
    epoch: int


async def introduce(connection: Connection, name: str, here: Sequence[Epoch], asks: Collection[int]) -> None:
    """The replica `name` lives, with these connections and asks: what an earlier process of its name had ends.

    What it has is said first, and what it has not then removed: at no moment do its sidecars seem connected nowhere.
    """
    await connection.execute(
        "INSERT INTO hub_replicas VALUES ($1, clock_timestamp()) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen",
        name,
    )
    await arrive(connection, name, here)
    await connection.execute(
        "DELETE FROM hub_connections WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM hub_connections AS c"
        " WHERE c.replica = $1 AND NOT EXISTS (SELECT FROM unnest($2::text[], $3::bigint[]) AS given (holder, epoch)"
        "  WHERE (given.holder, given.epoch) = (c.holder, c.epoch)) FOR UPDATE OF c SKIP LOCKED))",
        name,
        *_columns(here),
    )
    await connection.execute(
        "DELETE FROM hub_recalls WHERE ctid = ANY (ARRAY("
        " SELECT ctid FROM hub_recalls WHERE asker = $1 AND number <> ALL ($2) FOR UPDATE SKIP LOCKED))",
        name,
        list(asks),
    )


async def leave(connection: Connection, name: str) -> None:
    """The replica ends: nobody need wait for its sidecars."""
    await connection.execute("DELETE FROM hub_replicas WHERE name = $1", name)


async def beat(connection: Connection, name: str, dead_seconds: float) -> int | None:
    """The replica still lives; how many others do, or `None` where it was given up meanwhile."""
    others: int | None = await connection.fetchval(
        "UPDATE hub_replicas SET seen = clock_timestamp() WHERE name = $1 RETURNING"
        " (SELECT count(*) FROM hub_replicas WHERE name <> $1 AND seen > clock_timestamp() - $2::interval)",
        name,
        _interval(dead_seconds),
    )
    return others


async def sweep(connection: Connection, forget_seconds: float) -> None:
    """Remove what expired, and what replicas left that have been dead for long."""
    await connection.execute(
        "DELETE FROM hub_recalls WHERE ctid = ANY (ARRAY("
        " SELECT ctid FROM hub_recalls WHERE until < clock_timestamp() FOR UPDATE SKIP LOCKED))"
    )
    await connection.execute(
        "DELETE FROM hub_replicas WHERE ctid = ANY (ARRAY(SELECT ctid FROM hub_replicas"
        " WHERE seen < clock_timestamp() - $1::interval FOR UPDATE SKIP LOCKED))",
        _interval(forget_seconds),
    )
    await connection.execute(
        "DELETE FROM hub_connections WHERE ctid = ANY (ARRAY(SELECT ctid FROM hub_connections"
        " WHERE NOT EXISTS (SELECT FROM hub_replicas WHERE name = replica) FOR UPDATE SKIP LOCKED))"
    )


async def arrive(connection: Connection, name: str, epochs: Iterable[Epoch]) -> None:
    """Sidecars are connected to the replica `name` now, and nowhere else."""
    await connection.execute(
        "INSERT INTO hub_connections SELECT holder, epoch, $1 FROM unnest($2::text[], $3::bigint[]) AS given"
        " (holder, epoch) ORDER BY holder, epoch ON CONFLICT (holder, epoch) DO UPDATE SET replica = excluded.replica",
        name,
        *_columns(epochs),
    )


async def depart(connection: Connection, name: str, epochs: Iterable[Epoch]) -> None:
    """Sidecars are not connected to the replica `name` any more."""
    await connection.execute(
        "DELETE FROM hub_connections WHERE ctid = ANY (ARRAY(SELECT c.ctid FROM hub_connections AS c"
        " JOIN unnest($2::text[], $3::bigint[]) AS given (holder, epoch) USING (holder, epoch)"
        " WHERE c.replica = $1 FOR UPDATE OF c SKIP LOCKED))",
        name,
        *_columns(epochs),
    )


async def ask(
    connection: Connection,
    name: str,
    number: int,
    key: str,
    epochs: Iterable[Epoch],
    seconds: float,
    dead_seconds: float,
) -> list[Epoch]:
    """Ask those that are connected to other replicas that live, for `seconds`; who that is."""
    found = await connection.fetch(
        "WITH reached AS ("
        " SELECT c.holder, c.epoch, c.replica FROM unnest($4::text[], $5::bigint[]) AS given (holder, epoch)"
        "  JOIN hub_connections AS c USING (holder, epoch) JOIN hub_replicas AS r ON r.name = c.replica"
        "  WHERE c.replica <> $1 AND r.seen > clock_timestamp() - $7::interval),"
        " asked AS ("
        "  INSERT INTO hub_recalls SELECT $1, $2, holder, epoch, $3, clock_timestamp() + $6::interval FROM reached"
        "  ON CONFLICT (asker, number, holder, epoch) DO UPDATE SET until = excluded.until RETURNING holder, epoch),"
        " told AS (SELECT pg_notify($8, replica) FROM (SELECT DISTINCT replica FROM reached) AS replicas)"
        " SELECT holder, epoch, (SELECT count(*) FROM told) FROM asked",
        name,
        number,
        escape(key),
        *_columns(epochs),
        _interval(seconds),
        _interval(dead_seconds),
        WAKE,
    )
    return [Epoch(unescape(holder), epoch) for holder, epoch, _ in found]


async def withdraw(connection: Connection, name: str, numbers: Sequence[int]) -> None:
    """Nobody waits for these asks any more."""
    await connection.execute(
        "DELETE FROM hub_recalls WHERE ctid = ANY (ARRAY("
        " SELECT ctid FROM hub_recalls WHERE asker = $1 AND number = ANY ($2) FOR UPDATE SKIP LOCKED))",
        name,
        numbers,
    )


async def open_recalls(connection: Connection, name: str) -> dict[RecallId, Recall]:
    """What sidecars that are connected to the replica `name` are asked for and have not answered, in a fixed order."""
    found = await connection.fetch(
        "SELECT r.asker, r.number, r.holder, r.epoch, r.account"
        " FROM hub_connections AS c JOIN hub_recalls AS r USING (holder, epoch)"
        " WHERE c.replica = $1 AND r.amount IS NULL AND r.until > clock_timestamp()"
        " ORDER BY r.until, r.asker, r.number, r.holder, r.epoch",
        name,
    )
    return {
        RecallId(asker, number, holder, epoch): Recall(
            Epoch(unescape(holder), epoch), unescape(account), f"{asker}/{number}"
        )
        for asker, number, holder, epoch, account in found
    }


async def answer(connection: Connection, amounts: Mapping[RecallId, MicroUsd]) -> None:
    """Sidecars have answered: tell who asked."""
    columns = zip(*amounts, strict=True)
    await connection.fetch(
        "WITH open AS ("
        " SELECT r.ctid AS place, given.amount"
        "  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::bigint[])"
        "   AS given (asker, number, holder, epoch, amount) JOIN hub_recalls AS r USING (asker, number, holder, epoch)"
        "  WHERE r.amount IS NULL FOR UPDATE OF r SKIP LOCKED),"
        " answered AS ("
        "  UPDATE hub_recalls AS r SET amount = open.amount FROM open WHERE r.ctid = open.place RETURNING r.asker)"
        " SELECT pg_notify($6, asker) FROM (SELECT DISTINCT asker FROM answered) AS askers",
        *columns,
        list(amounts.values()),
        WAKE,
    )


async def answers(connection: Connection, name: str) -> list[tuple[int, Recalled]]:
    """Take what sidecars have answered to asks of the replica `name`, by the asks' numbers."""
    found = await connection.fetch(
        "DELETE FROM hub_recalls WHERE asker = $1 AND amount IS NOT NULL"
        " RETURNING number, holder, epoch, account, amount",
        name,
    )
    return [
        (number, Recalled(Epoch(unescape(holder), epoch), unescape(account), amount, f"{name}/{number}"))
        for number, holder, epoch, account, amount in found
    ]


async def announce(connection: Connection) -> None:
    """Another configuration is in force."""
    await connection.execute("SELECT pg_notify($1, '')", CONFIGURATION)


async def try_turn(connection: Connection, key: str) -> bool:
    """Have the turn of an account until `end_turn`, or until this connection ends; whether it was free."""
    return bool(await connection.fetchval("SELECT pg_try_advisory_lock($1, hashtext($2))", TURN_CLASS, escape(key)))


async def end_turn(connection: Connection, key: str) -> None:
    """Let others have the turn of an account."""
    await connection.execute("SELECT pg_advisory_unlock($1, hashtext($2))", TURN_CLASS, escape(key))


def _columns(epochs: Iterable[Epoch]) -> tuple[list[str], list[int]]:
    given = list(epochs)
    return [escape(epoch.holder) for epoch in given], [epoch.number for epoch in given]


def _interval(seconds: float) -> datetime.timedelta:
    return datetime.timedelta(seconds=seconds)
