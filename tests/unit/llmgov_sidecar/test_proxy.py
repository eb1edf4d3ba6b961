"""The whole way of a request over real sockets: what reaches the provider, what comes back, what it cost."""

import asyncio
import json

import pytest

from llmgov.ledger.messages import Intent, Outcome, Refused, Settlement, Violated
from llmgov.ledger.rows import ApprovalState
from llmgov.policy import refusals
from llmgov.policy.decision import Action
from llmgov.snapshot import (
    Compliance,
    ContentFilter,
    CostLimit,
    Direction,
    ModelAccess,
    OnDetect,
    OnExceed,
    Pattern,
    Policy,
    RateLimit,
    Settings,
    Subject,
)
from tests.unit.llmgov_sidecar import harness, world

SSN = (Pattern("ssn", r"SSN: \d{3}-\d{2}-\d{4}"),)


def content(on_detect: OnDetect, *directions: Direction) -> Policy:
    return Policy("root/pii", 10, ContentFilter(directions, on_detect, SSN))


def test_an_allowed_request_passes_byte_for_byte_with_the_real_key() -> None:
    body, answer = (
        b' {"max_tokens":100,"model" : "gpt-4o", "messages":[{"role":"user","content":"h\\u00e9"}]}',
        world.chat_answer(),
    )

    async def main() -> None:
        script = harness.says(
            harness.whole(answer, headers=b"Content-Type: application/json\r\nX-Request-Id: up-1\r\n")
        )
        async with world.world(script) as made:
            client = await made.client()
            reply = await client.ask(
                world.CHAT,
                body,
                "Authorization: Bearer placeholder\r\nX-Keep: this\r\nAccept-Encoding: gzip\r\n"
                "Connection: keep-alive, X-Hop\r\nX-Hop: x\r\nX-Llmgov-Note: y\r\nOpenAI-Organization: other\r\n",
            )
            assert (reply.status, reply.body) == (200, answer)
            (seen,) = made.provider.seen
            assert seen.body == body
            assert seen.line == b"POST /v1/chat/completions HTTP/1.1"
            assert seen.header("authorization") == ["Bearer sk-real-openai"]
            assert seen.header("accept-encoding") == ["identity"]
            assert seen.header("host") == [f"127.0.0.1:{made.provider.port}"]
            assert seen.header("x-keep") == ["this"]
            for gone in ("x-hop", "connection", "x-llmgov-note", "openai-organization"):
                assert seen.header(gone) == []
            assert reply.header("x-llmgov-decision") == "allow"
            assert reply.header("x-llmgov-cost-usd") == "0.000075"
            assert reply.header("x-llmgov-upstream-request-id") == "up-1"
            assert (reply.header("x-request-id") or "").startswith("req_")
            await client.close()

    harness.run(main())


def test_what_a_request_costs_is_settled_on_record() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer(tokens=(10, 5))))) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat())
            await made.on_record()
            intent, settlement = await made.only(Intent), await made.only(Settlement)
            assert settlement.id == intent.id == f"{made.sidecar.epoch}/{intent.id.rpartition('/')[2]}"
            assert (settlement.outcome, settlement.cost, settlement.status) == (Outcome.SETTLED, 75, 200)
            assert intent.hold >= 75
            assert sum(part.held for part in intent.charged) == intent.hold
            assert (intent.subject.namespace, intent.subject.service_account) == ("shop", "web")
            assert intent.prompt is not None
            assert intent.prompt.startswith("hmac-sha256:")
            assert "hello" not in intent.prompt
            assert made.steps == ["held", "intent", "dispatched", "first_byte", "usage", "settled"]
            spent, _ = await made.account()
            assert spent == 75
            await client.close()

    harness.run(main())


def test_nothing_of_a_prompt_or_a_key_is_in_log_or_spool() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer("forty-two")))) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat("what is my secret"), "Authorization: Bearer placeholder-key\r\n")
            await client.ask(world.CHAT, b'{"model": "what is my secret"', "Authorization: Bearer placeholder-key\r\n")
            await made.on_record()
            await client.close()
            await made.sidecar.stop()
            written = made.log.getvalue() + b"".join(path.read_bytes() for path in made.folder.rglob("*.spool"))
            for secret in (b"my secret", b"forty-two", b"placeholder-key", b"sk-real"):
                assert secret not in written
            lines = [json.loads(line) for line in made.log.getvalue().splitlines()]
            assert [line["status"] for line in lines if line["event"] == "request"] == [200, 400]
            assert all(line["request_id"] for line in lines if line["event"] == "request")

    harness.run(main())


