"""The one error of the parsers: a request that is refused before any policy looks at it."""

from llmgov.wire import events


class RequestError(ValueError):
    """A request that cannot be understood, or is beyond a bound; `refusal` is what the client is told."""

    def __init__(self, refusal: events.Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


def malformed(path: str, why: str) -> RequestError:
    """The request's JSON is not what the API takes: `path` names where, `why` ends the sentence."""
    where = path or "the body"
    return RequestError(events.Refusal(events.Reason.MALFORMED, f"llmgov: {where} {why}", param=path or None))


def too_large(why: str) -> RequestError:
    """The request is beyond a bound of size or depth; `why` is a clause without a full stop."""
    return RequestError(events.Refusal(events.Reason.TOO_LARGE, f"llmgov: {why}; send less"))
