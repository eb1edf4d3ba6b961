"""The mock's HTTP server: which route is whose, and the routes that steer it."""

import msgspec
from aiohttp import web

from llmgov_cli.mock_provider import (
    anthropic_errors,
    anthropic_messages,
    anthropic_models,
    endpoint,
    openai_chat,
    openai_errors,
    openai_models,
    openai_responses,
    reply,
    script,
)
from llmgov_cli.mock_provider.endpoint import MOCK, Context, Endpoint

OPENAI_KEY = "mock-openai-key"
ANTHROPIC_KEY = "mock-anthropic-key"

_MAX_BODY = 64 * 1024 * 1024


def app(*, seed: int = 0, openai_key: str = OPENAI_KEY, anthropic_key: str = ANTHROPIC_KEY) -> web.Application:
    """The application. Equal requests in equal order get equal answers, but for the times in them."""
    made = web.Application(client_max_size=_MAX_BODY)
    made[MOCK] = endpoint.Mock(seed, openai_key, anthropic_key)
    made.add_routes(
        [
            web.post("/v1/chat/completions", Endpoint(_chat, _nowhere_anthropic, openai_chat.last_text).handle),
            web.post("/v1/responses", Endpoint(_responses, _nowhere_anthropic, openai_responses.last_text).handle),
            web.post("/v1/embeddings", Endpoint(_embeddings, _nowhere_anthropic).handle),
            web.post("/v1/messages", Endpoint(_nowhere, _messages, anthropic_messages.last_text).handle),
            web.post("/v1/messages/count_tokens", Endpoint(_nowhere, _count_tokens).handle),
            web.get("/v1/models", Endpoint(_openai_models, _anthropic_models).handle),
            web.get("/v1/models/{name}", Endpoint(_openai_model, _anthropic_model).handle),
            web.get("/mock/requests", _received),
            web.delete("/mock/requests", _forget),
            web.post("/mock/next", _next),
            web.route("*", "/{name:.*}", Endpoint(_nowhere, _nowhere_anthropic).handle),
        ]
    )
    made.on_shutdown.append(_shut)
    return made


def _chat(context: Context) -> reply.Reply:
    return openai_chat.respond(context.body, context.plan, context.ids, context.now)


def _responses(context: Context) -> reply.Reply:
    return openai_responses.respond(context.body, context.plan, context.ids, context.now)


def _embeddings(context: Context) -> reply.Reply:
    return openai_models.embeddings(context.body)


def _messages(context: Context) -> reply.Reply:
    return anthropic_messages.respond(context.body, context.plan, context.ids, context.request_id)


def _count_tokens(context: Context) -> reply.Reply:
    return anthropic_messages.count(context.body, context.request_id)


def _openai_models(_: Context) -> reply.Reply:
    return openai_models.listed()


def _anthropic_models(_: Context) -> reply.Reply:
    return anthropic_models.listed()


def _openai_model(context: Context) -> reply.Reply:
    return openai_models.one(context.name)


def _anthropic_model(context: Context) -> reply.Reply:
    return anthropic_models.one(context.name, context.request_id)


def _nowhere(context: Context) -> reply.Reply:
    return openai_errors.error(404, message=f"Invalid URL (/{context.name})", code="unknown_url")


def _nowhere_anthropic(context: Context) -> reply.Reply:
    return anthropic_errors.error(404, context.request_id)


async def _received(request: web.Request) -> web.Response:
    return web.json_response(msgspec.to_builtins(list(request.app[MOCK].received)))


async def _forget(request: web.Request) -> web.Response:
    request.app[MOCK].received.clear()
    return web.Response(status=204)


async def _next(request: web.Request) -> web.Response:
    try:
        request.app[MOCK].next.append(script.parse_lines(await request.text()))
    except script.ScriptError as error:
        return web.Response(status=400, text=str(error))
    return web.Response(status=204)


async def _shut(made: web.Application) -> None:
    made[MOCK].closing.set()
