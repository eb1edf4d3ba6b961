"""Who a request is counted for: users whom a token proves, users whom an application only names, and nobody else."""

import json
import time
from typing import Any

import pytest

from tests.sdk import cases, ledger, people
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call, Sdk

CHAT = cases.chat("hello")
MESSAGE = cases.message("hello")


def _ask(system: System, call: Call, token: str | None, *, place: str = "people", **headers: str) -> Any:
    """One call with a token for the SDK's API key; what came of it."""
    with sdks.client(call.sdk, system.tap(place).port, token or sdks.PLACEHOLDER) as client:
        return sdks.perform(client, Call(call.sdk, call.path, call.arguments | {"extra_headers": headers}))[-1]


@pytest.mark.parametrize("algorithm", ["ES256", "RS256"])
@pytest.mark.parametrize("call", [CHAT, MESSAGE], ids=["openai", "anthropic"])
def test_a_token_for_a_key_proves_its_user_and_goes_no_further(system: System, call: Call, algorithm: str) -> None:
    user = f"{algorithm}-{call.sdk.value}@example.com"
    token = people.token(user, algorithm)
    assert "raised" not in _ask(system, call, token)
    before, behind = system.tap("people").only(), system.upstream.only()
    assert token in str(before.headers)
    assert token not in str(behind)
    assert user not in str(behind)
    ledger.until(lambda: user in system.spend("user"))


def test_a_token_beside_the_key_proves_its_user_and_goes_no_further(system: System) -> None:
    token = people.token("beside@example.com")
    assert "raised" not in _ask(system, CHAT, None, **{"x-llmgov-token": token})
    assert token not in str(system.upstream.only())
    ledger.until(lambda: "beside@example.com" in system.spend("user"))


def _bad_tokens() -> dict[str, str]:
    name = "mallory@example.com"
    other = people.token("ada@example.com").split(".")
    return {
        "expired": people.token(name, exp=int(time.time()) - 1),
        "without an end": people.token(name, exp=None),
        "not valid yet": people.token(name, nbf=int(time.time()) + 600),
        "for somebody else": people.token(name, aud="another-service"),
        "by somebody else": people.token(name, iss="https://evil.example.com"),
        "of nobody": people.token(name, sub=None),
        "unsigned": people.unsigned(name),
        "signed by another key": people.token(name, key=people.another_key()),
        "signed with the public key as a secret": people.signed_with_public_key(name),
        "of one with another's signature": ".".join([*people.token(name).split(".")[:2], other[2]]),
    }


@pytest.mark.parametrize("call", [CHAT, MESSAGE], ids=["openai", "anthropic"])
@pytest.mark.parametrize("name", _bad_tokens())
def test_a_token_that_proves_nobody_is_refused_in_the_sdks_own_way(system: System, name: str, call: Call) -> None:
    token = _bad_tokens()[name]
    refused = _ask(system, call, token)
    assert (refused["raised"], refused["status"]) == ("AuthenticationError", 401)
    told = json.dumps(refused["body"])
    assert "llmgov:" in told
    assert token not in told
    assert system.upstream.take() == []


@pytest.mark.parametrize("call", [CHAT, MESSAGE], ids=["openai", "anthropic"])
def test_a_platform_key_that_nobody_has_is_refused(system: System, call: Call) -> None:
    refused = _ask(system, call, "llmgov_0123456789abcdef")
    assert (refused["raised"], refused["status"]) == ("AuthenticationError", 401)
    assert "the platform key is unknown or revoked" in json.dumps(refused["body"])
    assert "0123456789abcdef" not in json.dumps(refused["body"])
    assert system.upstream.take() == []


@pytest.mark.parametrize("call", [CHAT, MESSAGE], ids=["openai", "anthropic"])
@pytest.mark.parametrize("value", ["", "abc", "a.b.c"])
def test_a_token_header_that_proves_nobody_is_refused(system: System, call: Call, value: str) -> None:
    refused = _ask(system, call, None, **{"x-llmgov-token": value})
    assert (refused["raised"], refused["status"]) == ("AuthenticationError", 401)
    assert "x-llmgov-token" in json.dumps(refused["body"])
    assert system.upstream.take() == []


def test_two_tokens_of_different_users_prove_nobody(system: System) -> None:
    refused = _ask(system, CHAT, people.token("ada@example.com"), **{"x-llmgov-token": people.token("bob@example.com")})
    assert refused["status"] == 401
    assert system.upstream.take() == []


def test_a_trusted_header_names_a_user_and_goes_no_further(system: System) -> None:
    assert "raised" not in _ask(system, CHAT, None, **{"x-app-user": "named@example.com"})
    assert "named@example.com" not in str(system.upstream.only())
    ledger.until(lambda: "named@example.com" in system.spend("user"))


def test_the_bodys_user_names_nobody_where_the_settings_do_not_trust_it(system: System) -> None:
    call = cases.chat("hello", user="claimed@example.com")
    assert "raised" not in _ask(system, call, None)
    assert "raised" not in _ask(system, CHAT, people.token("after@example.com"))
    ledger.until(lambda: "after@example.com" in (lines := system.spend("user")) and "claimed@example.com" not in lines)


def test_each_user_has_turns_of_their_own(system: System) -> None:
    ada, bob = people.token("ada@example.com"), people.token("bob@example.com")
    statuses = [_ask(system, CHAT, token, place="turns").get("status", 200) for token in [ada] * 3 + [bob] * 2]
    assert statuses == [200, 200, 429, 200, 200]


def test_a_user_of_a_trusted_header_has_turns_too_and_whoever_has_no_name_the_workloads(system: System) -> None:
    names = [{"x-app-user": "eve@example.com"}] * 3 + [{"x-app-user": "dan@example.com"}] + [{}] * 3
    found = [_ask(system, CHAT, None, place="turns", **name) for name in names]
    assert [one.get("status", 200) for one in found] == [200, 200, 429, 200, 200, 200, 429]
    assert found[-1]["raised"] == "RateLimitError"


def test_each_user_has_a_budget_of_their_own(system: System) -> None:
    dear = cases.chat("mock: spend max", model="gpt-4o", max_completion_tokens=400, service_tier="default")
    ada, bob = people.token("spender@example.com"), people.token("saver@example.com")
    statuses = [_ask(system, dear, token).get("status", 200) for token in [ada, ada, ada, bob]]
    assert statuses == [200, 200, 402, 200]
    ledger.until(lambda: "saver@example.com" in system.spend("user"))
    lines = system.spend("user")
    assert 0.008 <= float(lines["spender@example.com"]["spent"]) <= 0.01
    assert system.client(Sdk.OPENAI, "people").models.list(), "who is nobody has no such budget"
