"""Corrections over every store: what counts moves by the difference, everything else stays, and the sums agree."""

import asyncio
import contextlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmgov.audit import record, tally
from llmgov.ledger import balances, reports
from llmgov.ledger.corrections import Order
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import Charged, Event, Lease, LeaseGrant, LeaseRequest, LeaseReturn, Need, Outcome
from llmgov.ledger.reports import By
from llmgov.ledger.rows import CorrectionKind
from llmgov.ledger.store import Store
from llmgov.snapshot import Account, Period, Target, TargetKind
from llmgov_hub.hub import Hub
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

TEAM = ledgers.account()
ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION), period=Period.DAY)
ATTEMPT = "pod-1:1/1"


def hub(store: Store) -> Hub:
    return Hub(store, lambda: NOW)


async def lend(services: Hub, amount: int = USD, number: int = 1, *accounts: Account) -> tuple[Lease, ...]:
    needs = tuple(Need(account.key, account, amount, amount) for account in accounts or (TEAM, ORGANIZATION))
    grant = await ledgers.lease(services, LeaseRequest(ledgers.epoch(), number, needs, ledgers.PATH))
    assert isinstance(grant, LeaseGrant)
    return grant.leases


def attempt(
    leases: tuple[Lease, ...], hold: int, cost: int, id_: str = ATTEMPT, outcome: Outcome = Outcome.UNKNOWN
) -> list[Event]:
    charged = tuple(Charged(lease.id, lease.key, hold) for lease in leases)
    return [ledgers.intent(id_, hold, charged), ledgers.settlement(id_, cost, outcome=outcome)]


def order(
    amount: int, subject: str = ATTEMPT, kind: CorrectionKind = CorrectionKind.ATTEMPT, **changes: object
) -> Order:
    made = Order("cor-1", kind, subject, amount, "root", "the provider's bill of November")
    return msgspec.structs.replace(made, **changes)


async def sums(store: Store) -> dict[str, tuple[int, int, int]]:
    return {row.account: (row.spent, row.leased, row.unknown) for row in await store.windows(NOW)}


async def check(store: Store) -> None:
    """Everything that adds the same money up says the same."""
    given = await store.balances()
    assert list(balances.differences(given)) == []
    for window in given.windows:
        billed = sum(
            row.billed for row in given.leases if (row.account, row.window_start) == (window.account, window.start)
        )
        assert window.spent == await store.spent(window.scope, window.start, window.end) + billed
    attempts = await store.attempts(0, 2 * NOW)
    found = tally.Tally()
    for row in await store.records("hub"):
        found.add(record.decode(row.data))
    totals = {by: reports.total(reports.spend(attempts, by)).cost for by in By}
    assert set(totals.values()) == {found.sums().cost}
    for target in ledgers.PATH:
        assert await store.spent(target, 0, 2 * NOW) == found.sums().targets.get(target, 0)


@on_every_store
async def test_an_attempts_cost_is_corrected_in_every_window_and_sum(store: Store) -> None:
    services = hub(store)
    leases = await lend(services)
    lent = sum(lease.amount for lease in leases) // 2
    await services.deliver(attempt(leases, 80 * CENT, 80 * CENT))
    row = await services.corrections.correct(order(30 * CENT))
    assert (row.before, row.after, row.path) == (80 * CENT, 30 * CENT, ledgers.PATH)
    assert set((await sums(store)).values()) == {(30 * CENT, lent - 80 * CENT, 0)}
    (kept,) = await store.attempts(NOW, NOW + 1)
    assert (kept.settlement, kept.cost) == (ledgers.settlement(ATTEMPT, 80 * CENT, outcome=Outcome.UNKNOWN), 30 * CENT)
    (line,) = reports.spend([kept], By.MODEL)
    assert (line.cost, line.unknown) == (30 * CENT, 0)
    assert await services.corrections.list(NOW, NOW + 1) == [row]
    await check(store)


