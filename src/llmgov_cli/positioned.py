"""YAML text in, plain documents out, with the line of every JSON path: safe tags only, everything bounded.

What kubectl would read silently in another way than its author meant is a fault here: duplicate keys, keys that are no
strings, merge keys, tags. Each is noted and reading goes on, so that all of a text's faults are said at once; only
where the text is no YAML, or out of bounds, the rest of it cannot be read. Dates stay strings, as in Kubernetes.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from llmgov.resources import paths

DUPLICATE = "DuplicateKey"
"""The code of the one fault after which a document can still be checked."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """What a text holds: its documents that are not empty, and all faults, in the order of the text.

    Of a key that is there twice the first value counts, so that the rest of the document can still be checked; a
    document with any other fault is left out, since what it lacks would be taken for further mistakes.
    """

    documents: tuple[Document, ...]
    faults: tuple[ReadError, ...]


def read(text: str) -> Reading:
    """All documents of a text, and what is wrong with it; never raises."""
    documents: list[Document] = []
    faults: list[ReadError] = []
    try:
        _check_bounds(text)
        _read(text, documents, faults)
    except yaml.YAMLError as error:
        faults.append(_syntax(error))
    except ReadError as error:
        faults.append(error)
    return Reading(tuple(documents), tuple(faults))


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


def _read(text: str, documents: list[Document], faults: list[ReadError]) -> None:
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
            builder = _Builder(loader, node)
            faults += builder.faults
            if builder.value is not None and all(each.code == DUPLICATE for each in builder.faults):
                documents.append(Document(builder.value, builder.lines))
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
    """Builds the value of one document, notes the line of each place in it, and the faults."""

    def __init__(self, loader: Any, root: yaml.Node) -> None:
        self._loader = loader
        self.lines: dict[str, int] = {"": _line(root)}
        self.faults: list[ReadError] = []
        self.value = self._build(root, "", 0)

    def _build(self, node: yaml.Node, path: str, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise ReadError("TooLarge", f"is nested deeper than {MAX_DEPTH} levels", "flatten it", _line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _TAG + "map":
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode) and node.tag == _TAG + "seq":
            return [self._entry(item, path + paths.step(index), depth) for index, item in enumerate(node.value)]
        return self._scalar(node)

    def _entry(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.lines[path] = _line(node)
        return self._build(node, path, depth + 1)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for key_node, inner in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in value:
                self._fault(DUPLICATE, f"has the key {key} twice", "remove one of the two", key_node)
                continue
            place = (path + paths.step(key)).removeprefix(".")
            self.lines[place] = _line(key_node)
            value[key] = self._build(inner, place, depth + 1)
        return value

    def _key(self, node: yaml.Node) -> str | None:
        """A key's text; `None`, and a fault, where it may not be one."""
        if node.tag == _TAG + "merge":
            self._fault("YamlSyntax", "has a merge key (<<)", "write the fields out", node)
            return None
        if node.tag not in _TEXTS or not isinstance(_text(node), str):
            self._fault("YamlSyntax", "has a key that is no string", "put the key in quotes", node)
            return None
        return str(node.value)

    def _scalar(self, node: yaml.Node) -> Any:
        if node.tag in _TEXTS:
            return _text(node)
        if node.tag not in _PLAIN:
            return self._fault("YamlSyntax", "has a tag that Kubernetes does not read", "remove the tag", node)
        try:
            return self._loader.construct_object(node)
        except ValueError:
            return self._fault("YamlSyntax", "has a number that cannot be read", "put it in quotes", node)

    def _fault(self, code: str, message: str, remedy: str, node: yaml.Node) -> None:
        self.faults.append(ReadError(code, message, remedy, _line(node)))


def _text(node: yaml.Node) -> str | bool | float:
    """A string, or what kubectl's reader makes of a word in no quotes that PyYAML's takes for a string."""
    text = str(node.value)
    if getattr(node, "style", None):
        return text
    return float(text) if _EXPONENT.fullmatch(text) else _SWITCHES.get(text, text)


def _syntax(error: yaml.YAMLError) -> ReadError:
    mark = getattr(error, "problem_mark", None)
    what = getattr(error, "problem", None) or "unreadable characters"
    return ReadError(
        "YamlSyntax", f"is no YAML: {what}", "correct the text here or just above", mark.line + 1 if mark else 1
    )


def _line(node: Any) -> int:
    return int(node.start_mark.line) + 1
