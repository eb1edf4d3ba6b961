"""Who of the operator's replicas works: one at a time, by a Lease in the root namespace.

The client's election is made to survive what it does not: an API server that is gone for a moment (it would end with an
exception of the HTTP library), one that accepts a request and never answers, and a leader that ends on purpose (which
gives the Lease back, so that the next one need not wait for it to run out).
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

import aiohttp
from kubernetes.aio import client
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection import electionconfig, leaderelection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock import baselock, leaselock

LEASE: Final = "llmgov-operator"
"""The Lease's name."""

LEASE_SECONDS: Final = 12
"""How long a Lease holds that its leader does not renew: with a retry and a start, take-over stays below 20 s."""

GIVE_UP_SECONDS: Final = 9
"""After so long without having renewed it a leader stops: before the Lease runs out for those who wait for it, however
long the last try takes."""

RENEW_SECONDS: Final = 8
"""How long the client's election tries to renew; it judges only between two tries, and by the wall clock."""

RETRY_SECONDS: Final = 1
"""Between two tries, of leader and candidates; a Lease that was given back is taken within this."""

_REQUEST_SECONDS: Final = 3.0

_LOG = logging.getLogger(__name__)


class LeaseLostError(Exception):
    """This replica was the leader and may be no more: another one has been elected, or could have been."""


class _Lock(leaselock.LeaseLock):
    """The Lease, with time limits, and with the HTTP library's errors as errors of the API."""

    def __init__(self, namespace: str, identity: str, leases: client.CoordinationV1Api) -> None:
        baselock.BaseLock.__init__(self, LEASE, namespace, identity)  # the parent would connect by itself
        self.api_instance = leases
        self.lease_reference: client.V1Lease | None = None
        self.renewed: float | None = None
        """When the Lease was last taken or renewed, by the event loop's clock; `None` before."""

    async def get(self, name: str, namespace: str) -> Any:
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                return await super().get(name, namespace)
        except (aiohttp.ClientError, OSError) as error:
            return False, ApiException(status=0, reason=f"{type(error).__name__}: {error}")

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        return await self._noted(self._create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await self._noted(super().update(name, namespace, updated_record))

    async def _create(self, name: str, namespace: str, record: LeaderElectionRecord) -> bool:
        """The client's own gives a query parameter a type that its own check refuses (kubernetes 37)."""
        spec = self.update_lease(record)
        try:
            await self.api_instance.create_namespaced_lease(
                namespace, client.V1Lease(metadata=client.V1ObjectMeta(name=name), spec=spec)
            )
        except ApiException as error:
            _LOG.warning("the Lease %s/%s could not be made: %s", namespace, name, error.reason)
            return False
        return True

    async def _noted(self, writing: Coroutine[Any, Any, bool]) -> bool:
        began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                written = await writing
        except (aiohttp.ClientError, OSError):
            return False
        if written:
            self.renewed = began
        return written


class Election:
    """One replica's part in the election; `name` is its own in the cluster (the pod's).

    The Lease is held under that name and a random one of this process: two processes of one name would both take
    themselves for its holder.
    """

    def __init__(self, leases: client.CoordinationV1Api, namespace: str, name: str) -> None:
        self._lock = _Lock(namespace, f"{name}_{secrets.token_hex(4)}", leases)
        self._leases = leases
        self._namespace = namespace

    def leads(self) -> bool:
        """Whether nobody else can have been elected, also where this process was paused a moment ago."""
        return self._left() > 0

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Wait to be elected, then run `lead`, and end with it; what goes wrong is raised in an exception group.

        Raises:
            LeaseLostError: the Lease was lost, and `lead` was cancelled.
        """
        elected = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            electing = group.create_task(self._stay_elected(elected))
            await elected.wait()
            await lead()
            electing.cancel()

    async def _stay_elected(self, elected: asyncio.Event) -> None:
        async def started() -> None:
            elected.set()

        election = leaderelection.LeaderElection(
            electionconfig.Config(self._lock, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, started, _nothing)
        )
        async with asyncio.TaskGroup() as group:
            running = group.create_task(election.run())
            await asyncio.wait([running, group.create_task(elected.wait())], return_when=asyncio.FIRST_COMPLETED)
            while not running.done() and (left := self._left()) > 0:
                await asyncio.wait([running], timeout=left)
            running.cancel()
        raise LeaseLostError(f"the Lease {LEASE} was lost: it could not be renewed for {GIVE_UP_SECONDS} s")

    def _left(self) -> float:
        """Seconds until this replica has to stop, were the Lease not renewed again."""
        if self._lock.renewed is None:
            return 0.0
        return self._lock.renewed + GIVE_UP_SECONDS - asyncio.get_running_loop().time()

    async def release(self) -> None:
        """Give the Lease back where this replica has it. What cannot be given back runs out."""
        if not self.leads():
            return
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                lease = await self._leases.read_namespaced_lease(LEASE, self._namespace)
                if lease.spec is not None and lease.spec.holder_identity == self._lock.identity:
                    lease.spec.holder_identity = ""
                    lease.spec.lease_duration_seconds = 1
                    await self._leases.replace_namespaced_lease(LEASE, self._namespace, lease)
        except (ApiException, aiohttp.ClientError, OSError):
            return


async def _nothing() -> None:
    """The client's election wants to be told what to do at its end."""
