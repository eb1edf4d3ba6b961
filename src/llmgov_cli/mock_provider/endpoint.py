"""One request at the mock: note it, check its key, plan, reply, send."""

import asyncio
import collections
import json
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from aiohttp import web

from llmgov_cli.mock_provider import dialects, identity, reply, script, transport

_REMEMBERED = 1000


class Received(msgspec.Struct, frozen=True):
    """A request as it came in; header names in lower case, the body as text."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class Context(msgspec.Struct, frozen=True):
    """What a reply to one request is made of. `name` is what the path names, `now` in seconds."""

    body: dict[str, Any]
    name: str
    plan: script.Plan
    ids: identity.Ids
    request_id: str
    now: int


Respond: TypeAlias = Callable[[Context], reply.Reply]
"""Makes the reply. Of a body that is not what the provider's reference says it may raise `LookupError`, `TypeError`,
`ValueError` or `AttributeError`: the answer is then a 400, as the provider's would be."""

LastText: TypeAlias = Callable[[dict[str, Any]], str]
"""Finds the user text that may hold `mock:` lines."""


class Mock:
    """The state of one mock: what came in, what the next requests are told, the ids it gave."""

    def __init__(self, seed: int, openai_key: str, anthropic_key: str) -> None:
        self.received: collections.deque[Received] = collections.deque(maxlen=_REMEMBERED)
        self.next: collections.deque[script.Plan] = collections.deque()
        self.ids = identity.Ids(seed)
        self.openai_key = openai_key
        self.anthropic_key = anthropic_key
        self.closing = asyncio.Event()


MOCK = web.AppKey("mock", Mock)


class Endpoint:
    """Handles the requests of one route: by `anthropic` where the caller speaks Anthropic's API, else by `openai`."""

    def __init__(self, openai: Respond, anthropic: Respond, last_text: LastText = lambda _: "") -> None:
        self._openai = openai
        self._anthropic = anthropic
        self._last_text = last_text

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """An aiohttp handler."""
        mock = request.app[MOCK]
        headers = {name.lower(): value for name, value in request.headers.items()}
        text = (await request.read()).decode("utf-8", "replace")
        mock.received.append(Received(request.method, request.path_qs, headers, text))
        now = int(time.time())
        request_id = mock.ids.new("req_")
        dialect, key, respond = self._spoken(request, request_id, now)
        refused = dialect.unauthorized(key, headers)
        if refused is not None:
            planned = reply.Planned(refused, script.Plan())
        else:
            planned = self._planned(request, text, dialect, respond, request_id, now)
        return await transport.send(request, planned, dialect.headers(), mock.closing)

    def _spoken(self, request: web.Request, request_id: str, now: int) -> tuple[dialects.Dialect, str, Respond]:
        mock = request.app[MOCK]
        named = {"anthropic-version", "x-api-key"} & {name.lower() for name in request.headers}
        if named or request.path.startswith("/v1/messages"):
            return dialects.Anthropic(request_id, now), mock.anthropic_key, self._anthropic
        return dialects.OpenAi(request_id), mock.openai_key, self._openai

    def _planned(
        self, request: web.Request, text: str, dialect: dialects.Dialect, respond: Respond, request_id: str, now: int
    ) -> reply.Planned:
        mock = request.app[MOCK]
        try:
            body = _json(text) if request.method == "POST" else {}
            plan = mock.next.popleft() if mock.next else script.parse(self._last_text(body))
            if plan.status is not None:
                return reply.Planned(dialect.error(plan.status), plan)
            name = request.match_info.get("name", "")
            made = respond(Context(body, name, plan, mock.ids, request_id, now))
        except script.ScriptError as error:
            return reply.Planned(dialect.error(400, str(error)), script.Plan())
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            return reply.Planned(dialect.error(400, f"The request is not valid: {error!r}"), script.Plan())
        if plan.fault is script.Fault.ERROR_EVENT and isinstance(made, reply.Whole):
            made = dialect.error(500)
        return reply.Planned(made, plan)


def _json(text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except RecursionError as error:
        raise ValueError("the body is nested too deeply") from error
    if not isinstance(body, dict):
        raise TypeError("the body must be a JSON object")
    return body
