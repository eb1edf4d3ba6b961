"""OpenAI's Responses API (https://platform.openai.com/docs/api-reference/responses, …/responses-streaming)."""

from collections.abc import Iterator
from typing import Any

import msgspec

from llmgov_cli.mock_provider import answer, identity, openai_errors, openai_models, reply, script, tokens

_ECHOED = (
    "instructions", "max_output_tokens", "max_tool_calls", "metadata", "previous_response_id", "prompt_cache_key",
    "reasoning", "safety_identifier", "temperature", "text", "tool_choice", "tools", "top_p", "truncation", "user",
)  # fmt: skip
"""Parameters of the request that the response repeats."""

_DEFAULTS: dict[str, Any] = {
    "metadata": {},
    "reasoning": {"effort": None, "summary": None},
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "truncation": "disabled",
}


class _Ids(msgspec.Struct, frozen=True):
    response: str
    message: str
    reasoning: str
    item: str
    call: str


def last_text(body: dict[str, Any]) -> str:
    """The last user text of `input`."""
    given = body.get("input")
    if isinstance(given, str):
        return given
    users = [one for one in given or [] if isinstance(one, dict) and one.get("role", "user") == "user"]
    return "\n".join(tokens.strings(users[-1].get("content"))) if users else ""


def respond(body: dict[str, Any], plan: script.Plan, ids: identity.Ids, now: int) -> reply.Reply:
    """The reply to `POST /v1/responses`."""
    for name in ("model", "input"):
        if not body.get(name):
            return openai_errors.missing(name)
    if not openai_models.known(body["model"]):
        return openai_errors.unknown_model(body["model"])
    given = body["input"] if isinstance(body["input"], list) else [{"role": "user", "content": body["input"]}]
    instructions = [body.get("instructions") or ""]
    made = answer.make(
        plan,
        user=last_text(body),
        request=[instructions, given],
        input_tokens=tokens.of_parts(given, instructions, body.get("tools") or [], spend_max=plan.spend_max),
        maximum=body.get("max_output_tokens"),
    )
    named = _Ids(ids.new("resp_"), ids.new("msg_"), ids.new("rs_"), ids.new("fc_"), ids.new("call_"))
    response = _response(body, plan, named, now)
    ended = _ended(response, made, named, now)
    if not body.get("stream"):
        return reply.Whole(200, {}, ended)
    return _stream(list(_events(response, ended)))


def _stream(events: list[dict[str, Any]]) -> reply.Stream:
    numbered = [event | {"sequence_number": number} for number, event in enumerate(events)]
    error = {
        "type": "error",
        "code": "server_error",
        "message": "The server had an error while processing your request. Sorry about that!",
        "param": None,
        "sequence_number": len(events) // 2,
    }
    return reply.Stream({}, [reply.event(one, one["type"]) for one in numbered], reply.event(error, "error"))


def _response(body: dict[str, Any], plan: script.Plan, named: _Ids, now: int) -> dict[str, Any]:
    """The response as it begins: nothing put out yet."""
    echoed = {name: body.get(name) if body.get(name) is not None else _DEFAULTS.get(name) for name in _ECHOED}
    return echoed | {
        "id": named.response,
        "object": "response",
        "created_at": now,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": openai_models.dated(body["model"]),
        "output": [],
        "parallel_tool_calls": body.get("parallel_tool_calls", True),
        "service_tier": plan.tier or "default",
        "top_logprobs": 0,
        "tools": [_tool(tool) for tool in body.get("tools") or []],
        "usage": None,
    }


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return tool if tool.get("type") != "function" else {"description": None, "strict": True, "parameters": None} | tool


def _ended(response: dict[str, Any], made: answer.Answer, named: _Ids, now: int) -> dict[str, Any]:
    """The response as it ends."""
    status = "incomplete" if made.cut else "completed"
    return response | {
        "status": status,
        "completed_at": None if made.cut else now,
        "incomplete_details": {"reason": "max_output_tokens"} if made.cut else None,
        "output": list(_items(made, named, status)),
        "usage": _usage(made),
    }


def _items(made: answer.Answer, named: _Ids, status: str) -> Iterator[dict[str, Any]]:
    if made.thinking is not None:
        summary = [{"type": "summary_text", "text": made.thinking}]
        yield {"id": named.reasoning, "type": "reasoning", "summary": summary}
    if made.call is not None:
        yield {
            "id": named.item,
            "type": "function_call",
            "status": status,
            "arguments": made.call.arguments,
            "call_id": named.call,
            "name": made.call.name,
        }
        return
    part = _refusal(made.text) if made.refused else _output_text(made.text)
    yield {"id": named.message, "type": "message", "status": status, "content": [part], "role": "assistant"}


def _usage(made: answer.Answer) -> dict[str, Any]:
    return {
        "input_tokens": made.input_tokens,
        "input_tokens_details": {"cached_tokens": made.cached_tokens, "cache_write_tokens": 0},
        "output_tokens": made.output_tokens,
        "output_tokens_details": {"reasoning_tokens": made.thinking_tokens},
        "total_tokens": made.input_tokens + made.output_tokens,
    }


def _events(response: dict[str, Any], ended: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.created", "response": response}
    yield {"type": "response.in_progress", "response": response}
    for index, item in enumerate(ended["output"]):
        at = {"output_index": index}
        yield {"type": "response.output_item.added", "item": _begun(item)} | at
        yield from _inside(item, at | {"item_id": item["id"]})
        yield {"type": "response.output_item.done", "item": item} | at
    yield {"type": f"response.{ended['status']}", "response": ended}


def _begun(item: dict[str, Any]) -> dict[str, Any]:
    match item["type"]:
        case "message":
            return item | {"status": "in_progress", "content": []}
        case "function_call":
            return item | {"status": "in_progress", "arguments": ""}
        case _:
            return item | {"summary": []}


def _inside(item: dict[str, Any], at: dict[str, Any]) -> Iterator[dict[str, Any]]:
    match item["type"]:
        case "message":
            yield from _message(item["content"][0], at | {"content_index": 0})
        case "function_call":
            for piece in tokens.pieces(item["arguments"]):
                yield {"type": "response.function_call_arguments.delta", "delta": piece} | at
            yield {"type": "response.function_call_arguments.done", "arguments": item["arguments"]} | at
        case _:
            yield from _reasoning(item["summary"][0], at | {"summary_index": 0})


def _message(part: dict[str, Any], at: dict[str, Any]) -> Iterator[dict[str, Any]]:
    field = "text" if part["type"] == "output_text" else "refusal"
    kind = "response.output_text" if field == "text" else "response.refusal"
    more: dict[str, Any] = {"logprobs": []} if field == "text" else {}
    yield {"type": "response.content_part.added", "part": part | {field: ""}} | at
    for piece in tokens.pieces(part[field]):
        yield {"type": f"{kind}.delta", "delta": piece} | more | at
    yield {"type": f"{kind}.done", field: part[field]} | more | at
    yield {"type": "response.content_part.done", "part": part} | at


def _reasoning(part: dict[str, Any], at: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {"type": "response.reasoning_summary_part.added", "part": part | {"text": ""}} | at
    for piece in tokens.pieces(part["text"]):
        yield {"type": "response.reasoning_summary_text.delta", "delta": piece} | at
    yield {"type": "response.reasoning_summary_text.done", "text": part["text"]} | at
    yield {"type": "response.reasoning_summary_part.done", "part": part} | at


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _refusal(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}
