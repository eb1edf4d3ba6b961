"""The SQL of docs/ledger.md: its first line, and the queries that return no row while all is well."""

import pathlib
import re

import asyncpg

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "ledger.md"
FIRST, *QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


async def findings(url: str) -> list[int]:
    """How many rows each query returns, in a plain session that begins as the page says."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(FIRST)
        return [len(await connection.fetch(query)) for query in QUERIES]
    finally:
        await connection.close()
