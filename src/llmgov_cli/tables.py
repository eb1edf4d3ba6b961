"""Tables as kubectl prints them: upper-case headings, columns three spaces apart, nothing else. Pure."""

import json
from collections.abc import Sequence
from typing import Any

import yaml

from llmgov_cli import errors

NONE = "<none>"
"""What kubectl prints where there is no value."""


def render(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table's lines, without trailing blanks."""
    cells = [[heading.upper() for heading in headings], *([cell or NONE for cell in row] for row in rows)]
    widths = [max(len(row[index]) for row in cells) for index in range(len(headings))]
    lines = ("   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells)
    return "\n".join(lines) + "\n"


def record(headings: Sequence[str], row: Sequence[str]) -> dict[str, str]:
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
    """The document as `-o json` or `-o yaml` shows it."""
    if output == "json":
        return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
