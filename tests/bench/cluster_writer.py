"""Server-side applies by the thousand, many at a time, as the administrator of a cluster."""

import asyncio
import base64
import contextlib
import itertools
import pathlib
import ssl
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import Any

import aiohttp

from llmgov.resources import KINDS
from llmgov.resources.base import Scope
from tests.cluster import kubeconfig
from tests.cluster.cluster import Cluster

AT_ONCE = 24

_SECONDS = 60


class Writer:
    """Applies documents to one cluster."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def apply(self, document: Mapping[str, Any]) -> None:
        """Apply one; returns when the API server has answered. Raises RuntimeError where it refused."""
        query = {"fieldManager": "bench", "force": "true"}
        headers = {"Content-Type": "application/apply-patch+yaml"}
        async with self._session.patch(_path(document), params=query, json=document, headers=headers) as answer:
            text = await answer.text()
            if answer.status >= 400:
                raise RuntimeError(f"{document['metadata']}: {text}")

    async def apply_all(self, documents: Iterable[Mapping[str, Any]]) -> int:
        """Apply many, in no order; how many."""
        waiting = iter(documents)
        return sum(await asyncio.gather(*(self._work(waiting) for _ in range(AT_ONCE))))

    async def _work(self, waiting: Iterator[Mapping[str, Any]]) -> int:
        count = itertools.count()
        for document in waiting:
            await self.apply(document)
            next(count)
        return next(count)


@contextlib.asynccontextmanager
async def writing(cluster: Cluster) -> AsyncIterator[Writer]:
    """A writer with the administrator's credentials."""
    server, user = kubeconfig.current(cluster.kubeconfig)
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    connector = aiohttp.TCPConnector(ssl=_tls(server, user), limit=AT_ONCE)
    async with aiohttp.ClientSession(server["server"], connector=connector, timeout=timeout) as session:
        yield Writer(session)


def _tls(server: Mapping[str, str], user: Mapping[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=base64.b64decode(server["certificate-authority-data"]).decode())
    with tempfile.TemporaryDirectory() as folder:
        pair = pathlib.Path(folder, "pair.pem")
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{half}-data"]) for half in ("certificate", "key")))
        context.load_cert_chain(pair)
    return context


def _path(document: Mapping[str, Any]) -> str:
    metadata = document["metadata"]
    if document["kind"] == "Namespace":
        return f"/api/v1/namespaces/{metadata['name']}"
    naming = KINDS[document["kind"]].naming
    scope = f"namespaces/{metadata['namespace']}/" if naming.scope is Scope.NAMESPACED else ""
    return f"/apis/{document['apiVersion']}/{scope}{naming.plural}/{metadata['name']}"
