"""kopf's part: it watches, and tells a `Cluster` of every object. Its handlers return nothing and never raise.

Nothing but `on.event` handlers are used: all others write annotations or finalizers to users' objects. kopf lists and
watches each kind once its definition is there, and again after every break.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import kopf
from kubernetes.aio import client

from llmgov_operator import kinds
from llmgov_operator.cluster import Body, Change, Cluster
from llmgov_operator.kinds import Kind

SERVER_SECONDS: Final = 240
"""How long the API server keeps one watch; it takes whole numbers alone."""

CLIENT_SECONDS: Final = 300.0
"""How long a watch may last here, whatever the API server does."""

SILENT_SECONDS: Final = 75.0
"""A watch without a word for so long is begun anew: bookmarks come every minute."""

CONNECT_SECONDS: Final = 10.0

_KEPT: Final = ("name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "labels")

_LOG = logging.getLogger(__name__)

Heard = Callable[[Kind, Body, Change], None]
"""Is told of each object that was heard of, after the cluster knows of it."""

Login = Callable[..., Awaitable[kopf.ConnectionInfo]]
"""A login handler of kopf's."""


async def run(handlers: kopf.OperatorRegistry, started: Callable[[], None], silent_seconds: float) -> None:
    """Watch, for ever; ends with an exception where kopf cannot go on.

    kopf takes the process's signal handlers to itself: `started` is called right after that, to take them back. And
    when it ends it cancels every task of the loop that was begun after it, so whatever has to outlive it comes before.
    """
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=handlers, settings=settings(silent_seconds), standalone=True, clusterwide=True
    )
    started()
    await kopf.run_tasks(tasks, ignored=before)


def registry(cluster: Cluster, heard: Heard, login: Login) -> kopf.OperatorRegistry:
    """Handlers that keep `cluster` up to date; `login` gives kopf its credentials."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(login)
    for kind in kinds.ALL.values():
        _watch(kind, cluster, heard, handlers)
    return handlers


def login(configuration: client.Configuration) -> Login:
    """A login with the credentials that the Kubernetes client has, renewed as the client renews them."""

    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        header = await configuration.get_api_key_with_prefix("BearerToken")
        scheme, _separator, token = (header or "").rpartition(" ")
        return kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            scheme=scheme or None,
            token=token or None,
        )

    return log_in


def _watch(kind: Kind, cluster: Cluster, heard: Heard, handlers: kopf.OperatorRegistry) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=f"see-{kind.plural}")
    async def see(event: Mapping[str, Any], **_: Any) -> None:
        try:
            note(kind, event, cluster, heard)
        except Exception:  # noqa: BLE001 (logged; a list mends it)
            # kopf would go on without this object; the next list finds that it is behind, and it is read then.
            _LOG.exception("an event of %s could not be understood", kind.plural)


def note(kind: Kind, event: Mapping[str, Any], cluster: Cluster, heard: Heard) -> None:
    """Tell `cluster` of one watch event."""
    body = slim(event["object"])
    if event["type"] == "DELETED":
        heard(kind, body, cluster.forget(kind.name, body["metadata"]["uid"]))
    else:
        heard(kind, body, cluster.see(kind.name, body))


def slim(body: Mapping[str, Any]) -> Body:
    """An object without what means nothing here: managed fields and annotations are half of it."""
    metadata = {name: body["metadata"][name] for name in _KEPT if name in body["metadata"]}
    return {**body, "metadata": metadata}


def settings(silent_seconds: float = SILENT_SECONDS) -> kopf.OperatorSettings:
    """kopf's settings: every wait has an end, and it writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.watching.server_timeout = SERVER_SECONDS
    chosen.watching.client_timeout = CLIENT_SECONDS
    chosen.watching.connect_timeout = CONNECT_SECONDS
    chosen.watching.inactivity_timeout = silent_seconds
    chosen.watching.chunk_size = 500
    chosen.networking.request_timeout = 60.0
    chosen.networking.connect_timeout = CONNECT_SECONDS
    chosen.process.ultimate_exiting_timeout = None  # it would kill the process; main.py sees to its end
    return chosen
