"""OpenAI's chat completions (https://platform.openai.com/docs/api-reference/chat): whole and streamed."""

from collections.abc import Iterator
from typing import Any

import msgspec

from llmgov_cli.mock_provider import answer, identity, openai_errors, openai_models, reply, script, tokens

_NO_MAX_TOKENS = ("o1", "o3", "o4", "gpt-5", "gpt-6")
"""Models that take `max_completion_tokens` only."""


class _Made(msgspec.Struct, frozen=True):
    """One answer with what every form of it says."""

    id: str
    created: int
    model: str
    tier: str
    choices: int
    call_id: str
    answer: answer.Answer


def last_text(body: dict[str, Any]) -> str:
    """The last user message's text."""
    users = [one for one in body.get("messages") or [] if isinstance(one, dict) and one.get("role") == "user"]
    return "\n".join(tokens.strings(users[-1].get("content"))) if users else ""


def respond(body: dict[str, Any], plan: script.Plan, ids: identity.Ids, now: int) -> reply.Reply:
    """The reply to `POST /v1/chat/completions`."""
    wrong = _wrong(body)
    if wrong is not None:
        return wrong
    maximum = body.get("max_completion_tokens", body.get("max_tokens"))
    input_tokens = tokens.of_parts(body["messages"], [], body.get("tools") or [], spend_max=plan.spend_max)
    made = _Made(
        id=ids.new("chatcmpl-"),
        created=now,
        model=openai_models.dated(body["model"]),
        tier=plan.tier or "default",
        choices=body.get("n") or 1,
        call_id=ids.new("call_"),
        answer=answer.make(
            plan, user=last_text(body), request=[body["messages"]], input_tokens=input_tokens, maximum=maximum
        ),
    )
    if not body.get("stream"):
        return reply.Whole(200, {}, _completion(made))
    options = body.get("stream_options") or {}
    chunks = list(_chunks(made, usage=bool(options.get("include_usage"))))
    if options.get("include_obfuscation", True):
        chunks = [chunk | {"obfuscation": made.id[-1] * (8 - len(chunk["choices"]))} for chunk in chunks]
    events = [*map(reply.event, chunks), b"data: [DONE]\n\n"]
    return reply.Stream({}, events, reply.event(openai_errors.error(500).body))


def _wrong(body: dict[str, Any]) -> reply.Whole | None:
    for name, kind in (("model", str), ("messages", list)):
        if not isinstance(body.get(name), kind):
            return openai_errors.missing(name)
    if not openai_models.known(body["model"]):
        return openai_errors.unknown_model(body["model"])
    if "max_tokens" in body and body["model"].startswith(_NO_MAX_TOKENS):
        return openai_errors.unsupported("max_tokens", "max_completion_tokens")
    return None


def _completion(made: _Made) -> dict[str, Any]:
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if made.answer.refused or made.answer.call else made.answer.text,
        "refusal": made.answer.text if made.answer.refused else None,
        "annotations": [],
    }
    if made.answer.call is not None:
        function = {"name": made.answer.call.name, "arguments": made.answer.call.arguments}
        message["tool_calls"] = [{"id": made.call_id, "type": "function", "function": function}]
    choices = [
        {"index": index, "message": message, "logprobs": None, "finish_reason": _finish(made.answer)}
        for index in range(made.choices)
    ]
    return _head(made, "chat.completion") | {"choices": choices, "usage": _usage(made)}


def _chunks(made: _Made, *, usage: bool) -> Iterator[dict[str, Any]]:
    head = _head(made, "chat.completion.chunk") | ({"usage": None} if usage else {})
    for index in range(made.choices):
        for delta in _deltas(made):
            yield head | {"choices": [_choice(index, delta, None)]}
        yield head | {"choices": [_choice(index, {}, _finish(made.answer))]}
    if usage:
        yield head | {"choices": [], "usage": _usage(made)}


def _deltas(made: _Made) -> Iterator[dict[str, Any]]:
    call = made.answer.call
    if call is not None:
        function = {"name": call.name, "arguments": ""}
        first = {"index": 0, "id": made.call_id, "type": "function", "function": function}
        yield {"role": "assistant", "content": None, "tool_calls": [first], "refusal": None}
        for piece in tokens.pieces(call.arguments):
            yield {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        return
    field = "refusal" if made.answer.refused else "content"
    yield {"role": "assistant", "content": None if made.answer.refused else "", "refusal": None}
    for piece in tokens.pieces(made.answer.text):
        yield {field: piece}


def _choice(index: int, delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _head(made: _Made, kind: str) -> dict[str, Any]:
    return {
        "id": made.id,
        "object": kind,
        "created": made.created,
        "model": made.model,
        "service_tier": made.tier,
        "system_fingerprint": "fp_mock",
    }


def _finish(one: answer.Answer) -> str:
    if one.call is not None:
        return "tool_calls"
    return "length" if one.cut else "stop"


def _usage(made: _Made) -> dict[str, Any]:
    completion = made.answer.output_tokens * made.choices
    return {
        "prompt_tokens": made.answer.input_tokens,
        "completion_tokens": completion,
        "total_tokens": made.answer.input_tokens + completion,
        "prompt_tokens_details": {"cached_tokens": made.answer.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": made.answer.thinking_tokens * made.choices,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
