"""Apply edits to a body byte by byte: what is not edited stays exactly as the client wrote it.

Re-encoding would change number formats, key order and escapes, and with them prompt caches and signatures. Strings that
hold JSON themselves (tool arguments) are edited inside, too; where one edit replaces such a string and others replace
strings within it, whatever either of them removed stays removed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from llmgov.wire import events, json_scan, paths, spans

REMOVED = "[removed]"
"""Stands for a string from which two edits removed different things, so that neither result is safe alone."""


class SpliceError(ValueError):
    """An edit names something that the body does not have."""


def apply(body: bytes, edits: Sequence[events.Edit]) -> bytes:
    """`body` with the edits, every other byte identical.

    Raises:
        SpliceError: a path is not in the body, or not of the edit's kind.
    """
    texts: dict[str, str] = {}
    members: list[tuple[str, bytes]] = []
    for edit in edits:
        match edit:
            case events.ReplaceText():
                texts[edit.path] = edit.text
            case events.SetNumber():
                members.append((edit.path, b"%d" % edit.value))
            case events.SetTrue():
                members.append((edit.path, b"true"))
    edited = replace_texts(body, texts)
    for path, raw in members:
        edited = set_member(edited, path, raw)
    return edited


def replace_texts(body: bytes, texts: Mapping[str, str]) -> bytes:
    """`body` with the strings at these paths replaced.

    Raises:
        SpliceError: a path is not in the body, or no string stands there.
    """
    outer = {path: paths.split_nested(path) for path in texts}
    whole = {path: text for path, text in texts.items() if len(outer[path]) == 1}
    inside: dict[str, dict[str, str]] = {}
    for path, parts in outer.items():
        if len(parts) > 1:
            inside.setdefault(parts[0], {})[paths.NESTED.join(parts[1:])] = texts[path]
    found = _find(body, [*whole, *inside])
    for path, nested in inside.items():
        original = _string_at(body, found[path], path)
        whole[path] = _edit_inside(original, whole.get(path), nested)
    for path in whole:
        _string_at(body, found[path], path)
    return _substitute(body, [(found[path], encode(text)) for path, text in whole.items()])


def replace_raw(body: bytes, values: Mapping[str, bytes]) -> bytes:
    """`body` with the values at these paths, of any kind, replaced by JSON text; absent paths are passed over."""
    found = spans.find(body, [paths.split(path) for path in values])
    present = ((found.get(paths.split(path)), raw) for path, raw in values.items())
    return _substitute(body, [(span, raw) for span, raw in present if span is not None])


def set_member(body: bytes, path: str, raw: bytes) -> bytes:
    """`body` with the object's member at `path` set to JSON text, added with its objects where they are missing.

    Raises:
        SpliceError: something that is no object stands on the way.
    """
    steps = paths.split(path)
    known = spans.find(body, [steps[:length] for length in range(len(steps) + 1)])
    if steps in known:
        return _substitute(body, [(known[steps], raw)])
    depth = next(length for length in range(len(steps) - 1, -1, -1) if steps[:length] in known)
    span = known[steps[:depth]]
    for step in reversed(steps[depth + 1 :]):
        raw = b"{%s:%s}" % (encode(str(step)), raw)
    if body[span.start : span.end] == b"null" and depth:
        return _substitute(body, [(span, b"{%s:%s}" % (encode(str(steps[depth])), raw))])
    if body[span.start] != ord("{"):
        raise SpliceError(f"{path} cannot be set: its parent is no object")
    empty = not body[span.start + 1 : span.end - 1].strip()
    member = b"%s:%s%s" % (encode(str(steps[depth])), raw, b"" if empty else b",")
    return body[: span.start + 1] + member + body[span.start + 1 :]


def encode(text: str) -> bytes:
    """`text` as a JSON string in UTF-8."""
    return json.dumps(text, ensure_ascii=False).encode()


def _find(body: bytes, names: Iterable[str]) -> dict[str, spans.Span]:
    steps = {name: paths.split(name) for name in names}
    found = spans.find(body, list(steps.values()))
    missing = [name for name, at in steps.items() if at not in found]
    if missing:
        raise SpliceError(f"{missing[0]} is not in the body")
    return {name: found[at] for name, at in steps.items()}


def _string_at(body: bytes, span: spans.Span, path: str) -> str:
    if body[span.start] != ord('"'):
        raise SpliceError(f"{path} is no string")
    return str(json.loads(body[span.start : span.end]))


def _edit_inside(original: str, replaced: str | None, nested: Mapping[str, str]) -> str:
    inner = original.encode()
    if replaced is None or replaced == original:
        return replace_texts(inner, nested).decode()
    return _merge(inner, replaced.encode(), nested)


def _merge(original: bytes, replaced: bytes, nested: Mapping[str, str]) -> str:
    """Edits within a string that was also replaced whole: each string is one of the two results only where they agree,
    or where the other left it alone."""
    try:
        json_scan.parse(replaced)
        changed = _read_all(replaced, nested)
        before = _read_all(original, nested)
    except (json_scan.JsonError, SpliceError):
        return REMOVED
    texts = {path: text if changed[path] in (before[path], text) else REMOVED for path, text in nested.items()}
    return replace_texts(replaced, texts).decode()


def _read_all(body: bytes, names: Iterable[str]) -> dict[str, str]:
    return {name: _read(body, paths.split_nested(name)) for name in names}


def _read(body: bytes, parts: Sequence[str]) -> str:
    text = _string_at(body, _find(body, [parts[0]])[parts[0]], parts[0])
    return _read(text.encode(), parts[1:]) if len(parts) > 1 else text


def _substitute(body: bytes, replacements: Iterable[tuple[spans.Span, bytes]]) -> bytes:
    pieces: list[bytes] = []
    position = 0
    for span, raw in sorted(replacements):
        pieces += (body[position : span.start], raw)
        position = span.end
    pieces.append(body[position:])
    return b"".join(pieces)