REFUSALS = [
    ("a model that is denied", Policy("root/m", 1, ModelAccess(deny=("*4o",))), world.chat(), 403, "policy_denied"),
    (
        "content that is blocked",
        content(OnDetect.BLOCK, Direction.REQUEST),
        world.chat("SSN: 123-45-6789"),
        400,
        "content_policy_violation",
    ),
    ("a body that is no JSON", None, b"{", 400, "invalid_request"),
    ("a key twice", None, b'{"model":"gpt-4o","model":"x","messages":[]}', 400, "invalid_request"),
    ("a model without a price", None, world.chat(model="gpt-unknown"), 403, "policy_denied"),
]


@pytest.mark.parametrize(("policy", "body", "status", "code"), [c[1:] for c in REFUSALS], ids=[c[0] for c in REFUSALS])
def test_refuses(policy: Policy | None, body: bytes, status: int, code: str) -> None:
    async def main() -> None:
        async with world.world(harness.says(), [policy] if policy else []) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, body)
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["code"]) == (status, code)
            assert error["message"].startswith("llmgov:")
            assert made.provider.seen == []
            refused = await made.only(Refused)
            assert (refused.reason, refused.request_id) == (code, reply.header("x-request-id"))
            await client.close()

    harness.run(main())


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        ("/v1/realtime?model=x", "GET", "Connection: Upgrade\r\nUpgrade: websocket\r\n"),
        ("/v1/files", "POST", ""),
        ("/v1/chat/completions/../files", "POST", ""),
        ("/v1/chat/completions", "DELETE", ""),
        ("/v1/messages/batches", "POST", "anthropic-version: 2023-06-01\r\n"),
    ],
)
def test_a_route_that_is_not_governed_is_refused_and_never_passed(path: str, method: str, headers: str) -> None:
    async def main() -> None:
        async with world.world(harness.says()) as made:
            client = await made.client()
            reply = await client.ask(path, b"{}", headers, method)
            assert reply.status in (400, 403)
            assert b"llmgov:" in reply.body
            assert made.provider.seen == []
            await client.close()

    harness.run(main())


def test_a_route_that_a_policy_lists_as_unmetered_passes_as_it_is() -> None:
    policy = Policy("root/m", 1, ModelAccess(unmetered_routes=("POST /v1/files",)))
    raw = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"

    async def main() -> None:
        async with world.world(harness.says(raw), [policy]) as made:
            client = await made.client()
            reply = await client.ask("/v1/files", b"anything at all")
            assert (reply.status, reply.body) == (201, b"abcde")
            (seen,) = made.provider.seen
            assert (seen.line, seen.body) == (b"POST /v1/files HTTP/1.1", b"anything at all")
            assert (await made.only(Settlement)).outcome is Outcome.FREE
            await client.close()

    harness.run(main())


def test_a_redaction_changes_that_string_and_no_other_byte() -> None:
    body = b'{"model":"gpt-4o",  "max_tokens":5,"messages":[{"role":"user","content":"my SSN: 123-45-6789 \\u00fc"}]}'

    async def main() -> None:
        policy = content(OnDetect.REDACT, Direction.REQUEST)
        async with world.world(harness.says(harness.whole(world.chat_answer())), [policy]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, body)
            assert reply.status == 200
            assert (reply.header("x-llmgov-decision"), reply.header("x-llmgov-policy")) == ("redact", "root/pii")
            (seen,) = made.provider.seen
            assert b"123-45-6789" not in seen.body
            assert seen.body.startswith(b'{"model":"gpt-4o",  "max_tokens":5,"messages":[{"role":"user","content":"my ')
            violated = await made.only(Violated)
            assert violated.violations[0].action is Action.REDACT
            await client.close()

    harness.run(main())


