"""Anthropic's messages (https://docs.anthropic.com/en/api/messages, …/messages-streaming, …/messages-count-tokens)."""

import json
from collections.abc import Iterator
from typing import Any

from llmgov_cli.mock_provider import answer, anthropic_errors, anthropic_models, identity, reply, script, tokens

_SIGNATURE = "EqQBCgIYAhIkbW9jayBzaWduYXR1cmU"
"""Opaque, as the real one is."""


def last_text(body: dict[str, Any]) -> str:
    """The last user message's text."""
    users = [one for one in body.get("messages") or [] if isinstance(one, dict) and one.get("role") == "user"]
    return "\n".join(tokens.strings(users[-1].get("content"))) if users else ""


def respond(body: dict[str, Any], plan: script.Plan, ids: identity.Ids, request_id: str) -> reply.Reply:
    """The reply to `POST /v1/messages`."""
    wrong = _wrong(body, request_id, ("model", "max_tokens", "messages"))
    if wrong is not None:
        return wrong
    thinking = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    made = answer.make(
        plan,
        user=last_text(body),
        request=[body.get("system") or "", body["messages"]],
        input_tokens=_count(body, spend_max=plan.spend_max),
        maximum=body["max_tokens"],
        thinks=thinking,
    )
    message = _message(body, made, plan, ids)
    if not body.get("stream"):
        return reply.Whole(200, {}, message)
    events = [reply.event(event, event["type"]) for event in _events(message)]
    return reply.Stream({}, events, anthropic_errors.overloaded_event())


def count(body: dict[str, Any], request_id: str) -> reply.Whole:
    """The reply to `POST /v1/messages/count_tokens`."""
    wrong = _wrong(body, request_id, ("model", "messages"))
    return wrong or reply.Whole(200, {}, {"input_tokens": _count(body, spend_max=False)})


def _wrong(body: dict[str, Any], request_id: str, required: tuple[str, ...]) -> reply.Whole | None:
    for name in required:
        if body.get(name) is None:
            return anthropic_errors.error(400, request_id, f"{name}: Field required")
    if not anthropic_models.known(body["model"]):
        return anthropic_errors.error(404, request_id, f"model: {body['model']}")
    return None


def _count(body: dict[str, Any], *, spend_max: bool) -> int:
    return tokens.of_parts(body["messages"], [body.get("system") or ""], body.get("tools") or [], spend_max=spend_max)


def _message(body: dict[str, Any], made: answer.Answer, plan: script.Plan, ids: identity.Ids) -> dict[str, Any]:
    return {
        "id": ids.new("msg_"),
        "type": "message",
        "role": "assistant",
        "model": anthropic_models.dated(body["model"]),
        "content": list(_blocks(made, ids)),
        "stop_reason": _stop_reason(made),
        "stop_sequence": None,
        "stop_details": {"type": "refusal", "category": None, "explanation": None} if made.refused else None,
        "usage": _usage(body, made, plan),
    }


def _blocks(made: answer.Answer, ids: identity.Ids) -> Iterator[dict[str, Any]]:
    if made.thinking is not None:
        yield {"type": "thinking", "thinking": made.thinking, "signature": _SIGNATURE}
    if made.call is not None:
        arguments = json.loads(made.call.arguments)
        yield {"type": "tool_use", "id": ids.new("toolu_"), "name": made.call.name, "input": arguments}
    else:
        yield {"type": "text", "text": made.text}


def _stop_reason(made: answer.Answer) -> str:
    if made.refused:
        return "refusal"
    if made.call is not None:
        return "tool_use"
    return "max_tokens" if made.cut else "end_turn"


def _usage(body: dict[str, Any], made: answer.Answer, plan: script.Plan) -> dict[str, Any]:
    written = _cache_writes(body)
    short, long = min(written["5m"], made.input_tokens), written["1h"]
    long = min(long, made.input_tokens - short)
    read = min(made.cached_tokens, made.input_tokens - short - long)
    return {
        "input_tokens": made.input_tokens - short - long - read,
        "cache_creation_input_tokens": short + long,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": long},
        "output_tokens": made.output_tokens,
        "service_tier": plan.tier or "standard",
    }


def _cache_writes(body: dict[str, Any]) -> dict[str, int]:
    """Tokens of the blocks that ask to be cached, by how long."""
    written = {"5m": 0, "1h": 0}
    blocks = [block for place in (body.get("system"), *(m.get("content") for m in body["messages"]))
              if isinstance(place, list) for block in place if isinstance(block, dict)]  # fmt: skip
    for block in blocks:
        control = block.get("cache_control")
        if control:
            written[control.get("ttl", "5m")] += sum(map(tokens.of, tokens.strings(block)))
    return written


def _events(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    usage = message["usage"]
    begun = message | {"content": [], "stop_reason": None, "stop_details": None, "usage": usage | {"output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    for index, block in enumerate(message["content"]):
        yield {"type": "content_block_start", "index": index, "content_block": _empty(block)}
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(block):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {name: message[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    counted = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    yield {"type": "message_delta", "delta": delta, "usage": {name: usage[name] for name in counted}}
    yield {"type": "message_stop"}


def _empty(block: dict[str, Any]) -> dict[str, Any]:
    match block["type"]:
        case "thinking":
            return block | {"thinking": "", "signature": ""}
        case "tool_use":
            return block | {"input": {}}
        case _:
            return block | {"text": ""}


def _deltas(block: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match block["type"]:
        case "thinking":
            for piece in tokens.pieces(block["thinking"]):
                yield {"type": "thinking_delta", "thinking": piece}
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use":
            yield {"type": "input_json_delta", "partial_json": ""}
            for piece in tokens.pieces(json.dumps(block["input"])):
                yield {"type": "input_json_delta", "partial_json": piece}
        case _:
            for piece in tokens.pieces(block["text"]):
                yield {"type": "text_delta", "text": piece}
