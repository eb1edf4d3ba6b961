"""Every message with every field that cannot be: a typed error that names it, and nothing changed in any store."""

import dataclasses
from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from llmgov import instants, snapshot
from llmgov.ledger import asking, checks, epochs, errors, recording
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Lock
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Event,
    Holding,
    Holdings,
    Intent,
    Inventory,
    LeaseGrant,
    LeaseRequest,
    LeaseReturn,
    Need,
    Refused,
    Settlement,
    Violated,
)
from llmgov.ledger.rows import EpochRow, OutboxEntry, ViolationRow
from llmgov.ledger.store import Store
from llmgov.snapshot import Target, TargetKind
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

ACCOUNT = ledgers.account()
EACH = ledgers.account(Target(TargetKind.USER))
LEASE = "pod-1:1/1/0"
HUGE = 10**19
INTENT = ledgers.intent("pod-1:1/1", CENT, (Charged(LEASE, ACCOUNT.key, CENT),))
TWICE = (*INTENT.charged, *INTENT.charged)
SETTLEMENT = ledgers.settlement("pod-1:1/1", CENT)
REFUSED = Refused("pod-1:1/2", NOW, "r", ledgers.subject(), "rate", None, "no", (), 429)
VIOLATED = Violated("pod-1:1/3", NOW, "r", None, ledgers.subject(), ())
NEED = Need(ACCOUNT.key, ACCOUNT, CENT, CENT)
REQUEST = LeaseRequest(ledgers.epoch(), 2, (NEED,), ledgers.PATH)
RETURN = LeaseReturn(ledgers.epoch(), LEASE, 1, CENT, final=False)
INVENTORY = Inventory(ledgers.epoch(number=2), (LEASE,))
FUTURE = NOW + checks.CLOCK_AHEAD + instants.SECOND


@dataclasses.dataclass(frozen=True)
class Bad:
    """A message, what is wrong with it, and where."""

    message: Any
    fault: Fault
    field: str


def bad(message: msgspec.Struct, fault: Fault, field: str, **changes: object) -> Bad:
    return Bad(msgspec.structs.replace(message, **changes), fault, field)


def need(fault: Fault, field: str, **changes: object) -> Bad:
    wrong = msgspec.structs.replace(NEED, **changes)
    return bad(REQUEST, fault, f"needs[0].{field}", needs=(wrong,))


def account(fault: Fault, field: str, **changes: object) -> Bad:
    return need(fault, f"account.{field}", account=msgspec.structs.replace(ACCOUNT, **changes))


def charged(fault: Fault, field: str, **changes: object) -> Bad:
    part = msgspec.structs.replace(INTENT.charged[0], **changes)
    return bad(INTENT, fault, field, charged=(part,))


