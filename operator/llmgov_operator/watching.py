"""kopf's part: it watches, and tells a `Cluster` of every object. Its handlers return nothing and never raise.

Nothing but `on.event` handlers are used: all others write annotations or finalizers to users' objects. kopf lists and
watches each kind once its definition is there, and again after every break.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import kopf

from llmgov_operator import kinds
from llmgov_operator.cluster import Body, Change, Cluster
from llmgov_operator.kinds import Kind

SERVER_SECONDS: Final = 240.0
"""How long the API server keeps one watch."""

CLIENT_SECONDS: Final = 300.0
"""How long a watch may last here, whatever the API server does."""

SILENT_SECONDS: Final = 75.0
"""A watch without a word for so long is begun anew: bookmarks come every minute."""

CONNECT_SECONDS: Final = 10.0

_LOG = logging.getLogger(__name__)

Heard = Callable[[Kind, Body, Change], None]
"""Is told of each object that changed, after the cluster knows of it."""

Login = Callable[..., kopf.ConnectionInfo]
"""A login handler of kopf's."""


def registry(cluster: Cluster, heard: Heard, login: Login) -> kopf.OperatorRegistry:
    """Handlers that keep `cluster` up to date; `login` gives kopf its credentials."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(login)
    for kind in kinds.ALL.values():
        _watch(kind, cluster, heard, handlers)
    return handlers


def _watch(kind: Kind, cluster: Cluster, heard: Heard, handlers: kopf.OperatorRegistry) -> None:
    @kopf.on.event(kind.group, kind.version, kind.plural, registry=handlers, id=f"see-{kind.plural}")
    async def see(event: Mapping[str, Any], **_: Any) -> None:
        try:
            note(kind, event, cluster, heard)
        except Exception:  # noqa: BLE001 (logged; the next list mends it)
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
    """An object without the managed fields, which are half of it and mean nothing here."""
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {**body, "metadata": metadata}


def settings() -> kopf.OperatorSettings:
    """kopf's settings: every wait has an end, and it writes nothing."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.watching.server_timeout = SERVER_SECONDS
    chosen.watching.client_timeout = CLIENT_SECONDS
    chosen.watching.connect_timeout = CONNECT_SECONDS
    chosen.watching.inactivity_timeout = SILENT_SECONDS
    chosen.watching.chunk_size = 500
    chosen.networking.request_timeout = 60.0
    chosen.networking.connect_timeout = CONNECT_SECONDS
    chosen.process.ultimate_exiting_timeout = 5.0
    return chosen
