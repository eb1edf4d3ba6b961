"""Who of the operator's replicas works: one at a time, by a Lease in the root namespace.

The client's election is made to survive what it does not: an API server that is gone for a moment (it would end with an
exception of the HTTP library), one that accepts a request and never answers, and a leader that ends on purpose (which
gives the Lease back, so that the next one need not wait for it to run out).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection import electionconfig, leaderelection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock import leaselock

LEASE: Final = "llmgov-operator"
"""The Lease's name."""

LEASE_SECONDS: Final = 12
"""How long a Lease holds that its leader does not renew: with a retry and a start, take-over stays below 20 s."""

RENEW_SECONDS: Final = 8
"""How long a leader tries to renew before it gives up: less than the Lease holds, so that it stops before the next
one starts."""

RETRY_SECONDS: Final = 1
"""Between two tries, of leader and candidates; a Lease that was given back is taken within this."""

_REQUEST_SECONDS: Final = 3.0


class _Lock(leaselock.LeaseLock):
    """The Lease, with time limits, and with the HTTP library's errors as errors of the API."""

    def __init__(self, namespace: str, identity: str, connection: client.ApiClient) -> None:
        super().__init__(LEASE, namespace, identity, connection)
        self.renewed: float | None = None
        """When the Lease was last taken or renewed, by `time.monotonic`; `None` before."""

    async def get(self, name: str, namespace: str) -> Any:
        try:
            return await asyncio.wait_for(super().get(name, namespace), _REQUEST_SECONDS)
        except (aiohttp.ClientError, OSError) as error:
            return False, ApiException(status=0, reason=f"{type(error).__name__}: {error}")

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        return await self._noted(super().create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await self._noted(super().update(name, namespace, updated_record))

    async def _noted(self, writing: Coroutine[Any, Any, bool]) -> bool:
        began = time.monotonic()
        try:
            written = await asyncio.wait_for(writing, _REQUEST_SECONDS)
        except (aiohttp.ClientError, OSError):
            return False
        if written:
            self.renewed = began
        return written


class Election:
    """One replica's part in the election; `identity` is its own in the cluster (the pod's name)."""

    def __init__(self, connection: client.ApiClient, namespace: str, identity: str) -> None:
        self._lock = _Lock(namespace, identity, connection)
        self._api = client.CoordinationV1Api(connection)
        self._namespace = namespace

    def leads(self) -> bool:
        """Whether nobody else can have been elected, also where this process was paused a moment ago."""
        return self._lock.renewed is not None and time.monotonic() - self._lock.renewed < LEASE_SECONDS

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait to be elected, then run `lead`; ends when the Lease is lost or `lead` ends, with its exception."""
        leading: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def started() -> None:
            try:
                await lead()
            except asyncio.CancelledError:
                raise
            except BaseException as error:  # noqa: BLE001 (handed to whoever waits below)
                leading.set_exception(error)
            else:
                leading.set_result(None)

        async def stopped() -> None:
            return None

        electing = leaderelection.LeaderElection(
            electionconfig.Config(self._lock, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, started, stopped)
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(electing.run())
            await asyncio.wait([running, leading], return_when=asyncio.FIRST_COMPLETED)
            running.cancel()
        if leading.done():
            leading.result()

    async def release(self) -> None:
        """Give the Lease back where this replica has it. What cannot be given back runs out."""
        if not self.leads():
            return
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                lease = await self._api.read_namespaced_lease(LEASE, self._namespace)
                if lease.spec is not None and lease.spec.holder_identity == self._lock.identity:
                    lease.spec.holder_identity = ""
                    lease.spec.lease_duration_seconds = 1
                    await self._api.replace_namespaced_lease(LEASE, self._namespace, lease)
        except (ApiException, aiohttp.ClientError, OSError):
            return