@on_every_store
async def test_a_correction_is_made_once_for_its_id(store: Store) -> None:
    services = hub(store)
    await services.deliver(attempt(await lend(services), USD, USD))
    first = await services.corrections.correct(order(30 * CENT))
    assert await services.corrections.correct(order(30 * CENT)) == first
    with pytest.raises(BadInputError, match="has corrected attempt pod-1:1/1 already") as raised:
        await services.corrections.correct(order(40 * CENT))
    assert (raised.value.fault, raised.value.field) == (Fault.REPEATED, "id")
    assert [row.kind for row in await store.records("hub")] == ["intent", "settlement", "corrected"]
    second = await services.corrections.correct(order(2 * USD, id="cor-2"))
    assert (second.before, second.after) == (30 * CENT, 2 * USD)
    await check(store)


@on_every_store
async def test_a_budget_that_begins_later_is_filled_with_corrected_costs(store: Store) -> None:
    services = hub(store)
    await services.deliver(attempt(await lend(services), USD, USD))
    await services.corrections.correct(order(10 * CENT))
    week = ledgers.account(period=Period.WEEK)
    await lend(services, USD, 2, week)
    assert (await sums(store))[week.key][0] == 10 * CENT
    await services.corrections.correct(order(20 * CENT, id="cor-2"))
    assert (await sums(store))[week.key][0] == 20 * CENT
    await check(store)


@on_every_store
async def test_what_is_corrected_upwards_beyond_a_limit_stops_grants_and_touches_no_lease(store: Store) -> None:
    services = hub(store)
    leases = await lend(services)
    await services.deliver(attempt(leases, CENT, CENT))
    before = await store.leases("pod-1")
    await services.corrections.correct(order(50 * USD))
    assert await store.leases("pod-1") == before
    assert not isinstance(
        await ledgers.lease(
            services, LeaseRequest(ledgers.epoch(), 2, (Need(TEAM.key, TEAM, CENT, CENT),), ledgers.PATH)
        ),
        LeaseGrant,
    )
    await check(store)


@on_every_store
async def test_the_rest_of_a_lost_lease_costs_what_the_bill_says(store: Store) -> None:
    services = hub(store)
    leases = await lend(services)
    amount = leases[0].amount
    await services.deliver(attempt(leases, 20 * CENT, 20 * CENT))
    await services.leases.lose("pod-1")
    assert (await sums(store))[TEAM.key] == (20 * CENT, 0, amount - 20 * CENT)
    row = await services.corrections.correct(order(5 * CENT, leases[0].id, CorrectionKind.LEASE))
    assert (row.before, row.account) == (amount - 20 * CENT, TEAM.key)
    assert await sums(store) == {TEAM.key: (25 * CENT, 0, 0), ORGANIZATION.key: (20 * CENT, 0, amount - 20 * CENT)}
    late = attempt(leases[:1], 3 * CENT, 3 * CENT, "pod-1:1/2")
    await services.deliver(late)
    assert (await sums(store))[TEAM.key] == (25 * CENT, 0, 0), "a late settlement is a part of what was billed"
    await services.deliver(attempt(leases[:1], 6 * CENT, 6 * CENT, "pod-1:1/3"))
    assert (await sums(store))[TEAM.key] == (29 * CENT, 0, 0), "what exceeds it is charged"
    await check(store)


@on_every_store
async def test_all_lost_leases_of_a_holder_are_corrected_together(store: Store) -> None:
    services = hub(store)
    leases = (*await lend(services, USD, 1, TEAM), *await lend(services, 10 * CENT, 2, TEAM))
    await services.leases.lose("pod-1")
    wanted = order(USD + CENT, "pod-1", CorrectionKind.HOLDER, account=TEAM.key, window_start=leases[0].window_start)
    row = await services.corrections.correct(wanted)
    assert row.before == sum(lease.amount for lease in leases)
    assert (await sums(store))[TEAM.key] == (USD + CENT, 0, 0)
    assert await services.corrections.correct(wanted) == row
    with pytest.raises(BadInputError, match="has lost no money"):
        await services.corrections.correct(msgspec.structs.replace(wanted, id="cor-2"))
    await check(store)


