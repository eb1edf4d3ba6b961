"""Whether an answer can be read at all, as far as its head says it: a proxy that reads asks for what it can read.

An answer that is encoded all the same, or in other characters than JSON's, is bytes to it: without a filter they pass
as they are and cost the hold, and a filter that may withhold what it finds withholds what it cannot look into.
"""

from typing import Final

from llmgov.wire import refusals as shapes
from llmgov_sidecar.http1 import Header

_PLAIN: Final = frozenset({b"", b"identity"})
_UTF8: Final = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})
_SHOWN: Final = 40


def obstacle(headers: tuple[Header, ...]) -> str:
    """Why it cannot be read, a clause; empty where nothing is in the way."""
    for name, value in headers:
        if name == b"content-encoding":
            for coding in value.split(b","):
                if coding.strip().lower() not in _PLAIN:
                    return f"it is encoded ({_shown(coding)}), which the proxy does not ask for"
        elif name == b"content-type":
            charset = _charset(value)
            if charset and charset.lower() not in _UTF8:
                return f"its characters are encoded in another way than UTF-8 ({_shown(charset)})"
    return ""


def without(headers: tuple[Header, ...]) -> tuple[Header, ...]:
    """The headers without what they say of how a body that is replaced was encoded."""
    return tuple(field for field in headers if field[0] not in (b"content-encoding", b"content-type"))


def _charset(content_type: bytes) -> bytes:
    for parameter in content_type.split(b";")[1:]:
        name, _, value = parameter.partition(b"=")
        if name.strip().lower() == b"charset":
            return value.strip().strip(b'"')
    return b""


def _shown(value: bytes) -> str:
    return shapes.visible(value.strip()[:_SHOWN].decode("latin-1"))
