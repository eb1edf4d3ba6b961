"""OpenAI and what is compatible with it: chat completions, responses, embeddings, models."""

from llmgov.wire.events import Operation, Request
from llmgov.wire.openai.answer import parse_answer
from llmgov.wire.openai.chat_stream import ChatReader
from llmgov.wire.openai.request import parse_request, usage_edits
from llmgov.wire.openai.responses_stream import ResponsesReader

__all__ = ["ChatReader", "ResponsesReader", "parse_answer", "parse_request", "stream_reader", "usage_edits"]


def stream_reader(request: Request, *, strict: bool = False) -> ChatReader | ResponsesReader:
    """A reader for the streamed answer to this request."""
    if request.route.operation is Operation.RESPONSES:
        return ResponsesReader(strict=strict)
    return ChatReader(request, strict=strict)
