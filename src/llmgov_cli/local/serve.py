"""Hub, sidecars and mock provider, put together in one process over a state folder.

The same compiler, ledger, hub and sidecar as in a cluster: only what lies between them (a network, an API server) is
not here, and neither is what that would be needed for.
"""

import asyncio
import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Self

import msgspec
from aiohttp import web

from llmgov import snapshot
from llmgov.ledger.rows import ApprovalState
from llmgov.ledger.store import StoreError
from llmgov.policy.decision import Workload
from llmgov.statuses import facts
from llmgov_cli import audit_keys, audit_sources, errors, prices
from llmgov_cli.local import anchor, folder, link, lock, state, trial
from llmgov_cli.mock_provider import server as mock_provider
from llmgov_hub.checkpoints import Checkpoints
from llmgov_hub.hub import Hub
from llmgov_sidecar import hub as sidecar_hub
from llmgov_sidecar import logs
from llmgov_sidecar import settings as sidecar_settings
from llmgov_sidecar.passage import Observer
from llmgov_sidecar.sidecar import Sidecar, system_clock
from llmgov_sidecar.turns import Turns
from llmgov_store.sqlite.store import SqliteStore

HOST = "127.0.0.1"
ACTOR = "local"
"""Who put a configuration in force, on record."""

SIGN_SECONDS = 5.0
"""Between two checkpoints; design section 8 asks for 10 at most."""
APPROVALS_SECONDS = 0.25
"""Between two looks for decisions that another process took."""

_BOUNDS = sidecar_settings.Settings(drain_seconds=5)


