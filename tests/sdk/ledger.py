"""The ledger's own rows, read from outside: what was held and what was charged."""

import contextlib
import json
import pathlib
import sqlite3
import time
from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """One attempt that has ended; amounts in micro-USD."""

    namespace: str
    model: str
    hold: int
    cost: int
    outcome: str
    overrun: bool


def ended(state_folder: pathlib.Path, namespace: str, expected: int, seconds: float = 10) -> list[Row]:
    """The attempts of a namespace, once `expected` of them are on record and settled."""
    with contextlib.closing(sqlite3.connect(f"file:{state_folder / 'ledger.db'}?mode=ro", uri=True)) as database:
        until(lambda: len(_rows(database, namespace)) >= expected, seconds)
        rows = _rows(database, namespace)
    assert len(rows) == expected
    return rows


def prompts(state_folder: pathlib.Path) -> list[str]:
    """What attempts have on record of their prompts."""
    with contextlib.closing(sqlite3.connect(f"file:{state_folder / 'ledger.db'}?mode=ro", uri=True)) as database:
        intents = database.execute("SELECT intent FROM attempts WHERE intent IS NOT NULL").fetchall()
    return [prompt for (intent,) in intents if (prompt := json.loads(intent).get("prompt")) is not None]


def until(holds: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for what is true once events have reached the ledger, which they do a moment after the answer."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not on record within {seconds} s"
        time.sleep(0.02)


def _rows(database: sqlite3.Connection, namespace: str) -> list[Row]:
    query = "SELECT intent, settlement FROM attempts WHERE intent IS NOT NULL AND settlement IS NOT NULL"
    documents = ((json.loads(intent), json.loads(settlement)) for intent, settlement in database.execute(query))
    return [
        Row(
            intent["subject"]["namespace"],
            intent["subject"]["model"],
            intent["hold"],
            settlement["cost"],
            settlement["outcome"],
            settlement.get("overrun", False),
        )
        for intent, settlement in documents
        if intent["subject"]["namespace"] == namespace
    ]
