"""The route that asks about one model: what it is called here and what the provider calls it."""

import asyncio
import json

import msgspec
import pytest

from llmgov.wire import route
from tests.unit.llmgov_sidecar import harness, world


async def script(_: harness.Seen, writer: asyncio.StreamWriter) -> None:
    writer.write(harness.whole(json.dumps({"id": "gpt-4o", "object": "model"}).encode()))


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("/v1/models/fast", b"GET /v1/models/gpt-4o HTTP/1.1"),
        ("/v1/models/gpt-4o", b"GET /v1/models/gpt-4o HTTP/1.1"),
        ("/v1/models?limit=2", b"GET /v1/models?limit=2 HTTP/1.1"),
    ],
    ids=["an alias", "the model's own name", "all of them"],
)
def test_the_provider_is_asked_about_the_model_that_an_alias_means(asked: str, sent: bytes) -> None:
    async def main() -> None:
        async with world.world(script) as made:
            document = world.document(made.provider.url)
            (openai, anthropic) = document.organization.providers
            aliased = msgspec.structs.replace(openai, models={"fast": "gpt-4o"})
            organization = msgspec.structs.replace(document.organization, providers=(aliased, anthropic))
            changed = msgspec.structs.replace(document, organization=organization)
            await made.sidecar.configuration.apply(changed, world.NOBODY, world.KEYS)
            client = await made.client()
            reply = await client.ask(asked, b"", method="GET")
            assert reply.status == 200
            assert made.provider.seen[0].line == sent
            await client.close()

    harness.run(main())


@pytest.mark.parametrize(
    ("path", "model", "named"),
    [
        ("/models/fast", "gpt-4o", "/models/gpt-4o"),
        ("/v1/models/fast?beta=true", "claude-x", "/v1/models/claude-x?beta=true"),
        ("/models/fast", "ft:gpt/4?o", "/models/ft:gpt%2F4%3Fo"),
        ("/models", "gpt-4o", "/models"),
        ("/chat/completions", "gpt-4o", "/chat/completions"),
    ],
    ids=["plain", "with a query", "a name that is no plain path", "the list", "another route"],
)
def test_a_path_names_another_model_where_it_names_one(path: str, model: str, named: str) -> None:
    assert route.naming(path, model) == named
