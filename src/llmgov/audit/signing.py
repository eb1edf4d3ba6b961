"""Ed25519 over canonical documents, each kind of document in a domain of its own.

Who verifies pins the public keys beforehand; a key's id only says which of them to try.
"""

import hashlib
from collections.abc import Iterable, Mapping

import msgspec
from cryptography import exceptions
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from llmgov.audit import canonical

KEY_BYTES = 32


class SigningError(ValueError):
    """Bytes that are no key."""


class Signer(msgspec.Struct, frozen=True):
    """A private key: the 32 bytes of RFC 8032."""

    secret: bytes

    @property
    def public(self) -> bytes:
        """The public key, 32 bytes: what a verifier pins."""
        return self._key().public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def id(self) -> str:
        """The public key's id."""
        return key_id(self.public)

    def sign(self, domain: str, document: canonical.Json) -> str:
        """The signature, in hex."""
        return self._key().sign(_payload(domain, document)).hex()

    def _key(self) -> ed25519.Ed25519PrivateKey:
        try:
            return ed25519.Ed25519PrivateKey.from_private_bytes(self.secret)
        except ValueError as error:
            raise SigningError(f"a signing key has {KEY_BYTES} bytes, not {len(self.secret)}") from error


class Pins(msgspec.Struct, frozen=True):
    """The public keys that a verifier trusts, by id. Made by `pins`."""

    keys: Mapping[str, bytes]

    def names(self, signer: str) -> bool:
        """Whether a key of this id is pinned; that it signed anything, only `verify` says."""
        return signer in self.keys

    def verify(self, signer: str, domain: str, document: canonical.Json, signature: str) -> str | None:
        """`None` where the signature is right, else what is wrong with it."""
        public = self.keys.get(signer)
        if public is None:
            return f"is signed by the key {signer or '(none)'}, which is not pinned"
        try:
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(
                bytes.fromhex(signature), _payload(domain, document)
            )
        except (exceptions.InvalidSignature, ValueError):
            return "has a signature that does not match"
        return None


def pins(publics: Iterable[bytes]) -> Pins:
    """Trust these public keys.

    Raises:
        SigningError: one has not 32 bytes.
    """
    found = {}
    for public in publics:
        if len(public) != KEY_BYTES:
            raise SigningError(f"a public key has {KEY_BYTES} bytes, not {len(public)}")
        found[key_id(public)] = public
    return Pins(found)


def key_id(public: bytes) -> str:
    """The first 16 hex digits of the SHA-256 of a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def _payload(domain: str, document: canonical.Json) -> bytes:
    return f"llmgov audit {domain}\n".encode() + canonical.encode(document)
