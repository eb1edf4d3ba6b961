"""Where in a JSON text its values stand: a tokenizer that is used only when something has to be replaced.

It expects what `json_scan` accepted, and finds byte spans for the paths asked for, skipping all else.
"""

import json
import re
from typing import Any, NamedTuple

from llmgov.wire import paths

_SPACE = re.compile(rb"[ \t\n\r]*")
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_SCALAR = re.compile(rb"[-+.0-9A-Za-z]+")
_COMMA, _OBJECT, _ARRAY, _QUOTE = b",{[" + b'"'


class Span(NamedTuple):
    """Bytes `start` to `end` (exclusive) of the text."""

    start: int
    end: int


Wanted = dict[Any, Any]


def find(data: bytes, wanted: list[paths.Steps]) -> dict[paths.Steps, Span]:
    """The spans of those of the `wanted` values that exist."""
    tree: Wanted = {}
    for steps in wanted:
        node = tree
        for step in steps:
            node = node.setdefault(step, {})
    found: dict[paths.Steps, Span] = {}
    _Scanner(data, frozenset(wanted), found).value(_skip_space(data, 0), tree, ())
    return found


class _Scanner:
    def __init__(self, data: bytes, wanted: frozenset[paths.Steps], found: dict[paths.Steps, Span]) -> None:
        self._data = data
        self._wanted = wanted
        self._found = found

    def value(self, start: int, tree: Wanted | None, steps: paths.Steps) -> int:
        """Pass over the value at `start`, noting what is wanted of it; returns where it ends."""
        first = self._data[start]
        if first == _OBJECT:
            end = self._members(start, tree, steps)
        elif first == _ARRAY:
            end = self._items(start, tree, steps)
        else:
            end = _scalar_end(self._data, start)
        if tree is not None and steps in self._wanted:
            self._found[steps] = Span(start, end)
        return end

    def _members(self, start: int, tree: Wanted | None, steps: paths.Steps) -> int:
        position = _skip_space(self._data, start + 1)
        while self._data[position] == _QUOTE:
            end = _scalar_end(self._data, position)
            name = json.loads(self._data[position:end]) if tree else ""
            colon = _skip_space(self._data, end)
            position = _skip_space(self._data, colon + 1)
            inside = tree.get(name) if tree else None
            position = self._after(self.value(position, inside, (*steps, name) if inside is not None else ()))
        return position + 1

    def _items(self, start: int, tree: Wanted | None, steps: paths.Steps) -> int:
        position = _skip_space(self._data, start + 1)
        index = 0
        while self._data[position] != ord("]"):
            inside = tree.get(index) if tree else None
            position = self._after(self.value(position, inside, (*steps, index) if inside is not None else ()))
            index += 1
        return position + 1

    def _after(self, end: int) -> int:
        position = _skip_space(self._data, end)
        return _skip_space(self._data, position + 1) if self._data[position] == _COMMA else position


def _skip_space(data: bytes, position: int) -> int:
    match = _SPACE.match(data, position)
    return match.end() if match else position


def _scalar_end(data: bytes, start: int) -> int:
    match = (_STRING if data[start] == _QUOTE else _SCALAR).match(data, start)
    if match is None:
        raise ValueError(f"no JSON value at byte {start}")
    return match.end()
