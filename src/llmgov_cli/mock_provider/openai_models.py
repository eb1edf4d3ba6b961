"""OpenAI's models (https://platform.openai.com/docs/api-reference/models) and embeddings (…/embeddings)."""

import array
import base64
import hashlib
import math
from typing import Any

from llmgov_cli.mock_provider import openai_errors, reply, tokens

_DATED = {
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "o3": "o3-2025-04-16",
    "o4-mini": "o4-mini-2025-04-16",
}
"""What an answer names where the request named an alias."""

_EMBEDDING = {"text-embedding-3-small": 1536, "text-embedding-3-large": 3072}
_FAMILIES = ("gpt-", "o1", "o3", "o4", "chatgpt-", "text-embedding-")
_CREATED = 1_715_367_049


def known(model: str) -> bool:
    """Whether the mock serves a model: any name of OpenAI's families."""
    return model.startswith(_FAMILIES)


def dated(model: str) -> str:
    """The exact model behind an alias."""
    return _DATED.get(model, model)


def listed() -> reply.Whole:
    """The reply to `GET /v1/models`."""
    return reply.Whole(200, {}, {"object": "list", "data": [_model(name) for name in sorted(_DATED | _EMBEDDING)]})


def one(name: str) -> reply.Whole:
    """The reply to `GET /v1/models/{name}`."""
    return reply.Whole(200, {}, _model(name)) if known(name) else openai_errors.unknown_model(name)


def embeddings(body: dict[str, Any]) -> reply.Whole:
    """The reply to `POST /v1/embeddings`; a text's vector is derived from its hash, of length one."""
    for name in ("model", "input"):
        if not body.get(name):
            return openai_errors.missing(name)
    model = body["model"]
    if not model.startswith("text-embedding-"):
        return openai_errors.unknown_model(model)
    inputs = _inputs(body["input"])
    size = body.get("dimensions") or _EMBEDDING.get(model, 1536)
    as_base64 = body.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": index, "embedding": _vector(text, size, as_base64=as_base64)}
        for index, text in enumerate(inputs)
    ]
    count = sum(len(text) if isinstance(text, list) else tokens.of(text) for text in inputs)
    usage = {"prompt_tokens": count, "total_tokens": count}
    return reply.Whole(200, {}, {"object": "list", "data": data, "model": model, "usage": usage})


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": _CREATED, "owned_by": "system"}


def _inputs(value: Any) -> list[Any]:
    """One text, one text as tokens, or several of either."""
    several = isinstance(value, list) and isinstance(value[0], str | list)
    return list(value) if several else [value]


def _vector(text: Any, size: int, *, as_base64: bool) -> Any:
    raw = hashlib.shake_256(repr(text).encode("utf-8", "surrogatepass")).digest(size)
    length = math.sqrt(sum((byte - 127.5) ** 2 for byte in raw))
    floats = array.array("f", ((byte - 127.5) / length for byte in raw))
    return base64.b64encode(floats.tobytes()).decode() if as_base64 else floats.tolist()
