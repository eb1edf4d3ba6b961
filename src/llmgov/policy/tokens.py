"""Verifying users' tokens (JWT): pinned issuers, audiences and algorithms, keys from the snapshot, time as an argument.

PyJWT is imported when the first token comes: most sidecars never see one.
"""

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.snapshot import Issuer

if TYPE_CHECKING:
    import jwt

MAX_TOKEN = 8192
"""Bytes of a token; longer ones are refused unread."""

LEEWAY: Duration = 30 * instants.SECOND
"""How far an issuer's clock may be ahead of ours (`nbf`, `iat`). An expired token has no grace."""

MAX_REMEMBERED = 1024
_MAX_USER = 256


class TokenError(Exception):
    """A token that proves nobody; the message says why and repeats nothing of it."""


@dataclasses.dataclass(slots=True, frozen=True)
class Verified:
    """Whom a token names, and while when."""

    user: str
    not_before: Instant
    expires: Instant


def looks_like_token(value: str) -> bool:
    """Whether a credential is a JWT: three parts, the first of them a JSON object in base64."""
    return value.startswith("eyJ") and value.count(".") == 2


class Issuers:
    """The token issuers of one configuration, with their keys. Remembers the tokens that it verified, by digest."""

    def __init__(self, issuers: Sequence[Issuer]) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers}
        self._keys: dict[tuple[str, str, str], jwt.PyJWK] = {}
        self._verified: dict[bytes, Verified] = {}

    def __bool__(self) -> bool:
        return bool(self._issuers)

    def verify(self, token: str, now: Instant) -> str:
        """The user whom a valid token names.

        Raises:
            TokenError: anything about the token is not as it must be.
        """
        if len(token) > MAX_TOKEN:
            raise TokenError("the token is too long")
        mark = hashlib.sha256(token.encode()).digest()
        verified = self._verified.get(mark)
        if verified is None:
            verified = self._verify(token)
            if len(self._verified) >= MAX_REMEMBERED:
                self._verified.clear()
            self._verified[mark] = verified
        if now >= verified.expires:
            raise TokenError("the token has expired")
        if now < verified.not_before - LEEWAY:
            raise TokenError("the token is not valid yet")
        return verified.user

    def _verify(self, token: str) -> Verified:
        import jwt

        try:
            header = jwt.get_unverified_header(token)
            unverified = jwt.decode(token, options={"verify_signature": False})
        except jwt.PyJWTError as error:
            raise TokenError("the token is malformed") from error
        issuer = self._issuers.get(_text(unverified.get("iss")))
        if issuer is None:
            raise TokenError("the token's issuer is not among the settings' issuers")
        algorithm = _text(header.get("alg"))
        if algorithm not in issuer.algorithms or algorithm.lower() == "none":
            raise TokenError(f"the token's algorithm is not among {', '.join(issuer.algorithms)}")
        key = self._key(issuer, _text(header.get("kid")), algorithm)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=issuer.audience,
                issuer=issuer.issuer,
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["exp", "aud"]},
            )
        except jwt.InvalidAudienceError as error:
            raise TokenError("the token is for another audience") from error
        except jwt.InvalidSignatureError as error:
            raise TokenError("the token's signature is wrong") from error
        except jwt.PyJWTError as error:
            raise TokenError("the token is not valid") from error
        return _read(claims, issuer)

    def _key(self, issuer: Issuer, kid: str, algorithm: str) -> "jwt.PyJWK":
        name = (issuer.issuer, kid, algorithm)
        found = self._keys.get(name)
        if found is None:
            found = self._keys[name] = _load(issuer, kid, algorithm)
        return found


def _load(issuer: Issuer, kid: str, algorithm: str) -> "jwt.PyJWK":
    """The key with this id; of an issuer with a single key, that one for a token that names none."""
    import jwt

    try:
        keys = msgspec.json.decode(issuer.jwks, type=dict[str, Any]).get("keys", [])
    except msgspec.MsgspecError as error:
        raise TokenError("the issuer's keys cannot be read") from error
    fitting = [key for key in keys if kid and key.get("kid") == kid] or (keys if len(keys) == 1 and not kid else [])
    if not fitting:
        raise TokenError("the token is signed with a key that the issuer does not have")
    if fitting[0].get("use", "sig") != "sig" or fitting[0].get("alg", algorithm) != algorithm:
        raise TokenError("the token is signed with a key that is for something else")
    try:
        return jwt.PyJWK(fitting[0], algorithm=algorithm)
    except jwt.PyJWTError as error:
        raise TokenError("the issuer's key does not fit the token's algorithm") from error


def _read(claims: Mapping[str, Any], issuer: Issuer) -> Verified:
    user = claims.get(issuer.user_claim)
    if not isinstance(user, str) or not 0 < len(user) <= _MAX_USER or not user.isprintable():
        raise TokenError(f"the token has no usable claim {issuer.user_claim}")
    expires = _instant(claims, "exp")
    issued = _instant(claims, "iat") if "iat" in claims else None
    not_before = max([_instant(claims, "nbf")] if "nbf" in claims else [0], default=0)
    if issuer.max_age is not None:
        if issued is None:
            raise TokenError("the token does not say when it was issued")
        expires = min(expires, issued + issuer.max_age)
    return Verified(user, max(not_before, issued or 0), expires)


def _instant(claims: Mapping[str, Any], name: str) -> Instant:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1 << 40:
        raise TokenError(f"the token's claim {name} is no time")
    return int(value * instants.SECOND)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
