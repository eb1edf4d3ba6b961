"""Before the first configuration is in force there is only a sidecar's word, and a hub takes nobody's."""

import msgspec
import pytest

from llmgov.ledger import windows
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Holding, Holdings, Lease, LeaseGrant, LeaseRefusal, LeaseRequest, Need
from llmgov.ledger.store import Store, StoreError
from llmgov.snapshot import Account, OrganizationPart, Period
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import NOW, USD, on_every_store

ACCOUNT = ledgers.account()
FORGED = {
    "its limit": msgspec.structs.replace(ACCOUNT, limit=10**15, thresholds=()),
    "the worth of a dollar, which is fixed for the window": msgspec.structs.replace(ACCOUNT, nano_usd=10**15),
    "how long its window is": msgspec.structs.replace(ACCOUNT, period=Period.YEAR),
}


def hub(store: Store) -> Hub:
    return Hub(store, lambda: NOW, recall_wait_seconds=0, trusting=False)


async def publish(services: Hub, *accounts: Account) -> None:
    await services.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})


def request(account: Account, amount: int, number: int = 1) -> LeaseRequest:
    need = Need(account.key, account, amount, amount)
    return LeaseRequest(ledgers.epoch(), number, (need,), ledgers.PATH, accounts=(account.key,))


@on_every_store
async def test_what_a_sidecar_says_before_counts_for_nothing_after(store: Store) -> None:
    services = hub(store)
    await services.register("pod-1")
    for forged in FORGED.values():
        with pytest.raises(StoreError, match="no configuration is in force yet"):
            await services.lease(request(forged, 100 * USD))
    assert await store.windows(NOW) == []
    await publish(services)
    for forged in FORGED.values():
        with pytest.raises(BadInputError) as raised:
            await services.lease(request(forged, USD))
        assert (raised.value.fault, raised.value.field) == (Fault.UNKNOWN, "needs[0].key")
    await publish(services, ACCOUNT)
    reply = await services.lease(request(ACCOUNT, 100 * USD, 2))
    assert isinstance(reply, LeaseRefusal)
    assert (reply.limit, reply.remaining) == (ACCOUNT.limit, ACCOUNT.limit)
    assert isinstance(await services.lease(request(ACCOUNT, USD, 3)), LeaseGrant)


@on_every_store
async def test_a_report_waits_for_the_configuration_and_is_taken_up_then(store: Store) -> None:
    """A ledger that was lost and began empty: what a sidecar of before holds is not lost with it."""
    services, epoch = hub(store), ledgers.epoch("pod-9", 3)
    span = windows.current(ACCOUNT.period, ACCOUNT.time_zone, NOW)
    lent = Lease(f"{epoch}/1/0", ACCOUNT.key, *span, USD, NOW + 1)
    report = Holdings(epoch, "", (Holding(lent, 0, 0, 0, 0, ACCOUNT, ledgers.PATH),), 2)
    with pytest.raises(StoreError):
        await services.leases.holdings(report)
    assert await store.windows(NOW) == []
    await publish(services, ACCOUNT)
    await services.leases.holdings(report)
    assert [row.leased for row in await store.windows(NOW)] == [USD]


@on_every_store
async def test_a_replica_lends_by_the_first_configuration_that_another_one_published(store: Store) -> None:
    publisher, other = hub(store), hub(store)
    epoch = await other.register("pod-1")
    assert epoch == ledgers.epoch()
    with pytest.raises(StoreError):
        await other.lease(request(ACCOUNT, USD))
    await publish(publisher, ACCOUNT)
    assert isinstance(await other.lease(request(ACCOUNT, USD)), LeaseGrant)
