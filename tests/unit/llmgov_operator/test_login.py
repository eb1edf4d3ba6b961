"""kopf's credentials: those of the Kubernetes client, in a session of our own."""

import asyncio

from kubernetes.aio import client

from llmgov_operator import depth, watching


def test_the_same_credentials_are_equal_so_that_kopf_does_not_ask_for_ever_with_refused_ones() -> None:
    async def check() -> None:
        configuration = client.Configuration(host="http://127.0.0.1:9")
        configuration.api_key = {"BearerToken": "first"}
        configuration.api_key_prefix = {"BearerToken": "Bearer"}
        log_in = watching.login(configuration)
        first, again = await log_in(), await log_in()
        configuration.api_key = {"BearerToken": "second"}
        second = await log_in()
        try:
            assert first == again
            assert first != second
            assert first.aiohttp_session is not again.aiohttp_session, "kopf closes the one that was refused"
            assert second.aiohttp_session.headers["Authorization"] == "Bearer second"
            assert second.server == "http://127.0.0.1:9"
            assert second.aiohttp_session._response_class is depth.Response
        finally:
            for session in (first, again, second):
                await session.aiohttp_session.close()

    asyncio.run(check())
