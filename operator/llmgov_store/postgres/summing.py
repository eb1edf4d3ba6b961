"""What statuses are made of, summed up by the database: it has perhaps a million rows of what a status shows ten."""

from typing import Final

from llmgov.instants import Instant
from llmgov.ledger import violated
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
from llmgov_store.postgres import tables
from llmgov_store.postgres.connecting import Connection
from llmgov_store.postgres.escaping import unescape

NEAREST: Final = """
    WHERE start <= $1 AND "end" > $1 AND (base = '' OR (account, start) IN (
        SELECT DISTINCT ON (base) account, start FROM windows WHERE start <= $1 AND "end" > $1 AND base <> ''
        ORDER BY base, spent + unknown DESC, leased DESC, account
    )) ORDER BY account, start
"""
"""Of `windows`: open ones, of the users' the nearest to its limit."""

OPENED: Final = "WHERE kind = 'threshold' AND state = 'approved' AND expires > $1 ORDER BY id"
"""Of `approvals`: a threshold's expires with its window."""

_LATER: Final = (
    "NOT EXISTS (SELECT 1 FROM approvals AS later WHERE later.digest = one.digest AND later.digest <> ''"
    " AND later.kind = one.kind AND (length(later.id), later.id) > (length(one.id), one.id))"
)
"""Ids of one digest's approvals are counted up: `apr-x`, `apr-x-2`, `apr-x-10`."""

TOLD: Final = f"""
    WHERE id IN (
        SELECT id FROM approvals WHERE kind = 'request' AND state <> 'pending' AND state = 'approved' AND expires > $1
        UNION SELECT id FROM (
            SELECT id FROM approvals
            WHERE kind = 'request' AND state <> 'pending' AND state = 'denied' AND expires > $1
            ORDER BY coalesce(decided, 0) DESC, id LIMIT $2
        ) AS denied
        UNION SELECT id FROM (
            SELECT id FROM approvals AS one
            WHERE kind = 'request' AND (state = 'used' OR expires <= $1 OR id LIKE 'apr-%-%') AND {_LATER}
            ORDER BY created DESC, id LIMIT $2
        ) AS asked
        UNION SELECT id FROM approvals AS one WHERE kind = 'overrun' AND {_LATER}
    ) ORDER BY created DESC, id
"""  # noqa: S608 - from code
"""Of `approvals`: what sidecars are told of; expired requests are asked for anew."""

_WITHIN: Final = "FROM violations WHERE at >= $1 AND at < $2"
_COUNTS: Final = f"SELECT policy, action, sum(count)::bigint {_WITHIN} GROUP BY policy, action"
_REFUSED: Final = (
    f'SELECT policy, "user", max(at) {_WITHIN} AND reason = \'{violated.REFUSED}\' GROUP BY policy, "user"'
)
_NUMBERED: Final = (
    'SELECT event, "index", row_number() OVER (PARTITION BY policy ORDER BY at DESC, event DESC, "index" DESC) AS nth '
)
_RECENT: Final = (
    f'WHERE (event, "index") IN (SELECT event, "index" FROM ({_NUMBERED}{_WITHIN}) AS numbered'  # noqa: S608 - from code
    f" WHERE nth <= {violated.RECENT})"
)


async def violated_between(connection: Connection, start: Instant, end: Instant) -> dict[str, Violated]:
    """Violations in `[start, end)` summed up, by policy."""
    counts = await connection.fetch(_COUNTS, start, end)
    recent = await tables.VIOLATIONS.select(connection, _RECENT, start, end)
    refused = await connection.fetch(_REFUSED, start, end)
    return violated.assembled(
        ((unescape(policy), Action(action), count) for policy, action, count in counts),
        recent,
        ((unescape(policy), user and unescape(user), at) for policy, user, at in refused),
    )
