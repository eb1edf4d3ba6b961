"""`llmgov operator`: one replica. It serves probes, opens the ledger, and waits to be elected; elected, it works.

The process ends with 0 when it is told to (SIGTERM), after it has stopped writing and given the Lease back; with 1 when
the Lease is lost or any part fails: whoever runs it starts it again, and it begins with nothing that might be wrong.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Awaitable, Iterator
from typing import Final

from kubernetes.aio import client
from pythonjsonlogger import json as json_logs

from llmgov import snapshot
from llmgov.ledger.publishing import OtherClusterError, SupersededError
from llmgov.ledger.store import StoreError
from llmgov_operator import api, garbage, kinds, metrics, probes, watching
from llmgov_operator.api import Api, ApiError
from llmgov_operator.cluster import Cluster, RewoundError
from llmgov_operator.configuring import Configurator
from llmgov_operator.electing import Election, LeaseLostError
from llmgov_operator.looking import Looking
from llmgov_operator.operator import Leader
from llmgov_operator.settings import Settings, SettingsError
from llmgov_operator.switching import Switching
from llmgov_operator.telling import Telling
from llmgov_store import opening
from llmgov_store.opening import Opened
from llmgov_store.publisher import Publisher
from llmgov_store.recorder import Recorder

RETRY_SECONDS: Final = 2.0
"""Between two tries to open the ledger, and to begin a term in it."""

_EXPECTED: Final = (ApiError, LeaseLostError, OtherClusterError, RewoundError, StoreError, SupersededError)
"""What a sentence says all about; of anything else the log has the traceback."""

_LOG = logging.getLogger(__name__)


def run(settings: Settings, prices: snapshot.PricePart) -> int:
    """Run until told to stop (0), or something fails (1), or cannot be as it is set (2); the exit code."""
    _log_json(settings)
    garbage.collect_seldom()
    code = 1
    try:
        asyncio.run(_Replica(settings, prices).run())
        code = 0
    except* SettingsError as group:
        code = 2
        _say(group)
    except* _EXPECTED as group:
        _say(group)
    except* Exception:  # noqa: BLE001 (it is logged whole)
        _LOG.exception("the operator ends by a fault of its own")
    return code


def _say(group: BaseExceptionGroup[BaseException]) -> None:
    for error in _leaves(group):
        _LOG.error("the operator ends: %s", error)


class _Replica:
    """One replica's life."""

    def __init__(self, settings: Settings, prices: snapshot.PricePart) -> None:
        self._settings = settings
        self._prices = prices
        self._metrics = metrics.metrics()
        self._leader: Leader | None = None
        self._lacks: str | None = "the ledger is not open yet"
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Live until told to stop.

        Raises:
            ExceptionGroup: something failed; the Lease is given back where this replica has it.
        """
        self._take_signals()
        async with contextlib.AsyncExitStack() as exits:
            port = await exits.enter_async_context(self._probes())
            _LOG.info("probes and metrics are at port %d", port)
            connection = await api.connect(self._settings.kubeconfig, self._settings.identity)
            exits.push_async_callback(connection.close)
            leases = client.CoordinationV1Api(connection)
            election = Election(leases, self._settings.root_namespace, self._settings.identity)
            exits.push_async_callback(election.release)
            async with asyncio.TaskGroup() as group:
                working = group.create_task(self._work(connection, election))
                await self._stopping.wait()
                _LOG.info("told to stop")
                working.cancel()

    async def _work(self, connection: client.ApiClient, election: Election) -> None:
        """Open the ledger first: a replica that cannot write there is no good leader."""
        opened = await self._opened()
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(_endless(opened.keep()))
                _LOG.info("waiting to be elected, as %s", self._settings.identity)
                await election.run(lambda: self._lead(connection, election, opened))
                keeping.cancel()
        finally:
            await opened.close()

    async def _opened(self) -> Opened:
        while True:
            try:
                opened = await opening.open_store(self._settings.database_url)
            except StoreError as error:
                self._lacks = str(error)
                _LOG.error("the ledger cannot be opened: %s", error)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self._lacks = None
                return opened

    async def _lead(self, connection: client.ApiClient, election: Election, opened: Opened) -> None:
        requests = Api(connection, self._metrics)
        cluster_id = self._settings.cluster_id or await requests.cluster_id()
        # One chain for all leaders of a cluster: a term makes their records follow one another.
        recorder = Recorder(f"operator/{cluster_id}")
        publisher = Publisher(opened.store, recorder, opened.clock, opened.announce)
        term = await _claimed(publisher, cluster_id, self._settings.identity)
        _LOG.info("elected: term %d of cluster %s begins", term, cluster_id)
        self._metrics.leader.set(1)
        known = Cluster(kinds.ALL)
        telling = Telling(
            Looking(opened.store, cluster_id, self._settings.root_namespace), requests, known, election.leads,
            opened.clock, self._metrics, instance=self._settings.identity,
            observe_seconds=self._settings.observe_seconds,
        )  # fmt: skip
        configurator = Configurator(cluster_id, self._settings.root_namespace, self._prices)
        switching = Switching(publisher, opened.store, cluster_id)
        self._leader = Leader(known, requests, configurator, switching, telling, opened.clock, self._metrics)
        await self._leader.run(watching.login(connection.configuration), self._take_signals)

    def _probes(self) -> contextlib.AbstractAsyncContextManager[int]:
        settings = self._settings
        return probes.serving(
            settings.admin_host, settings.admin_port, self._not_alive, self._not_ready, self._rendered
        )

    def _not_alive(self) -> str | None:
        return None if self._leader is None else self._leader.not_alive()

    def _not_ready(self) -> str | None:
        """A replica that waits is ready: it is what it should be."""
        return self._lacks if self._leader is None else self._leader.not_ready()

    def _rendered(self) -> bytes:
        if self._leader is not None:
            self._leader.measure()
        return self._metrics.rendered()

    def _take_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._stopping.set)


async def _claimed(publisher: Publisher, cluster_id: str, identity: str) -> int:
    """Begin a term, as soon as the ledger answers; its number."""
    while True:
        try:
            return await publisher.claim(cluster_id, identity)
        except StoreError as error:
            _LOG.error("no term could be begun: %s", error)
            await asyncio.sleep(RETRY_SECONDS)


async def _endless(work: Awaitable[None]) -> None:
    await work


def _leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def _log_json(settings: Settings) -> None:
    """One JSON object a line on standard error, as log collectors read it."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        json_logs.JsonFormatter(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="time",
            static_fields={"replica": settings.identity},
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # kopf says of each event that its handler succeeded, the client of each second that somebody else leads.
    logging.getLogger("kopf").setLevel(logging.WARNING)