@on_every_store
async def test_an_id_that_corrected_a_holder_in_one_window_corrects_it_in_no_other(store: Store) -> None:
    services = hub(store)
    team, organization = await lend(services)
    await services.leases.lose("pod-1")
    wanted = order(0, "pod-1", CorrectionKind.HOLDER, account=TEAM.key, window_start=team.window_start)
    row = await services.corrections.correct(wanted)
    others: dict[str, dict[str, object]] = {
        "the other account": {"account": ORGANIZATION.key, "window_start": organization.window_start},
        "another window of this account": {"window_start": team.window_start - 1},
    }
    before = await sums(store)
    for name, changes in others.items():
        with pytest.raises(BadInputError, match=r"has corrected holder pod-1 on account .* already") as raised:
            await services.corrections.correct(msgspec.structs.replace(wanted, **changes))
        assert raised.value.fault is Fault.REPEATED, name
    assert await sums(store) == before
    assert before[ORGANIZATION.key][2] == organization.amount
    assert await services.corrections.correct(wanted) == row
    await check(store)


@on_every_store
async def test_money_that_a_correction_freed_is_not_returned_again(store: Store) -> None:
    services = hub(store)
    (lease,) = await lend(services, USD, 1, TEAM)
    await services.leases.lose("pod-1")
    await services.corrections.correct(order(0, lease.id, CorrectionKind.LEASE))
    await services.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, lease.amount, final=True))
    assert (await sums(store))[TEAM.key] == (0, 0, 0)
    await check(store)


@on_every_store
async def test_nothing_is_billed_for_a_lease_that_is_accounted_for(store: Store) -> None:
    """A mistyped id burns no budget."""
    services = hub(store)
    (lease,) = await lend(services, USD, 1, TEAM)
    await services.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, lease.amount, final=True))
    with pytest.raises(BadInputError, match="is accounted for: nothing was lost") as raised:
        await services.corrections.correct(order(900 * USD, lease.id, CorrectionKind.LEASE))
    assert (raised.value.fault, raised.value.field) == (Fault.STATE, "subject")
    assert (await sums(store))[TEAM.key] == (0, 0, 0)


@on_every_store
async def test_a_holder_that_was_corrected_is_said_to_be_and_its_leases_can_be_again(store: Store) -> None:
    services = hub(store)
    (lease,) = await lend(services, USD, 1, TEAM)
    await services.leases.lose("pod-1")
    of = {"account": TEAM.key, "window_start": lease.window_start}
    await services.corrections.correct(order(5, "pod-1", CorrectionKind.HOLDER, **of))
    with pytest.raises(BadInputError, match="that was not corrected yet; what was is corrected again lease by lease"):
        await services.corrections.correct(order(7, "pod-1", CorrectionKind.HOLDER, id="cor-2", **of))
    row = await services.corrections.correct(order(7, lease.id, CorrectionKind.LEASE, id="cor-3"))
    assert (row.before, (await sums(store))[TEAM.key]) == (5, (7, 0, 0))


@on_every_store
async def test_a_lost_strict_lease_without_an_open_attempt_is_accounted_for(store: Store) -> None:
    services = hub(store)
    epoch = await services.register("pod-1")
    need = Need(TEAM.key, TEAM, USD, USD)
    grant = await services.lease(LeaseRequest(epoch, 1, (need,), ledgers.PATH, strict=True))
    assert isinstance(grant, LeaseGrant)
    (lease,) = grant.leases
    open_, _ = attempt(grant.leases, CENT, CENT)
    await services.deliver([open_])
    await services.leases.lose("pod-1")
    await services.corrections.correct(order(0, lease.id, CorrectionKind.LEASE))
    row = await services.corrections.correct(order(2 * CENT, lease.id, CorrectionKind.LEASE, id="cor-2"))
    assert (row.after, (await sums(store))[TEAM.key]) == (2 * CENT, (2 * CENT, 0, 0)), "its attempt is still open"
    await services.deliver(attempt(grant.leases, CENT, 3 * CENT))
    for amount in (900_000 * USD, CENT, 0):
        with pytest.raises(BadInputError, match="is accounted for: nothing was lost") as raised:
            await services.corrections.correct(order(amount, lease.id, CorrectionKind.LEASE, id="cor-3"))
        assert (raised.value.fault, raised.value.field) == (Fault.STATE, "subject")
    assert (await sums(store))[TEAM.key] == (3 * CENT, 0, 0)
    await check(store)


