"""OpenAI's requests understood: chat completions, responses, embeddings, models."""

import re
from collections.abc import Mapping
from typing import Any, assert_never

from llmgov.snapshot import Dimension
from llmgov.wire import events, json_scan, malformed, values, walk
from llmgov.wire.events import CostFacts, Operation, OutputLimit, Request, Route
from llmgov.wire.fields import Findings, Top
from llmgov.wire.openai import parts, tops

MAX_CHOICES = 128
"""`n` of chat completions, by the API reference."""

_FRAMING = 32
"""Tokens that frame a conversation and prime the answer; those of each message are fewer than its JSON's bytes."""

_OWN_MODELS = re.compile(r"(ft:)?(gpt-|chatgpt-|o[0-9]|codex-)", re.ASCII)


def parse_request(route: Route, body: bytes) -> Request:
    """The request that `body` makes at this route.

    Raises:
        malformed.RequestError: not strict JSON, or not what the API takes; its refusal names the path.
    """
    match route.operation:
        case Operation.CHAT_COMPLETIONS:
            return _chat(route, body)
        case Operation.RESPONSES:
            return _responses(route, body)
        case Operation.EMBEDDINGS:
            return _embeddings(route, body)
        case Operation.OPENAI_MODELS:
            return _models(route, body)
        case Operation.MESSAGES | Operation.COUNT_TOKENS | Operation.ANTHROPIC_MODELS:
            raise ValueError(f"{route.operation} is not OpenAI's")
        case _:
            assert_never(route.operation)


def usage_edits(request: Request) -> tuple[events.Edit, ...]:
    """What to change so that a stream reports its usage; empty where it does anyway."""
    if request.route.operation is Operation.CHAT_COMPLETIONS and request.stream and not request.wants_usage:
        return (events.SetTrue("stream_options.include_usage"),)
    return ()


def _chat(route: Route, body: bytes) -> Request:
    parsed = json_scan.parse_object(body)
    model = values.model(parsed)
    values.array(parsed, "messages")
    values.array(parsed, "tools")
    stream = values.flag(parsed, "stream")
    walker = _walk(parsed, tops.CHAT)
    findings = walker.findings
    _bound_server_tools(findings, None)
    options = values.mapping(parsed, "stream_options")
    return Request(
        route=route,
        body=body,
        model=model,
        stream=stream,
        texts=tuple(findings.texts),
        output_limit=_chat_limit(parsed, model),
        cost=_facts(
            body,
            findings,
            choices=values.count(parsed, "n", MAX_CHOICES) or 1,
            service_tier=values.text(parsed, "service_tier"),
            extra_output_tokens=_prediction_bytes(findings) if "prediction" in parsed else 0,
        ),
        user=_user(parsed),
        wants_usage=not stream or values.flag(options, "include_usage"),
        unknown_parts=tuple(findings.unknown),
    )


def _chat_limit(parsed: Mapping[str, Any], model: str) -> OutputLimit:
    """OpenAI's models take `max_completion_tokens` (reasoning ones nothing else); other servers know `max_tokens`."""
    old = values.count(parsed, "max_tokens")
    new = values.count(parsed, "max_completion_tokens")
    if old is not None and new is not None:
        raise malformed.malformed("max_tokens", "and max_completion_tokens cannot be set both")
    if new is not None:
        return OutputLimit("max_completion_tokens", new)
    if old is not None:
        return OutputLimit("max_tokens", old)
    return OutputLimit("max_completion_tokens" if _OWN_MODELS.match(model) else "max_tokens")


def _responses(route: Route, body: bytes) -> Request:
    parsed = json_scan.parse_object(body)
    model = values.model(parsed)
    values.array(parsed, "tools")
    walker = _walk(parsed, tops.RESPONSES)
    findings = walker.findings
    if parsed.get("prompt") is not None:
        findings.server_tools.append(("prompt", Dimension.WEB_SEARCH_CALL))
    if values.mapping(parsed, "reasoning").get("mode") not in (None, "standard"):
        findings.refuse("reasoning.mode", "a reasoning mode that may run the model more than once")
    _bound_server_tools(findings, values.count(parsed, "max_tool_calls"))
    return Request(
        route=route,
        body=body,
        model=model,
        stream=values.flag(parsed, "stream"),
        texts=tuple(findings.texts),
        output_limit=OutputLimit("max_output_tokens", values.count(parsed, "max_output_tokens")),
        cost=_facts(body, findings, service_tier=values.text(parsed, "service_tier")),
        user=_user(parsed),
        unknown_parts=tuple(findings.unknown),
    )


def _embeddings(route: Route, body: bytes) -> Request:
    parsed = json_scan.parse_object(body)
    model = values.model(parsed)
    given = parsed.get("input")
    if not isinstance(given, str | list):
        raise malformed.malformed("input", "must be a string or an array")
    tokens = isinstance(given, list) and not all(isinstance(item, str) for item in given)
    walker = _walk({name: value for name, value in parsed.items() if not (tokens and name == "input")}, tops.EMBEDDINGS)
    findings = walker.findings
    if tokens:
        findings.unknown.append("input")
    return Request(
        route=route,
        body=body,
        model=model,
        stream=False,
        texts=tuple(findings.texts),
        output_limit=None,
        cost=_facts(body, findings, produces_output=False),
        user=_user(parsed),
        unknown_parts=tuple(findings.unknown),
    )


def _models(route: Route, body: bytes) -> Request:
    if body:
        raise malformed.malformed("", "must be empty")
    name = route.upstream_path.partition("?")[0].removeprefix("/models").removeprefix("/")
    return Request(route, body, name, False, (), None, CostFacts(text_bytes=0, produces_output=False))


def _walk(parsed: Mapping[str, Any], table: Mapping[str, Top]) -> walk.Walker:
    walker = walk.Walker(parts.PARTS, parts.FIELDS, parts.ROLES, parts.LIFETIMES)
    walker.read_fields(parsed, table)
    return walker


def _bound_server_tools(findings: Findings, most_calls: int | None) -> None:
    if not findings.server_tools:
        return
    if most_calls is None:
        for path, _ in findings.server_tools:
            findings.refuse(path, "a tool that the provider runs, without max_tool_calls")
        return
    findings.iterations = most_calls + 1
    for _, dimension in findings.server_tools:
        if dimension is not None:
            findings.calls[dimension] = most_calls


def _prediction_bytes(findings: Findings) -> int:
    return sum(len(text.text.encode()) for text in findings.texts if text.path.startswith("prediction"))


def _facts(
    body: bytes,
    findings: Findings,
    *,
    choices: int = 1,
    service_tier: str | None = None,
    extra_output_tokens: int = 0,
    produces_output: bool = True,
) -> CostFacts:
    return CostFacts(
        text_bytes=len(body) - findings.media_bytes,
        overhead_tokens=findings.overhead + _FRAMING,
        images=findings.images,
        audio_tokens=findings.audio_tokens,
        extra_output_tokens=extra_output_tokens,
        choices=choices,
        opaque_context=findings.opaque,
        iterations=findings.iterations,
        calls=findings.calls,
        cache_writes=frozenset(findings.cache_writes - {Dimension.CACHE_WRITE_30M}),
        service_tier=service_tier,
        produces_output=produces_output,
        refused=tuple(findings.refused),
    )


def _user(parsed: Mapping[str, Any]) -> str | None:
    return values.text(parsed, "user") or values.text(parsed, "safety_identifier")
