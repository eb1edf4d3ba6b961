"""What statuses are made of, summed up by the database: it has perhaps a million rows of what a status shows ten."""

import sqlite3
from typing import Final

from llmgov.instants import Instant
from llmgov.ledger import violated
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
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

OPENED: Final = "WHERE kind = 'threshold' AND state = 'approved' AND expires > ? ORDER BY id"
"""Of `approvals`: a threshold's expires with its window."""

_WITHIN: Final = "FROM violations WHERE at >= ? AND at < ?"
_COUNTS: Final = f"SELECT policy, action, sum(count) {_WITHIN} GROUP BY policy, action"
_REFUSED: Final = (
    f'SELECT policy, "user", max(at) {_WITHIN} AND reason = \'{violated.REFUSED}\' GROUP BY policy, "user"'
)
_NUMBERED: Final = (
    'SELECT event, "index", row_number() OVER (PARTITION BY policy ORDER BY at DESC, event DESC, "index" DESC) AS nth '
)
_RECENT: Final = (
    f'WHERE (event, "index") IN (SELECT event, "index" FROM ({_NUMBERED}{_WITHIN})'  # noqa: S608 - from code
    f" WHERE nth <= {violated.RECENT})"
)


def violated_between(connection: sqlite3.Connection, start: Instant, end: Instant) -> dict[str, Violated]:
    """Violations in `[start, end)` summed up, by policy."""
    counts = connection.execute(_COUNTS, (start, end)).fetchall()
    recent = tables.VIOLATIONS.select(connection, _RECENT, start, end)
    refused = connection.execute(_REFUSED, (start, end)).fetchall()
    return violated.assembled(((policy, Action(action), count) for policy, action, count in counts), recent, refused)
