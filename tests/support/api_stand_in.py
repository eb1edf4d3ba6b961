"""As much of an API server as listing and watching take, for what a real one cannot be made to do on demand.

It breaks watches with 410, forgets to tell of changes, falls silent, and tells nonsense, or of objects that are nested
thousands of levels deep.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from llmgov_operator import kinds
from llmgov_operator.kinds import Kind

_CRDS = Kind("CustomResourceDefinition", "apiextensions.k8s.io", "v1", "customresourcedefinitions", namespaced=False)


class ApiStandIn:
    """Objects by kind and UID; what is `told` reaches the watches."""

    def __init__(self) -> None:
        self.served: dict[str, Kind] = {**kinds.ALL, _CRDS.name: _CRDS}
        self.undiscovered: set[str] = set()
        """Kinds that are served before discovery says so."""

        self.objects: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in self.served}
        self.version = 100
        self.lists = 0
        self.looks = 0
        """How often kopf was answered which of our kinds are served."""

        self.url = ""
        self._watches: dict[str, list[asyncio.Queue[bytes | None]]] = {name: [] for name in self.served}

    def watched(self) -> set[str]:
        """The kinds that somebody watches now."""
        return {name for name, watches in self._watches.items() if watches}

    def put(self, kind: str, name: str, spec: object, *, told: bool = True) -> str:
        """Add or change an object of the root namespace; its UID."""
        uid = f"{kind}-{name}"
        self.version += 1
        made = self.served[kind]
        metadata = {"name": name, "uid": uid, "resourceVersion": str(self.version), "generation": self.version}
        if made.namespaced:
            metadata["namespace"] = "llm-governance"
        version = f"{made.group}/{made.version}" if made.group else made.version
        was = uid in self.objects[kind]
        self.objects[kind][uid] = {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}
        if told:
            self.tell(kind, {"type": "MODIFIED" if was else "ADDED", "object": self.objects[kind][uid]})
        return uid

    def delete(self, kind: str, uid: str, *, told: bool = True) -> None:
        """Delete an object."""
        self.version += 1
        body = self.objects[kind].pop(uid)
        if told:
            self.tell(kind, {"type": "DELETED", "object": body})

    def tell(self, kind: str, event: dict[str, Any]) -> None:
        """Send an event to whoever watches a kind."""
        for watch in self._watches[kind]:
            watch.put_nowait(_written(event).encode() + b"\n")

    def end_with_410(self, kind: str) -> None:
        """End the watches of a kind because their version is too old."""
        self.tell(kind, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
        for watch in self._watches[kind]:
            watch.put_nowait(None)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        groups = {kind.group for kind in self.served.values() if kind.group}
        if request.path == "/api":
            return web.json_response({"versions": ["v1"]})
        if request.path == "/apis":
            return web.json_response({"groups": [_group(name) for name in sorted(groups)]})
        for kind in self.served.values():
            if request.path == kind.path:
                return await self._objects(kind, request)
            if request.path == kind.path_of("", "llm-governance").rstrip("/"):
                return self._list(kind, request.query.get("fieldSelector", ""))
        found = [kind for kind in self.served.values() if kind.path.rpartition("/")[0] == request.path]
        if not found:
            return web.json_response({"kind": "Status", "code": 404, "message": "not found"}, status=404)
        if found[0].name in kinds.OURS and "kopf" in request.headers.get("User-Agent", ""):
            self.looks += 1
        return web.json_response(
            {"resources": [_resource(kind) for kind in found if kind.name not in self.undiscovered]}
        )

    async def _objects(self, kind: Kind, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch") == "true":
            return await self._watch(kind, request)
        return self._list(kind, request.query.get("fieldSelector", ""))

    def _list(self, kind: Kind, selector: str) -> web.Response:
        self.lists += 1
        name = selector.partition("metadata.name=")[2]
        items = [body for body in self.objects[kind.name].values() if name in ("", body["metadata"]["name"])]
        return web.json_response({"metadata": {"resourceVersion": str(self.version)}, "items": items}, dumps=_written)

    async def _watch(self, kind: Kind, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._watches[kind.name].append(queue)
        try:
            while (line := await queue.get()) is not None:
                await response.write(line)
        finally:
            self._watches[kind.name].remove(queue)
        return response


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[ApiStandIn]:
    """One that serves on loopback, without TLS."""
    api = ApiStandIn()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", api._answer)
    runner = web.AppRunner(application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        api.url = f"http://{host}:{port}"
        yield api
    finally:
        await runner.cleanup()


def deep(levels: int) -> str:
    """In place of this text in an object stand so many objects in each other: too many for Python's writer."""
    return f"deep: {levels}"


def _written(document: Any) -> str:
    return re.sub(r'"deep: (\d+)"', lambda found: _nested(int(found[1])), json.dumps(document))


def _nested(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


def _group(name: str) -> dict[str, Any]:
    version = "v1" if name == _CRDS.group else kinds.OURS["LLMPolicy"].version
    found = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [found], "preferredVersion": found}


def _resource(kind: Kind) -> dict[str, Any]:
    return {
        "name": kind.plural,
        "singularName": kind.name.lower(),
        "namespaced": kind.namespaced,
        "kind": kind.name,
        "verbs": ["get", "list", "watch", "patch"],
    }
