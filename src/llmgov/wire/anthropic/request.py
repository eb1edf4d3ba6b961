"""Anthropic's requests understood: messages, counting tokens, models."""

from collections.abc import Mapping
from typing import Any, assert_never

from llmgov.wire import json_scan, malformed, values, walk
from llmgov.wire.anthropic import parts, tops
from llmgov.wire.events import CostFacts, Operation, OutputLimit, Request, Route
from llmgov.wire.fields import Findings

_FRAMING = 32
"""Tokens that frame a conversation; those of each message are fewer than its JSON's bytes."""

_TOOL_PROMPT = 2048
"""Tokens of the system prompt that the provider adds where there are tools: 264 to 804 by its pricing page."""


def parse_request(route: Route, body: bytes) -> Request:
    """The request that `body` makes at this route.

    Raises:
        malformed.RequestError: not strict JSON, or not what the API takes; its refusal names the path.
    """
    match route.operation:
        case Operation.MESSAGES | Operation.COUNT_TOKENS:
            return _messages(route, body)
        case Operation.ANTHROPIC_MODELS:
            return _models(route, body)
        case Operation.CHAT_COMPLETIONS | Operation.RESPONSES | Operation.EMBEDDINGS | Operation.OPENAI_MODELS:
            raise ValueError(f"{route.operation} is not Anthropic's")
        case _:
            assert_never(route.operation)


def _messages(route: Route, body: bytes) -> Request:
    parsed = json_scan.parse_object(body)
    model = values.model(parsed)
    values.array(parsed, "messages")
    tools = values.array(parsed, "tools")
    produces = route.operation is Operation.MESSAGES
    limit = values.count(parsed, "max_tokens")
    if produces and limit is None:
        raise malformed.malformed("max_tokens", "must be set")
    walker = _walk(parsed)
    findings = walker.findings
    if tools:
        findings.overhead += _TOOL_PROMPT
    return Request(
        route=route,
        body=body,
        model=model,
        stream=values.flag(parsed, "stream"),
        texts=tuple(findings.texts),
        output_limit=OutputLimit("max_tokens", limit) if produces else None,
        cost=_facts(body, findings, _tier(parsed), produces),
        user=values.text(values.mapping(parsed, "metadata"), "user_id"),
        unknown_parts=tuple(findings.unknown),
    )


def _tier(parsed: Mapping[str, Any]) -> str | None:
    """Fast mode is a price of its own; `standard_only` excludes the priority tier."""
    speed = values.text(parsed, "speed")
    tier = values.text(parsed, "service_tier")
    return speed if speed not in (None, "standard") else "standard" if tier == "standard_only" else tier


def _models(route: Route, body: bytes) -> Request:
    if body:
        raise malformed.malformed("", "must be empty")
    name = route.upstream_path.partition("?")[0].removeprefix("/v1/models").removeprefix("/")
    return Request(route, body, name, False, (), None, CostFacts(text_bytes=0, produces_output=False))


def _walk(parsed: Mapping[str, Any]) -> walk.Walker:
    walker = walk.Walker(parts.PARTS, parts.FIELDS, parts.ROLES, parts.LIFETIMES)
    walker.read_fields(parsed, tops.MESSAGES)
    return walker


def _facts(body: bytes, findings: Findings, tier: str | None, produces_output: bool) -> CostFacts:
    """Nothing says whether `max_tokens` bounds each run of a server tool's loop or all of them: so every run counts as
    an answer of its own."""
    return CostFacts(
        text_bytes=len(body) - findings.media_bytes,
        overhead_tokens=findings.overhead + _FRAMING,
        images=findings.images,
        choices=findings.iterations,
        opaque_context=findings.opaque,
        iterations=findings.iterations,
        calls=findings.calls,
        cache_writes=frozenset(findings.cache_writes),
        service_tier=tier,
        produces_output=produces_output,
        refused=tuple(findings.refused),
    )
