"""Documents handed to the API server as they are, by the thousand: without the work that kubectl does for each."""

import contextlib
import dataclasses
import http.client
import json
import pathlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

from llmgov.resources import KINDS
from llmgov.resources.base import API_VERSION, Scope
from tests.cluster.cluster import Cluster

_SECONDS = 30


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the API server answered: the HTTP status, and the object or, where it refused, its Status."""

    code: int
    document: dict[str, Any]

    @property
    def accepted(self) -> bool:
        """Whether it did what it was asked for."""
        return self.code in (200, 201)

    @property
    def message(self) -> str:
        """What it said; empty where it accepted."""
        return "" if self.accepted else str(self.document["message"])


@dataclasses.dataclass(frozen=True)
class RawApi:
    """The API server behind `kubectl proxy`."""

    host: str
    namespace: str
    """Where namespaced documents are put, whatever they say."""

    def create(self, document: Mapping[str, Any], validation: str = "Strict") -> Answer:
        """Ask it to create an object of ours, in a dry run; `validation` is Strict, Warn or Ignore."""
        metadata = {name: value for name, value in document["metadata"].items() if name != "namespace"}
        path = f"{self._place(document)}?dryRun=All&fieldValidation={validation}"
        return self._ask("POST", path, {**document, "metadata": metadata}, "application/json")

    def apply_status(self, document: Mapping[str, Any], manager: str) -> Answer:
        """Apply the status of an object of ours, as a field manager; not every kubectl that is supported can."""
        path = f"{self._place(document)}/{document['metadata']['name']}/status?fieldManager={manager}"
        return self._ask("PATCH", path, document, "application/apply-patch+yaml")

    def _place(self, document: Mapping[str, Any]) -> str:
        naming = KINDS[document["kind"]].naming
        scope = f"namespaces/{self.namespace}/" if naming.scope is Scope.NAMESPACED else ""
        return f"/apis/{API_VERSION}/{scope}{naming.plural}"

    def _ask(self, method: str, path: str, document: Mapping[str, Any], content: str) -> Answer:
        connection = http.client.HTTPConnection(self.host, timeout=_SECONDS)
        try:
            connection.request(method, path, json.dumps(document), {"Content-Type": content})
            response = connection.getresponse()
            return Answer(response.status, json.load(response))
        finally:
            connection.close()


@contextlib.contextmanager
def proxied(cluster: Cluster, namespace: str) -> Iterator[RawApi]:
    """The API of a cluster, whatever its kubeconfig asks for."""
    command: list[str | pathlib.Path] = [cluster.program, "--kubeconfig", cluster.kubeconfig, "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as proxy:
        try:
            assert proxy.stdout is not None
            serving = re.search(r"127\.0\.0\.1:\d+", proxy.stdout.readline())
            assert serving is not None
            yield RawApi(serving[0], namespace)
        finally:
            proxy.terminate()
