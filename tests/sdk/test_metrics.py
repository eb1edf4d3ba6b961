"""A sidecar's metrics after traffic through the SDKs: the guide's names, the right numbers, and bounded labels."""

import asyncio
import contextlib
import pathlib
from decimal import Decimal
from typing import Any, NamedTuple

import anthropic
import openai
import pytest

from tests.sdk import canaries, cases, watched
from tests.support import sdks
from tests.support.exposition import Scrape
from tests.support.sdks import Call, Sdk

GUIDE = {
    "http_requests_total": "counter",
    "http_request_duration_seconds": "histogram",
    "http_requests_in_flight": "gauge",
    "http_response_size_bytes": "histogram",
    "llm_requests_total": "counter",
    "llm_request_cost_usd": "histogram",
    "policy_evaluations_total": "counter",
    "policy_violations_total": "counter",
}
"""What the administrator guide lists of a data plane, section Prometheus Metrics."""

UNKNOWN = 150
"""Different names of models that nobody has, and that a client makes up."""

_STREAMED, _LOST = "gpt-4.1", "claude-opus-5-5"
"""Models whose costs the answers do not show: a stream's begins before it is known, and one never came."""

_BEFORE = [
    cases.chat("hello"),
    cases.chat("hello"),
    cases.chat("see CODE-1234"),
    cases.chat("hello!!!"),
    cases.chat("hello", model="gpt-3.5-turbo"),
    cases.chat("mock: status 500"),
    cases.chat("hello", stream=True, model=_STREAMED),
    cases.response("hello"),
    cases.message("hello"),
    cases.message("mock: fault bad-gateway", model=_LOST),
    Call(Sdk.OPENAI, "models.list", {}),
]
_MADE_UP = [cases.chat("hello", model=f"made-up-{number}") for number in range(UNKNOWN)]


class Seen(NamedTuple):
    """Scrapes on the way; `costs` are what the answers showed, in USD by model."""

    quiet: Scrape
    busy: Scrape
    after: Scrape
    flooded: Scrape
    text: str
    costs: dict[str, Decimal]
    probes: dict[str, int]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """All of the traffic, and what was scraped in between."""
    return asyncio.run(_watch(tmp_path_factory.mktemp("watched")))


async def _watch(folder: pathlib.Path) -> Seen:
    async with watched.sidecar(folder) as sidecar, contextlib.AsyncExitStack() as exits:
        clients = {sdk: await exits.enter_async_context(sdks.async_client(sdk, sidecar.port)) for sdk in Sdk}
        quiet, _ = await _scrape(sidecar.admin_port)
        costs: dict[str, Decimal] = {}
        for call in _BEFORE:
            model = call.arguments.get("model", "")
            costs[model] = costs.get(model, Decimal()) + await _ask(clients[call.sdk], call)
        after, _ = await _scrape(sidecar.admin_port)
        slow = cases.chat("mock: pace 100ms\nmock: say one two three", stream=True)
        async with await clients[Sdk.OPENAI].chat.completions.create(**slow.arguments) as stream:
            await anext(aiter(stream))
            busy, _ = await _scrape(sidecar.admin_port)
            _ = [event async for event in stream]
        await asyncio.gather(*(_ask(clients[call.sdk], call) for call in _MADE_UP))
        flooded, text = await _scrape(sidecar.admin_port)
        probes = {path: (await watched.get(sidecar.admin_port, path))[0] for path in ("/livez", "/readyz", "/other")}
    return Seen(quiet, busy, after, flooded, text, costs, probes)


async def _scrape(port: int) -> tuple[Scrape, str]:
    status, text = await watched.get(port, "/metrics")
    assert status == 200
    return Scrape(text), text


async def _ask(client: Any, call: Call) -> Decimal:
    """Make a call, and say what its answer costs; 0 where it does not show that."""
    owner, _, name = call.path.rpartition(".")
    raw = getattr(sdks.method(client, f"{owner}.with_raw_response"), name)
    try:
        answer = await raw(**call.arguments)
    except (openai.APIStatusError, anthropic.APIStatusError):
        return Decimal()
    if call.arguments.get("stream"):
        async with answer.parse() as stream:
            _ = [event async for event in stream]
    return Decimal(answer.headers.get("x-llmgov-cost-usd", "0"))


def test_the_guides_names_are_there_with_their_types_before_any_request(seen: Seen) -> None:
    assert GUIDE.items() <= seen.quiet.kinds.items()
    assert all(sample.value == 0 for sample in seen.quiet.samples if sample.name != "llmgov_spool_bytes")


