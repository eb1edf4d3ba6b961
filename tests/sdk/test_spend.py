"""What is reported as spent is what the providers' price lists say, to a millionth of a dollar."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from tests.sdk import cases, invoice, ledger
from tests.sdk import system as system_
from tests.sdk.system import System
from tests.support import sdks
from tests.support.sdks import Call, Sdk

TEXT = "mock: cached 1001\nmock: say " + "a somewhat longer answer, " * 9
PROMPT = [{"role": "system", "content": "Some thousand tokens of context. " * 150}]
_USAGE: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
_CACHED = {"type": "ephemeral"}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A system of its own: nothing else is in its sums."""
    with system_.running(tmp_path_factory.mktemp("spend"), ("priced",)) as system:
        yield system


def _chat(model: str, text: str = TEXT, **more: Any) -> Call:
    return cases.chat("", model=model, messages=[*PROMPT, {"role": "user", "content": text}], **more)


def _block(text: str, **control: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"cache_control": _CACHED | control} if control else {})}


def _message(model: str, text: str = TEXT, **more: Any) -> Call:
    return cases.message(text, model=model, **more)


_SYSTEM_5M: dict[str, Any] = {"system": [_block("Written for five minutes. " * 70, ttl="5m")]}
_SYSTEM_BOTH: dict[str, Any] = {
    "system": [_block("For an hour. " * 70, ttl="1h"), _block("For minutes. " * 30, ttl="5m")]
}

GRID: list[Call] = [
    *(_chat(model) for model in ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-5-mini", "o4-mini")),
    *(_chat(model, "mock: think about it\nmock: say done", n=3) for model in ("gpt-5-mini", "o4-mini")),
    *(_chat(model, **_USAGE) for model in ("gpt-4o", "gpt-4o-mini")),
    *(_chat(model, f"mock: tier priority\n{TEXT}", service_tier="priority") for model in ("gpt-4o", "gpt-5-mini")),
    _chat("gpt-5-mini", f"mock: tier flex\n{TEXT}", service_tier="flex"),
    _chat("gpt-4o", f"mock: tier default\n{TEXT}", service_tier="priority"),
    *(cases.response(TEXT, model=model, instructions=PROMPT[0]["content"]) for model in ("gpt-4o", "gpt-4.1")),
    cases.response(f"mock: think step by step\n{TEXT}", model="gpt-5-mini", reasoning={"effort": "low"}),
    cases.response("mock: spend max", model="gpt-4o"),
    cases.response(TEXT, model="gpt-4.1", path="stream", helper=True),
    *(
        Call(Sdk.OPENAI, "embeddings.create", {"model": f"text-embedding-3-{size}", "input": given})
        for size in ("small", "large")
        for given in ("a", ["some text " * 40, "another"])
    ),
    *(_message(model) for model in invoice.ANTHROPIC),
    *(_message(model, **_SYSTEM_5M) for model in ("claude-haiku-5-5", "claude-opus-5-5")),
    *(_message(model, **_SYSTEM_BOTH) for model in ("claude-haiku-4-5", "claude-sonnet-5-5")),
    _message("claude-haiku-4-5", f"mock: think hard\n{TEXT}", thinking={"type": "enabled", "budget_tokens": 1024}),
    *(_message(model, path="stream", helper=True, **_SYSTEM_BOTH) for model in ("claude-haiku-5-5", "claude-opus-5-5")),
    *(_message("claude-haiku-5-5", "mock: cached 50000\nmock: say yes", system="word" * n) for n in (99_900, 100_000)),
]


def test_what_is_spent_is_what_the_price_lists_say(bank: System) -> None:
    bills: list[tuple[str, Decimal]] = []
    for call in GRID:
        answer, shown = _answer(bank, call)
        bill = invoice.of_anthropic if call.sdk is Sdk.ANTHROPIC else invoice.of_openai
        due = bill(call.arguments["model"], answer)
        assert due > 0
        assert shown is None or Decimal(shown) == due, call
        bills.append((f"{call.sdk.value}/{call.arguments['model']}", due))
    rows = ledger.ended(bank.state_folder, "priced", len(GRID))
    assert sorted(row.cost * invoice.MICRO for row in rows) == sorted(due for _, due in bills)
    assert {(row.outcome, row.overrun) for row in rows} == {("settled", False)}
    reports = {by: bank.spend(by) for by in ("model", "namespace", "team", "user", "day")}
    for name in {name for name, _ in bills}:
        assert Decimal(reports["model"][name]["spent"]) == sum(due for other, due in bills if other == name)
    total = sum(due for _, due in bills)
    assert Decimal(reports["namespace"]["priced"]["spent"]) == total
    assert {by: Decimal(lines["total"]["spent"]) for by, lines in reports.items()} == dict.fromkeys(reports, total)


def _answer(bank: System, call: Call) -> tuple[Any, str | None]:
    """What bears the usage, and the cost that the answer shows; a stream's begins before that is known."""
    client = bank.client(call.sdk, "priced")
    if call.helper:
        with sdks.method(client, call.path)(**call.arguments) as stream:
            return sdks.final(stream), None
    raw = sdks.method(client, call.path.replace("create", "with_raw_response.create"))(**call.arguments)
    if not call.arguments.get("stream"):
        return raw.parse(), raw.headers["x-llmgov-cost-usd"]
    with raw.parse() as stream:
        return list(stream)[-1], None
