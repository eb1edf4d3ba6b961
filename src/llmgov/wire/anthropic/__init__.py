"""Anthropic: messages, counting tokens, models."""

from llmgov.wire.anthropic.answer import parse_answer
from llmgov.wire.anthropic.request import parse_request
from llmgov.wire.anthropic.stream import MessageReader
from llmgov.wire.events import Edit, Request

__all__ = ["MessageReader", "parse_answer", "parse_request", "stream_reader", "usage_edits"]


def stream_reader(_request: Request, *, strict: bool = False) -> MessageReader:
    """A reader for the streamed answer to this request."""
    return MessageReader(strict=strict)


def usage_edits(_request: Request) -> tuple[Edit, ...]:
    """Nothing: a streamed message always reports its usage."""
    return ()
