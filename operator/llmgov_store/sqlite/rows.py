"""Rows to columns and back: a row's fields are its table's columns of the same names, in the same order.

Integers, strings, bytes and nothing are stored as they are, enums by their value, everything else as JSON.
"""

import enum
import functools
import sqlite3
import types
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

Column: TypeAlias = int | str | bytes | None

R = TypeVar("R", bound=msgspec.Struct)

_PLAIN = frozenset({int, str, bytes, bool, types.NoneType})


class Table(Generic[R]):
    """How rows of one type are written to, and read from, one table; `key` are the columns of its identity."""

    def __init__(self, name: str, row: type[R], key: Sequence[str]) -> None:
        self._row = row
        columns = [f'"{column}"' for column in row.__struct_fields__]
        marks = ", ".join("?" * len(columns))
        updates = ", ".join(f"{column} = excluded.{column}" for column in columns)
        insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608 - names from code
        self._select = f"SELECT {', '.join(columns)} FROM {name} "  # noqa: S608 - names from code
        self._upsert = f"{insert} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {updates}"
        self._insert = insert
        self._keep = f"{insert} ON CONFLICT DO NOTHING"

    def put(self, connection: sqlite3.Connection, rows: Iterable[R]) -> None:
        """Insert each row, or replace the one of its identity."""
        connection.executemany(self._upsert, map(encode, rows))

    def add(self, connection: sqlite3.Connection, rows: Iterable[R]) -> None:
        """Insert rows that must be new."""
        connection.executemany(self._insert, map(encode, rows))

    def keep(self, connection: sqlite3.Connection, rows: Iterable[R]) -> None:
        """Insert each row unless its identity exists."""
        connection.executemany(self._keep, map(encode, rows))

    def select(self, connection: sqlite3.Connection, condition: str, *values: Column) -> list[R]:
        """The rows for which `condition` (what follows FROM) holds."""
        return list(self.each(connection, condition, *values))

    def each(self, connection: sqlite3.Connection, condition: str, *values: Column) -> Iterator[R]:
        """The same one by one: read as they are asked for, and as of one moment."""
        return map(self._decode, connection.execute(self._select + condition, values))

    def among(self, connection: sqlite3.Connection, column: str, values: Iterable[str]) -> list[R]:
        """The rows whose `column` is one of `values`."""
        wanted = msgspec.json.encode(sorted(set(values))).decode()
        condition = f"WHERE {column} IN (SELECT value FROM json_each(?))"  # noqa: S608 - a name from code
        return self.select(connection, condition, wanted)

    def _decode(self, columns: Sequence[Column]) -> R:
        return self._row(*map(_decode, _fields(self._row), columns))


def encode(row: msgspec.Struct) -> tuple[Column, ...]:
    """A row's columns, in the order of its fields."""
    return tuple(map(_encode, msgspec.structs.astuple(row)))


def _encode(value: Any) -> Column:
    if type(value) in _PLAIN:
        return typing.cast("Column", value)
    if isinstance(value, enum.Enum):
        return str(value.value)
    return msgspec.json.encode(value).decode()


@functools.cache
def _fields(row: type[msgspec.Struct]) -> tuple[Any, ...]:
    """Of each field the type to decode to, `None` where the column is the value."""
    hints = typing.get_type_hints(row)
    return tuple(None if _is_plain(hints[name]) else hints[name] for name in row.__struct_fields__)


def _is_plain(hint: Any) -> bool:
    return _PLAIN.issuperset(typing.get_args(hint) or (hint,)) and hint is not bool


def _decode(hint: Any, value: Column) -> Any:
    if hint is None or value is None:
        return value
    if hint is bool:
        return bool(value)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint(value)
    return msgspec.json.decode(typing.cast("str", value), type=hint)
