"""A provider's answer that our key is not valid, with other words: its own repeat a part of the key.

Nobody who reads the answer sent that key, so its words mislead as well. What SDKs go by stays: the error's type, code
and parameter.
"""

from typing import Any

import msgspec

_OUTER = ("type", "request_id")
_INNER = ("type", "param", "code")

_FALLBACK = {"type": "authentication_error"}


def with_message(body: bytes, message: str) -> bytes:
    """The JSON body of such an answer (any bytes) saying `message`, and of its own members only those without words."""
    said = _object(_decode(body))
    error = _words(_object(said.get("error")), _INNER) or _FALLBACK
    return msgspec.json.encode({**_words(said, _OUTER), "error": {"message": message, **error}})


def _decode(body: bytes) -> object:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _words(found: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: found[name] for name in names if name in found and _is_word(found[name])}


def _is_word(value: object) -> bool:
    """Null, or an identifier: nothing with a space or a key's length hides a sentence or a key."""
    return value is None or (isinstance(value, str) and len(value) <= 64 and value.replace("_", "").isalnum())
