"""Anthropic's error bodies (https://docs.anthropic.com/en/api/errors)."""

from llmgov_cli.mock_provider import reply

_BY_STATUS = {
    400: ("invalid_request_error", "The mock was told to refuse this request."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    429: ("rate_limit_error", "This request would exceed your organization's rate limit."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    529: ("overloaded_error", "Overloaded"),
}


def error(status: int, request_id: str, message: str | None = None) -> reply.Whole:
    """The answer with that status, in the provider's words unless others are given."""
    kind, usual = _BY_STATUS[status]
    body = {"type": "error", "error": {"type": kind, "message": message or usual}, "request_id": request_id}
    return reply.Whole(status, {"retry-after": "1"} if status == 429 else {}, body)


def overloaded_event() -> bytes:
    """What ends a stream that the provider cannot go on with."""
    return reply.event({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, "error")
