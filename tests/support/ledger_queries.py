"""The queries of docs/ledger.md, which return no row while all is well."""

import pathlib
import re

from llmgov_store.postgres import connecting

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "ledger.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)


async def findings(url: str) -> list[int]:
    """How many rows each query returns."""
    connection = await connecting.connect(url)
    try:
        return [len(await connection.fetch(query)) for query in QUERIES]
    finally:
        await connection.close()