@on_every_store
async def test_no_bill_for_lost_leases_is_above_what_was_lent(store: Store) -> None:
    services = hub(store)
    leases = (*await lend(services, USD, 1, TEAM), *await lend(services, 10 * CENT, 2, TEAM))
    await services.leases.lose("pod-1")
    before = await store.balances()
    whole = {"account": TEAM.key, "window_start": leases[0].window_start}
    wrong = [
        order(leases[0].amount + 1, leases[0].id, CorrectionKind.LEASE),
        order(sum(lease.amount for lease in leases) + 1, "pod-1", CorrectionKind.HOLDER, **whole),
    ]
    for each in wrong:
        with pytest.raises(BadInputError) as raised:
            await services.corrections.correct(each)
        assert (raised.value.fault, raised.value.field) == (Fault.RANGE, "amount")
    assert await store.balances() == before
    await services.corrections.correct(msgspec.structs.replace(wrong[1], amount=wrong[1].amount - 1))
    await check(store)


@on_every_store
async def test_no_bill_for_a_lost_lease_is_above_what_is_not_settled_of_it(store: Store) -> None:
    """Also where some of it came back, as it was believed: the bill may say that it did not."""
    services = hub(store)
    (lease,) = await lend(services, USD, 1, TEAM)
    await services.deliver(attempt((lease,), 80 * CENT, 80 * CENT))
    await services.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, 10 * CENT, final=False))
    await services.leases.lose("pod-1")
    assert (await sums(store))[TEAM.key] == (80 * CENT, 0, 10 * CENT)
    most = 20 * CENT
    for amount in (most + 1, lease.amount):
        with pytest.raises(BadInputError) as raised:
            await services.corrections.correct(order(amount, lease.id, CorrectionKind.LEASE))
        assert (raised.value.fault, raised.value.field) == (Fault.RANGE, "amount")
    await services.corrections.correct(order(most, lease.id, CorrectionKind.LEASE))
    assert (await sums(store))[TEAM.key] == (lease.amount, 0, 0)
    await services.deliver(attempt((lease,), CENT, CENT, "pod-1:1/2"))
    assert (await sums(store))[TEAM.key] == (lease.amount, 0, 0)
    await check(store)


@on_every_store
async def test_what_a_pod_is_billed_is_spread_over_its_leases_each_up_to_what_is_not_settled(store: Store) -> None:
    """First what is unknown, in the order of their ids, then what came back of them: none is billed beyond its own."""
    services = hub(store)
    leases = [(await lend(services, USD, number, TEAM))[0] for number in (1, 2, 3)]
    await services.deliver(attempt(leases[1:2], 90 * CENT, 90 * CENT))
    for lease in leases:
        await services.give_back(LeaseReturn(ledgers.epoch(), lease.id, 1, 5 * CENT, final=False))
    await services.leases.lose("pod-1")
    assert (await sums(store))[TEAM.key] == (90 * CENT, 0, (95 + 5 + 95) * CENT)
    of = {"account": TEAM.key, "window_start": leases[0].window_start}
    with pytest.raises(BadInputError):
        await services.corrections.correct(order(210 * CENT + 1, "pod-1", CorrectionKind.HOLDER, **of))
    amount = (100 + 6 + 95) * CENT
    await services.corrections.correct(order(amount, "pod-1", CorrectionKind.HOLDER, **of))
    billed = {row.id: row.billed for row in (await store.balances()).leases}
    assert [billed[lease.id] for lease in leases] == [100 * CENT, 6 * CENT, 95 * CENT]
    assert (await sums(store))[TEAM.key] == (90 * CENT + amount, 0, 0)
    await check(store)


