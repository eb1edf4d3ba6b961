"""Text that travels as media: a file of plain text is base64 to the API, and words to the model."""

import base64
import binascii
import re

_DATA_URL = re.compile(r"data:[^,]{0,256},", re.ASCII)
_PROBE = 1024
"""Characters that tell bytes from text: images, sound and compressed files are no UTF-8 from their first bytes on."""


def words(data: str) -> str | None:
    """The text that encoded media holds, or `None` where it is not text (or not base64 at all)."""
    match = _DATA_URL.match(data)
    if match is not None and not match[0].endswith(";base64,"):
        return data[match.end() :]
    encoded = data[match.end() :] if match else data
    if _decode(encoded[:_PROBE], whole=len(encoded) <= _PROBE) is None:
        return None
    return _decode(encoded, whole=True)


def _decode(encoded: str, *, whole: bool) -> str | None:
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
    except (binascii.Error, ValueError):
        return None
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        cut_short = not whole and error.start >= len(raw) - 3
        return raw[: error.start].decode() if cut_short else None
