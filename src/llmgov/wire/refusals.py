"""Refusals in the shape of the provider, so that its SDKs raise their typed errors and retry only what may succeed.

The table is design section 5's. `x-should-retry` and `retry-after` are what the OpenAI and Anthropic SDKs obey; both
give up on a `retry-after` above 60 s, so a longer one says `x-should-retry: false` as well.
"""

import json
import zlib
from typing import Any, NamedTuple, assert_never

import msgspec

from llmgov.wire import events
from llmgov.wire.events import Format, Operation, Reason

MAX_RETRY_AFTER = 60
"""Seconds: what the SDKs are willing to wait for."""

JITTER = 4
"""Seconds that are added to a `retry-after` at most, so that clients do not come back all at once."""


class _Row(NamedTuple):
    status: int
    openai_type: str
    anthropic_type: str
    decision: str


_ROWS = {
    Reason.RATE: _Row(429, "requests", "rate_limit_error", "deny"),
    Reason.BUDGET: _Row(402, "insufficient_quota", "billing_error", "deny"),
    Reason.CONTENT: _Row(400, "invalid_request_error", "invalid_request_error", "deny"),
    Reason.DENIED: _Row(403, "invalid_request_error", "permission_error", "deny"),
    Reason.APPROVAL: _Row(403, "invalid_request_error", "permission_error", "require approval"),
    Reason.UNAVAILABLE: _Row(503, "server_error", "api_error", "deny"),
    Reason.TOO_LARGE: _Row(413, "invalid_request_error", "request_too_large", "deny"),
    Reason.MALFORMED: _Row(400, "invalid_request_error", "invalid_request_error", "deny"),
    Reason.TIMEOUT: _Row(408, "invalid_request_error", "timeout_error", "deny"),
    Reason.AUTHENTICATION: _Row(401, "invalid_request_error", "authentication_error", "deny"),
    Reason.UPSTREAM: _Row(502, "server_error", "api_error", "allow"),
}


def render(shape: Format, refusal: events.Refusal, request_id: str, budget_status: int = 402) -> events.Response:
    """The whole HTTP answer. `budget_status` is the setting of that name: 402, or 429 for clients that know no 402.

    `retry-after` is what `spread` makes of the refusal's.
    """
    refusal = spread(refusal, request_id)
    row = _ROWS[refusal.reason]
    status = budget_status if refusal.reason is Reason.BUDGET else row.status
    headers = [
        ("content-type", "application/json"),
        ("x-request-id", request_id),
        ("x-llmgov-decision", _decision(refusal, row)),
        *_retry_headers(refusal.retry_after),
    ]
    if shape is Format.ANTHROPIC:
        headers.append(("request-id", request_id))
    if refusal.policy is not None:
        headers.append(("x-llmgov-policy", visible(refusal.policy)))
    return events.Response(status, tuple(headers), _encode(_body(shape, refusal, request_id)))


def _decision(refusal: events.Refusal, row: _Row) -> str:
    """Where the provider is at fault the request itself was decided; but a filter that withholds an answer denies."""
    return "deny" if refusal.reason is Reason.UPSTREAM and refusal.policy is not None else row.decision


def spread(refusal: events.Refusal, request_id: str) -> events.Refusal:
    """The refusal with its `retry_after`, and the words for it (`in_seconds`), up to `JITTER` s later.

    How much decides the request's id: its answer and its record say the same.
    """
    seconds = refusal.retry_after
    if seconds is None or seconds >= MAX_RETRY_AFTER:
        return refusal
    later = min(seconds + zlib.crc32(request_id.encode()) % (JITTER + 1), MAX_RETRY_AFTER)
    message = refusal.message.replace(in_seconds(seconds), in_seconds(later))
    return msgspec.structs.replace(refusal, retry_after=later, message=message)


def in_seconds(seconds: int) -> str:
    """How a message says when a client may try again."""
    return f"try again in {seconds} s"


def visible(text: str) -> str:
    """A text as a header can have it: what is not printable in ASCII becomes `?`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(character if " " <= character <= "~" else "?" for character in text)


def render_in_stream(shape: Format, operation: Operation, refusal: events.Refusal, request_id: str) -> bytes:
    """The event that ends a stream under way, such that the SDK raises instead of taking the cut for an end.

    The OpenAI SDK raises for any event whose data has an `error` member, chat and Responses API alike (a flat Responses
    `error` event, as the API reference shows it, is only handed on); the Anthropic SDK for an event named `error`.
    """
    match shape:
        case Format.ANTHROPIC:
            return _event("error", _body(shape, refusal, request_id))
        case Format.OPENAI if operation is Operation.RESPONSES:
            return _event("error", {"type": "error", **_openai_body(refusal)})
        case Format.OPENAI:
            return _event(None, _openai_body(refusal))
        case _:
            assert_never(shape)


def _body(shape: Format, refusal: events.Refusal, request_id: str) -> dict[str, Any]:
    match shape:
        case Format.OPENAI:
            return _openai_body(refusal)
        case Format.ANTHROPIC:
            return _anthropic_body(refusal, request_id)
        case _:
            assert_never(shape)


def _openai_body(refusal: events.Refusal) -> dict[str, Any]:
    error: dict[str, Any] = {
        "message": refusal.message,
        "type": _ROWS[refusal.reason].openai_type,
        "param": refusal.param,
        "code": refusal.reason.value,
    }
    if refusal.details:
        error["details"] = refusal.details
    return {"error": error}


def _anthropic_body(refusal: events.Refusal, request_id: str) -> dict[str, Any]:
    error: dict[str, Any] = {"type": _ROWS[refusal.reason].anthropic_type, "message": refusal.message}
    if refusal.details:
        error["details"] = refusal.details
    return {"type": "error", "error": error, "request_id": request_id}


def _retry_headers(seconds: int | None) -> list[tuple[str, str]]:
    if seconds is None:
        return [("x-should-retry", "false")]
    if seconds > MAX_RETRY_AFTER:
        return [("retry-after", str(seconds)), ("x-should-retry", "false")]
    return [("retry-after", str(seconds))]


def _event(name: str | None, data: dict[str, Any]) -> bytes:
    head = f"event: {name}\n".encode() if name else b""
    return b"%sdata: %s\n\n" % (head, _encode(data))


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
