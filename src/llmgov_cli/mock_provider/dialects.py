"""What the two providers do differently around a reply: keys, errors, headers. Pure."""

import datetime
from collections.abc import Mapping
from typing import Protocol

import msgspec

from llmgov_cli.mock_provider import anthropic_errors, openai_errors, reply

_LIMIT_REQUESTS = 5_000
_LIMIT_TOKENS = 800_000


class Dialect(Protocol):
    """One provider's manner, for one request."""

    def unauthorized(self, key: str, headers: Mapping[str, str]) -> reply.Whole | None:
        """What a request without the right key gets; `None` for one that has it."""
        ...

    def error(self, status: int, message: str | None = None) -> reply.Whole:
        """The provider's error with that status."""
        ...

    def headers(self) -> dict[str, str]:
        """What every answer carries."""
        ...


class OpenAi(msgspec.Struct, frozen=True):
    """OpenAI (https://platform.openai.com/docs/api-reference/debugging-requests, …/guides/rate-limits)."""

    request_id: str

    def unauthorized(self, key: str, headers: Mapping[str, str]) -> reply.Whole | None:
        """Keys come as bearer tokens."""
        given = _bearer(headers)
        return None if given == key else openai_errors.unauthorized(given)

    def error(self, status: int, message: str | None = None) -> reply.Whole:
        """Its bodies do not name the request."""
        return openai_errors.error(status, message=message)

    def headers(self) -> dict[str, str]:
        """Limits, what is left of them, and how long until they are whole again."""
        return {
            "x-request-id": self.request_id,
            "openai-organization": "mock-organization",
            "openai-processing-ms": "12",
            "openai-version": "2020-10-01",
            "x-ratelimit-limit-requests": str(_LIMIT_REQUESTS),
            "x-ratelimit-limit-tokens": str(_LIMIT_TOKENS),
            "x-ratelimit-remaining-requests": str(_LIMIT_REQUESTS - 1),
            "x-ratelimit-remaining-tokens": str(_LIMIT_TOKENS - 1),
            "x-ratelimit-reset-requests": "12ms",
            "x-ratelimit-reset-tokens": "6ms",
        }


class Anthropic(msgspec.Struct, frozen=True):
    """Anthropic (https://docs.anthropic.com/en/api/overview, …/rate-limits). `now` is in seconds."""

    request_id: str
    now: int

    def unauthorized(self, key: str, headers: Mapping[str, str]) -> reply.Whole | None:
        """Keys come in a header of their own or (SDK 2 and later) as bearer tokens; the API's version must be named."""
        given = headers.get("x-api-key") or _bearer(headers)
        if given is None:
            return self.error(401, "x-api-key header is required")
        if given != key:
            return self.error(401)
        return None if "anthropic-version" in headers else self.error(400, "anthropic-version: header is required")

    def error(self, status: int, message: str | None = None) -> reply.Whole:
        """Its bodies name the request."""
        return anthropic_errors.error(status, self.request_id, message)

    def headers(self) -> dict[str, str]:
        """Limits, what is left of them, and when they are whole again."""
        reset = datetime.datetime.fromtimestamp(self.now + 1, datetime.UTC).isoformat().replace("+00:00", "Z")
        limits = {"requests": _LIMIT_REQUESTS, "input-tokens": _LIMIT_TOKENS, "output-tokens": _LIMIT_TOKENS}
        shown = {"request-id": self.request_id, "anthropic-organization-id": "mock-organization"}
        for name, limit in limits.items():
            shown[f"anthropic-ratelimit-{name}-limit"] = str(limit)
            shown[f"anthropic-ratelimit-{name}-remaining"] = str(limit - 1)
            shown[f"anthropic-ratelimit-{name}-reset"] = reset
        return shown


def _bearer(headers: Mapping[str, str]) -> str | None:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return given if scheme.lower() == "bearer" and given else None