def test_an_answer_is_redacted_whole() -> None:
    async def main() -> None:
        policy = content(OnDetect.REDACT, Direction.RESPONSE)
        answer = world.chat_answer("it is SSN: 123-45-6789.")
        async with world.world(harness.says(harness.whole(answer)), [policy]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            text = json.loads(reply.body)["choices"][0]["message"]["content"]
            assert text.startswith("it is ")
            assert "123-45-6789" not in text
            assert (reply.header("x-llmgov-decision"), reply.header("x-llmgov-policy")) == ("redact", "root/pii")
            assert await made.decided() == ["redact"]
            assert reply.body.split(b'"content"')[0] == answer.split(b'"content"')[0]
            assert (await made.only(Settlement)).cost == 75
            await client.close()

    harness.run(main())


def test_an_answer_that_is_blocked_is_withheld_and_still_paid() -> None:
    async def main() -> None:
        policy = content(OnDetect.BLOCK, Direction.RESPONSE)
        async with world.world(harness.says(harness.whole(world.chat_answer("SSN: 123-45-6789"))), [policy]) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.status == 400
            assert json.loads(reply.body)["error"]["code"] == "content_policy_violation"
            assert b"123-45-6789" not in reply.body
            assert reply.header("x-llmgov-decision") == "deny"
            assert await made.decided() == ["deny"]
            assert (await made.only(Settlement)).cost == 75
            await client.close()

    harness.run(main())


PROVIDER_ERRORS = [
    ("its own 400", harness.whole(b'{"error":{"message":"no"}}', "400 Bad Request"), 400, Outcome.FREE),
    (
        "its own 429",
        harness.whole(b'{"error":{"message":"slow"}}', "429 Too Many", b"Retry-After: 7\r\n"),
        429,
        Outcome.FREE,
    ),
    ("its own 502", harness.whole(b'{"error":{"message":"oops"}}', "502 Bad"), 502, Outcome.FREE),
    ("a gateway's 502", harness.whole(b"<html>bad gateway</html>", "502 Bad"), 502, Outcome.UNKNOWN),
    ("a gateway's 504", harness.whole(b"", "504 Timeout"), 504, Outcome.UNKNOWN),
    ("an answer without usage", harness.whole(b'{"choices":[]}'), 200, Outcome.UNKNOWN),
]


@pytest.mark.parametrize(
    ("raw", "status", "outcome"), [c[1:] for c in PROVIDER_ERRORS], ids=[c[0] for c in PROVIDER_ERRORS]
)
def test_a_providers_answer_passes_and_costs_what_it_should(raw: bytes, status: int, outcome: Outcome) -> None:
    async def main() -> None:
        async with world.world(harness.says(raw)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, reply.body) == (status, raw.partition(b"\r\n\r\n")[2])
            assert reply.header("retry-after") == ("7" if status == 429 else None)
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert settlement.outcome is outcome
            assert settlement.cost == (0 if outcome is Outcome.FREE else intent.hold)
            await client.close()

    harness.run(main())


@pytest.mark.parametrize(
    ("given", "line"),
    [("529 ", b"529 Overloaded"), ("529 Site is on fire", b"529 Site is on fire"), ("599 ", b"599 ")],
    ids=["no reason", "its own reason", "a status that nobody knows"],
)
def test_a_status_line_says_the_providers_reason_or_the_usual_one(given: str, line: bytes) -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(b'{"error":{"message":"x"}}', given))) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert reply.head.split(b"\r\n")[0] == b"HTTP/1.1 " + line
            await client.close()

    harness.run(main())


WRONG_KEY = harness.whole(
    b'{"error":{"message":"Incorrect API key provided: sk-r****nai","type":"x","code":"invalid_api_key"}}',
    "401 Unauthorized",
)


@pytest.mark.parametrize("path", [world.CHAT, "/v1/batches"], ids=["a governed route", "an unmetered route"])
def test_a_key_that_the_provider_refuses_is_the_administrators_business(path: str) -> None:
    access = Policy("root/open", 1, ModelAccess(unmetered_routes=("POST /v1/batches",)))

    async def main() -> None:
        async with world.world(harness.says(WRONG_KEY), [access]) as made:
            client = await made.client()
            reply = await client.ask(path, world.chat())
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["type"], error["code"]) == (401, "x", "invalid_api_key")
            assert error["message"] == refusals.key_refused("root/openai").message
            assert b"sk-" not in reply.body
            settlement = await made.only(Settlement)
            assert (settlement.outcome, settlement.cost, settlement.status) == (Outcome.FREE, 0, 401)
            lines = [json.loads(line) for line in made.log.getvalue().splitlines()]
            (line,) = [line for line in lines if line["event"] == "the provider refused the key"]
            assert (line["level"], line["credential"]) == ("warning", "root/openai")
            await client.close()

    harness.run(main())


