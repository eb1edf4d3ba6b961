"""What really happened, from sources that share no code with the system: SQL, raw spool bytes, the provider's memory.

`read` looks at a scene (a state folder whose process is dead) without touching it.
"""

import dataclasses
import json
import pathlib
import re
import shutil
import sqlite3
import struct
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import msgspec

MARKER = re.compile(r"request ([0-9]+-[0-9]+)")
"""The words by which a test's request is known wherever it turns up."""


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """How an attempt ended: the outcome's word and the cost in micro-USD."""

    outcome: str
    cost: int


@dataclasses.dataclass(frozen=True, slots=True)
class Intended:
    """An attempt before its end: which request, whose, and what was held."""

    marker: str
    namespace: str
    hold: int


@dataclasses.dataclass(frozen=True, slots=True)
class Window:
    """An account's window, with its limit; micro-USD."""

    account: str
    limit: int
    spent: int
    leased: int
    unknown: int


@dataclasses.dataclass(slots=True)
class Scene:
    """Everything that is written down. `recorded` counts the audit's records by kind and attempt."""

    intents: dict[str, Intended] = dataclasses.field(default_factory=dict)
    ends: dict[str, End] = dataclasses.field(default_factory=dict)
    windows: list[Window] = dataclasses.field(default_factory=list)
    recorded: dict[tuple[str, str], int] = dataclasses.field(default_factory=dict)
    stranded: int = 0
    """Micro-USD outstanding in leases of epochs that are over."""

    @property
    def open(self) -> set[str]:
        """Attempts without an end."""
        return self.intents.keys() - self.ends.keys()

    @property
    def markers(self) -> dict[str, list[str]]:
        """Which attempts each request had."""
        found: dict[str, list[str]] = {}
        for id_, intended in self.intents.items():
            found.setdefault(intended.marker, []).append(id_)
        return found


def read(state: pathlib.Path, *, spools: bool) -> Scene:
    """The ledger, and with `spools` also what is written down on the sidecars' volumes only."""
    scene = Scene()
    with tempfile.TemporaryDirectory() as copy:
        for name in ("ledger.db", "ledger.db-wal"):
            if (state / name).exists():
                shutil.copy(state / name, copy)
        with_ledger(pathlib.Path(copy) / "ledger.db", scene)
    if spools:
        for record in _records(state):
            _take(scene, record)
    return scene


def with_ledger(path: pathlib.Path, scene: Scene) -> None:
    """Add what a database says."""
    connection = sqlite3.connect(path)
    try:
        for id_, intent, settlement in connection.execute("SELECT id, intent, settlement FROM attempts"):
            if intent is not None:
                scene.intents[id_] = _intended(json.loads(intent))
            if settlement is not None:
                scene.ends[id_] = _end(json.loads(settlement))
        scene.windows = [Window(*row) for row in connection.execute(_WINDOWS)]
        scene.stranded = connection.execute(STRANDED).fetchone()[0]
        for (data,) in connection.execute("SELECT data FROM records WHERE kind IN ('intent', 'settlement')"):
            written = json.loads(data)
            key = (written["kind"], written["facts"]["id"])
            scene.recorded[key] = scene.recorded.get(key, 0) + 1
    finally:
        connection.close()


_WINDOWS = """
SELECT w.account, json_extract(a.account, '$.limit') * w.nano_usd / 1000000000, w.spent, w.leased, w.unknown
FROM windows AS w JOIN accounts AS a ON a.key = w.account
"""

STRANDED = """
SELECT coalesce(sum(max(0, l.amount - l.returned - l.spent)), 0)
FROM leases AS l JOIN epochs AS e ON e.holder = l.holder WHERE l.number < e.number AND l.state <> 'lost'
"""

_HEADER = struct.Struct("<II")


def _records(state: pathlib.Path) -> Iterator[dict[str, Any]]:
    for segment in sorted(state.glob("sidecars/*/spool/*.spool")):
        data = segment.read_bytes()
        while len(data) >= _HEADER.size:
            length, checksum = _HEADER.unpack_from(data)
            payload, data = data[_HEADER.size : _HEADER.size + length], data[_HEADER.size + length :]
            if zlib.crc32(payload) == checksum:
                yield msgspec.msgpack.decode(payload)


def _take(scene: Scene, record: dict[str, Any]) -> None:
    match record["type"]:
        case "copy":
            _take(scene, record["record"])
        case "intent":
            scene.intents.setdefault(record["id"], _intended(record))
        case "settlement":
            scene.ends.setdefault(record["id"], _end(record))
        case _:
            pass


def _intended(intent: dict[str, Any]) -> Intended:
    found = MARKER.search(intent.get("prompt") or "")
    return Intended(found[1] if found else "", intent["subject"]["namespace"], intent["hold"])


def _end(settlement: dict[str, Any]) -> End:
    return End(settlement["outcome"], settlement["cost"])


def received(listed: bytes) -> list[str]:
    """The requests that the provider's memory holds, by their markers, in the order in which they came."""
    bodies = (entry["body"] for entry in json.loads(listed) if entry["method"] == "POST")
    return [found[1] for body in bodies if (found := MARKER.search(body))]
