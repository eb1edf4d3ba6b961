"""What scopes spent is summed by quarters of an hour, in the place of a row for each attempt and target.

The lock of a scope protects its sums, and a change of one writes no index. An attempt says itself what it counts for
beside its path: the definitions of accounts, which say so as well, change.
"""

from alembic import op

revision = "0005"
down_revision = "0004"

_QUARTER = 900_000_000
"""Microseconds."""

_UPGRADE = (
    """
    CREATE TABLE llmgov.sums (
        scope text COLLATE "C" NOT NULL,
        start bigint NOT NULL,
        cost bigint NOT NULL CHECK (cost >= 0),
        PRIMARY KEY (scope, start)
    ) WITH (fillfactor = 60)
    """,
    f"""
    INSERT INTO llmgov.sums SELECT scope, at - at % {_QUARTER}, sum(cost) FROM llmgov.spends WHERE cost > 0
    GROUP BY scope, at - at % {_QUARTER} ORDER BY 1, 2
    """,  # noqa: S608 - a number
    "ALTER TABLE llmgov.attempts ADD COLUMN beside jsonb NOT NULL DEFAULT '[]'",
    """
    UPDATE llmgov.attempts SET beside = found.scopes
    FROM (
        SELECT spends.attempt, jsonb_agg(spends.scope ORDER BY spends.scope) AS scopes
        FROM llmgov.spends JOIN llmgov.attempts ON attempts.id = spends.attempt
        WHERE NOT attempts.intent #> '{subject,path}' ? spends.scope GROUP BY spends.attempt
    ) AS found WHERE attempts.id = found.attempt
    """,
    "DROP TABLE llmgov.spends",
    "GRANT SELECT, INSERT, UPDATE (cost) ON llmgov.sums TO llmgov_hub",
    "GRANT SELECT ON llmgov.sums TO llmgov_reader",
)

_DOWNGRADE = (
    """
    CREATE TABLE llmgov.spends (
        attempt text COLLATE "C" NOT NULL,
        scope text COLLATE "C" NOT NULL,
        at bigint NOT NULL,
        cost bigint NOT NULL CHECK (cost >= 0),
        PRIMARY KEY (attempt, scope)
    )
    """,
    """
    INSERT INTO llmgov.spends
    SELECT id, scope, time, coalesce(corrected, (settlement ->> 'cost')::bigint)
    FROM llmgov.attempts CROSS JOIN LATERAL (
        SELECT jsonb_array_elements_text(intent #> '{subject,path}') AS scope
        UNION SELECT jsonb_array_elements_text(beside)
    ) AS scopes WHERE settlement IS NOT NULL AND intent IS NOT NULL
    """,
    "CREATE INDEX spends_scope ON llmgov.spends (scope, at) INCLUDE (cost)",
    "GRANT SELECT, INSERT, UPDATE (at, cost) ON llmgov.spends TO llmgov_hub",
    "GRANT SELECT ON llmgov.spends TO llmgov_reader",
    "DROP TABLE llmgov.sums",
    "ALTER TABLE llmgov.attempts DROP COLUMN beside",
)


def upgrade() -> None:
    """Fill the sums from the spends, and drop these."""
    for statement in _UPGRADE:
        op.execute(statement)


def downgrade() -> None:
    """Make the spends again, from the attempts."""
    for statement in _DOWNGRADE:
        op.execute(statement)
