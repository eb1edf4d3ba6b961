"""What statuses are made of, summed up by the database: it has perhaps a million rows of what a status shows ten."""

import sqlite3
from typing import Final

from llmgov.instants import Instant
from llmgov.ledger import violated
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
from llmgov_store import summed
from llmgov_store.sqlite import tables

NEAREST: Final = """
    WHERE start <= ?1 AND "end" > ?1 AND (base = '' OR (account, start) IN (
        SELECT account, start FROM (
            SELECT account, start,
                row_number() OVER (PARTITION BY base ORDER BY spent + unknown DESC, leased DESC, account) AS nth
            FROM windows WHERE start <= ?1 AND "end" > ?1 AND base <> ''
        ) WHERE nth = 1
    )) ORDER BY account, start
"""
"""Of `windows`: open ones, of the users' the nearest to its limit."""

QUERIES: Final = summed.queries("?")


def violated_between(connection: sqlite3.Connection, start: Instant, end: Instant) -> dict[str, Violated]:
    """Violations in `[start, end)` summed up, by policy."""
    counts = connection.execute(QUERIES.counts, (start, end)).fetchall()
    recent = tables.VIOLATIONS.select(connection, QUERIES.recent, start, end)
    refused = connection.execute(QUERIES.refused, (start, end)).fetchall()
    return violated.assembled(((policy, Action(action), count) for policy, action, count in counts), recent, refused)
