"""What stays on the disk after traffic: every request's id, and no prompt, answer, key or token of any of them."""

import concurrent.futures
import hashlib
import json
import re
from typing import Any, NamedTuple, cast

import pytest

from tests.sdk import canaries, cases, ledger, people, places
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call, Sdk

PROMPT = "Kanarienvogel-Zwitschern-7281"
ANSWER = "Nachtigall-Gesang-5530"
PLATFORM_KEY = "llmgov_rotkehlchen4417"
CLIENT_KEY = "sk-proj-Zaunkoenig-9016"
QUERY = "Goldammer-3325"
SECRETS = [PROMPT, ANSWER, PLATFORM_KEY, CLIENT_KEY, QUERY, places.CODE, sdks.PLACEHOLDER, "mock-openai-key"]
SECRETS += ["mock-anthropic-key"]

_PLAIN = [
    cases.chat(f"{PROMPT}\nmock: say {ANSWER}"),
    cases.chat(f"{PROMPT}\nmock: say {ANSWER}", stream=True),
    cases.chat(f'{PROMPT}\nmock: call weather {{"city": "{ANSWER}"}}'),
    cases.response(f"{PROMPT}\nmock: think {ANSWER}\nmock: say {ANSWER}", instructions=PROMPT),
    cases.response(f"{PROMPT}\nmock: say {ANSWER}", stream=True, metadata={"note": PROMPT}),
    cases.message(f"{PROMPT}\nmock: say {ANSWER}", system=PROMPT),
    cases.message(f"{PROMPT}\nmock: think {ANSWER}\nmock: say {ANSWER}", stream=True),
    cases.message(f"{PROMPT}\nmock: status 500"),
    cases.chat(f"{PROMPT}\nmock: fault reset"),
    cases.chat(f"{PROMPT}\nmock: fault bad-gateway"),
    cases.chat("hello", extra_query={"api_key": QUERY}),
    cases.chat("", messages=[{"role": "user", "content": [PROMPT]}]),
    cases.chat("", messages={PROMPT: PROMPT}),
    cases.response("", input=[{"type": PROMPT, "content": PROMPT}]),
    Call(Sdk.OPENAI, "embeddings.create", {"model": "text-embedding-3-small", "input": PROMPT}),
]


class Quiet(NamedTuple):
    """The system once all of the traffic is on record; the ids and tokens that applications had."""

    system: System
    ids: list[str]
    tokens: list[str]


@pytest.fixture(scope="module")
def quiet(running: System) -> Quiet:
    """Traffic of every kind, with a secret wherever there is room for one."""
    running.forget()
    tokens = [people.token("witness@example.com", algorithm) for algorithm in ("ES256", "RS256")]
    for place, calls in _traffic().items():
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda call, place=place: sdks.perform(running.client(call.sdk, place), call), calls))
    for call in (_PLAIN[0], _PLAIN[5]):
        for key in (PLATFORM_KEY, CLIENT_KEY, *tokens, tokens[0][:-4] + "AAAA"):
            with sdks.client(call.sdk, running.tap("people").port, key) as client:
                sdks.perform(client, call)
    answers = [exchange.answer_headers for name in running.namespaces for exchange in running.tap(name).take()]
    ids = [headers["x-request-id"] for headers in answers]
    ledger.until(lambda: set(ids) <= {line.get("request_id") for line in _log(running)})
    allowed = {headers["x-request-id"] for headers in answers if headers["x-llmgov-decision"] != "deny"}
    ledger.until(lambda: allowed <= _audited(running))
    return Quiet(running, ids, tokens)


def _traffic() -> dict[str, list[Call]]:
    everywhere = [found.call for found in places.all_().values()]
    text = f"mock: say then {places.CODE}"
    answers = [
        make(text, **more)
        for make in (cases.chat, cases.response, cases.message)
        for more in cast("list[dict[str, Any]]", [{}, {"stream": True}])
    ]
    return (
        dict.fromkeys(("plain", "held"), _PLAIN)
        | dict.fromkeys(("guarded", "redacted"), everywhere)
        | dict.fromkeys(("answers", "withheld"), answers)
    )


def _log(system: System) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (system.state_folder / "log.jsonl").read_text().splitlines(keepends=True)
            if line.endswith("\n")]  # fmt: skip


def _audited(system: System) -> set[str]:
    return {record["request"] for record in system.json("audit", "show", "--limit", "100000") if "request" in record}


def test_every_request_is_in_the_log_by_the_id_that_its_application_was_given(
    quiet: Quiet,
) -> None:
    system, ids, _ = quiet
    assert len(ids) > 100
    assert len(set(ids)) == len(ids)
    lines = [line for line in _log(system) if line["event"] == "request"]
    for name in ids:
        assert len([line for line in lines if line["request_id"] == name]) == 1


def test_the_log_has_facts_alone(quiet: Quiet) -> None:
    system = quiet.system
    facts = {
        "time", "level", "event", "process", "workload", "request_id", "operation", "provider", "model", "user",
        "status", "decision", "duration_us", "cost_microusd", "attempts", "client_left",
    }  # fmt: skip
    for line in _log(system):
        if line["event"] == "request":
            assert line.keys() <= facts
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", line["time"])


def test_nothing_of_the_traffic_is_at_rest(quiet: Quiet) -> None:
    system, ids, tokens = quiet
    parts = [part for token in tokens for part in token.split(".")[1:]]
    assert canaries.found(system.state_folder, [*SECRETS, *parts]) == []
    places_of_an_id = {name for name, _ in canaries.found(system.state_folder, ids[:1])}
    assert {"ledger.db", "log.jsonl"} <= {name.removesuffix("-wal") for name in places_of_an_id}, "the search must find"


def test_prompts_are_digests_with_a_key(quiet: Quiet) -> None:
    system = quiet.system
    prompts = ledger.prompts(system.state_folder)
    assert prompts
    assert all(re.fullmatch(r"hmac-sha256:[0-9a-f]{64}", prompt) for prompt in prompts)
    guesses = [hashlib.sha256(text.encode()).hexdigest() for text in ("hello", PROMPT, places.CODE)]
    assert canaries.found(system.state_folder, guesses) == []


def test_what_the_commands_show_has_nothing_of_the_traffic(quiet: Quiet) -> None:
    system = quiet.system
    for words in (("audit", "show", "--limit", "100000"), ("get", "violations"), ("get", "policies"), ("spend",)):
        shown = json.dumps(system.json(*words))
        assert not [secret for secret in SECRETS if secret in shown], words
