"""The tests' own login server, as far as anybody sees of it: two keys, a key set, and the tokens that it signs."""

import functools
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

ISSUER = "https://login.example.com"
AUDIENCE = "llm-governance"
_KEYS = {"ES256": "curve", "RS256": "primes"}


@functools.cache
def private_key(algorithm: str) -> Any:
    """The issuer's private key for an algorithm."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@functools.cache
def key_set() -> str:
    """The issuer's public keys, as JSON."""
    return json.dumps({"keys": [_public(algorithm) for algorithm in _KEYS]})


def token(user: str, algorithm: str = "ES256", *, key: Any = None, **claims: Any) -> str:
    """A token for a user, good for an hour unless `claims` say otherwise; `None` leaves a claim out."""
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": int(time.time()) + 3600}
    said = {name: value for name, value in (usual | claims).items() if value is not None}
    header = {"kid": _KEYS[algorithm]} if algorithm in _KEYS else {"kid": "curve"}
    return jwt.encode(said, private_key(algorithm) if key is None else key, algorithm=algorithm, headers=header)


def public_pem(algorithm: str) -> bytes:
    """What everybody may know of a key, in the form that careless verifiers took for a shared secret."""
    public = private_key(algorithm).public_key()
    return bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def _public(algorithm: str) -> dict[str, Any]:
    made = jwt.algorithms.get_default_algorithms()[algorithm]
    public: dict[str, Any] = json.loads(made.to_jwk(private_key(algorithm).public_key()))
    return public | {"kid": _KEYS[algorithm], "use": "sig", "alg": algorithm}
