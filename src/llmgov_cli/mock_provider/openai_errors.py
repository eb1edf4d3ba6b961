"""OpenAI's error bodies (https://platform.openai.com/docs/guides/error-codes): their words, types and codes."""

from llmgov_cli.mock_provider import reply

_BY_STATUS = {
    400: ("invalid_request_error", None, "The mock was told to refuse this request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: (
        "invalid_request_error",
        "unsupported_country_region_territory",
        "Country or region not supported",
    ),
    404: ("invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests per min (RPM): Limit 3, Used 3."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later."),
    529: ("server_error", None, "The engine is currently overloaded, please try again later."),
}


def error(
    status: int,
    *,
    message: str | None = None,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> reply.Whole:
    """The answer with that status, in the provider's words unless others are given."""
    kind, usual_code, usual_message = _BY_STATUS[status]
    body = {"message": message or usual_message, "type": kind, "param": param, "code": code or usual_code}
    headers = {"retry-after": "1", "retry-after-ms": "1000"} if status == 429 else {}
    return reply.Whole(status, headers, {"error": body})


def unknown_model(model: str) -> reply.Whole:
    """No such model."""
    return error(404, message=f"The model `{model}` does not exist or you do not have access to it.")


def missing(param: str) -> reply.Whole:
    """A required parameter is not there."""
    return error(400, message=f"Missing required parameter: '{param}'.", code="missing_required_parameter", param=param)


def unsupported(param: str, instead: str) -> reply.Whole:
    """A parameter that this model does not take."""
    message = f"Unsupported parameter: '{param}' is not supported with this model. Use '{instead}' instead."
    return error(400, message=message, code="unsupported_parameter", param=param)


def unauthorized(key: str | None) -> reply.Whole:
    """No key, or a wrong one, shown as the provider shows it: its ends."""
    if key is None:
        return error(401, message="You didn't provide an API key.", code="missing_api_key")
    shown = f"{key[:4]}{'*' * 8}{key[-4:]}" if len(key) > 8 else "****"
    return error(401, message=f"Incorrect API key provided: {shown}.")
