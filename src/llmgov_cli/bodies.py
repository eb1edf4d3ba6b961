"""The short form of a request, written out as each provider's API takes it, and read by the proxy's own parsers."""

import json
from typing import Any, assert_never

from llmgov.wire import anthropic, openai, route
from llmgov.wire.events import Format, Operation, Request
from llmgov_cli import cases

_LINES: dict[Operation, tuple[str, str]] = {
    Operation.CHAT_COMPLETIONS: ("POST", "/v1/chat/completions"),
    Operation.RESPONSES: ("POST", "/v1/responses"),
    Operation.EMBEDDINGS: ("POST", "/v1/embeddings"),
    Operation.OPENAI_MODELS: ("GET", "/v1/models"),
    Operation.MESSAGES: ("POST", "/v1/messages"),
    Operation.COUNT_TOKENS: ("POST", "/v1/messages/count_tokens"),
    Operation.ANTHROPIC_MODELS: ("GET", "/v1/models"),
}
"""The request line of each operation."""

_ANTHROPIC = frozenset({Operation.MESSAGES, Operation.COUNT_TOKENS, Operation.ANTHROPIC_MODELS})


def parse(request: cases.Request) -> Request:
    """The request as the proxy understands it.

    Raises:
        llmgov.wire.malformed.RequestError: the provider's API would not take it.
        ValueError: the operation has no route.
    """
    method, path = _LINES[request.operation]
    headers = (("anthropic-version", "2023-06-01"),) if request.operation in _ANTHROPIC else ()
    resolved = route.resolve(method, path, headers)
    if isinstance(resolved, route.Unrouted):
        raise ValueError(resolved.refusal.message)
    body = b"" if method == "GET" else json.dumps(write(request), ensure_ascii=False).encode()
    parser = anthropic.parse_request if resolved.format is Format.ANTHROPIC else openai.parse_request
    return parser(resolved, body)


def write(request: cases.Request) -> dict[str, Any]:
    """The body: the given one, with the short form's fields set in it."""
    body = dict(request.body or {})
    if request.model is not None:
        body["model"] = request.model
    if request.stream is not None:
        body["stream"] = request.stream
    body.update(_texts(request))
    body.update(_maximum(request, body))
    return body


def _texts(request: cases.Request) -> dict[str, Any]:
    if request.prompt is None:
        return {}
    message = {"role": "user", "content": request.prompt}
    match request.operation:
        case Operation.CHAT_COMPLETIONS:
            system = [{"role": "system", "content": request.system}] if request.system is not None else []
            return {"messages": [*system, message]}
        case Operation.MESSAGES | Operation.COUNT_TOKENS:
            return {"messages": [message], **({"system": request.system} if request.system is not None else {})}
        case Operation.RESPONSES:
            system_text = {"instructions": request.system} if request.system is not None else {}
            return {"input": request.prompt, **system_text}
        case Operation.EMBEDDINGS:
            return {"input": request.prompt}
        case Operation.OPENAI_MODELS | Operation.ANTHROPIC_MODELS:
            return {}
        case _:
            assert_never(request.operation)


def _maximum(request: cases.Request, body: dict[str, Any]) -> dict[str, int]:
    """The output maximum; Anthropic's API demands one, so its short form has one always."""
    if request.operation is Operation.MESSAGES:
        given = request.max_tokens if request.max_tokens is not None else body.get("max_tokens", 1024)
        return {"max_tokens": given}
    if request.max_tokens is None:
        return {}
    if request.operation is Operation.RESPONSES:
        return {"max_output_tokens": request.max_tokens}
    return {"max_completion_tokens": request.max_tokens} if request.operation is Operation.CHAT_COMPLETIONS else {}