EVENTS = {
    "an intent's hold is negative": bad(INTENT, Fault.NEGATIVE, "hold", hold=-1),
    "an intent's hold is beyond all money": bad(INTENT, Fault.RANGE, "hold", hold=HUGE),
    "an intent is from the future": bad(INTENT, Fault.FUTURE, "at", at=FUTURE),
    "an intent is older than time": bad(INTENT, Fault.RANGE, "at", at=-1),
    "an intent holds from another epoch": bad(INTENT, Fault.FOREIGN, "charged[0].lease", id="pod-1:2/1"),
    "an intent holds from another holder": bad(INTENT, Fault.FOREIGN, "charged[0].lease", id="pod-2:1/1"),
    "an intent holds from a lease of nobody": charged(Fault.FOREIGN, "charged[0].lease", lease="?"),
    "an intent's lease is another account's": charged(Fault.FOREIGN, "charged[0].key", key="other"),
    "an intent holds a negative part": charged(Fault.NEGATIVE, "charged[0].held", held=-1),
    "an intent's parts are not its hold": charged(Fault.RANGE, "charged", held=CENT - 1),
    "an intent holds from one lease twice": bad(INTENT, Fault.REPEATED, "charged", hold=2 * CENT, charged=TWICE),
    "a settlement's cost is negative": bad(SETTLEMENT, Fault.NEGATIVE, "cost", cost=-1),
    "a settlement's cost is beyond all money": bad(SETTLEMENT, Fault.RANGE, "cost", cost=HUGE),
    "a settlement is from the future": bad(SETTLEMENT, Fault.FUTURE, "at", at=FUTURE),
    "a settlement took less than no time": bad(SETTLEMENT, Fault.NEGATIVE, "duration", duration=-1),
    "a settlement took for ever": bad(SETTLEMENT, Fault.RANGE, "duration", duration=2**62),
    "a settlement has no status": bad(SETTLEMENT, Fault.RANGE, "status", status=1000),
    "a settlement's usage is negative": bad(
        SETTLEMENT, Fault.NEGATIVE, "usage.input", usage={snapshot.Dimension.INPUT: -1}
    ),
    "a settlement's usage is endless": bad(
        SETTLEMENT, Fault.RANGE, "usage.input", usage={snapshot.Dimension.INPUT: 2**70}
    ),
    "a refusal stands for nothing": bad(REFUSED, Fault.RANGE, "count", count=0),
    "a refusal stands for too many": bad(REFUSED, Fault.RANGE, "count", count=2**60),
    "a refusal has no status": bad(REFUSED, Fault.NEGATIVE, "status", status=-1),
    "a refusal is from the future": bad(REFUSED, Fault.FUTURE, "at", at=FUTURE),
    "a violation is from the future": bad(VIOLATED, Fault.FUTURE, "at", at=FUTURE),
}

REQUESTS = {
    "a request's id is endless": bad(REQUEST, Fault.EMPTY, "request_id", request_id="r" * 129),
    "a request's id is blank": bad(REQUEST, Fault.EMPTY, "request_id", request_id=" "),
    "no epoch": bad(REQUEST, Fault.RANGE, "epoch.number", epoch=Epoch("pod-1", 0)),
    "an epoch that no pod lives to see": bad(REQUEST, Fault.RANGE, "epoch.number", epoch=Epoch("pod-1", 2**60)),
    "a negative request": bad(REQUEST, Fault.NEGATIVE, "request", request=-1),
    "a request beyond all": bad(REQUEST, Fault.RANGE, "request", request=2**60),
    "closed beyond all": bad(REQUEST, Fault.RANGE, "closed", closed=2**60),
    "a negative least": bad(REQUEST, Fault.NEGATIVE, "least", least=-1),
    "an account twice": bad(REQUEST, Fault.REPEATED, "needs", needs=(NEED, NEED)),
    "accounts without end": bad(REQUEST, Fault.RANGE, "needs", path=("x",) * (asking.MAX_NEEDS + 1)),
    "a need below nothing": need(Fault.NEGATIVE, "least", least=-1),
    "a need beyond all money": need(Fault.RANGE, "want", want=HUGE),
    "a need that wants less than it needs": need(Fault.RANGE, "want", want=0),
    "a need of another account": need(Fault.UNKNOWN, "key", key="other"),
    "a need of no user": need(Fault.UNKNOWN, "key", key=EACH.key, account=EACH),
    "a need of an unverified user": need(Fault.FOREIGN, "key", key=f"{EACH.key}|jane", account=EACH),
    "a need without a key": need(Fault.EMPTY, "key", key=""),
    "a key without end": need(Fault.EMPTY, "key", key="x" * 2000),
    "a limit below nothing": account(Fault.NEGATIVE, "limit", limit=-1),
    "a limit beyond all money": account(Fault.RANGE, "limit", limit=HUGE),
    "no rate": account(Fault.RANGE, "nano_usd", nano_usd=0),
    "no time zone": account(Fault.UNKNOWN, "time_zone", time_zone="Mars/Olympus"),
}

