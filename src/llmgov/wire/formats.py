"""One way in for all formats: the provider's module of a route. Whoever calls it needs to know no provider."""

from typing import assert_never

from llmgov.wire import anthropic, events, openai, stream
from llmgov.wire.events import Format


def parse_request(route: events.Route, body: bytes) -> events.Request:
    """The request that `body` makes at this route.

    Raises:
        malformed.RequestError: not strict JSON, or not what the API takes; its `refusal` names the path.
    """
    match route.format:
        case Format.OPENAI:
            return openai.parse_request(route, body)
        case Format.ANTHROPIC:
            return anthropic.parse_request(route, body)
        case _:
            assert_never(route.format)


def usage_edits(request: events.Request) -> tuple[events.Edit, ...]:
    """What to change in the request so that a stream reports its usage; empty where it does anyway."""
    match request.route.format:
        case Format.OPENAI:
            return openai.usage_edits(request)
        case Format.ANTHROPIC:
            return anthropic.usage_edits(request)
        case _:
            assert_never(request.route.format)


def parse_answer(route: events.Route, status: int, body: bytes, *, strict: bool = False) -> events.Answer:
    """A whole answer to a request of this route; total: what cannot be read is `unread`.

    `strict`, for filters: that is also what two parsers could read differently (`json_scan`).
    """
    match route.format:
        case Format.OPENAI:
            return openai.parse_answer(route, status, body, strict=strict)
        case Format.ANTHROPIC:
            return anthropic.parse_answer(route, status, body, strict=strict)
        case _:
            assert_never(route.format)


def stream_reader(request: events.Request, *, strict: bool = False) -> stream.Reader:
    """A reader for the streamed answer to this request; `strict`, for filters, as in `stream.Reader`."""
    match request.route.format:
        case Format.OPENAI:
            return openai.stream_reader(request, strict=strict)
        case Format.ANTHROPIC:
            return anthropic.stream_reader(request, strict=strict)
        case _:
            assert_never(request.route.format)
