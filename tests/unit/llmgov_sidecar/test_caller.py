"""What is remembered of a head: never longer than the configuration, never where time or the body decides."""

import base64
import hashlib
import hmac
import json

import pytest

from llmgov import instants
from llmgov.policy.decision import Workload
from llmgov.snapshot import Directory, Issuer, Settings
from llmgov_sidecar import caller, http1, upstream
from llmgov_sidecar.configuration import Active, Target
from tests.support.policies import configure

WORKLOAD = Workload("shop", "checkout")
NOW = instants.from_rfc3339("2026-11-24T08:00:00Z")
SECRET = b"a secret of thirty-two bytes, or so"
KEY = "llmgov_" + "a1B2" * 8


def head(*lines: bytes) -> http1.Head:
    raw = b"".join(line + b"\r\n" for line in (b"POST /v1/chat/completions HTTP/1.1", b"Host: a", *lines, b""))
    return http1.parse_head(raw, http1.Limits())


def active(directory: Directory | None = None, **settings: object) -> Active:
    runtime = configure(settings=Settings(**settings), directory=directory)  # type: ignore[arg-type]
    return Active(runtime, ("1",), {})


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(expires: int) -> str:
    claims = {"iss": "https://login.example", "aud": "llm-governance", "sub": "jane@example.com", "exp": expires}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "k1"}, claims))
    return f"{signed}.{encoded(hmac.digest(SECRET, signed.encode(), hashlib.sha256))}"


def test_a_user_is_who_the_configuration_in_force_says() -> None:
    who = caller.of(head(b"X-User: jane", b"Authorization: Bearer " + KEY.encode()))
    owner = Directory(keys={hashlib.sha256(KEY.encode()).hexdigest(): "kim"})
    named = []
    for current in (active(), active(trusted_user_headers=("x-user",)), active(owner), active()):
        found = who.identify(current, WORKLOAD, None, NOW)
        assert who.identify(current, WORKLOAD, None, NOW) is found or found.refusal is not None
        named.append(found.principal.user if found.principal is not None else "refused")
    assert named == ["refused", "refused", "kim", "refused"]


def test_a_token_expires_also_where_its_head_is_known() -> None:
    jwk = {"kty": "oct", "kid": "k1", "k": encoded(SECRET)}
    issuer = Issuer("https://login.example", "llm-governance", ("HS256",), json.dumps({"keys": [jwk]}))
    who = caller.of(head(b"Authorization: Bearer " + token(NOW // instants.SECOND + 60).encode()))
    current = active(issuers=(issuer,))
    before, after = (who.identify(current, WORKLOAD, None, NOW + wait * instants.SECOND) for wait in (0, 61))
    assert before.principal is not None
    assert before.principal.user == "jane@example.com"
    assert after.refusal is not None


def test_a_user_that_the_body_names_is_each_body_s() -> None:
    who, current = caller.of(head()), active(trust_body_user=True)
    found = [who.identify(current, WORKLOAD, name, NOW).principal for name in ("jane", "kim", None)]
    assert [principal.user for principal in found if principal is not None] == ["jane", "kim", None]


def test_the_head_for_the_provider_goes_with_target_and_length() -> None:
    who = caller.of(head(b"X-User: jane", b"X-Y: z"))
    first, second = (
        Target(upstream.origin(url), (b"authorization", b"Bearer " + key))
        for url, key in (("http://one/v1", b"k1"), ("https://two/v1", b"k2"))
    )
    stripped = who.upstream(first, ("x-user",), 7)
    assert stripped == (
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: one\r\nx-y: z\r\naccept-encoding: identity\r\n"
        b"authorization: Bearer k1\r\ncontent-length: 7\r\n\r\n"
    )
    assert who.upstream(first, ("x-user",), 12) == stripped.replace(b": 7\r", b": 12\r")
    assert who.upstream(first, (), 7) == stripped.replace(b"one\r\n", b"one\r\nx-user: jane\r\n")
    assert who.upstream(second, ("x-user",), 7) == stripped.replace(b"one", b"two").replace(b"k1", b"k2")
    assert who.upstream(first, ("x-user",), 7) == stripped


@pytest.mark.parametrize(
    ("line", "patience"),
    [
        pytest.param(b"X-Stainless-Read-Timeout: 1.5", 1_500_000, id="a number of seconds"),
        pytest.param(b"X-Stainless-Read-Timeout: inf", None, id="for ever"),
        pytest.param(b"X-Stainless-Read-Timeout: soon", None, id="no number"),
        pytest.param(b"X-Y: z", None, id="nothing said"),
    ],
)
def test_how_long_a_client_waits_is_what_its_sdk_says(line: bytes, patience: int | None) -> None:
    assert caller.of(head(line)).patience == patience
