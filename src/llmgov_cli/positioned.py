"""YAML text in, plain documents out, with the line of every JSON path: safe tags only, everything bounded.

What kubectl would read silently in another way than its author meant is a fault here: duplicate keys, keys that are no
strings, merge keys, tags. Dates stay strings, as in Kubernetes.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from llmgov.resources import paths

MAX_DOCUMENTS = 10_000
MAX_DEPTH = 64
MAX_VALUES = 200_000
"""Values in one file after its aliases are followed: a billion laughs end here."""

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_TEXTS = frozenset(_TAG + name for name in ("str", "timestamp", "value"))
_SWITCHES = {"y": True, "Y": True, "n": False, "N": False}
_EXPONENT = re.compile(r"[-+]?([0-9]+([.][0-9]*)?|[.][0-9]+)[eE][-+]?[0-9]{1,3}", re.ASCII)
_PLAIN = frozenset(_TAG + name for name in ("int", "float", "bool", "null"))


@dataclasses.dataclass(frozen=True, slots=True)
class Document:
    """One document. `lines` has the line, from 1 on, of each JSON path; the document's own is at the empty path."""

    value: Any
    lines: Mapping[str, int]

    def line(self, path: str) -> int:
        """The line of a JSON path, or of the nearest place around it that is there."""
        return line(self.lines, path)


class ReadError(Exception):
    """Text that cannot be read: `code`, what is wrong, what to do, and the line."""

    def __init__(self, code: str, message: str, remedy: str, line: int) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.remedy = remedy
        self.line = line


def line(lines: Mapping[str, int], path: str) -> int:
    """The line of a JSON path, or of the nearest place around it that is there."""
    while path and path not in lines:
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return lines[path]


def read(text: str) -> list[Document]:
    """All documents of a text that are not empty.

    Raises:
        ReadError: the text is no YAML, or not of the kind that is read here.
    """
    try:
        _check_bounds(text)
        return list(_documents(text))
    except yaml.YAMLError as error:
        raise _syntax(error) from error


def _check_bounds(text: str) -> None:
    """Before anything is built: the reader of events needs no stack, building needs one as deep as the text."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=_Loader):
        here = _line(event)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        documents += isinstance(event, yaml.DocumentStartEvent)
        if depth > MAX_DEPTH:
            raise ReadError("TooLarge", f"is nested deeper than {MAX_DEPTH} levels", "flatten it", here)
        if documents > MAX_DOCUMENTS:
            raise ReadError("TooLarge", f"has more than {MAX_DOCUMENTS} documents", "split the file", here)


def _documents(text: str) -> Iterator[Document]:
    loader = _Loader(text)
    try:
        values = 0
        while loader.check_node():
            node = loader.get_node()
            values += _weight(node, {})
            if values > MAX_VALUES:
                raise ReadError(
                    "TooLarge", f"holds more than {MAX_VALUES} values, aliases followed", "split it", _line(node)
                )
            lines: dict[str, int] = {"": _line(node)}
            value = _Builder(loader, lines).build(node, "", 0)
            if value is not None:
                yield Document(value, lines)
    finally:
        loader.dispose()


def _weight(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node becomes. An anchor is weighed before its aliases; an alias of itself is endless."""
    if id(node) not in known:
        known[id(node)] = MAX_VALUES + 1
        known[id(node)] = 1 + sum(_weight(inner, known) for inner in _inner(node))
    return known[id(node)]


def _inner(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


class _Builder:
    """Builds the values of one document and notes the line of each."""

    def __init__(self, loader: Any, lines: dict[str, int]) -> None:
        self._loader = loader
        self._lines = lines

    def build(self, node: yaml.Node, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ReadError("TooLarge", f"is nested deeper than {MAX_DEPTH} levels", "flatten it", _line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._entry(item, path + paths.step(index), depth) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _entry(self, node: yaml.Node, path: str, depth: int) -> Any:
        self._lines[path] = _line(node)
        return self.build(node, path, depth + 1)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, inner in node.value:
            key = _key(key_node)
            if key in value:
                raise ReadError("DuplicateKey", f"has the key {key} twice", "remove one of the two", _line(key_node))
            place = (path + paths.step(key)).removeprefix(".")
            self._lines[place] = _line(key_node)
            value[key] = self.build(inner, place, depth + 1)
        return value

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in _TEXTS:
            return _text(node)
        if node.tag in _PLAIN:
            try:
                return self._loader.construct_object(node)
            except ValueError as error:
                line = _line(node)
                raise ReadError("YamlSyntax", "has a number that cannot be read", "put it in quotes", line) from error
        raise ReadError("YamlSyntax", "has a tag that Kubernetes does not read", "remove the tag", _line(node))


def _text(node: yaml.Node) -> str | bool | float:
    """A string, or what kubectl's reader makes of a word in no quotes that PyYAML's takes for a string."""
    text = str(node.value)
    if getattr(node, "style", None):
        return text
    return float(text) if _EXPONENT.fullmatch(text) else _SWITCHES.get(text, text)


def _key(node: yaml.Node) -> str:
    if node.tag == _TAG + "merge":
        raise ReadError("YamlSyntax", "has a merge key (<<)", "write the fields out", _line(node))
    if node.tag not in _TEXTS or not isinstance(_text(node), str):
        raise ReadError("YamlSyntax", "has a key that is no string", "put the key in quotes", _line(node))
    return str(node.value)


def _syntax(error: yaml.YAMLError) -> ReadError:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "unreadable characters"
    return ReadError(
        "YamlSyntax", f"is no YAML: {what}", "correct the text here or just above", mark.line + 1 if mark else 1
    )


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
