"""What the ledger on PostgreSQL does in a second: `python -m tests.bench.bench_ledger [PART ...]`. Asserts nothing.

It starts a PostgreSQL of its own, with its defaults, and replicas of the hub as processes (`ledger_replica`), each with
its sidecars. All is real: eight accounts on each path (`ledger_world`), records in the same transactions, commits that
are synced. What is missing is the network: sidecars call the hub in its process, which reaches PostgreSQL on the
loopback. The replicas have the first core and the server has the second, where it is not said otherwise.
"""

import asyncio
import dataclasses
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

from llmgov.ledger import candidates
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from tests.bench import ledger_accounts, ledger_server, ledger_world
from tests.bench.ledger_replica import PER_DELIVERY
from tests.bench.ledger_runs import CPUS, Result, Runs
from tests.support import postgres
from tests.support.postgres_server import Server


@dataclasses.dataclass(frozen=True)
class Scale:
    """How much is measured: sidecars at a replica, replicas, seconds of each run, accounts' workloads, users that
    were there before, and how many messages there are at most, of one sidecar and of all together."""

    clients: tuple[int, ...] = (1, 16, 64)
    replicas: tuple[int, ...] = (1, 2, 4)
    seconds: float = 2.0
    workloads: int = ledger_world.WORKLOADS
    users: int = candidates.MAX_USERS
    each: int = 2_000
    all: int = 8_000

    def messages(self, clients: int, attempts: int = 1) -> int:
        """Of how many messages each sidecar has enough, where each is of so many attempts."""
        return max(2, min(self.each, self.all // clients) // attempts)


_HEAD = f"{'':40}{'rate /s':>10}{'p50 ms':>9}{'p99 ms':>9}{'hub µs':>9}{'server µs':>11}{'held':>7}{'waiting':>9}"


def row(name: str, result: Result) -> None:
    """Print one measurement."""
    print(
        f"{name:40}{result.rate:10,.0f}{result.p50:9.1f}{result.p99:9.1f}{result.hub_us:9.0f}"
        f"{result.server_us:11.0f}{result.held:7.0%}{result.waiting:9.1f}",
        flush=True,
    )


async def grants(runs: Runs, scale: Scale) -> None:
    """Leases on all eight accounts of a path."""
    await _one_by_one("grants", runs, scale)


async def intents(runs: Runs, scale: Scale) -> None:
    """Strict audit: an intent at a time, and its sidecar waits."""
    await _one_by_one("intents", runs, scale)


async def _one_by_one(what: str, runs: Runs, scale: Scale) -> None:
    print(_HEAD)
    row(f"{what}, 1 sidecar, 20/s", await runs(what, 1, scale.messages(1), pause=0.05))
    for clients in scale.clients:
        row(f"{what}, sidecars: {clients}", await runs(what, clients, scale.messages(clients)))
    row(f"{what}, {clients}, one core for all", await runs(what, clients, scale.messages(clients), one_core=True))


async def settlements(runs: Runs, scale: Scale) -> None:
    """Attempts with both halves, and settlements alone, 32 in a message."""
    print(_HEAD)
    before, settled = await ledger_accounts.size(runs.database), 0
    for clients in scale.clients:
        result = await runs("settlements", clients, scale.messages(clients, PER_DELIVERY))
        settled += result.done
        row(f"attempts settled, sidecars: {clients}", result)
    size = await ledger_accounts.size(runs.database) - before
    most = scale.messages(clients, PER_DELIVERY)
    row(f"attempts, {clients}, one core for all", await runs("settlements", clients, most, one_core=True))
    row(f"settlements alone, {clients}", await runs("second halves", clients, most))
    row(f"settlements, {clients}, one core for all", await runs("second halves", clients, most, one_core=True))
    print(f"the database grew by {size / settled / 1000:,.1f} MB for 1,000 attempts", flush=True)


async def replicas(runs: Runs, scale: Scale) -> None:
    """The organization's account, which all attempts change: shared by all replicas, or each with one of its own."""
    print(_HEAD)
    for count in scale.replicas:
        for apart in (False, True):
            most = scale.messages(16, PER_DELIVERY)
            sharing = "no account in common" if apart else "one organization"
            row(f"replicas: {count}, {sharing}", await runs("settlements", 16, most, replicas=count, apart=apart))


async def accounts(runs: Runs, scale: Scale) -> None:
    """10,000 accounts."""
    await ledger_accounts.measure(runs.database, scale.users)


PARTS: dict[str, Callable[[Runs, Scale], Awaitable[None]]] = {
    each.__name__: each for each in (grants, intents, settlements, replicas, accounts)
}


async def publish(database: postgres.Database, workloads: int) -> None:
    """Put the configuration in force."""
    parts = ledger_world.parts(workloads)
    store = await PostgresStore.open(database.hub)
    try:
        hub = Hub(store, await store.clock(), writer="publisher")
        begin = time.perf_counter()
        await hub.configuration.publish(parts)
        took = time.perf_counter() - begin
        found = len(await store.accounts())
        print(f"\n{found:,} accounts in {len(parts):,} parts published in {took:.1f} s", flush=True)
    finally:
        await store.close()


async def measure(server: Server, names: Sequence[str], scale: Scale) -> None:
    """The named parts, or all, each in a new database."""
    for name in names or PARTS:
        async with postgres.database(server.url("postgres")) as database:
            await publish(database, scale.workloads)
            await PARTS[name](Runs(server, database, scale.seconds), scale)


def main() -> None:
    """Say on what machine, and measure; a name that is no part's ends it before anything starts."""
    names = sys.argv[1:]
    if unknown := [name for name in names if name not in PARTS]:
        sys.exit(f"no part of this benchmark: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    if postgres.lacking_own() is not None:
        sys.exit(f"the ledger is not measured: {postgres.lacking_own()}")
    print(
        f"{len(CPUS)} cores, load average {os.getloadavg()[0]:.1f};"
        f" fdatasync of a page {ledger_server.syncs_per_second():,.0f}/s"
    )
    server = Server.new()
    try:
        asyncio.run(measure(server, names, Scale()))
    finally:
        server.close()


if __name__ == "__main__":
    main()