RETURNS = {
    "below nothing": bad(RETURN, Fault.NEGATIVE, "amount", amount=-1),
    "beyond all money": bad(RETURN, Fault.RANGE, "amount", amount=HUGE),
    "a serial below nothing": bad(RETURN, Fault.NEGATIVE, "serial", serial=-3),
    "a serial beyond all": bad(RETURN, Fault.RANGE, "serial", serial=2**70),
    "a torn spool's serial below all": bad(RETURN, Fault.NEGATIVE, "serial", serial=-(2**70), unaccounted=True),
    "more than was lent": bad(RETURN, Fault.RANGE, "amount", amount=5 * USD),
    "another holder's": bad(RETURN, Fault.FOREIGN, "lease", epoch=Epoch("pod-2", 1)),
    "of a later epoch": bad(RETURN, Fault.FOREIGN, "epoch", epoch=Epoch("pod-1", 0)),
    "an inventory of what another holder was lent": bad(INVENTORY, Fault.FOREIGN, "leases", leases=("pod-2:1/1/0",)),
}


HOLDERS = {
    "nobody": Bad("", Fault.EMPTY, "holder"),
    "a name without end": Bad("x" * (epochs.MAX_HOLDER + 1), Fault.EMPTY, "holder"),
    "half a character": Bad("pod-\ud800", Fault.EMPTY, "holder"),
}


async def ready(store: Store) -> Hub:
    """A hub that has lent once."""
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    await hub.register("pod-1")
    grant = await hub.lease(LeaseRequest(ledgers.epoch(), 1, (NEED,), ledgers.PATH))
    assert isinstance(grant, LeaseGrant)
    assert grant.leases[0].id == LEASE
    return hub


async def everything(store: Store) -> tuple[Balances, list[OutboxEntry], list[ViolationRow], dict[str, EpochRow]]:
    book = await store.transact(Lock(holders=("pod-1", "pod-2")), lambda book: book)
    return await store.balances(), await store.outbox(), await store.violations(0, 2 * NOW), book.epochs


async def check(store: Store, cases: Iterable[tuple[str, Bad]], send: Any) -> None:
    before = await everything(store)
    for name, case in cases:
        with pytest.raises(BadInputError) as raised:
            await send(case.message)
        assert (raised.value.fault, raised.value.field) == (case.fault, case.field), name
        assert str(raised.value).startswith(f"{case.field}: "), name
        assert await everything(store) == before, name


@on_every_store
async def test_events(store: Store) -> None:
    await ready(store)

    async def send(event: Event) -> None:
        await store.transact(recording.lock([event], NOW), lambda book: recording.record(book, event, NOW))

    await check(store, EVENTS.items(), send)


@on_every_store
async def test_lease_requests(store: Store) -> None:
    await check(store, REQUESTS.items(), (await ready(store)).lease)


@on_every_store
async def test_registrations(store: Store) -> None:
    await check(store, HOLDERS.items(), (await ready(store)).register)


@on_every_store
async def test_returns_and_inventories(store: Store) -> None:
    hub = await ready(store)

    async def send(message: LeaseReturn | Inventory) -> None:
        await (hub.inventory(message) if isinstance(message, Inventory) else hub.give_back(message))

    await check(store, RETURNS.items(), send)


@on_every_store
async def test_holdings(store: Store) -> None:
    hub = await ready(store)
    grant = await hub.lease(LeaseRequest(ledgers.epoch(), 1, (NEED,), ledgers.PATH))
    assert isinstance(grant, LeaseGrant)
    (lease,) = grant.leases
    good = Holding(lease, 0, 0, 0, 0, ACCOUNT)
    cases = {
        "somebody else's lease": (good, Epoch("pod-2", 1), Fault.FOREIGN, "lease.id"),
        "less than nothing returned": ({"returned": -1}, None, Fault.NEGATIVE, "returned"),
        "more returned than lent": ({"returned": lease.amount + 1}, None, Fault.RANGE, "returned"),
        "less than nothing held": ({"held": -1}, None, Fault.NEGATIVE, "held"),
        "returns without end": ({"serial": 10**9}, None, Fault.RANGE, "serial"),
        "a lease beyond all money": ({"lease": replace(lease, amount=HUGE)}, None, Fault.RANGE, "lease.amount"),
        "a window that ends first": ({"lease": replace(lease, window_end=1)}, None, Fault.RANGE, "lease.window_end"),
    }
    made = {
        name: Bad(
            Holdings(
                epoch or ledgers.epoch(),
                "1:x",
                (replace(good, **changes) if isinstance(changes, dict) else changes,),
            ),
            fault,
            f"holdings[0].{field}",
        )
        for name, (changes, epoch, fault, field) in cases.items()
    }
    await check(store, made.items(), hub.holdings)


