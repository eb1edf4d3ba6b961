"""What reading whole answers is alike in every format: what rows know is read by them, and all else to the last string.

A provider may answer in a shape that no row knows, and a compatible server in one of its own. A filter sees those, too.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from llmgov.wire import lenient, paths, walk
from llmgov.wire.events import Answer, Text, TextRole
from llmgov.wire.fields import Kind

_COUNT: Final = re.compile(r"[a-z][a-z_]*(_[0-9]+[a-z]_[a-z_]+)?", re.ASCII)
"""A name as reports give them to their counts: `cached_tokens`, `ephemeral_1h_input_tokens`."""

CONTROLS: Final = frozenset(
    {
        "id",
        "object",
        "type",
        "role",
        "model",
        "created",
        "created_at",
        "completed_at",
        "status",
        "index",
        "request_id",
        "call_id",
        "tool_use_id",
        "phase",
        "system_fingerprint",
        "service_tier",
        "finish_reason",
        "stop_reason",
        "encrypted_content",
        "signature",
        "obfuscation",
        "sequence_number",
    }
)
"""Words, ids, times and ciphers: no content where they are plain values, and easily taken for somebody's number."""


class Texts:
    """Collects the texts of one answer, or of one frame of a stream; `derived` as in an `Answer`."""

    __slots__ = ("_walker", "derived")

    def __init__(self) -> None:
        self._walker = walk.Walker({}, {}, {}, {})
        self.derived: list[str] = []

    @property
    def found(self) -> tuple[Text, ...]:
        """What was read so far."""
        return tuple(self._walker.findings.texts)

    def said(self, value: Any, path: str) -> None:
        """What the model says: a string, which may be rewritten, or another shape, which is only read."""
        if isinstance(value, str):
            self._walker.read(value, Kind.CONTENT, path, TextRole.OUTPUT)
        else:
            self.evidence(value, path)

    def anything(self, value: Any, path: str) -> None:
        """What the model says as JSON of its own shape, each string of which may be rewritten."""
        self._walker.read(value, Kind.JSON, path, TextRole.OUTPUT)

    def evidence(self, value: Any, path: str) -> None:
        """What is read and never rewritten."""
        self._walker.read(value, Kind.PROTECTED, path, TextRole.PROTECTED)

    def media(self, value: Any, path: str) -> None:
        """An encoded image or sound, or a file of plain text."""
        self._walker.read(value, Kind.MEDIA, path, TextRole.PROTECTED)

    def each(self, value: Any, path: str, read: Callable[[dict[str, Any], str], None]) -> None:
        """Objects in an array, each by `read`; what is something else, whole."""
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.object(item, f"{path}[{index}]", read)
        elif value is not None:
            self._walker.unknown(value, path)

    def object(self, value: Any, path: str, read: Callable[[dict[str, Any], str], None]) -> None:
        """An object, by `read`; what is something else, whole."""
        if isinstance(value, dict):
            read(value, path)
        elif value is not None:
            self._walker.unknown(value, path)

    def others(self, value: Mapping[str, Any], known: Collection[str], path: str) -> None:
        """The members of an object that are not `known`: their names and all their strings."""
        for name, member in value.items():
            if name not in known and not is_control(name, member, CONTROLS):
                self._walker.unknown_member(name, member, path)

    def at(self, path: str, name: str, known: Collection[str]) -> str:
        """The path of a member of the object at `path`; a name that is not `known` is itself read."""
        if name in known:
            return paths.key(path, name)
        where = paths.free(path, name)
        self.evidence(name, where)
        return where

    def words(self, value: Any, path: str) -> None:
        """The strings of a report of numbers, which has none by rights, and names that are none of a count."""
        if isinstance(value, str):
            self.evidence(value, path)
        elif isinstance(value, dict):
            for name, member in value.items():
                where = paths.free(path, name)
                if not _COUNT.fullmatch(name):
                    self.evidence(name, where)
                self.words(member, where)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self.words(item, f"{path}[{index}]")


def is_control(name: str, value: Any, controls: Collection[str]) -> bool:
    """Whether a member is no content: one of `controls`, as a plain value; in another shape it may hold words."""
    return name in controls and not isinstance(value, dict | list)


def unread(body: bytes) -> Answer:
    """An answer that is no JSON object, or one that parsers disagree about."""
    return Answer(body, lenient.unreadable(body), None, unread="it is no valid JSON object")


def error(body: bytes, *, strict: bool) -> Answer:
    """The provider's own error answer: its words, whatever their shape, since a gateway in between may use its own."""
    parsed = lenient.decode_object(body, strict=strict)
    if parsed is not None:
        texts = Texts()
        texts.others(parsed, (), "")
        return Answer(body, texts.found, None, produced=False)
    if lenient.text(body) is None:
        return Answer(body, (), None, produced=False, unread="it is not UTF-8")
    return Answer(body, lenient.unreadable(body), None, produced=False)
