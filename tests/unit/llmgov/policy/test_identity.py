"""Who a request is counted for: tokens, platform keys, and names that are only believed where the settings say so."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from llmgov import instants
from llmgov.policy import identity
from llmgov.policy.decision import Principal, Workload
from llmgov.policy.runtime import Runtime
from llmgov.snapshot import Directory, Issuer, Settings, Team
from llmgov.wire.events import Reason
from tests.support.policies import configure

WORKLOAD = Workload("shop", "checkout")
NOW = instants.from_rfc3339("2026-11-24T08:00:00Z")
SECONDS = NOW // instants.SECOND
KEY = ec.generate_private_key(ec.SECP256R1())
STRANGER = ec.generate_private_key(ec.SECP256R1())
PLATFORM_KEY = "llmgov_" + "a1B2" * 8


def jwk(key: ec.EllipticCurvePrivateKey, **fields: str) -> dict[str, Any]:
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key())), "kid": "k1", **fields}


def issuer(*keys: dict[str, Any], **fields: Any) -> Issuer:
    shown = {"keys": list(keys) or [jwk(KEY)]}
    return Issuer(
        **{
            "issuer": "https://login.example",
            "audience": "llm-governance",
            "algorithms": ("ES256",),
            "jwks": json.dumps(shown),
            **fields,
        }
    )


def token(key: Any = KEY, algorithm: str = "ES256", kid: str | None = "k1", **claims: Any) -> str:
    body = {
        "iss": "https://login.example",
        "aud": "llm-governance",
        "sub": "jane@example.com",
        "iat": SECONDS - 60,
        "exp": SECONDS + 600,
        **claims,
    }
    shown = {name: value for name, value in body.items() if value is not None}
    return jwt.encode(shown, key, algorithm=algorithm, headers={"kid": kid} if kid else None)


def configured(*issuers: Issuer, **fields: Any) -> Runtime:
    directory = Directory(
        roles={"jane@example.com": ("analyst",)},
        keys={hashlib.sha256(PLATFORM_KEY.encode()).hexdigest(): "robot@example.com"},
    )
    settings = Settings(issuers=issuers, **fields)
    return configure(settings=settings, directory=directory, team=Team("web", ("all",), {"jane@example.com": ("dev",)}))


def identify(
    runtime: Runtime, *headers: tuple[str, str], body_user: str | None = None, now: int = NOW
) -> identity.Identity:
    return identity.identify(headers, body_user, WORKLOAD, runtime, now)


def user(found: identity.Identity) -> tuple[str | None, bool]:
    assert found.principal is not None, found.refusal
    return found.principal.user, found.principal.verified


def refused(found: identity.Identity) -> str:
    assert found.principal is None
    assert found.refusal is not None
    assert found.refusal.reason is Reason.AUTHENTICATION
    return found.refusal.message


def test_a_valid_token_names_a_verified_user_with_roles_and_teams() -> None:
    found = identify(configured(issuer()), ("Authorization", f"Bearer {token()}"))
    assert found.principal == Principal(WORKLOAD, "jane@example.com", True, ("analyst", "dev"), ("web", "all"))


@pytest.mark.parametrize("header", ["authorization", "X-Api-Key", "x-goog-api-key", "api-key", "X-LLMGov-Token"])
def test_credentials_are_found_wherever_sdks_put_keys_and_never_forwarded(header: str) -> None:
    for value, expected in ((token(), "jane@example.com"), (PLATFORM_KEY, "robot@example.com")):
        found = identify(configured(issuer()), (header, value))
        assert user(found) == (expected, True)
        assert header.lower() in found.strip


def test_the_workload_alone_is_counted_where_nobody_is_named() -> None:
    for headers in ((), (("authorization", "Bearer placeholder"),), (("x-api-key", "sk-placeholder"),)):
        assert user(identify(configured(issuer()), *headers)) == (None, False)


BAD = {
    "expired": (token(exp=SECONDS), "has expired"),
    "not valid yet": (token(nbf=SECONDS + 31), "not valid yet"),
    "issued in the future": (token(iat=SECONDS + 31), "not valid yet"),
    "without an expiry": (token(exp=None), "not valid"),
    "for another audience": (token(aud="another"), "another audience"),
    "of an unknown issuer": (token(iss="https://evil.example"), "issuer is not among"),
    "without an issuer": (token(iss=None), "issuer is not among"),
    "signed by a stranger": (token(key=STRANGER), "signature is wrong"),
    "of an unknown key": (token(kid="k2"), "a key that the issuer does not have"),
    "without a user": (token(sub=""), "no usable claim sub"),
    "with a user that is no text": (token(groups=["x"], sub=None), "no usable claim sub"),
    "with a line break in the user": (token(sub="jane\nroot"), "no usable claim sub"),
    "with an expiry that is no number": (token(exp="soon"), "exp is no time"),
    "too long": (token(padding="x" * 9000), "too long"),
    "damaged": ("eyJhbGci.eyJ.x", "malformed"),
}


@pytest.mark.parametrize(("value", "why"), BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused_and_not_repeated(value: str, why: str) -> None:
    message = refused(identify(configured(issuer()), ("authorization", f"Bearer {value}")))
    assert why in message
    assert value not in message


def test_an_unsigned_token_is_refused_whatever_the_algorithms_say() -> None:
    unsigned = jwt.encode({"iss": "https://login.example", "sub": "root", "exp": SECONDS + 9}, None, algorithm="none")
    for algorithms in (("ES256",), ("none",)):
        refused(identify(configured(issuer(algorithms=algorithms)), ("authorization", f"Bearer {unsigned}")))


def test_a_public_key_cannot_be_used_as_a_shared_secret() -> None:
    """The old confusion: an attacker signs with HMAC, the published key being the secret."""
    public = jwk(KEY)
    head = base64.urlsafe_b64encode(json.dumps({"alg": "HS256", "kid": "k1"}).encode()).rstrip(b"=")
    body = base64.urlsafe_b64encode(
        json.dumps(
            {"iss": "https://login.example", "aud": "llm-governance", "sub": "root", "exp": SECONDS + 9}
        ).encode()
    ).rstrip(b"=")
    mark = hmac.new(json.dumps(public).encode(), head + b"." + body, hashlib.sha256).digest()
    forged = b".".join([head, body, base64.urlsafe_b64encode(mark).rstrip(b"=")]).decode()
    for algorithms in (("ES256",), ("ES256", "HS256")):
        refused(identify(configured(issuer(algorithms=algorithms)), ("authorization", f"Bearer {forged}")))


def test_clocks_may_differ_a_little_but_an_expired_token_has_no_grace() -> None:
    runtime = configured(issuer())
    early = token(iat=SECONDS + 30, nbf=SECONDS + 30)
    assert user(identify(runtime, ("authorization", f"Bearer {early}")))[1]
    short = token(exp=SECONDS + 1)
    assert user(identify(runtime, ("authorization", f"Bearer {short}")))[1]
    late = identify(runtime, ("authorization", f"Bearer {short}"), now=NOW + instants.SECOND)
    assert "has expired" in refused(late)


def test_a_tokens_age_can_be_bounded_below_its_expiry() -> None:
    runtime = configured(issuer(max_age=50 * instants.SECOND))
    assert "has expired" in refused(identify(runtime, ("authorization", f"Bearer {token()}")))
    assert user(identify(runtime, ("authorization", f"Bearer {token(iat=SECONDS - 49)}")))[1]
    assert "when it was issued" in refused(identify(runtime, ("authorization", f"Bearer {token(iat=None)}")))


def test_a_token_without_a_key_id_needs_an_issuer_with_one_key() -> None:
    assert user(identify(configured(issuer()), ("authorization", f"Bearer {token(kid=None)}")))[1]
    two = configured(issuer(jwk(KEY), jwk(STRANGER, kid="k2")))
    refused(identify(two, ("authorization", f"Bearer {token(kid=None)}")))


def test_a_key_for_encryption_verifies_nothing() -> None:
    refused(identify(configured(issuer(jwk(KEY, use="enc"))), ("authorization", f"Bearer {token()}")))


def test_rsa_keys_verify_with_each_algorithm_that_is_pinned() -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "k1"}
    runtime = configured(issuer(public, algorithms=("RS256", "PS256")))
    for algorithm in ("RS256", "PS256"):
        assert user(identify(runtime, ("authorization", f"Bearer {token(key, algorithm)}")))[1]
    refused(identify(runtime, ("authorization", f"Bearer {token(key, 'RS512')}")))


def test_another_claim_may_name_the_user() -> None:
    runtime = configured(issuer(user_claim="email"))
    assert user(identify(runtime, ("authorization", f"Bearer {token(email='joe@example.com')}"))) == (
        "joe@example.com",
        True,
    )


def test_without_issuers_a_token_is_a_placeholder_like_any_other() -> None:
    assert user(identify(configured(), ("authorization", f"Bearer {token()}"))) == (None, False)


UNUSABLE = {
    "nothing": ("", "is empty"),
    "blanks": ("  ", "is empty"),
    "a scheme alone": ("Bearer", "is empty"),
    "a word": ("abc", "neither a token nor a platform key"),
    "three words": ("a.b.c", "neither a token nor a platform key"),
    "a provider's key": ("sk-proj-1234", "neither a token nor a platform key"),
    "half a token": (token().rpartition(".")[0], "neither a token nor a platform key"),
}


@pytest.mark.parametrize("issuers", [(), (issuer(),)], ids=["without issuers", "with one"])
@pytest.mark.parametrize(("value", "why"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_the_header_of_ours_proves_somebody_or_is_refused(issuers: tuple[Issuer, ...], value: str, why: str) -> None:
    message = refused(identify(configured(*issuers), ("X-LLMGov-Token", value)))
    assert message.startswith("llmgov: the value of x-llmgov-token is ")
    assert why in message
    assert len(value) < 3 or value not in message
    proved = ("authorization", f"Bearer {PLATFORM_KEY}")
    assert why in refused(identify(configured(*issuers), proved, ("x-llmgov-token", value)))
    assert user(identify(configured(*issuers, kill_switch=True), ("x-llmgov-token", value))) == (None, False)


def test_without_issuers_a_token_in_the_header_of_ours_is_refused() -> None:
    assert "the settings name no issuer of the token" in refused(identify(configured(), ("x-llmgov-token", token())))


@pytest.mark.parametrize("header", ["authorization", "x-api-key", "x-goog-api-key", "api-key"])
@pytest.mark.parametrize("value", ["", "abc", "Bearer a.b.c", "sk-proj-1234"])
def test_in_a_header_of_the_sdks_it_stays_a_placeholder(header: str, value: str) -> None:
    assert user(identify(configured(issuer()), (header, value))) == (None, False)


def test_an_unknown_platform_key_is_refused() -> None:
    message = refused(identify(configured(), ("x-api-key", "llmgov_" + "zz" * 16)))
    assert message == "llmgov: the platform key is unknown or revoked; get a new one and try again"


def test_credentials_that_name_different_users_are_refused() -> None:
    found = identify(configured(issuer()), ("authorization", f"Bearer {token()}"), ("x-api-key", PLATFORM_KEY))
    assert "different users" in refused(found)


def test_a_plain_header_names_a_user_only_where_it_is_trusted_and_proves_nothing() -> None:
    header = ("X-User", "joe")
    assert user(identify(configured(), header)) == (None, False)
    trusting = configured(trusted_user_headers=("x-user",))
    found = identify(trusting, header)
    assert user(found) == ("joe", False)
    assert "x-user" in found.strip
    assert user(identify(trusting, ("X-User", "jo\x00e"))) == (None, False)


def test_the_bodys_user_counts_only_where_it_is_trusted() -> None:
    assert user(identify(configured(), body_user="joe")) == (None, False)
    assert user(identify(configured(trust_body_user=True), body_user="joe")) == ("joe", False)


def test_a_proved_user_goes_before_a_claimed_one() -> None:
    runtime = configured(issuer(), trusted_user_headers=("x-user",), trust_body_user=True)
    found = identify(runtime, ("x-user", "root"), ("authorization", f"Bearer {token()}"), body_user="admin")
    assert user(found) == ("jane@example.com", True)


def test_under_the_kill_switch_a_bad_token_names_nobody_and_stops_nothing() -> None:
    runtime = configured(issuer(), kill_switch=True)
    found = identify(runtime, ("authorization", f"Bearer {token(key=STRANGER)}"))
    assert user(found) == (None, False)
    assert found.ignored.startswith("llmgov: ")
    assert identify(runtime).ignored == ""


def test_keys_that_cannot_be_read_verify_nothing() -> None:
    refused(identify(configured(issuer(jwks="no JSON")), ("authorization", f"Bearer {token()}")))
