"""Personal fields: committed to in the record, sealed beside it, and erased by destroying one key.

A commitment is HMAC-SHA-256 of the value under a salt of its own, derived from the record's salt and the field's path,
so that equal values look unrelated, guesses cannot be tried, and one field can be disclosed without the others. What
opens them (salt and values) is encrypted with AES-256-GCM under the key of the record's subject. With that key gone
the commitments stay, verify for ever, and say nothing.
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from cryptography import exceptions
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from llmgov.audit import canonical, facts
from llmgov.audit.canonical import Json

SALT_BYTES = 32
"""How much randomness each record needs."""

KEY_BYTES = 32

COMMITMENT = "commitment"
"""The only field of the object that stands in a record where a personal value was."""

_NONCE_BYTES = 12


class SealingError(ValueError):
    """A seal that cannot be made or opened: a missing or wrong key, or a changed box."""


class SubjectKey(msgspec.Struct, frozen=True):
    """The AES-256 key of one subject. `id` is random (it says nothing about whose it is); destroy both to erase."""

    id: str
    secret: bytes

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise SealingError(f"a subject's key has {KEY_BYTES} bytes, not {len(self.secret)}")


class Opening(msgspec.Struct, frozen=True):
    """What a box holds: the record's salt, and each personal value by its path (`subject.user`, `path[3]`)."""

    salt: bytes
    values: dict[str, str]


def commitment(salt: bytes, path: str, value: str) -> str:
    """HMAC-SHA-256 (hex) of `value`, keyed with HMAC-SHA-256(record's salt, path)."""
    return hmac.digest(field_salt(salt, path), value.encode(), hashlib.sha256).hex()


def field_salt(salt: bytes, path: str) -> bytes:
    """The salt of one field: with it and the value anybody can check that field's commitment, and no other."""
    return hmac.digest(salt, b"field " + path.encode(), hashlib.sha256)


def commit(document: facts.Facts, salt: bytes) -> tuple[dict[str, Json], dict[str, str]]:
    """The document with every personal value replaced by its commitment, and the values by path."""
    if len(salt) != SALT_BYTES:
        raise SealingError(f"a record's salt has {SALT_BYTES} bytes, not {len(salt)}")
    values: dict[str, str] = {}
    committed = {name: _replace(fact, name, salt, values) for name, fact in document.items()}
    return committed, values


def _replace(fact: facts.Fact, path: str, salt: bytes, values: dict[str, str]) -> Json:
    # Exact types first: this runs for every fact of every record, and checks against Mapping are slow.
    kind = type(fact)
    if kind is str or kind is int or kind is bool:
        return cast("Json", fact)
    if isinstance(fact, facts.Personal):
        values[path] = fact.value
        return {COMMITMENT: commitment(salt, path, fact.value)}
    if isinstance(fact, list | tuple):
        return [
            inner if type(inner) is str else _replace(inner, f"{path}[{index}]", salt, values)
            for index, inner in enumerate(fact)
        ]
    if kind is dict or isinstance(fact, Mapping):
        return {
            name: inner if type(inner) is str else _replace(inner, f"{path}.{name}", salt, values)
            for name, inner in cast("Mapping[str, facts.Fact]", fact).items()
        }
    return cast("Json", fact)


def seal(opening: Opening, key: SubjectKey, context: bytes) -> bytes:
    """The box: a nonce, then AES-256-GCM over the opening, bound to `context` (the record that it belongs to)."""
    # Derived from a salt that is used once and known to the box alone, the nonce is as good as a random one.
    nonce = hmac.digest(opening.salt, b"nonce", hashlib.sha256)[:_NONCE_BYTES]
    plain = canonical.encode({"salt": opening.salt.hex(), "values": opening.values})
    return nonce + AESGCM(key.secret).encrypt(nonce, plain, context)


def unseal(box: bytes, key: SubjectKey, context: bytes) -> Opening:
    """Open a box.

    Raises:
        SealingError: not this key's, not this record's, or changed.
    """
    try:
        plain = AESGCM(key.secret).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], context)
    except (exceptions.InvalidTag, ValueError) as error:
        raise SealingError("the box does not open with this key: it is another record's, or was changed") from error
    found = msgspec.json.decode(plain, type=_Plain)
    return Opening(bytes.fromhex(found.salt), found.values)


class _Plain(msgspec.Struct, frozen=True):
    salt: str
    values: dict[str, str]


def mismatches(document: dict[str, Any], opening: Opening) -> list[str]:
    """Paths where the document's commitments and the opening do not belong together; empty if all do."""
    found = dict(commitments(document))
    return [path for path in sorted(found.keys() | opening.values.keys()) if not _agrees(path, found, opening)]


def _agrees(path: str, found: dict[str, str], opening: Opening) -> bool:
    if path not in found or path not in opening.values:
        return False
    return hmac.compare_digest(found[path], commitment(opening.salt, path, opening.values[path]))


def commitments(document: Any, path: str = "") -> list[tuple[str, str]]:
    """Every commitment in a document, with its path."""
    match document:
        case {"commitment": str(value), **rest} if not rest:
            return [(path, value)]
        case dict():
            prefix = f"{path}." if path else ""
            return [found for name, inner in document.items() for found in commitments(inner, prefix + name)]
        case list():
            return [found for index, inner in enumerate(document) for found in commitments(inner, f"{path}[{index}]")]
        case _:
            return []


def reveal(document: Any, values: dict[str, str], path: str = "") -> Any:
    """The document with commitments replaced by the values known at their paths; the others stay."""
    match document:
        case {"commitment": str(), **rest} if not rest:
            return values.get(path, document)
        case dict():
            prefix = f"{path}." if path else ""
            return {name: reveal(inner, values, prefix + name) for name, inner in document.items()}
        case list():
            return [reveal(inner, values, f"{path}[{index}]") for index, inner in enumerate(document)]
        case _:
            return document


def box_digest(box: bytes) -> str:
    """SHA-256 (hex) of a box: what the record says about it, so that a changed box shows without any key."""
    return hashlib.sha256(box).hexdigest()


def box_text(box: bytes) -> str:
    """A box as text (base64)."""
    return base64.b64encode(box).decode()
