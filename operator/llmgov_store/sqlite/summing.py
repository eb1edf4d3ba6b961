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

_LATER: Final = (
    "NOT EXISTS (SELECT 1 FROM approvals AS later WHERE later.digest = one.digest AND later.digest <> ''"
    " AND later.kind = one.kind AND (length(later.id), later.id) > (length(one.id), one.id))"
)
"""Ids of one digest's approvals are counted up: `apr-x`, `apr-x-2`, `apr-x-10`."""

TOLD: Final = f"""
    WHERE id IN (
        SELECT id FROM approvals WHERE kind = 'request' AND state <> 'pending' AND state = 'approved' AND expires > ?1
        UNION SELECT id FROM (
            SELECT id FROM approvals
            WHERE kind = 'request' AND state <> 'pending' AND state = 'denied' AND expires > ?1
            ORDER BY coalesce(decided, 0) DESC, id LIMIT ?2
        ) AS denied
        UNION SELECT id FROM (
            SELECT id FROM approvals AS one
            WHERE kind = 'request' AND (state = 'used' OR expires <= ?1 OR id LIKE 'apr-%-%') AND {_LATER}
            ORDER BY created DESC, id LIMIT ?2
        ) AS asked
        UNION SELECT id FROM approvals AS one WHERE kind = 'overrun' AND {_LATER}
    ) ORDER BY created DESC, id
"""  # noqa: S608 - from code
"""Of `approvals`: what sidecars are told of; expired requests are asked for anew."""

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
