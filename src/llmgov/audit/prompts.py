"""What of a prompt is put on record: nothing, a keyed digest, the redacted text, or all of it.

The sidecar calls this before its spool sees anything; the hub seals the result with the record's personal fields.
"""

import functools
import hashlib
import hmac
from collections.abc import Iterable
from typing import assert_never

from llmgov.snapshot import PromptRecording


def record(mode: PromptRecording, original: Iterable[str], redacted: Iterable[str], key: bytes) -> str | None:
    """What to put into `Intent.prompt`: `None`, `hmac-sha256:<hex>`, `redacted:<text>` or `full:<text>`.

    `original` are the request's strings in order, `redacted` the same after the policies' redactions. The digest is
    keyed, so that short prompts cannot be guessed; under one key equal prompts have equal digests.
    """
    match mode:
        case PromptRecording.NOTHING:
            return None
        case PromptRecording.DIGEST:
            return f"hmac-sha256:{digest(original, key)}"
        case PromptRecording.REDACTED:
            return "redacted:" + _joined(redacted)
        case PromptRecording.FULL:
            return "full:" + _joined(original)
    assert_never(mode)


def digest(texts: Iterable[str], key: bytes) -> str:
    """HMAC-SHA-256 (hex) over the strings, each with its length before it."""
    code = _keyed(key).copy()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        code.update(len(encoded).to_bytes(8, "big") + encoded)
    return code.hexdigest()


@functools.lru_cache(maxsize=4)
def _keyed(key: bytes) -> hmac.HMAC:
    """To be copied: beginning anew costs more than the digest of a short prompt."""
    return hmac.new(key, digestmod=hashlib.sha256)


def _joined(texts: Iterable[str]) -> str:
    """The strings as one, a blank line between them; lone surrogates (JSON allows them) replaced."""
    return "\n\n".join(texts).encode("utf-8", "replace").decode()
