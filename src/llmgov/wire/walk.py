"""Reads a parsed request by a provider's tables: every string that reaches the model, and what adds to the cost."""

from collections.abc import Mapping
from typing import Any, assert_never

from llmgov.snapshot import Dimension
from llmgov.wire import fields, json_scan, media, paths
from llmgov.wire.events import Text, TextRole
from llmgov.wire.fields import Field, Kind, Part, Rule, Top

_SCHEMA_WORDS = frozenset({"object", "string", "number", "integer", "boolean", "array", "null"})
_LONG_NUMBER = 100_000
_MAX_NESTED = 3

FieldTable = Mapping[str | tuple[str, str], Field]
"""Rows by a member's name, and by `(type, name)` where the object's type decides."""


class Walker:
    """Reads values into `findings`; one walker reads one request."""

    __slots__ = ("_fields", "_lifetimes", "_parts", "_roles", "findings")

    def __init__(
        self,
        parts: Mapping[str, Part],
        fields_table: FieldTable,
        roles: Mapping[str, TextRole],
        lifetimes: Mapping[str | None, Dimension],
    ) -> None:
        self._parts = parts
        self._fields = fields_table
        self._roles = roles
        self._lifetimes = lifetimes
        self.findings = fields.Findings()

    def read_fields(self, request: Mapping[str, Any], table: Mapping[str, Top]) -> None:
        """Read a whole request by the rows of its top-level fields."""
        for name, value in request.items():
            top = table.get(name)
            if top is None:
                self.unknown_member(name, value, "")
                self.findings.refuse(paths.free("", name), "a field that this version does not know")
                continue
            if top.rule is Rule.REFUSED and value not in (None, False, []):
                self.findings.refuse(name, top.why)
            if top.rule is Rule.OPAQUE and value is not None:
                self.findings.opaque = True
            if top.kind is not Kind.CONTROL:  # most fields are
                self.read(value, top.kind, name, top.role or TextRole.UNKNOWN)

    def read(self, value: Any, kind: Kind, path: str, role: TextRole) -> None:
        """Read a value of a field of this kind."""
        if value is None:
            return
        match kind:
            case Kind.CONTROL:
                pass
            case Kind.CONTENT:
                self._content(value, path, role)
            case Kind.JSON:
                self._json(value, path, role)
            case Kind.PROTECTED:
                self._json(value, path, TextRole.PROTECTED)
            case Kind.REFERENCE:
                self.findings.opaque = True
                self._json(value, path, TextRole.PROTECTED)
            case Kind.MEDIA:
                self._media(value, path)
            case Kind.URL:
                self._url(value, path)
            case Kind.CACHE:
                self._cache(value, path)
            case _:
                assert_never(kind)

    def unknown(self, value: Any, path: str) -> None:
        """Read what no row knows: all its strings, and a note that it was there."""
        self.findings.unknown.append(path)
        self._json(value, path, TextRole.UNKNOWN)

    def unknown_member(self, name: str, value: Any, path: str) -> None:
        """The same for a member of the object at `path`: its name is a string that may reach the model, too."""
        where = paths.free(path, name)
        self.findings.texts.append(Text(where, name, _PROTECTED))
        self.unknown(value, where)

    def _content(self, value: Any, path: str, role: TextRole) -> None:
        if isinstance(value, str):
            self._string(value, path, role)
        elif isinstance(value, list):
            for index, part in enumerate(value):
                self._content(part, f"{path}[{index}]", role)
        elif isinstance(value, dict):
            self._object(value, path, role)
        else:
            self._json(value, path, role)

    def _object(self, value: dict[str, Any], path: str, role: TextRole) -> None:
        type_ = value.get("type", "")
        part = self._parts.get(type_) if isinstance(type_, str) else None
        if part is None:
            self.findings.opaque = True
            self.findings.refuse(path, "a part or tool of a type that this version does not know")
            self.unknown(value, path)
            return
        part.cost(self.findings, value, path)
        role = self._role(value, part, role)
        for name, member in value.items():
            field = self._fields.get((type_, name)) or self._fields.get(name)
            if field is None:
                self.unknown_member(name, member, path)
                if role is TextRole.TOOL_DEFINITION:
                    where = paths.free(path, name)
                    self.findings.refuse(where, "an option of a tool that this version does not know")
            elif field.kind is not Kind.CONTROL:
                own = field.role if field.role and role is not _PROTECTED else role
                if isinstance(member, str) and field.kind is Kind.CONTENT:  # most of what is said
                    self._string(member, paths.key(path, name), own)
                else:
                    self.read(member, field.kind, paths.key(path, name), own)

    def _role(self, value: dict[str, Any], part: Part, inherited: TextRole) -> TextRole:
        if inherited is _PROTECTED:
            return inherited
        if part.role is not None:
            return part.role
        speaker = value.get("role")
        return self._roles.get(speaker, inherited) if isinstance(speaker, str) else inherited

    def _json(self, value: Any, path: str, role: TextRole) -> None:
        if isinstance(value, str):
            if value not in _SCHEMA_WORDS:
                self._string(value, path, role)
        elif isinstance(value, dict):
            if value:
                self.findings.texts.append(Text(path, "\n".join(value), _PROTECTED))
            for name, member in value.items():
                self._json(member, paths.free(path, name), role)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._json(item, f"{path}[{index}]", role)
        elif isinstance(value, int | float) and abs(value) >= _LONG_NUMBER:
            self.findings.texts.append(Text(path, str(value), _PROTECTED))

    def _string(self, value: str, path: str, role: TextRole) -> None:
        if not value:
            return
        self.findings.texts.append(Text(path, value, role))
        if "\\" in value and value.lstrip()[:1] in ("{", "[") and path.count(paths.NESTED) < _MAX_NESTED:
            self._nested(value, path, role)

    def _nested(self, value: str, path: str, role: TextRole) -> None:
        """JSON in a string: its escapes can hide from a pattern what the model will read."""
        try:
            inner = json_scan.parse(value.encode())
        except json_scan.JsonError:
            return
        self._json(inner, paths.nested(path), role)

    def _media(self, value: Any, path: str) -> None:
        if not isinstance(value, str):
            self.unknown(value, path)
            return
        self.findings.media_bytes += len(value)
        words = media.words(value)
        if words:
            self.findings.texts.append(Text(path, words, _PROTECTED))

    def _url(self, value: Any, path: str) -> None:
        if isinstance(value, str) and value.startswith("data:"):
            self._media(value, path)
        else:
            self._json(value, path, _PROTECTED)

    def _cache(self, value: Any, path: str) -> None:
        lifetime = value.get("ttl") if isinstance(value, dict) else None
        dimension = self._lifetimes.get(lifetime) if lifetime is None or isinstance(lifetime, str) else None
        if dimension is None:
            self.findings.refuse(path, "a cache lifetime that has no known price")
        else:
            self.findings.cache_writes.add(dimension)


_PROTECTED = TextRole.PROTECTED