def replace(struct: Any, **changes: object) -> Any:
    return msgspec.structs.replace(struct, **changes)


@on_every_store
async def test_an_event_that_cannot_be_is_put_aside_and_the_others_taken(store: Store) -> None:
    hub = await ready(store)
    await hub.deliver([EVENTS["an intent is from the future"].message, SETTLEMENT, REFUSED])
    (row,) = await store.violations(0, 2 * NOW)
    assert row.reason == "event_refused"
    assert "at: lies 3601 s ahead of the ledger's clock" in row.message
    assert [attempt.settlement for attempt in (await store.balances()).attempts] == [SETTLEMENT]


@on_every_store
async def test_an_intent_that_holds_from_windows_without_a_common_moment_is_put_aside(store: Store) -> None:
    """What it held stays lent: its leases' holder gives back what it did not spend, and nothing settles the rest."""
    clock = [NOW]
    hub = Hub(store, lambda: clock[0], recall_wait_seconds=0)
    hourly = ledgers.account(period=snapshot.Period.HOUR)
    epoch = await hub.register("pod-1")
    parts = []
    for number in (1, 2):
        need = Need(hourly.key, hourly, CENT, CENT)
        grant = await hub.lease(LeaseRequest(epoch, number, (need,), ledgers.PATH))
        assert isinstance(grant, LeaseGrant)
        parts.append(Charged(grant.leases[0].id, hourly.key, CENT))
        clock[0] += instants.HOUR
    mixed = ledgers.intent("pod-1:1/1", 2 * CENT, tuple(parts), at=clock[0])
    await hub.deliver([mixed, ledgers.settlement("pod-1:1/1", 2 * CENT, at=clock[0])])
    (row,) = await store.violations(0, 2 * clock[0])
    assert "charged: pod-1:1/1/0 is of a window that ended before that of pod-1:1/2/0" in row.message
    found = await store.balances()
    assert [(window.spent, window.leased) for window in found.windows] == [(0, lease.amount) for lease in found.leases]
    assert [attempt.intent for attempt in found.attempts] == [None]


@on_every_store
async def test_a_clock_that_is_ahead_by_less_counts_at_the_ledgers_time(store: Store) -> None:
    """Nearly an hour ahead: still in this month's window, and in no window that has not begun."""
    hub = await ready(store)
    ahead = msgspec.structs.replace(INTENT, at=NOW + checks.CLOCK_AHEAD)
    await hub.deliver([ahead, SETTLEMENT])
    (attempt,) = await store.attempts(NOW, NOW + 1)
    assert (attempt.counted, attempt.intent) == (NOW, ahead)
    assert await store.spent("team/payments", NOW, NOW + 1) == CENT


@on_every_store
async def test_attempts_of_a_fenced_epoch_are_taken_and_its_requests_are_not(store: Store) -> None:
    hub = await ready(store)
    await hub.inventory(Inventory(await hub.register("pod-1"), (LEASE,)))
    await hub.deliver([INTENT, SETTLEMENT])
    (window,) = await store.windows(NOW)
    assert window.spent == CENT
    reply = await hub.lease(REQUEST)
    assert not isinstance(reply, LeaseGrant)
    assert reply.why.value == "fenced"


def test_amounts_are_refused_beyond_their_own_bound() -> None:
    errors.require_amount(7, "x", most=7)
    with pytest.raises(BadInputError, match="x: 8 micro-USD is more than 7"):
        errors.require_amount(8, "x", most=7)


def test_every_event_type_has_a_case() -> None:
    assert {type(case.message) for case in EVENTS.values()} == {Intent, Settlement, Refused, Violated}
