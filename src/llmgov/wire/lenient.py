"""Reading what a provider said: quickly, and without trusting it to be well formed."""

from typing import Any

import msgspec

from llmgov.wire import json_scan
from llmgov.wire.events import Text, TextRole


def decode_object(data: bytes, *, strict: bool = False) -> dict[str, Any] | None:
    """The object that `data` encodes, or `None` where it is something else or nested beyond `json_scan.MAX_DEPTH`.

    `strict`, for filters: also `None` where two parsers could read it differently (`json_scan`), by a slower one.
    """
    try:
        value = json_scan.parse(data) if strict else _decode(data)
    except (msgspec.DecodeError, json_scan.JsonError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def unreadable(data: bytes) -> tuple[Text, ...]:
    """What cannot be read is one text that filters see all the same, and that nobody rewrites."""
    return (Text("", data.decode(errors="replace"), TextRole.PROTECTED),)


def text(data: bytes) -> str | None:
    """Text that stands for itself, or `None` where the bytes are no UTF-8, or (by its zeros) likely UTF-16 or -32."""
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _decode(data: bytes) -> Any:
    value = msgspec.json.decode(data)
    json_scan.check_depth(data, value)
    return value