CUTS = [
    ("it closes before its answer", b"", True, 502),
    ("it answers in two ways", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", False, 502),
    ("it redirects", b"HTTP/1.1 307 T\r\nLocation: https://evil\r\nContent-Length: 0\r\n\r\n", False, 502),
    ("it cuts its answer", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{", True, 502),
    ("it says nothing", b"", False, 502),
]


@pytest.mark.parametrize(("raw", "closes", "status"), [c[1:] for c in CUTS], ids=[c[0] for c in CUTS])
def test_an_answer_that_never_came_is_a_typed_error_and_costs_the_hold(raw: bytes, closes: bool, status: int) -> None:
    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        if closes:
            writer.close()

    async def main() -> None:
        async with world.world(script, first_byte_seconds=0.2, between_bytes_seconds=0.2) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (status, "upstream_error")
            assert reply.header("location") is None
            settlement, intent = await made.only(Settlement), await made.only(Intent)
            assert (settlement.outcome, settlement.cost) == (Outcome.UNKNOWN, intent.hold)
            assert len(made.provider.seen) == 1
            await client.close()

    harness.run(main())


def test_an_unreachable_provider_costs_nothing() -> None:
    async def main() -> None:
        async with world.world(harness.says()) as made:
            async with harness.Provider(harness.says()).running() as gone:
                nowhere = world.document(gone.url)
            await made.sidecar.configuration.apply(nowhere, world.Directory(), world.KEYS)
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (502, "upstream_error")
            settlement = await made.only(Settlement)
            assert (settlement.outcome, settlement.cost) == (Outcome.FREE, 0)
            await client.close()

    harness.run(main())


def test_a_retry_that_a_policy_allows_is_an_attempt_of_its_own() -> None:
    answers = [harness.whole(b'{"error":{"message":"later"}}', "503 Later"), harness.whole(world.chat_answer())]

    async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
        writer.write(answers.pop(0))

    async def main() -> None:
        async with world.world(script, [Policy("root/m", 1, ModelAccess(retries=1))]) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            await made.on_record()
            intents = [event for event in made.events if isinstance(event, Intent)]
            settlements = [event for event in made.events if isinstance(event, Settlement)]
            assert len({intent.id for intent in intents}) == 2
            assert len({intent.request_id for intent in intents}) == 1
            assert [settlement.cost for settlement in settlements] == [0, 75]
            await client.close()

    harness.run(main())


def test_a_budget_that_is_used_up_says_so() -> None:
    async def main() -> None:
        async with world.world(
            harness.says(harness.whole(world.chat_answer())), accounts=[world.budget("0.0001")]
        ) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            error = json.loads(reply.body)["error"]
            assert (reply.status, error["code"]) == (402, "budget_exceeded")
            assert reply.header("x-should-retry") == "false"
            assert reply.header("x-llmgov-policy") == "Budget/root/shop"
            assert made.provider.seen == []
            await client.close()

    harness.run(main())


def test_a_small_account_serves_with_a_lower_maximum() -> None:
    async def main() -> None:
        accounts = [world.budget("0.01")]
        async with world.world(harness.says(harness.whole(world.chat_answer())), accounts=accounts) as made:
            client = await made.client()
            body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"x"}]}'
            reply = await client.ask(world.CHAT, body)
            assert reply.status == 200, reply.body
            (seen,) = made.provider.seen
            asked = json.loads(seen.body)
            field = next(name for name in asked if name.startswith("max_"))
            assert reply.header("x-llmgov-clamped") == f"{field}={asked[field]}"
            assert reply.header("x-llmgov-decision") == "clamp"
            intent = await made.only(Intent)
            assert asked[field] * 10 < intent.hold <= 10_000
            assert (await made.only(Violated)).violations[0].action is Action.CLAMP
            await client.close()

    harness.run(main())


def test_an_answer_dearer_than_its_hold_is_an_overrun_and_stops_the_model() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer(tokens=(10, 9000))))) as made:
            client = await made.client()
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            settlement = await made.only(Settlement)
            assert settlement.overrun
            assert settlement.cost == 25 + 90_000
            assert (await client.ask(world.CHAT, world.chat())).status == 403
            assert len(made.provider.seen) == 1
            await client.close()

    harness.run(main())


def rate(**limits: int) -> Policy:
    on_exceed = OnExceed.THROTTLE if limits.pop("wait", 0) else OnExceed.BLOCK
    return Policy("root/rate", 1, RateLimit(Subject.WORKLOAD, on_exceed, 5_000_000, **limits))


