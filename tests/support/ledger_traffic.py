"""Clients that lend, settle and give back over one PostgreSQL ledger at the same time, and what must hold afterwards.

A client is a sidecar without a purse: it repeats what failed, as a sidecar does, and keeps count of what was
acknowledged. Each of its messages goes to any of several replicas.
"""

import asyncio
import contextlib
import dataclasses
import multiprocessing
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from llmgov.ledger import balances
from llmgov.ledger.messages import Charged, Epoch, Event, LeaseGrant, LeaseRequest, LeaseReturn, Need
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Account, Target, TargetKind
from llmgov_hub.hub import Hub
from llmgov_store.postgres import connecting
from llmgov_store.postgres.store import PostgresReader, PostgresStore
from tests.support import ledger_queries, ledgers
from tests.support.ledgers import CENT, NOW, USD

T = TypeVar("T")

TEAMS = 3
LIMIT = 10 * USD
"""Of the organization: less than all clients together would spend."""

_HOLD = 10 * CENT


@dataclasses.dataclass
class Tally:
    """What was acknowledged to a client: what each attempt cost, which leases it was lent, and what failed."""

    costs: dict[str, int] = dataclasses.field(default_factory=dict)
    leases: list[str] = dataclasses.field(default_factory=list)
    refused: int = 0
    failures: int = 0

    def __iadd__(self, other: "Tally") -> "Tally":
        self.costs |= other.costs
        self.leases += other.leases
        self.refused += other.refused
        self.failures += other.failures
        return self


def accounts(team: int, limit: int) -> tuple[Account, ...]:
    """The accounts on the path of a team's only workload, the organization's last; overlapping with other teams'."""
    targets = (
        Target(TargetKind.WORKLOAD, f"ns-{team}/app"),
        Target(TargetKind.NAMESPACE, f"ns-{team}"),
        Target(TargetKind.TEAM, f"team-{team}"),
        Target(TargetKind.TEAM, "division"),
        Target(TargetKind.ORGANIZATION),
    )
    return tuple(ledgers.account(target, limit=limit) for target in targets)


def path(team: int) -> tuple[str, ...]:
    """The charging path of a team's workload."""
    return tuple(str(account.target) for account in accounts(team, LIMIT))


class Client:
    """One sidecar of the team `number % TEAMS`."""

    def __init__(self, hubs: Sequence[Hub], number: int, limit: int) -> None:
        self._hubs = hubs
        self._random = random.Random(number)
        self._holder = f"pod-{number}"
        self._accounts, self._path = accounts(number % TEAMS, limit), path(number % TEAMS)
        self._sequence = 0
        self.tally = Tally()

    async def run(self, rounds: int) -> Tally:
        """Lend, settle and give back, so many times."""
        epoch = await self._insist(lambda hub: hub.register(self._holder))
        for number in range(1, rounds + 1):
            needs = tuple(Need(account.key, account, _HOLD, 2 * _HOLD) for account in self._accounts)
            request = LeaseRequest(epoch, number, needs, self._path, strict=number % 2 == 0)
            reply = await self._insist(lambda hub, request=request: hub.lease(request))  # type: ignore[misc]
            if isinstance(reply, LeaseGrant):
                self.tally.leases += [lease.id for lease in reply.leases]
                await self._spend(epoch, reply)
            else:
                self.tally.refused += 1
        return self.tally

    async def _spend(self, epoch: Epoch, grant: LeaseGrant) -> None:
        self._sequence += 1
        attempt, cost = f"{epoch}/{self._sequence}", self._random.randint(0, _HOLD)
        charged = tuple(Charged(lease.id, lease.key, _HOLD) for lease in grant.leases)
        who = ledgers.subject(path=self._path, user=self._random.choice((None, "jane", "joe")))
        await self._report([ledgers.intent(attempt, _HOLD, charged, who=who), ledgers.settlement(attempt, cost)])
        self.tally.costs[attempt] = cost
        for lease in grant.leases:
            rest = LeaseReturn(epoch, lease.id, 1, lease.amount - cost, final=True)
            await self._insist(lambda hub, rest=rest: hub.give_back(rest))  # type: ignore[misc]

    async def _report(self, halves: list[Event]) -> None:
        """In one message, or each half to any replica at once; sometimes again."""
        deliveries = [halves] if self._random.random() < 0.5 else [[half] for half in halves]
        if self._random.random() < 0.3:
            deliveries += [halves]
        self._random.shuffle(deliveries)
        async with asyncio.TaskGroup() as group:
            for events in deliveries:
                group.create_task(self._insist(lambda hub, events=events: hub.deliver(events)))  # type: ignore[misc]

    async def _insist(self, call: Callable[[Hub], Awaitable[T]]) -> T:
        while True:
            try:
                return await call(self._random.choice(self._hubs))
            except StoreError:
                self.tally.failures += 1
                await asyncio.sleep(0.02)


async def run(url: str, clients: range, rounds: int, replicas: int = 2, name: str = "hub", limit: int = LIMIT) -> Tally:
    """Let `clients` run over so many replicas, each with a store of its own; what all of them were acknowledged."""
    async with contextlib.AsyncExitStack() as ended:
        stores: list[Store] = []
        for _ in range(replicas):
            stores.append(await _open(url))
            ended.push_async_callback(stores[-1].close)
        hubs = [Hub(store, lambda: NOW, writer=f"{name}-{index}") for index, store in enumerate(stores)]
        whole = Tally()
        for tally in await asyncio.gather(*(Client(hubs, number, limit).run(rounds) for number in clients)):
            whole += tally
        return whole


async def _open(url: str) -> Store:
    """A replica begins while its connections are cut, too: then it begins again."""
    while True:
        try:
            return await PostgresStore.open(url)
        except StoreError:
            await asyncio.sleep(0.02)


def run_in_processes(url: str, processes: int, clients: int, rounds: int) -> Tally:
    """The same in so many processes with two replicas each; `clients` in all."""
    share = clients // processes
    jobs = [
        (url, range(index * share, (index + 1) * share), rounds, 2, f"process-{index}") for index in range(processes)
    ]
    whole = Tally()
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for tally in pool.starmap(_run, jobs):
            whole += tally
    return whole


def _run(*job: object) -> Tally:
    return asyncio.run(run(*job))  # type: ignore[arg-type]


async def check(url: str, tally: Tally, limit: int = LIMIT) -> None:
    """Everything that must hold once all clients are done, whatever happened meanwhile."""
    reader = await PostgresReader.open(url)
    try:
        found = await reader.balances()
        assert list(balances.differences(found)) == []
        settled = {row.id: row.settlement.cost for row in found.attempts if row.settlement is not None}
        assert settled == tally.costs
        assert set(tally.leases) <= {row.id for row in found.leases}
        for window in found.windows:
            assert window.used <= limit, window
        (organization,) = (window for window in found.windows if window.scope == "organization")
        assert organization.spent == sum(tally.costs.values())
        assert await deadlocks(url) == 0
        assert await ledger_queries.findings(url) == [0] * len(ledger_queries.QUERIES)
    finally:
        await reader.close()


async def deadlocks(url: str) -> int:
    """How many the server has found in this database."""
    connection = await connecting.connect(url)
    try:
        query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        return int(await connection.fetchval(query))
    finally:
        await connection.close()
