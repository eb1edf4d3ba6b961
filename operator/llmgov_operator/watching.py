"""kopf's part: it watches, and tells a `Cluster` of every object. Its handlers return nothing and never raise.

Nothing but `on.event` handlers are used: all others write annotations or finalizers to users' objects. kopf lists and
watches each kind once its definition is there, and again after every break.
"""

import asyncio
import dataclasses
import logging
import pathlib
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from typing import Any, Final

import aiohttp
import kopf
from kubernetes.aio import client

from llmgov_operator import depth, kinds
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

_KOPF: Final = str(pathlib.Path(kopf.__file__).parent)

_LOG = logging.getLogger(__name__)

Heard = Callable[[Kind, Body, Change], None]
"""Is told of each object that was heard of, after the cluster knows of it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Session(kopf.AiohttpSession):
    """A session whose answers are made shallow: kopf ends at an object that is nested deeper than Python parses.

    Two with the same credentials are equal, so that kopf does not try again with what the API server refused.
    """

    aiohttp_session: aiohttp.ClientSession = dataclasses.field(compare=False)
    credentials: kopf.ConnectionInfo


Login = Callable[..., Awaitable[Session]]
"""A login handler of kopf's."""


class Watches:
    """kopf, begun anew where it may have lost a watch.

    When a definition is made, kopf looks once which kinds are served, at a moment when the API server often does not
    say so yet: then it never watches that kind. So whoever finds that something was not told calls `renew`.
    """

    def __init__(self, handlers: kopf.OperatorRegistry, started: Callable[[], None], silent_seconds: float) -> None:
        """kopf takes the process's signal handlers to itself: `started` is called right after that, each time."""
        self._handlers = handlers
        self._started = started
        self._silent_seconds = silent_seconds
        self._wanted = asyncio.Event()

    def renew(self) -> None:
        """Begin all watches anew, soon."""
        self._wanted.set()

    async def run(self) -> None:
        """Watch, for ever.

        Raises:
            ExceptionGroup: kopf cannot go on.
        """
        while True:
            self._wanted.clear()
            async with asyncio.TaskGroup() as group:
                watching = group.create_task(self._watch())
                await self._wanted.wait()
                _LOG.warning("all watches begin anew, since something was not told")
                watching.cancel()

    async def _watch(self) -> None:
        tasks = await kopf.spawn_tasks(
            registry=self._handlers, settings=settings(self._silent_seconds), standalone=True, clusterwide=True
        )
        self._started()
        await kopf.run_tasks(tasks, ignored=_Others())
        raise RuntimeError("kopf ended by itself")


class _Others(Collection[Any]):
    """All tasks whose code is not kopf's: at its end it would cancel every task of the loop that it is not told of."""

    def __contains__(self, task: object) -> bool:
        code = getattr(task.get_coro(), "cr_code", None) if isinstance(task, asyncio.Task) else None
        return code is None or not code.co_filename.startswith(_KOPF)

    def __iter__(self) -> Iterator[Any]:
        return (task for task in asyncio.all_tasks() if task in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def registry(cluster: Cluster, heard: Heard, login: Login) -> kopf.OperatorRegistry:
    """Handlers that keep `cluster` up to date; `login` gives kopf its credentials."""
    handlers = kopf.OperatorRegistry()
    kopf.on.login(registry=handlers)(login)
    for kind in kinds.ALL.values():
        _watch(kind, cluster, heard, handlers)
    return handlers


def login(configuration: client.Configuration) -> Login:
    """A login with the credentials that the Kubernetes client has, renewed as the client renews them."""

    async def log_in(**_: Any) -> Session:
        header = await configuration.get_api_key_with_prefix("BearerToken")
        scheme, _separator, token = (header or "").rpartition(" ")
        credentials = kopf.ConnectionInfo(
            server=configuration.host,
            ca_path=configuration.ssl_ca_cert,
            insecure=not configuration.verify_ssl,
            certificate_path=configuration.cert_file,
            private_key_path=configuration.key_file,
            scheme=scheme or None,
            token=token or None,
        )
        return Session(server=credentials.server, aiohttp_session=_session(credentials), credentials=credentials)

    return log_in


def _session(credentials: kopf.ConnectionInfo) -> aiohttp.ClientSession:
    """As kopf makes one by itself."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=credentials.as_ssl_context()),
        headers=credentials.as_http_headers(),
        response_class=depth.Response,
    )


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
