"""The tests' own login server, as far as anybody sees of it: two keys, a key set, and the tokens that it signs."""

import base64
import functools
import hmac
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
    said = {name: value for name, value in (_claims(user) | claims).items() if value is not None}
    signing = private_key(algorithm) if key is None else key
    return jwt.encode(said, signing, algorithm=algorithm, headers={"kid": _KEYS[algorithm]})


def another_key() -> Any:
    """A key that the issuer does not have."""
    return ec.generate_private_key(ec.SECP256R1())


def signed_with_public_key(user: str) -> str:
    """A token by somebody who hopes that the verifier takes the public key for a shared secret (RFC 8725, 2.1)."""
    public = private_key("RS256").public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    secret = public.public_bytes(serialization.Encoding.PEM, form)
    head, claims = (
        _base64(json.dumps(one).encode()) for one in ({"alg": "HS256", "typ": "JWT", "kid": "primes"}, _claims(user))
    )
    return f"{head}.{claims}.{_base64(hmac.digest(secret, f'{head}.{claims}'.encode(), 'sha256'))}"


def unsigned(user: str) -> str:
    """A token without any signature."""
    head, claims = (_base64(json.dumps(one).encode()) for one in ({"alg": "none", "typ": "JWT"}, _claims(user)))
    return f"{head}.{claims}."


def _claims(user: str) -> dict[str, Any]:
    return {"iss": ISSUER, "aud": AUDIENCE, "sub": user, "exp": int(time.time()) + 3600}


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _public(algorithm: str) -> dict[str, Any]:
    made = jwt.algorithms.get_default_algorithms()[algorithm]
    public: dict[str, Any] = json.loads(made.to_jwk(private_key(algorithm).public_key()))
    return public | {"kid": _KEYS[algorithm], "use": "sig", "alg": algorithm}
