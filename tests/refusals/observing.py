"""One call made through the real SDK, and all that can be seen of its failure, in the application and on the wire."""

import dataclasses
from typing import Any

import anthropic
import httpx2
import openai

from tests.refusals.calls import ANTHROPIC, Call
from tests.refusals.scenarios import Scenario
from tests.support.hop import Answer, Hop


class Clients:
    """An SDK's clients with one connection pool and its own defaults; closed with the block."""

    def __init__(self) -> None:
        self._openai = openai.OpenAI(api_key="x", base_url="http://127.0.0.1:9/v1")
        self._anthropic = anthropic.Anthropic(api_key="x", base_url="http://127.0.0.1:9")

    def at(self, port: int, call: Call, scenario: Scenario) -> Any:
        """The client of the call's SDK, for the proxy at `port`."""
        given: dict[str, Any] = {"api_key": scenario.api_key}
        if scenario.retries is not None:
            given["max_retries"] = scenario.retries
        if call.sdk == ANTHROPIC:
            return self._anthropic.copy(base_url=f"http://127.0.0.1:{port}", **given)
        return self._openai.copy(base_url=f"http://127.0.0.1:{port}/v1", **given)

    def close(self) -> None:
        """Close the pools."""
        self._openai.close()
        self._anthropic.close()


@dataclasses.dataclass(slots=True, frozen=True)
class Seen:
    """What became of a call: the exception, the text that had come before it, and every answer on the wire.

    `error` is `None` where the SDK raised nothing.
    """

    scenario: Scenario
    call: Call
    error: Exception | None
    text: str
    pieces: int
    attempts: int
    answers: tuple[Answer, ...]

    @property
    def last(self) -> Answer:
        """The answer that the exception is about."""
        return self.answers[-1]

    @property
    def midstream(self) -> bool:
        """Whether the answer had begun."""
        return self.last.status == 200

    @property
    def code(self) -> str | None:
        """OpenAI's `error.code`, Anthropic's `error.type`."""
        if self.call.sdk == ANTHROPIC:
            body = getattr(self.error, "body", None)
            return body["error"]["type"] if isinstance(body, dict) else None
        code: str | None = getattr(self.error, "code", None)
        return code

    @property
    def status(self) -> int | None:
        """The exception's `status_code`, where it has one."""
        status: int | None = getattr(self.error, "status_code", None)
        return status

    @property
    def sdk_error(self) -> type[Exception]:
        """The class that all of the SDK's own exceptions have in common."""
        return anthropic.APIError if self.call.sdk == ANTHROPIC else openai.APIError


def make(clients: Clients, hop: Hop, call: Call, scenario: Scenario) -> Seen:
    """Make the call and see it fail."""
    pieces: list[str] = []
    raised: Exception | None = None
    try:
        pieces.extend(call.make(clients.at(hop.port, call, scenario), scenario.ask))
    except (openai.APIError, anthropic.APIError, httpx2.HTTPError) as error:
        raised = error
    return Seen(scenario, call, raised, "".join(pieces), len(pieces), hop.requests, tuple(hop.answers))