def test_one_request_too_many_is_blocked() -> None:
    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer())), [rate(requests_per_minute=2)]) as made:
            client = await made.client()
            replies = [await client.ask(world.CHAT, world.chat()) for _ in range(3)]
            assert [reply.status for reply in replies] == [200, 200, 429]
            assert [reply.header("x-ratelimit-remaining-requests") for reply in replies[:2]] == ["1", "0"]
            message = json.loads(replies[2].body)["error"]["message"]
            assert message.endswith(f"; try again in {replies[2].header('retry-after')} s")
            assert (await made.only(Refused)).message == message
            await client.close()

    harness.run(main())


def test_a_request_waits_for_a_running_one_and_for_nobody_who_left() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(harness.whole(world.chat_answer()))

        async with world.world(script, [rate(concurrent=1, wait=1)]) as made:
            first, second, third = [await made.client() for _ in range(3)]
            first.send(harness.request(world.CHAT, world.chat("1")))
            await made.provider.asked.wait()
            second.send(harness.request(world.CHAT, world.chat("2")))
            await asyncio.sleep(0.05)
            third.send(harness.request(world.CHAT, world.chat("3")))
            await asyncio.sleep(0.05)
            second.reset()
            await asyncio.sleep(0.05)
            assert len(made.provider.seen) == 1
            release.set()
            replies = [await client.reply() for client in (first, third)]
            assert [reply.status for reply in replies] == [200, 200]
            assert [json.loads(seen.body)["messages"][0]["content"] for seen in made.provider.seen] == ["1", "3"]
            assert replies[1].header("x-llmgov-decision") == "throttle"
            for client in (first, third):
                await client.close()

    harness.run(main())


def test_without_a_configuration_there_is_a_typed_503() -> None:
    async def main() -> None:
        async with world.world(harness.says()) as made:
            made.sidecar.configuration.current = None
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat())
            assert (reply.status, json.loads(reply.body)["error"]["code"]) == (503, "governance_unavailable")
            assert reply.header("retry-after") is not None
            await client.close()

    harness.run(main())


UNREADABLE = [
    ("a body that is too long", b"POST /v1/messages HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999\r\n\r\n", 413),
    ("a head that is too long", b"GET /v1/models HTTP/1.1\r\nHost: a\r\nX-A: " + b"x" * 40_000, 431),
    ("no Host", b"POST /v1/messages HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 400),
]


@pytest.mark.parametrize(("raw", "status"), [c[1:] for c in UNREADABLE], ids=[c[0] for c in UNREADABLE])
def test_a_message_that_never_became_a_request_is_on_record(raw: bytes, status: int) -> None:
    async def main() -> None:
        async with world.world(harness.says()) as made:
            client = await made.client()
            client.send(raw)
            reply = await client.reply()
            assert reply.status == status
            refused = await made.only(Refused)
            assert (refused.request_id, refused.status) == (reply.header("x-request-id"), status)
            assert refused.message.startswith("llmgov: ")
            assert refused.message in reply.body.decode()
            await client.close()

    harness.run(main())


def test_a_request_keeps_the_configuration_that_it_began_with() -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
            await release.wait()
            writer.write(harness.whole(world.chat_answer("SSN: 123-45-6789")))

        async with world.world(script) as made:
            client, other = await made.client(), await made.client()
            client.send(harness.request(world.CHAT, world.chat()))
            await made.provider.asked.wait()
            stricter = world.document(made.provider.url, [content(OnDetect.BLOCK, Direction.RESPONSE)])
            await made.sidecar.configuration.apply(stricter, world.Directory(), world.KEYS)
            other.send(harness.request(world.CHAT, world.chat()))
            release.set()
            assert (await client.reply()).status == 200
            assert (await other.reply()).status == 400
            await client.close()
            await other.close()

    harness.run(main())


def test_an_approval_that_was_used_already_is_asked_for_anew_at_once() -> None:
    sensitive = Policy("root/risk", 1, Compliance(sensitive_models=("openai/gpt-4o",)))

    async def main() -> None:
        async with world.world(harness.says(harness.whole(world.chat_answer())), [sensitive]) as made:
            client = await made.client()
            first = await client.ask(world.CHAT, world.chat())
            await made.on_record()
            (pending,) = await made.hub.approvals.list()
            assert f"`llmgov approvals approve {pending.id}`" in json.loads(first.body)["error"]["message"]
            await made.hub.approvals.approve(pending.id, "admin")
            opened = world.Directory(approvals=(await made.hub.approvals.directory()).approvals)
            await made.sidecar.configuration.apply(world.document(made.provider.url, [sensitive]), opened, world.KEYS)
            assert (await client.ask(world.CHAT, world.chat())).status == 200
            stale = await client.ask(world.CHAT, world.chat())
            assert (stale.status, stale.header("x-llmgov-policy")) == (403, "root/risk")
            assert f"`llmgov approvals approve {pending.id}-2`" in json.loads(stale.body)["error"]["message"]
            await made.on_record()
            rows = {row.id: row for row in await made.hub.approvals.list()}
            anew = rows.pop(f"{pending.id}-2")
            assert (anew.state, anew.used_by) == (ApprovalState.PENDING, "")
            assert rows[pending.id].state is ApprovalState.USED
            await client.close()

    harness.run(main())


def test_a_flood_of_refusals_is_counted_and_not_written_one_by_one() -> None:
    async def main() -> None:
        async with world.world(harness.says(), [Policy("root/m", 1, ModelAccess(deny=("*",)))]) as made:
            client = await made.client()
            for _ in range(300):
                assert (await client.ask(world.CHAT, world.chat())).status == 403
            await made.on_record()
            refused = [event for event in made.events if isinstance(event, Refused)]
            assert sum(event.count for event in refused) == 300
            assert len(refused) < 150
            await client.close()

    harness.run(main())


LOG_ALL = Policy("root/log", 1, Compliance(log_all_requests=True))


@pytest.mark.parametrize("logged", [True, False], ids=["asked for", "not asked for"])
def test_a_log_of_all_requests_says_what_applied_to_each(logged: bool) -> None:
    async def main() -> None:
        policies = [Policy("root/m", 2, ModelAccess(allow=("openai/*",))), *([LOG_ALL] if logged else [])]
        async with world.world(harness.says(harness.whole(world.chat_answer())), policies) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat())
            await client.close()
            await made.sidecar.stop()
            lines = [json.loads(line) for line in made.log.getvalue().splitlines()]
            (line,) = (line for line in lines if line["event"] == "request")
            assert line["workload"] == "shop/web"
            assert line.get("policies") == (["root/m", "root/log"] if logged else None)

    harness.run(main())


