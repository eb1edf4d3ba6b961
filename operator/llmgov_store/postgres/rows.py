"""Rows to columns and back: a row's fields are its table's columns of the same names.

Whole numbers are `bigint`, so that a sum of money has one type from the wire to the disk. Enums are their value as
`text`; everything that is no plain value is `jsonb`. Many rows are written by one statement, an array for each column.
"""

import enum
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from llmgov_store.postgres import escaping
from llmgov_store.postgres.connecting import Connection

R = TypeVar("R", bound=msgspec.Struct)

Convert: TypeAlias = Callable[[Any], Any]

_FETCH = 500
"""Rows that a cursor brings at a time: some MB at most."""


class _Column(NamedTuple):
    """A column's name and type; `write` makes what PostgreSQL takes, `read` what the row holds (`None`: as it is)."""

    name: str
    type: str
    write: Convert | None
    read: Convert | None


class Table(Generic[R]):
    """How rows of one type are written to, and read from, one table.

    `key` are the columns of its identity, by which rows are written in order: two transactions that write the same
    rows then wait for each other and never in a circle. A table of one row has a column that no row has for that.
    With `changed_only` a row that is put as it is is not written again. A `lasting` column never changes once it is
    set: nothing, put in the place of what is there, leaves it there.
    """

    def __init__(
        self, name: str, row: type[R], key: Sequence[str], *, changed_only: bool = False, lasting: Sequence[str] = ()
    ) -> None:
        self._row = row
        self._columns = _columns(row)
        self._reads = [(index, column.read) for index, column in enumerate(self._columns) if column.read is not None]
        self._key = [row.__struct_fields__.index(column) for column in key if column in row.__struct_fields__]
        names = [f'"{column.name}"' for column in self._columns]
        self.columns = ", ".join(f"{name}.{column}" for column in names)
        arrays = ", ".join(f"${index}::{column.type}[]" for index, column in enumerate(self._columns, 1))
        insert = f"INSERT INTO {name} ({', '.join(names)}) SELECT * FROM unnest({arrays})"  # noqa: S608 - from code
        updates = ", ".join(
            f"{quoted} = coalesce(excluded.{quoted}, {name}.{quoted})"
            if column.name in lasting
            else f"{quoted} = excluded.{quoted}"
            for quoted, column in zip(names, self._columns, strict=True)
            if column.name not in key
        )
        keys = ", ".join(f'"{column}"' for column in key)
        self._select = f"SELECT {self.columns} FROM {name} "  # noqa: S608 - names from code
        self._insert = insert
        self._upsert = f"{insert} ON CONFLICT ({keys}) DO UPDATE SET {updates}"
        if changed_only:
            self._upsert += (
                f" WHERE ({self.columns}) IS DISTINCT FROM ({self.columns.replace(f'{name}.', 'excluded.')})"
            )
        self._keep = f"{insert} ON CONFLICT DO NOTHING"

    async def put(self, connection: Connection, rows: Iterable[R]) -> None:
        """Insert each row, or replace the one of its identity; no identity twice."""
        await self._write(connection, self._upsert, rows)

    async def add(self, connection: Connection, rows: Iterable[R]) -> None:
        """Insert rows that must be new."""
        await self._write(connection, self._insert, rows)

    async def keep(self, connection: Connection, rows: Iterable[R]) -> None:
        """Insert each row unless its identity exists."""
        await self._write(connection, self._keep, rows)

    async def _write(self, connection: Connection, statement: str, rows: Iterable[R]) -> None:
        tuples = sorted(map(msgspec.structs.astuple, rows), key=self._identity)
        if tuples:
            await connection.execute(statement, *map(_written, self._columns, zip(*tuples, strict=True)))

    def _identity(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[index] for index in self._key)

    async def select(
        self, connection: Connection, condition: str, *values: Any, seconds: float | None = None
    ) -> list[R]:
        """The rows for which `condition` (what follows FROM) holds; waited for as for any statement, or `seconds`."""
        found = await connection.fetch(self._select + condition, *values, timeout=seconds)
        return [self.row(record) for record in found]

    async def each(self, connection: Connection, take: Callable[[R], object], condition: str, *values: Any) -> None:
        """Hand the same to `take`, one by one and as of one moment: a cursor fetches `_FETCH` of them at a time."""
        async with connection.transaction(readonly=True):
            async for record in connection.cursor(self._select + condition, *values, prefetch=_FETCH):
                take(self.row(record))

    async def among(self, connection: Connection, column: str, values: Iterable[str]) -> list[R]:
        """The rows whose `column` is one of `values`; asks nothing where there are none."""
        wanted = escaping.escaped(values)
        if not wanted:
            return []
        return await self.select(connection, f"WHERE {column} = ANY($1::text[])", wanted)

    def row(self, record: Sequence[Any]) -> R:
        """The row of a record of `columns`."""
        values = list(record)
        for index, read in self._reads:
            if values[index] is not None:
                values[index] = read(values[index])
        return self._row(*values)


def _written(column: _Column, values: Sequence[Any]) -> Sequence[Any]:
    write = column.write
    return values if write is None else [None if value is None else write(value) for value in values]


def _columns(row: type[msgspec.Struct]) -> list[_Column]:
    hints = typing.get_type_hints(row)
    return [_column(name, hints[name]) for name in row.__struct_fields__]


def _column(name: str, hint: Any) -> _Column:
    kind = _without_none(hint)
    if kind is int:
        return _Column(name, "bigint", None, None)
    if kind is bool:
        return _Column(name, "boolean", None, None)
    if kind is bytes:
        return _Column(name, "bytea", None, None)
    if kind is str:
        return _Column(name, "text", escaping.escape, escaping.unescape)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return _Column(name, "text", _value, kind)
    decoder = msgspec.json.Decoder(hint)
    return _Column(name, "jsonb", escaping.to_json, lambda stored: escaping.from_json(stored, decoder))


def _without_none(hint: Any) -> Any:
    """`X` of `X | None`."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    parts = [part for part in typing.get_args(hint) if part is not types.NoneType]
    return parts[0] if len(parts) == 1 else hint


def _value(member: enum.Enum) -> str:
    return str(member.value)