BAD = {
    "an attempt that the ledger does not have": ({"subject": "pod-1:1/9"}, Fault.UNKNOWN, "subject"),
    "an attempt that has not ended": ({"subject": "pod-1:1/2"}, Fault.STATE, "subject"),
    "a negative amount": ({"amount": -1}, Fault.NEGATIVE, "amount"),
    "an amount beyond all money": ({"amount": 10**19}, Fault.RANGE, "amount"),
    "an amount beyond what an attempt may cost": ({"amount": 10**13}, Fault.RANGE, "amount"),
    "no reason": ({"reason": " "}, Fault.EMPTY, "reason"),
    "a reason without end": ({"reason": "x" * 1001}, Fault.EMPTY, "reason"),
    "nobody": ({"actor": ""}, Fault.EMPTY, "actor"),
    "no id": ({"id": ""}, Fault.EMPTY, "id"),
    "another currency": ({"currency": "EUR"}, Fault.CURRENCY, "currency"),
    "half an id": ({"id": "cor-\ud800"}, Fault.EMPTY, "id"),
    "half a subject": ({"subject": "pod-\ud800"}, Fault.EMPTY, "subject"),
    "half an account": ({"account": "x\ud800"}, Fault.EMPTY, "account"),
    "a window beyond all time": ({"window_start": 2**70}, Fault.RANGE, "window_start"),
    "an unknown lease": ({"kind": CorrectionKind.LEASE, "subject": "?"}, Fault.UNKNOWN, "subject"),
    "an open lease": ({"kind": CorrectionKind.LEASE, "subject": "pod-1:1/1/0"}, Fault.STATE, "subject"),
    "a holder that lost nothing": ({"kind": CorrectionKind.HOLDER, "subject": "pod-1"}, Fault.UNKNOWN, "subject"),
}


@on_every_store
async def test_a_bad_order_changes_nothing_and_says_what_is_wrong(store: Store) -> None:
    services = hub(store)
    leases = await lend(services)
    await services.deliver(attempt(leases, USD, USD))
    await services.deliver(attempt(leases, CENT, CENT, "pod-1:1/2")[:1])
    before, recorded = await store.balances(), await store.records("hub")
    for name, (changes, fault, field) in BAD.items():
        with pytest.raises(BadInputError) as raised:
            await services.corrections.correct(order(**{"amount": 1, **changes}))  # type: ignore[arg-type]
        assert (raised.value.fault, raised.value.field) == (fault, field), name
    assert (await store.balances(), await store.records("hub")) == (before, recorded)


class TestRandomHistories:
    """Attempts, losses and corrections in any order: two ways of asking for the same money never differ."""

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["attempt", "late", "lose", "correct", "bill", "week"]),
                st.integers(0, 7),
                st.integers(0, 60),
            ),
            max_size=25,
        )
    )
    @settings(max_examples=60, deadline=None)
    def test_sums_agree(self, history: list[tuple[str, int, int]]) -> None:
        asyncio.run(self.run(history))

    async def run(self, history: list[tuple[str, int, int]]) -> None:
        store = MemoryStore()
        services = Hub(store, lambda: NOW, recall_wait_seconds=0)
        leases = await lend(services, 50 * CENT)
        late: list[Event] = []
        for step, (what, which, cents) in enumerate(history):
            id_ = f"pod-1:1/{step + 1}"
            match what:
                case "attempt":
                    await services.deliver(attempt(leases, 5 * CENT, cents * CENT // 6, id_))
                case "late":
                    late += attempt(leases, 5 * CENT, cents * CENT // 6, id_)
                case "lose":
                    await services.leases.lose("pod-1")
                case "correct":
                    await self.correct(services, order(cents * CENT, f"pod-1:1/{which + 1}", id=f"cor-{step}"))
                case "bill":
                    subject = leases[which % 2].id
                    wanted = order(cents * CENT, subject, CorrectionKind.LEASE, id=f"cor-{step}")
                    await self.correct(services, wanted)
                case "week":
                    week = ledgers.account(period=Period.WEEK)
                    needs = (Need(week.key, week, 0, CENT),)
                    await ledgers.lease(services, LeaseRequest(ledgers.epoch(), step + 2, needs, ledgers.PATH))
        await services.deliver(late)
        await check(store)

    async def correct(self, services: Hub, wanted: Order) -> None:
        with contextlib.suppress(BadInputError):  # no such attempt, not lost: then nothing may change either
            await services.corrections.correct(wanted)
