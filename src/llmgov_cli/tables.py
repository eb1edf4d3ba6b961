"""Tables as kubectl prints them: upper-case headings, columns three spaces apart, nothing else. Pure."""

import datetime
import json
from collections.abc import Sequence
from typing import Any, TypeAlias

import yaml

from llmgov import instants
from llmgov.instants import Instant
from llmgov_cli import errors, printable

NONE = "<none>"
"""What kubectl prints where there is no value."""

_LAST: Instant = instants.from_datetime(datetime.datetime.max.replace(tzinfo=datetime.UTC))


Cell: TypeAlias = str | int | None
"""A value of a row: a count stays a number where the row becomes a document, and `None` says that there is none."""


def render(headings: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """The table's lines, without trailing blanks, and with nothing in them that a terminal obeys."""
    shown = ([_text(cell) for cell in row] for row in rows)
    cells = [[heading.upper() for heading in headings], *shown]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headings))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines) + "\n"


def _text(cell: Cell) -> str:
    return NONE if cell is None else printable.line(str(cell)) or NONE


def moment(instant: Instant | None) -> str:
    """A time as RFC 3339; empty where there is none, or it never comes (beyond the year 9999)."""
    return "" if instant is None or instant > _LAST else instants.to_rfc3339(instant)


def record(headings: Sequence[str], row: Sequence[Cell]) -> dict[str, Cell]:
    """A row as a document, its keys as Kubernetes writes them: `Requested-By` is `requestedBy`."""
    return dict(zip(map(_camel, headings), row, strict=True))


def _camel(heading: str) -> str:
    first, *others = heading.lower().split("-")
    return first + "".join(map(str.capitalize, others))


def check_format(output: str) -> None:
    """Raises:
    CommandError: `output` is none of the formats that `-o` takes.
    """
    if output not in ("", "wide", "json", "yaml"):
        raise errors.CommandError(f"-o {output}: use wide, json or yaml")


def dump(document: Any, output: str) -> str:
    """The document as `-o json` or `-o yaml` shows it; in ASCII where a terminal would obey something in it."""
    write = _json if output == "json" else _yaml
    text = write(document, ascii_only=False)
    return text if text == printable.lines(text) else write(document, ascii_only=True)


def _json(document: Any, *, ascii_only: bool) -> str:
    return json.dumps(document, indent=2, ensure_ascii=ascii_only) + "\n"


def _yaml(document: Any, *, ascii_only: bool) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=not ascii_only)
