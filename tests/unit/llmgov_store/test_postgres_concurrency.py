"""Many clients of several replicas and processes over one PostgreSQL ledger: no deadlock, no money lost or made."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from llmgov.ledger import balances
from llmgov.ledger.book import Lock
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, Need
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, ApprovalState
from llmgov.snapshot import Account, Period, Target, TargetKind, Threshold, ThresholdAction, account_key
from llmgov_hub.hub import Hub
from llmgov_store.postgres.store import PostgresStore
from tests.support import ledger_traffic, ledgers, machine, postgres
from tests.support.ledgers import CENT, NOW, USD

pytestmark = machine.requires("postgres")

ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION), limit=1000 * USD)


@contextlib.asynccontextmanager
async def replicas(count: int) -> AsyncIterator[list[Hub]]:
    """So many hubs, each with a store of its own over one database; and the invariants in the end."""
    async with postgres.database() as database, contextlib.AsyncExitStack() as ended:
        stores = []
        for _ in range(count):
            stores.append(await PostgresStore.open(database.hub))
            ended.push_async_callback(stores[-1].close)
        yield [Hub(store, lambda: NOW, writer=f"hub-{index}") for index, store in enumerate(stores)]
        assert list(balances.differences(await stores[0].balances())) == []
        assert await ledger_traffic.deadlocks(database.owner) == 0


def test_64_clients_of_one_process_end_with_every_cent_accounted_for() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            tally = await ledger_traffic.run(database.hub, range(64), rounds=5, replicas=4)
            assert tally.failures == 0
            assert len(tally.costs) + tally.refused == 64 * 5
            await ledger_traffic.check(database.owner, tally)

    asyncio.run(check())


def test_64_clients_of_two_processes_end_with_every_cent_accounted_for() -> None:
    async def check() -> None:
        async with postgres.database() as database:
            tally = await asyncio.to_thread(ledger_traffic.run_in_processes, database.hub, 2, 64, 4)
            assert tally.failures == 0
            await ledger_traffic.check(database.owner, tally)

    asyncio.run(check())


def test_of_a_small_limit_never_more_is_lent_than_there_is_and_nothing_that_suffices_is_kept_back() -> None:
    """Four replicas, 80 requests of $1 at once, $50."""
    account = ledgers.account(limit=50 * USD)

    async def check() -> None:
        async with replicas(4) as hubs:
            hub = itertools.cycle(hubs)
            epochs = [await hubs[0].register(f"pod-{number}") for number in range(80)]
            requests = [
                LeaseRequest(epoch, 1, (Need(account.key, account, USD, USD),), ledgers.PATH) for epoch in epochs
            ]
            replies = await asyncio.gather(*(next(hub).lease(request) for request in requests))
            lent = sum(lease.amount for reply in replies if isinstance(reply, LeaseGrant) for lease in reply.leases)
            assert 49 * USD < lent <= 50 * USD

    asyncio.run(check())


def accounts_of_one_scope() -> list[Account]:
    """Accounts of the organization in many time zones: each has windows of its own, filled from the same spends."""
    zones = ("UTC", "Europe/Berlin", "Asia/Tokyo", "America/New_York", "Australia/Sydney", "Asia/Kolkata")
    target = Target(TargetKind.ORGANIZATION)
    return [
        Account(account_key("test", str(target), period, zone), target, 1000 * USD, period, zone, "Budget/x/y")
        for period in (Period.DAY, Period.WEEK, Period.MONTH)
        for zone in zones
    ]


def test_windows_that_open_while_settlements_commit_miss_none_of_them() -> None:
    async def settle(hub: Hub, name: str) -> None:
        epoch = await hub.register(name)
        for number in range(1, 31):
            attempt = f"{epoch}/{number}"
            await hub.deliver([ledgers.intent(attempt, CENT), ledgers.settlement(attempt, CENT)])

    async def open_windows(hub: Hub) -> None:
        epoch = await hub.register("opener")
        for number, account in enumerate(accounts_of_one_scope()):
            request = LeaseRequest(epoch, number, (Need(account.key, account, CENT, CENT),), ("organization",))
            assert isinstance(await hub.lease(request), LeaseGrant)

    async def check() -> None:
        async with replicas(3) as hubs:
            async with asyncio.TaskGroup() as group:
                for index in range(12):
                    group.create_task(settle(hubs[index % 2], f"pod-{index}"))
                group.create_task(open_windows(hubs[2]))
            windows = await hubs[2].leases._store.windows(NOW)
            assert len(windows) == len(accounts_of_one_scope())
            assert {window.spent for window in windows} == {12 * 30 * CENT}

    asyncio.run(check())


def test_the_halves_of_one_attempt_that_reach_two_replicas_at_once_are_charged_once() -> None:
    async def check() -> None:
        async with replicas(2) as (first, second):
            epoch = await first.register("pod")
            need = Need(ORGANIZATION.key, ORGANIZATION, USD, USD)
            grant = await first.lease(LeaseRequest(epoch, 1, (need,), ledgers.PATH))
            assert isinstance(grant, LeaseGrant)
            for number in range(1, 101):
                attempt = f"{epoch}/{number}"
                intent = ledgers.intent(attempt, CENT, (Charged(grant.leases[0].id, ORGANIZATION.key, CENT),))
                hubs = (first, second) if number % 2 else (second, first)
                halves = ([intent], [ledgers.settlement(attempt, CENT)])
                await asyncio.gather(*(hub.deliver(half) for hub, half in zip(hubs, halves, strict=True)))
            windows = await second.leases._store.windows(NOW)
            assert [window.spent for window in windows] == [100 * CENT]

    asyncio.run(check())


def test_an_approval_is_decided_once_by_whoever_comes_first_and_used_once() -> None:
    approval = ApprovalRow("apr-1", ApprovalKind.REQUEST, "ns/p", "dear", NOW, NOW + 10**9, digest="d")

    async def check() -> None:
        async with replicas(4) as hubs:
            await hubs[0].approvals._store.transact(Lock(), lambda book: book.put_approval(approval))
            decided = await asyncio.gather(
                *(hub.approvals.approve("apr-1", f"admin-{index}") for index, hub in enumerate(hubs)),
                return_exceptions=True,
            )
            assert sum(not isinstance(outcome, Exception) for outcome in decided) == 1
            epochs = [await hubs[0].register(f"pod-{index}") for index in range(8)]
            requests = [LeaseRequest(epoch, 1, (), ledgers.PATH, "apr-1") for epoch in epochs]
            used = await asyncio.gather(*(hubs[index % 4].lease(each) for index, each in enumerate(requests)))
            assert sum(isinstance(reply, LeaseGrant) for reply in used) == 1

    asyncio.run(check())


@pytest.mark.parametrize("first", ["decision", "grants"])
def test_a_decision_beside_grants_that_wait_for_it_stays_and_opens_the_account_once(first: str) -> None:
    """$6 of $10 are wanted nine times; an approval lets one through, whichever of the nine that is."""
    stops = (Threshold(50, (ThresholdAction.REQUIRE_APPROVAL,)), Threshold(100, (ThresholdAction.BLOCK,)))
    account = ledgers.account(limit=10 * USD, thresholds=stops)
    needs = (Need(account.key, account, 6 * USD, 6 * USD),)

    async def check() -> None:
        async with replicas(2) as hubs:
            epochs = [await hubs[0].register(f"pod-{index}") for index in range(9)]
            await hubs[0].lease(LeaseRequest(epochs[0], 1, needs, ledgers.PATH))
            (pending,) = await hubs[0].approvals.list()
            grants = [
                hubs[index % 2].lease(LeaseRequest(epoch, 2, needs, ledgers.PATH)) for index, epoch in enumerate(epochs)
            ]
            decision = hubs[1].approvals.approve(pending.id, "root")
            await asyncio.gather(*((decision, *grants) if first == "decision" else (*grants, decision)))
            await asyncio.gather(*(hubs[0].lease(LeaseRequest(epoch, 3, needs, ledgers.PATH)) for epoch in epochs))
            assert [row.state for row in await hubs[0].approvals.list()] == [ApprovalState.APPROVED]
            assert [window.leased for window in await hubs[0].leases._store.windows(NOW)] == [6 * USD]

    asyncio.run(check())
