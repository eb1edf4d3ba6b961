"""What a provider's module hands to the transport: a whole answer, or a stream of events, or an error. Data only."""

import json
from typing import Any, TypeAlias

import msgspec

from llmgov_cli.mock_provider import script


class Whole(msgspec.Struct, frozen=True):
    """A JSON body."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Stream(msgspec.Struct, frozen=True):
    """Server-sent events, each as its bytes; `error` is the provider's error event."""

    headers: dict[str, str]
    events: list[bytes]
    error: bytes


Reply: TypeAlias = Whole | Stream


class Planned(msgspec.Struct, frozen=True):
    """A reply, and how it goes out."""

    reply: Reply
    plan: script.Plan


def encode(document: Any) -> bytes:
    """Compact JSON, as providers send it."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")


def event(document: Any, name: str | None = None) -> bytes:
    """One server-sent event."""
    head = b"" if name is None else f"event: {name}\n".encode()
    return head + b"data: " + encode(document) + b"\n\n"