def test_a_log_of_all_requests_has_each_refusal_on_record() -> None:
    async def main() -> None:
        async with world.world(harness.says(), [Policy("root/m", 1, ModelAccess(deny=("*",))), LOG_ALL]) as made:
            client = await made.client()
            for _ in range(100):
                assert (await client.ask(world.CHAT, world.chat())).status == 403
            await made.on_record()
            refused = [event for event in made.events if isinstance(event, Refused)]
            assert [event.count for event in refused] == [1] * 100
            await client.close()

    harness.run(main())


def test_metrics_say_what_happened() -> None:
    async def main() -> None:
        policies = [content(OnDetect.BLOCK, Direction.REQUEST), Policy("root/cost", 1, CostLimit(max_output_tokens=50))]
        async with world.world(harness.says(harness.whole(world.chat_answer())), policies, admin_port=0) as made:
            client = await made.client()
            await client.ask(world.CHAT, world.chat())
            await client.ask(world.CHAT, world.chat("SSN: 123-45-6789"))
            admin = await harness.Client.to(made.sidecar.admin_port)
            assert (await admin.ask("/livez", b"", method="GET")).status == 200
            assert (await admin.ask("/readyz", b"", method="GET")).status == 200
            text = (await admin.ask("/metrics", b"", method="GET")).body.decode()
            for line in (
                'llm_requests_total{provider="openai",model="gpt-4o",operation="chat.completions",decision="clamp"} 1',
                'llm_request_cost_usd_sum{provider="openai",model="gpt-4o"} 7.5e-05',
                'policy_violations_total{policy="root/pii",action="deny",dry_run="false"} 1',
                'http_requests_total{operation="chat.completions",status="400"} 1',
                "http_requests_in_flight 0",
            ):
                assert line in text, text
            await admin.close()
            await client.close()

    harness.run(main())


def test_under_the_kill_switch_a_token_that_proves_nobody_is_on_record_and_an_ungoverned_route_is_refused() -> None:
    async def main() -> None:
        script = harness.says(harness.whole(world.chat_answer()))
        async with world.world(script, settings=Settings(kill_switch=True)) as made:
            client = await made.client()
            reply = await client.ask(world.CHAT, world.chat(), "X-Llmgov-Token: nobody\r\n")
            assert reply.status == 200
            (violation,) = (await made.only(Violated)).violations
            assert (violation.reason, violation.action, violation.dry_run) == ("invalid_token", Action.DENY, True)
            assert "nobody" not in violation.message
            assert (await client.ask("/v1/files", b"{}")).status == 403
            await client.close()

    harness.run(main())
