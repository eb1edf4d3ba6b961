"""The operator's own requests: what they ask for, and what becomes of errors."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio import client

from llmgov_operator import kinds, metrics
from llmgov_operator.api import Api, ApiError
from llmgov_operator.kinds import Kind
from tests.support import api_stand_in
from tests.support.api_stand_in import ApiStandIn

POLICY = kinds.OURS["LLMPolicy"]


def run(test: Callable[[ApiStandIn, Api], Coroutine[Any, Any, None]]) -> None:
    async def serve() -> None:
        async with (
            api_stand_in.serving() as server,
            client.ApiClient(client.Configuration(host=server.url)) as connection,
        ):
            await test(server, Api(connection, metrics.metrics()))

    asyncio.run(serve())


def test_a_kind_is_listed_with_its_versions_and_one_object_is_read_by_its_name() -> None:
    async def test(server: ApiStandIn, api: Api) -> None:
        uid = server.put("LLMPolicy", "p", {"priority": 1})
        server.put("LLMPolicy", "q", {"priority": 2})
        listing = await api.listing(POLICY)
        assert listing is not None
        assert listing.version == "102"
        assert listing.objects[uid] == ("llm-governance", "p", "101")
        found = await api.read(POLICY, "llm-governance", "q")
        assert found is not None
        assert (found["kind"], found["spec"]) == ("LLMPolicy", {"priority": 2})
        assert await api.read(POLICY, "llm-governance", "gone") is None

    run(test)


def test_a_kind_that_is_not_served_has_no_list_and_one_that_is_may_not_be_discovered_yet() -> None:
    async def test(server: ApiStandIn, api: Api) -> None:
        assert await api.discovers(POLICY)
        server.undiscovered = {"LLMPolicy"}
        assert await api.listing(POLICY) is not None
        assert not await api.discovers(POLICY)
        assert not await api.discovers(Kind("Other", "example.com", "v1", "others", namespaced=True))
        del server.served["LLMPolicy"]
        assert await api.listing(POLICY) is None

    run(test)


@pytest.mark.parametrize("levels", [400, 3_000, 10_000])
def test_what_others_wrote_into_managed_fields_is_read_however_deep_it_is(levels: int) -> None:
    async def test(server: ApiStandIn, api: Api) -> None:
        uid = server.put("LLMPolicy", "p", {"priority": 1})
        server.objects["LLMPolicy"][uid]["metadata"]["managedFields"] = [{"fieldsV1": api_stand_in.deep(levels)}]
        listing = await api.listing(POLICY)
        assert listing is not None
        assert listing.objects[uid].name == "p"
        found = await api.read(POLICY, "llm-governance", "p")
        assert found is not None
        assert found["spec"] == {"priority": 1}

    run(test)


def test_the_cluster_is_known_by_the_uid_of_kube_system() -> None:
    async def test(server: ApiStandIn, api: Api) -> None:
        with pytest.raises(ApiError, match="no namespace kube-system"):
            await api.cluster_id()
        uid = server.put("Namespace", "kube-system", {})
        assert await api.cluster_id() == uid

    run(test)


def test_nobody_there_is_an_error_of_the_api_and_counted() -> None:
    async def ask() -> None:
        counted = metrics.metrics()
        async with client.ApiClient(client.Configuration(host="http://127.0.0.1:9")) as connection:
            with pytest.raises(ApiError, match=r"GET /apis/llmgov.dev/v1alpha1/llmpolicies: Client") as raised:
                await Api(connection, counted).listing(POLICY)
        assert raised.value.status == 0
        assert counted.requests.labels("GET", "0")._value.get() == 1

    asyncio.run(ask())


def test_a_refusal_says_what_the_api_server_says_and_when_to_come_again() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"message": "too many requests"}, status=429, headers={"Retry-After": "7"})

    async def ask() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", refuse)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with client.ApiClient(client.Configuration(host=host)) as connection:
            with pytest.raises(ApiError, match="429 too many requests") as raised:
                await Api(connection, metrics.metrics()).listing(POLICY)
        await runner.cleanup()
        assert (raised.value.status, raised.value.retry_after) == (429, 7.0)

    asyncio.run(ask())
