"""What statuses are made of, summed up by the database: it has perhaps a million rows of what a status shows ten."""

from typing import Final

from llmgov.instants import Instant
from llmgov.ledger import violated
from llmgov.ledger.violated import Violated
from llmgov.policy.decision import Action
from llmgov_store import summed
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

QUERIES: Final = summed.queries("$")


async def violated_between(connection: Connection, start: Instant, end: Instant) -> dict[str, Violated]:
    """Violations in `[start, end)` summed up, by policy."""
    counts = await connection.fetch(QUERIES.counts, start, end)
    recent = await tables.VIOLATIONS.select(connection, QUERIES.recent, start, end)
    refused = await connection.fetch(QUERIES.refused, start, end)
    return violated.assembled(
        ((unescape(policy), Action(action), count) for policy, action, count in counts),
        recent,
        ((unescape(policy), user and unescape(user), at) for policy, user, at in refused),
    )
