"""A pod is written off while strict attempts of its are under way: what every store has of them, before and after."""

from llmgov.ledger import balances
from llmgov.ledger.messages import Charged, LeaseGrant, LeaseRequest, Need
from llmgov.ledger.store import Store
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

TEAM = ledgers.account()


@on_every_store
async def test_what_open_intents_claim_stays_and_the_rest_comes_back_for_good(store: Store) -> None:
    hub = Hub(store, lambda: NOW)
    epoch = await hub.register("pod-1")
    need = Need(TEAM.key, TEAM, USD, USD)
    grant = await hub.lease(LeaseRequest(epoch, 1, (need,), ledgers.PATH, strict=True))
    assert isinstance(grant, LeaseGrant)
    (lease,) = grant.leases
    assert lease.strict
    before, late = (
        ledgers.intent(f"{epoch}/{number}", 40 * CENT, (Charged(lease.id, TEAM.key, 40 * CENT),)) for number in (1, 2)
    )
    assert await hub.deliver([before]) == ()
    assert await hub.leases.lose("pod-1") == 40 * CENT
    assert await sums(store) == (0, 0, 40 * CENT)
    for _ in range(2):
        assert await hub.deliver([before, late]) == (late.id,)
        assert await sums(store) == (0, 0, 40 * CENT)
    await hub.deliver([ledgers.settlement(before.id, 30 * CENT), ledgers.settlement(late.id, 0)])
    assert await sums(store) == (30 * CENT, 0, 0)
    assert list(balances.differences(await store.balances())) == []
    (told,) = (row for row in await store.outbox() if row.fact == "violation")
    assert "came back when pod-1 was written off); its money came back already" in told.message


async def sums(store: Store) -> tuple[int, int, int]:
    (window,) = await store.windows(NOW)
    return window.spent, window.leased, window.unknown
