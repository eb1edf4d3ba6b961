"""The few requests that the operator makes of the API server, each with a time limit. An edge: nothing is decided here.

Watching is kopf's. These go through the Kubernetes client's connection and credentials, with bodies as the API server's
JSON has them: the objects are our own kinds, for which no client has models.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
from kubernetes.aio import client, config

import llmgov
from llmgov_operator import depth
from llmgov_operator.cluster import Body, Listing, Reference, place
from llmgov_operator.kinds import NAMESPACE, Kind
from llmgov_operator.metrics import Metrics

FIELD_MANAGER: Final = "llmgov-operator"
"""Who owns the statuses (server-side apply)."""

TIMEOUT_SECONDS: Final = 15.0
"""For one request."""

_APPLY: Final = "application/apply-patch+yaml"
_MERGE: Final = "application/merge-patch+json"

_PAGE: Final = 500
_METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class ApiError(OSError):
    """The API server refused or could not be reached; `status` is its answer's, 0 where there was none.

    `retry_after` are the seconds that it asked to be left alone for.
    """

    def __init__(self, message: str, status: int = 0, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


async def connect(kubeconfig: str | None, identity: str = "") -> client.ApiClient:
    """A client for the cluster that a kubeconfig names; without one, for the cluster that this pod runs in.

    `identity` is which replica asks, for the API server's audit log: all have one ServiceAccount.

    Raises:
        ApiError: there is no such file, or no cluster around this process.
    """
    configuration = client.Configuration()
    try:
        if kubeconfig is None:
            config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        else:
            await config.load_kube_config(  # type: ignore[no-untyped-call]
                config_file=kubeconfig, client_configuration=configuration
            )
    except (config.ConfigException, OSError) as error:
        raise ApiError(f"the API server's address and credentials: {error}") from error
    connection = client.ApiClient(configuration)
    connection.user_agent = f"{FIELD_MANAGER}/{llmgov.__version__} ({identity})"
    return connection


class Api:
    """Requests to one API server."""

    def __init__(self, connection: client.ApiClient, metrics: Metrics) -> None:
        self._connection = connection
        self._metrics = metrics

    async def listing(self, kind: Kind) -> Listing | None:
        """The metadata of all objects of a kind; `None` where the API server does not know the kind.

        Raises:
            ApiError: it did not answer, or refused.
        """
        objects: dict[str, Reference] = {}
        query = {"limit": str(_PAGE)}
        while True:
            try:
                page = await self._request("GET", kind.path, query, {"Accept": _METADATA})
            except ApiError as error:
                if error.status == 404:
                    return None
                raise
            for item in page["items"] or ():  # null where there are none
                meta = item["metadata"]
                objects[meta["uid"]] = Reference(meta.get("namespace", ""), meta["name"], meta["resourceVersion"])
            if not page["metadata"].get("continue"):
                return Listing(page["metadata"]["resourceVersion"], objects)
            query["continue"] = page["metadata"]["continue"]

    async def discovers(self, kind: Kind) -> bool:
        """Whether the API server's discovery, by which watches are begun, has a kind.

        Raises:
            ApiError: it did not answer, or refused.
        """
        groups = {group["name"] for group in (await self._request("GET", "/apis"))["groups"]}
        if kind.group and kind.group not in groups:
            return False
        try:
            served = await self._request("GET", kind.path.rpartition("/")[0])
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return any(resource["name"] == kind.plural for resource in served["resources"])

    async def read(self, kind: Kind, namespace: str, name: str) -> Body | None:
        """One object, or `None` where it is gone. It is listed by its name, which takes no right beside those to watch.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        path = kind.path_of("", namespace).removesuffix("/")
        found = await self._request("GET", path, {"fieldSelector": f"metadata.name={name}"})
        version = f"{kind.group}/{kind.version}" if kind.group else kind.version
        return next(({"apiVersion": version, "kind": kind.name, **item} for item in found["items"]), None)

    async def apply_status(self, kind: Kind, body: Body, status: Mapping[str, Any]) -> Body | None:
        """Apply the status of an object, and nothing else of it; the object after that, `None` where it is gone.

        Where `body` is an older version of the object, a newer one is read.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        return await self._write_status(kind, body, _APPLY, status)

    async def clear_conditions(self, kind: Kind, body: Body) -> Body | None:
        """Take all conditions from an object's status, whoever's they are; the object after that, `None` where it is
        gone.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        return await self._write_status(kind, body, _MERGE, {"conditions": None})

    async def _write_status(self, kind: Kind, body: Body, way: str, status: Mapping[str, Any]) -> Body | None:
        try:
            return await self._patch_status(kind, body, way, status)
        except ApiError as error:
            if error.status == 404:
                return None
            if error.status != 409:
                raise
        there = await self.read(kind, *place(body))
        if there is None or there["metadata"]["uid"] != body["metadata"]["uid"]:
            return None
        return await self._patch_status(kind, there, way, status)

    async def _patch_status(self, kind: Kind, body: Body, way: str, status: Mapping[str, Any]) -> Body:
        """The version says which object is meant: writing a status, the API server looks at no UID, and another object
        may have the name now."""
        metadata = body["metadata"]
        named = {name: metadata[name] for name in ("name", "namespace", "resourceVersion") if name in metadata}
        patch = {"apiVersion": f"{kind.group}/{kind.version}", "kind": kind.name, "metadata": named, "status": status}
        path = f"{kind.path_of(metadata['name'], metadata.get('namespace', ''))}/status"
        query = {"fieldManager": FIELD_MANAGER} | ({"force": "true"} if way == _APPLY else {})
        return await self._request("PATCH", path, query, {"Content-Type": way}, patch)

    async def create(self, path: str, body: Mapping[str, Any]) -> None:
        """Create an object below `path`.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        await self._request("POST", path, {}, {}, body)

    async def cluster_id(self) -> str:
        """What tells this cluster from others: the UID of its namespace `kube-system`.

        Raises:
            ApiError: the API server did not answer, or refused.
        """
        found = await self.read(NAMESPACE, "", "kube-system")
        if found is None:
            raise ApiError("there is no namespace kube-system, whose UID would name this cluster: name it in a setting")
        return str(found["metadata"]["uid"])

    async def _request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        status, data, retry_after = 0, b"", ""
        try:
            status, data, retry_after = await self._exchange(method, path, query or {}, headers or {}, body)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(f"{method} {path}: {type(error).__name__}: {error}") from error
        finally:
            self._metrics.requests.labels(method, str(status)).inc()
        if status >= 400:
            seconds = float(retry_after) if retry_after.isdecimal() else 0.0
            raise ApiError(f"{method} {path}: {_reason(status, data)}", status, seconds)
        document: dict[str, Any] = json.loads(depth.shallow(data))
        return document

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
    ) -> tuple[int, bytes, str]:
        request = await self._connection.param_serialize(
            method,
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json", **headers},
            body=body,
            auth_settings=["BearerToken"],
        )
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        answer = await self._connection.call_api(*request, _request_timeout=timeout)
        data: bytes = await answer.read()  # type: ignore[no-untyped-call]
        return answer.status, data, answer.headers.get("Retry-After", "")


def _reason(status: int, data: bytes) -> str:
    """What the API server's `Status` says, or the code alone where something else answered."""
    try:
        return f"{status} {json.loads(data)['message']}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return str(status)