class Serving:
    """The running system. Use as an asynchronous context manager; `ports` maps workloads to their sidecars' ports.

    `observer` is told of each step of an attempt, and `connect` is what lies between a sidecar and the hub: faults are
    injected there. `bounds` are the sidecars' settings, but for who and where they are.
    """

    def __init__(
        self,
        place: pathlib.Path,
        state_folder: pathlib.Path,
        workloads: Mapping[str, int],
        *,
        observer: Observer = lambda _: None,
        connect: Callable[[Hub], sidecar_hub.Hub] = link.Link,
        bounds: sidecar_settings.Settings = _BOUNDS,
    ) -> None:
        self.ports: dict[str, int] = {}
        self.state_folder = state_folder
        self.place = place
        self._workloads = workloads
        self._observer = observer
        self._connect = connect
        self._bounds = bounds
        self._prices = prices.prices()
        self._loaded: folder.Loaded | None = None
        self._turns = Turns(system_clock)
        self._sidecars: dict[str, Sidecar] = {}
        self._enforcing: dict[str, bool] = {}
        self._directory = snapshot.Directory()
        self._since = system_clock()
        self._exits = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything.

        Raises:
            CommandError: another process serves the state folder, the folder has an error, a port cannot be had, or the
                ledger cannot be opened.
        """
        try:
            await self._start()
        except BaseException:
            await self._exits.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain, deliver, sign, close."""
        await self._exits.aclose()

    async def _start(self) -> None:
        await self._exits.enter_async_context(lock.held(self.state_folder))
        self._stream = self._exits.enter_context((self.state_folder / "log.jsonl").open("ab"))
        self._log = logs.Log(self._stream, system_clock, process="local")
        self._exits.callback(self._log.flush)
        self._hub = Hub(self._open_store(), system_clock, trusting=False)
        self._checkpoints = self._signing()
        self._exits.push_async_callback(self.sign)
        self._mock_port = await self._start_mock()
        loaded = self._load()
        if loaded.rejected:
            raise errors.CommandError("the folder is not valid:\n  " + "\n  ".join(loaded.rejected))
        self._prepare_sidecars()
        self._directory = await self._hub.approvals.directory()
        await self._put_in_force(loaded)
        await self._start_sidecars()
        self._write_run(())

    def _open_store(self) -> SqliteStore:
        try:
            self._store = SqliteStore.open(self.state_folder / "ledger.db")
        except StoreError as error:
            raise errors.CommandError(str(error)) from error
        self._exits.push_async_callback(self._store.close)
        return self._store

    def _signing(self) -> Checkpoints:
        signer = audit_keys.signer(self.state_folder)
        kept = anchor.FileAnchor(self.state_folder / audit_sources.ANCHORS)
        return Checkpoints(self._store, signer, kept, system_clock)

    async def _start_mock(self) -> int:
        runner = web.AppRunner(mock_provider.app(), access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._exits.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, HOST, 0).start()
        return int(runner.addresses[0][1])

    def _load(self) -> folder.Loaded:
        namespaces = [workload.partition("/")[0] for workload in self._workloads]
        return folder.load(self.place, self._prices, namespaces, self._mock_port, self._loaded)

    def _prepare_sidecars(self) -> None:
        for workload, port in self._workloads.items():
            self._sidecars[workload] = self._sidecar(workload, port)

    def _sidecar(self, workload: str, port: int) -> Sidecar:
        namespace, _, account = workload.partition("/")
        volume = self.state_folder / "sidecars" / f"{namespace}.{account}"
        volume.mkdir(mode=0o700, parents=True, exist_ok=True)
        chosen = msgspec.structs.replace(
            self._bounds,
            namespace=namespace,
            service_account=account,
            pod=f"local-{namespace}-{account}",
            host=HOST,
            port=port,
            admin_host=HOST,
            admin_port=0,
            volume=volume,
        )
        identity = Workload(namespace, account, pod=chosen.pod)
        return Sidecar(
            chosen,
            identity,
            self._connect(self._hub),
            observer=self._observer,
            log_stream=self._stream,
            turns=self._turns,
        )

    async def _start_sidecars(self) -> None:
        for workload, sidecar in self._sidecars.items():
            try:
                self.ports[workload] = await sidecar.start()
            except OSError as error:
                port = self._workloads[workload]
                raise errors.CommandError(
                    f"port {port} for {workload}: {error.strerror or error}; choose another with --as {workload}=0 (0:"
                    " any free one)"
                ) from error
            self._exits.push_async_callback(sidecar.stop)

    async def reload(self) -> tuple[str, ...]:
        """Read the folder again; why it was rejected, empty where it is in force now."""
        loaded = await asyncio.to_thread(self._load)
        if loaded.rejected:
            self._log.warning("configuration rejected", reasons=loaded.rejected)
        else:
            await self._put_in_force(loaded)
            self._log.info("configuration in force", versions=await self._versions())
        self._write_run(loaded.rejected)
        return loaded.rejected

    async def _put_in_force(self, loaded: folder.Loaded) -> None:
        """Publish, then hand to the sidecars: what is enforced was on record before."""
        configuration = loaded.mocked
        parts: dict[str, snapshot.Part] = {"organization": configuration.organization, "prices": configuration.prices}
        parts |= {f"namespace/{name}": part for name, part in configuration.namespaces.items()}
        if await self._hub.configuration.publish(parts, actor=ACTOR):
            self._since = system_clock()
        self._loaded = loaded
        await self._hand_out()

    async def _versions(self) -> dict[str, str]:
        return {part.part: part.version for part in await self._store.parts(system_clock())}

    async def _hand_out(self) -> None:
        assert self._loaded is not None
        for workload, sidecar in self._sidecars.items():
            whole = self._loaded.mocked.snapshot(workload.partition("/")[0])
            try:
                await sidecar.configuration.apply(whole, self._directory, self._loaded.keys)
                self._enforcing[workload] = True
            except ValueError:
                self._enforcing[workload] = False

    @property
    def warnings(self) -> tuple[str, ...]:
        """What of the configuration in force is probably not meant, as sentences."""
        return () if self._loaded is None else self._loaded.warnings

    @property
    def trial(self) -> str | None:
        """A line of curl that the configuration in force lets through, `None` where none was found."""
        return None if self._loaded is None else trial.line(self._loaded.compiled, self.ports)

    @property
    def metrics(self) -> dict[str, str]:
        """Where each workload's sidecar shows its metrics, for Prometheus and curl."""
        return {name: f"http://{HOST}:{each.admin_port}/metrics" for name, each in self._sidecars.items()}

    async def follow_approvals(self) -> None:
        """Hand decisions on, whoever took them; runs until cancelled."""
        while True:
            await asyncio.sleep(APPROVALS_SECONDS)
            await self.refresh_approvals()

    async def refresh_approvals(self) -> None:
        """Take up the approvals of requests and the stopped models that are in the ledger now."""
        directory = await self._hub.approvals.directory()
        if directory != self._directory:
            self._directory = directory
            await self._hand_out()

    async def approve_all(self) -> int:
        """Approve all that is pending; how many there were."""
        await self.delivered()
        pending = [row for row in await self._hub.approvals.list() if row.state is ApprovalState.PENDING]
        for row in pending:
            await self._hub.approvals.approve(row.id, ACTOR, "approved by the traffic file")
        await self.refresh_approvals()
        return len(pending)

    async def delivered(self) -> None:
        """Wait until all that has happened is on record."""
        for sidecar in self._sidecars.values():
            await sidecar.delivered(10)

    async def sign(self) -> None:
        """Sign what the audit has grown by."""
        await self._checkpoints.sign()

    async def keep_signing(self) -> None:
        """Sign again and again; runs until cancelled."""
        while True:
            await asyncio.sleep(SIGN_SECONDS)
            await self.sign()

    def _write_run(self, rejected: tuple[str, ...]) -> None:
        assert self._loaded is not None
        run = state.Run(
            pid=os.getpid(),
            folder=str(self.place),
            since=self._since,
            sidecars=dict(self.ports),
            metrics=self.metrics,
            enforcing=dict(self._enforcing),
            resources=self._loaded.documents,
            problems=tuple(each.problem for each in self._loaded.findings),
            facts=facts.of(self._loaded.compiled),
            rejected=rejected,
        )
        state.write_run(self.state_folder, run)