def test_requests_are_counted_by_what_came_of_them(seen: Seen) -> None:
    count = seen.after
    chat = {"provider": "openai", "operation": "chat.completions", "model": cases.GPT}
    assert count.total("llm_requests_total", decision="redact", **chat) == 1
    assert count.total("llm_requests_total", decision="deny", model="gpt-3.5-turbo") == 1
    assert count.total("llm_requests_total", decision="allow", **chat) == 4
    assert count.total("llm_requests_total", decision="allow", model=_STREAMED) == 1
    assert count.total("llm_requests_total", provider="anthropic", operation="messages") == 2
    assert count.total("llm_requests_total", operation="responses") == 1
    assert count.total("llm_requests_total") == len(_BEFORE)


def test_http_requests_are_counted_by_status_and_timed(seen: Seen) -> None:
    count = seen.after
    assert {status: count.total("http_requests_total", status=status) for status in ("200", "403", "500", "502")} == {
        "200": 8,
        "403": 1,
        "500": 1,
        "502": 1,
    }
    assert count.total("http_requests_total") == len(_BEFORE)
    assert count.total("http_request_duration_seconds_count") == len(_BEFORE)
    assert 0 < count.total("http_request_duration_seconds_sum") < 30
    assert count.total("http_response_size_bytes_count") == len(_BEFORE)
    assert count.total("http_response_size_bytes_sum") > 1000


def test_requests_under_way_are_a_gauge(seen: Seen) -> None:
    assert seen.quiet.total("http_requests_in_flight") == 0
    assert seen.busy.total("http_requests_in_flight") == 1
    assert seen.flooded.total("http_requests_in_flight") == 0


def test_costs_are_what_the_answers_showed(seen: Seen) -> None:
    for model in (cases.GPT, cases.CLAUDE):
        assert seen.costs[model] > 0
        counted = seen.after.total("llm_request_cost_usd_sum", model=model)
        assert counted == pytest.approx(float(seen.costs[model]), abs=1e-9)
    assert seen.after.total("llm_request_cost_usd_count", model=cases.CLAUDE) == 1
    for model in (_STREAMED, _LOST):
        assert seen.after.total("llm_request_cost_usd_sum", model=model) > 0


def test_policies_are_counted_with_what_they_did(seen: Seen) -> None:
    count = seen.after
    violations = {
        (one.labels["policy"], one.labels["action"], one.labels["dry_run"]): one.value
        for one in count.samples
        if one.name == "policy_violations_total"
    }
    assert violations == {
        ("watched/codes", "redact", "false"): 1,
        ("watched/shouting", "deny", "true"): 1,
        ("watched/models", "deny", "false"): 1,
    }
    assert count.values("policy_evaluations_total", "policy") >= {"watched/codes", "watched/shouting", "watched/models"}
    assert count.total("policy_evaluations_total", policy="watched/models", kind="modelAccess") == len(_BEFORE)


def test_names_that_clients_make_up_cannot_fill_a_label(seen: Seen) -> None:
    for name in ("llm_requests_total", "llm_request_cost_usd_count"):
        assert len(seen.flooded.values(name, "model")) <= 101
    assert "other" in seen.flooded.values("llm_requests_total", "model")
    assert seen.flooded.total("llm_requests_total") == len(_BEFORE) + 1 + UNKNOWN
    for policy in seen.flooded.values("policy_evaluations_total", "outcome"):
        assert len(policy) <= 40


def test_histograms_add_up(seen: Seen) -> None:
    for name in (name for name, kind in seen.flooded.kinds.items() if kind == "histogram"):
        series: dict[tuple[tuple[str, str], ...], list[float]] = {}
        for one in seen.flooded.samples:
            if one.name == f"{name}_bucket":
                key = tuple(sorted((label, value) for label, value in one.labels.items() if label != "le"))
                series.setdefault(key, []).append(one.value)
        for key, buckets in series.items():
            assert buckets == sorted(buckets)
            assert buckets[-1] == seen.flooded.total(f"{name}_count", **dict(key))


def test_probes(seen: Seen) -> None:
    assert seen.probes == {"/livez": 200, "/readyz": 200, "/other": 404}


def test_metrics_have_nothing_of_the_traffic(seen: Seen, tmp_path: pathlib.Path) -> None:
    (tmp_path / "metrics").write_text(seen.text)
    assert canaries.found(tmp_path, ["CODE-1234", "hello", sdks.PLACEHOLDER, "mock-openai-key"]) == []
