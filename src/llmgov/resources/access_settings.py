"""Settings about people: how users are recognised, and how administrators sign in (guide, section Security)."""

import enum
from typing import ClassVar

from pydantic import Field

from llmgov.resources import base, rules, scalars
from llmgov.resources.base import Model
from llmgov.resources.rules import Rule


class Algorithm(enum.Enum):
    """Signatures of tokens that may be pinned; none of them is symmetric."""

    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    EDDSA = "EdDSA"


class Issuer(Model):
    """Whose tokens name a user."""

    invariants: ClassVar[tuple[Rule, ...]] = (rules.exactly_one("ExactlyOneKeySet", "key set", ("jwks", "jwksURL")),)

    issuer: scalars.BaseUrl
    """The token's `iss`, exactly."""
    audience: str = Field(min_length=1, max_length=256)
    """The token's `aud` must hold this."""
    algorithms: tuple[Algorithm, ...] = Field(min_length=1, max_length=10)
    """Signatures that are accepted."""
    jwks: scalars.KeySet | None = None
    """The issuer's public keys, a JSON Web Key Set."""
    jwks_url: scalars.BaseUrl | None = Field(default=None, alias="jwksURL")
    """Where the hub fetches the issuer's public keys."""
    user_claim: str | None = Field(default=None, min_length=1, max_length=64)
    """The claim that names the user; absent: `sub`."""
    max_age: scalars.UpTo30Days | None = None
    """Tokens issued longer ago are refused; absent: their own expiry alone counts."""


class Identity(Model):
    """How a request's user is recognised."""

    issuers: tuple[Issuer, ...] | None = Field(default=None, max_length=16, json_schema_extra=base.list_map("issuer"))
    """Whose tokens name a user."""
    trusted_user_headers: tuple[scalars.HeaderName, ...] | None = Field(default=None, max_length=8)
    """Headers that name a user without proof: who can set one can be any user, for rate limits and reports."""
    trust_body_user: bool = False
    """Whether the request's own `user` field names a user without proof, as a trusted header does."""


class MfaMethod(enum.Enum):
    """Second factors."""

    TOTP = "TOTP"
    WEBAUTHN = "WebAuthn"


class Mfa(Model):
    """The second factor."""

    required: bool = True
    """Whether everybody who signs in needs one."""
    methods: tuple[MfaMethod, ...] = Field(default=(MfaMethod.TOTP, MfaMethod.WEBAUTHN), min_length=1, max_length=2)
    """What counts as one."""
    grace_period_days: int = Field(default=7, ge=0, le=90)
    """How long a new user may sign in without."""


class Passwords(Model):
    """What a password must be; the defaults are the guide's."""

    min_length: int = Field(default=12, ge=8, le=128)
    """Characters at least."""
    require_uppercase: bool = True
    """An upper-case letter."""
    require_lowercase: bool = True
    """A lower-case letter."""
    require_numbers: bool = True
    """A digit."""
    require_special: bool = True
    """A character that is neither letter nor digit."""
    prevent_reuse: int = Field(default=5, ge=0, le=50)
    """How many earlier passwords may not come again."""
    max_age_days: scalars.Days = 90
    """When it must be changed."""
    complexity_score: int = Field(default=3, ge=0, le=4)
    """The least score of zxcvbn, 0 to 4."""
    prohibited: tuple[scalars.Prose, ...] | None = Field(default=None, max_length=256)
    """Words that may not be in it, such as the company's name."""


class Sessions(Model):
    """How long people stay signed in; the defaults are the guide's."""

    max_duration_hours: int = Field(default=8, ge=1, le=720)
    """At most, however busy."""
    idle_timeout_minutes: int = Field(default=30, ge=1, le=1440)
    """Without a request."""
    max_concurrent: int = Field(default=3, ge=1, le=100)
    """Sessions of one user; a further one ends the oldest."""
    remember_me: bool = False
    """Whether a session may outlive the browser."""
    ip_binding: bool = True
    """Whether a session ends when its address changes."""
    user_agent_binding: bool = True
    """Whether a session ends when its browser changes."""


class Network(Model):
    """From where the API and the dashboard may be used."""

    allowed_ranges: tuple[scalars.Network, ...] | None = Field(default=None, min_length=1, max_length=256)
    """Networks, such as 10.0.0.0/8; absent: from everywhere."""
    allow_vpn_access: bool = Field(default=True, alias="allowVPNAccess")
    """Whether `vpnRanges` may use them, too."""
    vpn_ranges: tuple[scalars.Network, ...] | None = Field(default=None, min_length=1, max_length=64)
    """Networks of your VPN."""


class Method(enum.Enum):
    """Methods of HTTP that a page may use."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"


class Cors(Model):
    """Which web pages may call the API; none where no origin is listed."""

    allowed_origins: tuple[scalars.Origin, ...] | None = Field(default=None, max_length=64)
    """Origins, such as https://app.example.com."""
    allowed_methods: tuple[Method, ...] = Field(
        default=(Method.GET, Method.POST, Method.PUT, Method.DELETE), min_length=1, max_length=5
    )
    """Methods that they may use."""
    allowed_headers: tuple[scalars.HeaderName, ...] = Field(default=("Authorization", "Content-Type"), max_length=32)
    """Headers that they may send."""
    expose_headers: tuple[scalars.HeaderName, ...] = Field(default=("X-RateLimit-Remaining",), max_length=32)
    """Headers that they may read."""
    max_age_seconds: int = Field(default=3600, ge=0, le=86_400)
    """How long a browser may remember this."""
    credentials: bool = True
    """Whether they may send cookies."""
