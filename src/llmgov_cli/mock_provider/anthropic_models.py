"""Anthropic's models (https://docs.anthropic.com/en/api/models-list)."""

from typing import Any

from llmgov_cli.mock_provider import anthropic_errors, reply

_MODELS = {
    "claude-sonnet-5-5": ("Claude Sonnet 5.5", "2026-09-22T00:00:00Z"),
    "claude-haiku-5-5": ("Claude Haiku 5.5", "2026-09-22T00:00:00Z"),
    "claude-opus-5-5": ("Claude Opus 5.5", "2026-08-11T00:00:00Z"),
    "claude-opus-4-5-20251101": ("Claude Opus 4.5", "2025-11-24T00:00:00Z"),
    "claude-haiku-4-5-20251001": ("Claude Haiku 4.5", "2025-10-15T00:00:00Z"),
    "claude-sonnet-4-5-20250929": ("Claude Sonnet 4.5", "2025-09-29T00:00:00Z"),
}
_ALIASES = {
    "claude-opus-4-5": "claude-opus-4-5-20251101",
    "claude-haiku-4-5": "claude-haiku-4-5-20251001",
    "claude-sonnet-4-5": "claude-sonnet-4-5-20250929",
}


def known(model: str) -> bool:
    """Whether the mock serves a model: any name of Anthropic's family."""
    return model.startswith("claude-")


def dated(model: str) -> str:
    """The exact model behind an alias."""
    return _ALIASES.get(model, model)


def listed() -> reply.Whole:
    """The reply to `GET /v1/models`."""
    data = [_model(name) for name in _MODELS]
    ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]}
    return reply.Whole(200, {}, {"data": data, "has_more": False, **ends})


def one(name: str, request_id: str) -> reply.Whole:
    """The reply to `GET /v1/models/{name}`."""
    exact = dated(name)
    if exact not in _MODELS:
        return anthropic_errors.error(404, request_id, f"model: {name}")
    return reply.Whole(200, {}, _model(exact))


def _model(name: str) -> dict[str, Any]:
    display, created = _MODELS[name]
    return {"type": "model", "id": name, "display_name": display, "created_at": created, "lifecycle": "active"}
