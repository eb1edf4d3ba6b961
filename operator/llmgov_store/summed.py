"""The SQL that sums up what statuses and sidecars are told, for both databases: they differ in how a value is marked
(`$1` in PostgreSQL, `?1` in SQLite), and in nothing else."""

import dataclasses

from llmgov.ledger import violated


@dataclasses.dataclass(frozen=True, slots=True)
class Queries:
    """`opened` and `told` stand behind `SELECT ... FROM approvals`, `recent` behind one of `violations`."""

    opened: str
    """Thresholds opened at a time; a threshold's approval expires with its window."""
    told: str
    """What sidecars are told of at a time, and at most so many of what is no longer in force; expired requests are
    asked for anew."""
    counts: str
    """Policy, action and how many violations between two times."""
    refused: str
    """Policy, user and when money was refused last between two times."""
    recent: str
    """The last violations of each policy between two times."""


def queries(mark: str) -> Queries:
    """The queries of a database that marks values with `mark` and their number; all of it is from code."""
    one, two = f"{mark}1", f"{mark}2"
    # Ids of one digest's approvals are counted up: `apr-x`, `apr-x-2`, `apr-x-10`.
    latest = (
        "NOT EXISTS (SELECT 1 FROM approvals AS later WHERE later.digest = one.digest AND later.digest <> ''"
        " AND later.kind = one.kind AND (length(later.id), later.id) > (length(one.id), one.id))"
    )
    within = f"FROM violations WHERE at >= {one} AND at < {two}"
    numbered = (
        'SELECT event, "index",'
        f' row_number() OVER (PARTITION BY policy ORDER BY at DESC, event DESC, "index" DESC) AS nth {within}'
    )
    return Queries(
        opened=f"WHERE kind = 'threshold' AND state = 'approved' AND expires > {one} ORDER BY id",
        told=f"""
    WHERE id IN (
        SELECT id FROM approvals
        WHERE kind = 'request' AND state <> 'pending' AND state = 'approved' AND expires > {one}
        UNION SELECT id FROM (
            SELECT id FROM approvals
            WHERE kind = 'request' AND state <> 'pending' AND state = 'denied' AND expires > {one}
            ORDER BY coalesce(decided, 0) DESC, id LIMIT {two}
        ) AS denied
        UNION SELECT id FROM (
            SELECT id FROM approvals AS one
            WHERE kind = 'request' AND (state = 'used' OR expires <= {one} OR id LIKE 'apr-%-%') AND {latest}
            ORDER BY created DESC, id LIMIT {two}
        ) AS asked
        UNION SELECT id FROM approvals AS one WHERE kind = 'overrun' AND {latest}
    ) ORDER BY created DESC, id
""",  # noqa: S608 - from code
        counts=f"SELECT policy, action, CAST(sum(count) AS bigint) {within} GROUP BY policy, action",
        refused=f'SELECT policy, "user", max(at) {within} AND reason = \'{violated.REFUSED}\' GROUP BY policy, "user"',
        recent=f'WHERE (event, "index") IN'  # noqa: S608 - from code
        f' (SELECT event, "index" FROM ({numbered}) AS numbered WHERE nth <= {violated.RECENT})',
    )
