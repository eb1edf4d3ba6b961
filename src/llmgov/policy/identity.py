"""Who a request is counted for (design section 5, step 2): always the workload, and a user if proved or trusted.

A user is proved by a token of a configured issuer or by a platform key, in any header where SDKs put an API key, or in
`x-llmgov-token`. A plain header, or the body's `user`, names one only where the settings trust it. A credential that is
meant for us and does not hold is a refusal, never a request without a user; any other value is a placeholder. What is
in `x-llmgov-token` is meant for us, whatever it is.
"""

import functools
import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from llmgov.instants import Instant
from llmgov.policy import refusals, tokens
from llmgov.policy.decision import Principal, Workload
from llmgov.policy.runtime import Runtime
from llmgov.policy.tokens import TokenError
from llmgov.snapshot import Directory
from llmgov.wire.events import Refusal

KEY_PREFIX = "llmgov_"
"""How platform keys begin, so that they are told from providers' keys and found by secret scanners."""

OWN_HEADER = "x-llmgov-token"
"""The header of ours alone: no SDK puts a placeholder there."""

CREDENTIAL_HEADERS = ("authorization", "x-api-key", "x-goog-api-key", "api-key", OWN_HEADER)
"""Where clients put keys, in lower case. None of them is ever forwarded: the provider's key is put in by the proxy."""

_MAX_USER = 256

Headers = Iterable[tuple[str, str]]


class Identity(msgspec.Struct, frozen=True):
    """The principal, or why there is none. `strip` are the headers (lower case) that must not be forwarded.

    `ignored` says why a credential proves nobody where nothing is enforced, so that the request goes as nobody's.
    `lasting` says that it follows from the headers, the workload and the configuration alone, whenever that is asked.
    """

    principal: Principal | None
    refusal: Refusal | None = None
    strip: tuple[str, ...] = CREDENTIAL_HEADERS
    lasting: bool = False
    ignored: str = ""


def identify(headers: Headers, body_user: str | None, workload: Workload, runtime: Runtime, now: Instant) -> Identity:
    """The principal of a request. Names of headers may be in any case; `body_user` is what the body's `user` says."""
    strip = _strip(runtime.settings.trusted_user_headers)
    lasting = not (runtime.issuers or runtime.settings.trust_body_user)  # tokens expire
    fields = [(key, value.strip()) for name, value in headers if (key := name.lower()) in strip]
    ignored = ""
    try:
        proved = _proved([field for field in fields if field[0] in CREDENTIAL_HEADERS], runtime, now)
    except TokenError as error:
        refusal = refusals.bad_token(str(error))
        if not runtime.observes:
            return Identity(None, refusal, strip, lasting)
        proved, ignored = None, refusal.message
    if proved is not None:
        return Identity(principal(workload, runtime, proved, verified=True), strip=strip, lasting=lasting)
    claimed = _claimed(fields, body_user, runtime)
    nobody = principal(workload, runtime, claimed, verified=False)
    return Identity(nobody, strip=strip, lasting=lasting, ignored=ignored)


@functools.lru_cache(maxsize=8)
def _strip(trusted: tuple[str, ...]) -> tuple[str, ...]:
    return CREDENTIAL_HEADERS + tuple(name.lower() for name in trusted)


def principal(workload: Workload, runtime: Runtime, user: str | None, *, verified: bool) -> Principal:
    """The principal of a workload and a user, with the teams of the namespace and the roles of the user."""
    team = runtime.snapshot.namespace.team
    if user is None:
        roles: tuple[str, ...] = ()
    else:
        given = runtime.directory.roles.get(user, ())
        roles = tuple(dict.fromkeys((*given, *(team.members.get(user, ()) if team else ()))))
    teams = (team.name, *team.parents) if team else ()
    return Principal(workload, user, verified and user is not None, roles, teams)


def _proved(credentials: Sequence[tuple[str, str]], runtime: Runtime, now: Instant) -> str | None:
    users = {user for name, value in credentials if (user := _user_of(name, value, runtime, now)) is not None}
    if len(users) > 1:
        raise TokenError("the request's credentials name different users")
    return next(iter(users), None)


def _user_of(name: str, value: str, runtime: Runtime, now: Instant) -> str | None:
    scheme, _, rest = value.partition(" ")
    credential = rest.strip() if scheme.lower() == "bearer" else value
    if credential.startswith(KEY_PREFIX):
        return _key_owner(credential, runtime.directory)
    if runtime.issuers and tokens.looks_like_token(credential):
        return runtime.issuers.verify(credential, now)
    if name == OWN_HEADER:
        raise TokenError(_unusable(credential))
    return None


def _unusable(credential: str) -> str:
    if tokens.looks_like_token(credential):
        return f"the settings name no issuer of the token in {OWN_HEADER}"
    return f"the value of {OWN_HEADER} is {'neither a token nor a platform key' if credential else 'empty'}"


def _key_owner(key: str, directory: Directory) -> str:
    """Looked up by its SHA-256, so that how long it takes tells nothing about any key but the one presented."""
    user = directory.keys.get(hashlib.sha256(key.encode()).hexdigest())
    if user is None:
        raise TokenError("the platform key is unknown or revoked")
    return user


def _claimed(fields: Sequence[tuple[str, str]], body_user: str | None, runtime: Runtime) -> str | None:
    settings = runtime.settings
    for header in settings.trusted_user_headers:
        for name, value in fields:
            if name == header.lower() and _usable(value):
                return value
    return body_user if settings.trust_body_user and body_user is not None and _usable(body_user) else None


def _usable(user: str) -> bool:
    return 0 < len(user) <= _MAX_USER and user.isprintable()
