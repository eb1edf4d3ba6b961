"""Text that PostgreSQL can hold: it knows no NUL character, which a client's request may well contain.

Escaped on the way in and unescaped on the way out, so that what was put is what is found: `\\x1a` begins an escape, of
itself or of NUL. Text without either, which is nearly all, stays as it is.
"""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

_ESCAPES = (("\x1a", "\x1a1"), ("\x00", "\x1a0"))


def escape(text: str) -> str:
    """Text as it is stored."""
    if "\x00" in text or "\x1a" in text:
        for plain, escaped in _ESCAPES:
            text = text.replace(plain, escaped)
    return text


def unescape(text: str) -> str:
    """Stored text as it was."""
    if "\x1a" in text:
        for plain, escaped in reversed(_ESCAPES):
            text = text.replace(escaped, plain)
    return text


def escaped(texts: Iterable[str]) -> list[str]:
    """Distinct texts as they are stored, in order."""
    return sorted(map(escape, set(texts)))


def to_json(value: Any) -> str:
    """A value as it is stored in a column of type `jsonb`."""
    encoded = msgspec.json.encode(value)
    if b"\\u0000" in encoded or b"\\u001a" in encoded:
        encoded = msgspec.json.encode(_mapped(msgspec.json.decode(encoded), escape))
    return encoded.decode()


def from_json(stored: str, decoder: msgspec.json.Decoder[Any]) -> Any:
    """A stored value as one of the decoder's type."""
    if "\\u001a" in stored:
        stored = msgspec.json.encode(_mapped(msgspec.json.decode(stored), unescape)).decode()
    return decoder.decode(stored)


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case dict():
            return {change(name): _mapped(part, change) for name, part in value.items()}
        case list():
            return [_mapped(part, change) for part in value]
        case _:
            return value
