"""Every message with every field that cannot be: a typed error that names it, and nothing changed in any store."""

import dataclasses
import enum
import re
import types
import typing
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest

from llmgov import instants, snapshot
from llmgov.ledger import accounting, asking, billing, bounds, checks, errors, pruning, recording
from llmgov.ledger.balances import Balances
from llmgov.ledger.book import Lock
from llmgov.ledger.errors import BadInputError, Fault
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Event,
    Holding,
    Holdings,
    Inventory,
    Lease,
    LeaseGrant,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recalled,
    Refused,
    Violated,
)
from llmgov.ledger.rows import EpochRow, OutboxEntry, ViolationRow
from llmgov.ledger.store import Store
from llmgov.policy.decision import Action, Violation
from llmgov.snapshot import Audience, Match, OrganizationPart, Period, Target, TargetKind, ThresholdAction
from llmgov_hub.hub import Hub
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW, USD, on_every_store

ACCOUNT = ledgers.account()
EACH = ledgers.account(Target(TargetKind.USER))
ORGANIZATION = ledgers.account(Target(TargetKind.ORGANIZATION))
VICTIM = ledgers.account(Target(TargetKind.TEAM, "victims"))
LEASE = "pod-1:1/1/0"
HUGE = 10**19
LONG = "x" * (bounds.MAX_NAME + 1)
LENGTHY = "x" * (bounds.MAX_SENTENCE + 1)
HALF = "pod-\ud800"
BELL = "pod-\x07"
MANY = ("x",) * (bounds.MAX_LIST + 1)
NEEDLESS = ("x",) * (asking.MAX_NEEDS + 1)
VIOLATION = Violation("p", Action.DENY, "rate", "no")
TALKATIVE = msgspec.structs.replace(VIOLATION, message="x" * bounds.MAX_SENTENCE)
INTENT = ledgers.intent("pod-1:1/1", CENT, (Charged(LEASE, ACCOUNT.key, CENT),))
TWICE = (*INTENT.charged, *INTENT.charged)
SETTLEMENT = ledgers.settlement("pod-1:1/1", CENT)
REFUSED = Refused("pod-1:1/2", NOW, "r", ledgers.subject(), "rate", None, "no", (VIOLATION,), 429)
VIOLATED = Violated("pod-1:1/3", NOW, "r", None, ledgers.subject(), (VIOLATION,))
NEED = Need(ACCOUNT.key, ACCOUNT, CENT, CENT)
REQUEST = LeaseRequest(ledgers.epoch(), 2, (NEED,), ledgers.PATH)
RETURN = LeaseReturn(ledgers.epoch(), LEASE, 1, CENT, final=False)
INVENTORY = Inventory(ledgers.epoch(number=2), (LEASE,))
RECALLED = Recalled(ledgers.epoch(), ACCOUNT.key, CENT, "1")
HELD = Lease(LEASE, ACCOUNT.key, NOW - instants.DAY, NOW + instants.DAY, USD, NOW + instants.MINUTE)
HOLDINGS = Holdings(ledgers.epoch(), "1:x", (Holding(HELD, 0, 0, 0, 0, ACCOUNT, ledgers.PATH),))
FUTURE = NOW + bounds.CLOCK_AHEAD + instants.SECOND


@dataclasses.dataclass(frozen=True)
class Bad:
    """A message, what is wrong with it, and where."""

    message: Any
    fault: Fault
    field: str


def bad(message: msgspec.Struct, fault: Fault, field: str, **changes: object) -> Bad:
    return Bad(msgspec.structs.replace(message, **changes), fault, field)


def at(message: Any, fault: Fault, field: str, value: object) -> Bad:
    """The message with `value` at `field`, which is named in the way in which errors name it."""
    return Bad(_with(message, re.findall(r"\w+", field), value), fault, field)


def _with(part: Any, way: list[str], value: object) -> Any:
    if not way:
        return value
    step, *rest = way
    if isinstance(part, tuple):
        index = int(step)
        return (*part[:index], _with(part[index] if part else "", rest, value), *part[index + 1 :])
    if isinstance(part, dict):
        return {**part, snapshot.Dimension(step): value}
    return msgspec.structs.replace(part, **{step: _with(getattr(part, step), rest, value)})


def need(fault: Fault, field: str, **changes: object) -> Bad:
    wrong = msgspec.structs.replace(NEED, **changes)
    return bad(REQUEST, fault, f"needs[0].{field}", needs=(wrong,))


def charged(fault: Fault, field: str, **changes: object) -> Bad:
    part = msgspec.structs.replace(INTENT.charged[0], **changes)
    return bad(INTENT, fault, field, charged=(part,))


def named(message: Any, *fields: str, long: str = LONG) -> dict[str, Bad]:
    """Names that are too long, that hold half a character, and that hold what cannot be printed."""
    wrong = {"long": long, "half a character": HALF, "a control character": BELL}
    kind = type(message).__name__
    return {
        f"{kind}: {field} is {what}": at(message, Fault.EMPTY, field, value)
        for field in fields
        for what, value in wrong.items()
    }


def told(message: Any, *fields: str, long: str = LENGTHY) -> dict[str, Bad]:
    """Sentences that are too long, or hold half a character."""
    wrong = {"long": long, "half a character": HALF}
    kind = type(message).__name__
    return {
        f"{kind}: {field} is {what}": at(message, Fault.EMPTY, field, value)
        for field in fields
        for what, value in wrong.items()
    }


def more_than(most: int) -> tuple[str, ...]:
    return ("x",) * (most + 1)


def crowded(message: Any, *fields: str, many: tuple[object, ...] = MANY) -> dict[str, Bad]:
    """Lists that are too long."""
    kind = type(message).__name__
    return {f"{kind}: {field} is endless": at(message, Fault.RANGE, field, many) for field in fields}


SUBJECT = ("namespace", "service_account", "user", "teams[0]", "path[0]", "provider", "operation", "pod")


def about(message: Any) -> dict[str, Bad]:
    """Whom an event is for."""
    return {
        **named(message, *(f"subject.{field}" for field in SUBJECT)),
        **crowded(message, "subject.teams", "subject.path", many=more_than(bounds.MAX_PATH)),
        **told(message, "subject.model"),
    }


def violations(message: Any) -> dict[str, Bad]:
    """What an event says was violated."""
    kind = type(message).__name__
    return {
        **crowded(message, "violations", many=(VIOLATION,) * (bounds.MAX_VIOLATIONS + 1)),
        f"{kind}: violations say too much": at(message, Fault.RANGE, "violations", (TALKATIVE,) * 5),
        **named(message, "violations[0].reason"),
        **told(message, "violations[0].policy", "violations[0].message", "violations[0].path"),
        f"{kind}: everybody is to be told": at(
            message, Fault.RANGE, "violations[0].notify", (Audience.ADMINS,) * (checks.MAX_AUDIENCES + 1)
        ),
    }


EVENTS = {
    **named(INTENT, "id", "request_id", "charged[0].lease", "charged[0].key", "snapshot[0]", "policies[0]", "approval"),
    **crowded(INTENT, "snapshot", many=more_than(bounds.MAX_PATH)),
    **crowded(INTENT, "policies", many=more_than(bounds.MAX_POLICIES)),
    **crowded(INTENT, "charged", many=INTENT.charged * (bounds.MAX_PARTS + 1)),
    **told(INTENT, "prompt", long="x" * (bounds.MAX_TEXT + 1)),
    **about(INTENT),
    **named(SETTLEMENT, "id"),
    **told(SETTLEMENT, "model", "stop"),
    **named(REFUSED, "id", "request_id", "reason", "approval_digest"),
    **told(REFUSED, "policy", "message", "approval_summary"),
    **about(REFUSED),
    **violations(REFUSED),
    **named(VIOLATED, "id", "request_id", "attempt"),
    **about(VIOLATED),
    **violations(VIOLATED),
    "an intent's record is kept for ever and a day": at(INTENT, Fault.RANGE, "retention_days", checks.MAX_DAYS + 1),
    "an intent's record is kept for less than no time": at(INTENT, Fault.NEGATIVE, "retention_days", -1),
    "an intent's hold is negative": bad(INTENT, Fault.NEGATIVE, "hold", hold=-1),
    "an intent's hold is beyond all money": bad(INTENT, Fault.RANGE, "hold", hold=HUGE),
    "an intent's hold is beyond a million and what was lent": at(INTENT, Fault.RANGE, "hold", billing.MAX_COST + 1),
    "an intent holds a million and more from nothing": bad(
        INTENT, Fault.RANGE, "hold", hold=billing.MAX_COST + 1, charged=()
    ),
    "an intent is from the future": bad(INTENT, Fault.FUTURE, "at", at=FUTURE),
    "an intent is older than time": bad(INTENT, Fault.RANGE, "at", at=-1),
    "an intent holds from another epoch": bad(INTENT, Fault.FOREIGN, "charged[0].lease", id="pod-1:2/1"),
    "an intent holds from another holder": bad(INTENT, Fault.FOREIGN, "charged[0].lease", id="pod-2:1/1"),
    "an intent holds from a lease of nobody": charged(Fault.FOREIGN, "charged[0].lease", lease="?"),
    "an intent holds from a lease that was never lent": charged(
        Fault.FOREIGN, "charged[0].lease", lease="pod-1:1/77/0"
    ),
    "an intent's path is two's": at(INTENT, Fault.FOREIGN, "subject.path", (*ledgers.PATH, "namespace/other")),
    "an intent's workload is another namespace's": at(
        INTENT, Fault.FOREIGN, "subject.path", ("workload/other/app", "namespace/payments")
    ),
    "an intent's lease is another account's": charged(Fault.FOREIGN, "charged[0].key", key="other"),
    "an intent holds a negative part": charged(Fault.NEGATIVE, "charged[0].held", held=-1),
    "an intent's parts are not its hold": charged(Fault.RANGE, "charged", held=CENT - 1),
    "an intent holds from one lease twice": bad(INTENT, Fault.REPEATED, "charged", hold=2 * CENT, charged=TWICE),
    "a settlement's cost is negative": bad(SETTLEMENT, Fault.NEGATIVE, "cost", cost=-1),
    "a settlement's cost is beyond all money": bad(SETTLEMENT, Fault.RANGE, "cost", cost=HUGE),
    "a settlement's cost is beyond any attempt's": at(SETTLEMENT, Fault.RANGE, "cost", billing.MAX_COST + 1),
    "a settlement is from the future": bad(SETTLEMENT, Fault.FUTURE, "at", at=FUTURE),
    "a settlement took less than no time": bad(SETTLEMENT, Fault.NEGATIVE, "duration", duration=-1),
    "a settlement took for ever": bad(SETTLEMENT, Fault.RANGE, "duration", duration=2**62),
    "a settlement has no status": bad(SETTLEMENT, Fault.RANGE, "status", status=1000),
    "a settlement's usage is negative": at(SETTLEMENT, Fault.NEGATIVE, "usage.input", -1),
    "a settlement's usage is endless": at(SETTLEMENT, Fault.RANGE, "usage.input", checks.MAX_USAGE + 1),
    "a refusal stands for nothing": bad(REFUSED, Fault.RANGE, "count", count=0),
    "a refusal stands for too many": bad(REFUSED, Fault.RANGE, "count", count=checks.MAX_FLOOD + 1),
    "a refusal has no status": bad(REFUSED, Fault.NEGATIVE, "status", status=-1),
    "a refusal is from the future": bad(REFUSED, Fault.FUTURE, "at", at=FUTURE),
    "a violation is from the future": bad(VIOLATED, Fault.FUTURE, "at", at=FUTURE),
}


def defined(message: Any, field: str) -> dict[str, Bad]:
    """Definitions of accounts that no configuration has."""
    kind = type(message).__name__
    wrong = {
        "a limit below nothing": ("limit", Fault.NEGATIVE, -1),
        "a limit beyond all money": ("limit", Fault.RANGE, HUGE),
        "no rate": ("nano_usd", Fault.RANGE, 0),
        "no time zone": ("time_zone", Fault.UNKNOWN, "Mars/Olympus"),
        "a time zone of half a character": ("time_zone", Fault.UNKNOWN, HALF),
        "thresholds without end": ("thresholds", Fault.RANGE, ACCOUNT.thresholds * (asking.MAX_NEEDS + 1)),
        "actions without end": (
            "thresholds[0].actions",
            Fault.RANGE,
            (ThresholdAction.BLOCK,) * (asking.MAX_NEEDS + 1),
        ),
        "a threshold above the limit": ("thresholds[0].percent", Fault.RANGE, 101),
        "a threshold below nothing": ("thresholds[0].percent", Fault.NEGATIVE, -1),
        "a match without end": ("match", Fault.RANGE, Match(users=("x" * asking.MAX_DEFINITION,))),
        "a match of half a character": ("match", Fault.EMPTY, Match(users=(HALF,))),
    }
    return {
        **named(message, *(f"{field}.{name}" for name in ("key", "source", "currency", "target.name"))),
        **{
            f"{kind}: {name}": at(message, fault, f"{field}.{at_}", value)
            for name, (at_, fault, value) in wrong.items()
        },
    }


REQUESTS = {
    **named(REQUEST, "epoch.holder", "path[0]", "accounts[0]", "approval", "request_id", "needs[0].key"),
    **crowded(REQUEST, "path", "accounts", many=NEEDLESS),
    **crowded(REQUEST, "needs", many=(NEED,) * (asking.MAX_NEEDS + 1)),
    **defined(REQUEST, "needs[0].account"),
    "a request's id is endless": bad(REQUEST, Fault.EMPTY, "request_id", request_id="r" * 129),
    "a request's id is blank": bad(REQUEST, Fault.EMPTY, "request_id", request_id=" "),
    "no holder": bad(REQUEST, Fault.EMPTY, "epoch.holder", epoch=Epoch("", 1)),
    "a holder with a colon": at(REQUEST, Fault.EMPTY, "epoch.holder", "pod-1:1"),
    "no epoch": bad(REQUEST, Fault.RANGE, "epoch.number", epoch=Epoch("pod-1", 0)),
    "an epoch that no pod lives to see": bad(REQUEST, Fault.RANGE, "epoch.number", epoch=Epoch("pod-1", 2**60)),
    "an epoch of nobody": bad(REQUEST, Fault.UNKNOWN, "epoch", epoch=Epoch("pod-bad", 77)),
    "an epoch above all that were given": bad(REQUEST, Fault.UNKNOWN, "epoch", epoch=Epoch("pod-1", 2)),
    "a negative request": bad(REQUEST, Fault.NEGATIVE, "request", request=-1),
    "a request beyond all": bad(REQUEST, Fault.RANGE, "request", request=2**60),
    "closed beyond all": bad(REQUEST, Fault.RANGE, "closed", closed=2**60),
    "a negative least": bad(REQUEST, Fault.NEGATIVE, "least", least=-1),
    "an account twice": bad(REQUEST, Fault.REPEATED, "needs", needs=(NEED, NEED)),
    "a need below nothing": need(Fault.NEGATIVE, "least", least=-1),
    "a need beyond all money": need(Fault.RANGE, "want", want=HUGE),
    "a need that wants less than it needs": need(Fault.RANGE, "want", want=0),
    "a need of another account": need(Fault.UNKNOWN, "key", key="other"),
    "a need of no user": need(Fault.UNKNOWN, "key", key=EACH.key, account=EACH),
    "a need of an unverified user": need(Fault.FOREIGN, "key", key=f"{EACH.key}|jane", account=EACH),
    "a need without a key": need(Fault.EMPTY, "key", key=""),
    "a need of a team that is not on the path": need(Fault.FOREIGN, "key", key=VICTIM.key, account=VICTIM),
    "a path of two users": bad(REQUEST, Fault.FOREIGN, "path", path=(*ledgers.PATH, "user/jane", "user/joe")),
    "a path of another namespace's workload": bad(
        REQUEST, Fault.FOREIGN, "path", path=("workload/other/app", *ledgers.PATH[1:])
    ),
    "a number that was another account's request": bad(
        REQUEST,
        Fault.REPEATED,
        "needs[0].key",
        request=1,
        needs=(Need(ORGANIZATION.key, ORGANIZATION, CENT, CENT),),
    ),
    "a key that its definition has not": need(
        Fault.UNKNOWN, "key", account=msgspec.structs.replace(ACCOUNT, key="other")
    ),
}

OWN = ACCOUNT.target
RICH = 10**15
FORGED = {
    "a withdrawn account of others as its sender's own": need(
        Fault.UNKNOWN, "key", key=VICTIM.key, account=msgspec.structs.replace(VICTIM, target=OWN, limit=RICH)
    ),
    "a withdrawn account of others, as it was": need(Fault.FOREIGN, "key", key=VICTIM.key, account=VICTIM),
    "a withdrawn account of another period": need(
        Fault.UNKNOWN, "key", account=msgspec.structs.replace(ACCOUNT, period=Period.HOUR)
    ),
    "a withdrawn account that counts only some requests": need(
        Fault.UNKNOWN, "key", account=msgspec.structs.replace(ACCOUNT, match=Match(models=("x",)))
    ),
    "a user's own part of an account that is nobody's own": need(
        Fault.UNKNOWN,
        "key",
        key=f"{ORGANIZATION.key}|jane",
        account=msgspec.structs.replace(EACH, key=ORGANIZATION.key, limit=RICH),
    ),
    "a user's own part of a withdrawn one": need(
        Fault.UNKNOWN,
        "key",
        key=f"{ACCOUNT.key}|jane",
        account=msgspec.structs.replace(EACH, key=ACCOUNT.key, limit=RICH),
    ),
}

RETURNS = {
    **named(RETURN, "epoch.holder", "lease"),
    "below nothing": bad(RETURN, Fault.NEGATIVE, "amount", amount=-1),
    "beyond all money": bad(RETURN, Fault.RANGE, "amount", amount=HUGE),
    "a serial below nothing": bad(RETURN, Fault.NEGATIVE, "serial", serial=-3),
    "a serial beyond all": bad(RETURN, Fault.RANGE, "serial", serial=2**70),
    "a torn spool's serial below all": bad(RETURN, Fault.NEGATIVE, "serial", serial=-(2**70), unaccounted=True),
    "more than was lent": bad(RETURN, Fault.RANGE, "amount", amount=5 * USD),
    "another holder's": bad(RETURN, Fault.FOREIGN, "lease", epoch=Epoch("pod-2", 1)),
    "of no epoch": bad(RETURN, Fault.RANGE, "epoch.number", epoch=Epoch("pod-1", 0)),
    **named(INVENTORY, "epoch.holder", "leases[0]"),
    **crowded(INVENTORY, "leases"),
    "an inventory of nobody": bad(INVENTORY, Fault.UNKNOWN, "epoch", epoch=Epoch("pod-bad", 77), leases=()),
    "an inventory above all that were given": bad(INVENTORY, Fault.UNKNOWN, "epoch"),
    "an inventory of no epoch": at(INVENTORY, Fault.NEGATIVE, "epoch.number", -1),
    "an inventory of what another holder was lent": bad(INVENTORY, Fault.FOREIGN, "leases", leases=("pod-2:1/1/0",)),
    **named(RECALLED, "epoch.holder", "key", "ask"),
    "a recall answered by no epoch": at(RECALLED, Fault.RANGE, "epoch.number", 0),
    "a recall answered with less than nothing": at(RECALLED, Fault.NEGATIVE, "amount", -1),
    "a recall answered with all money": at(RECALLED, Fault.RANGE, "amount", HUGE),
}

REPORTS = {
    **named(HOLDINGS, "epoch.holder", "ledger", "before[0]"),
    **named(HOLDINGS, *(f"holdings[0].lease.{field}" for field in ("id", "key", "definition"))),
    **crowded(HOLDINGS, "holdings", many=HOLDINGS.holdings * (bounds.MAX_HOLDINGS + 1)),
    **crowded(HOLDINGS, "before"),
    **defined(HOLDINGS, "holdings[0].account"),
    "a report of no epoch": at(HOLDINGS, Fault.RANGE, "epoch.number", 0),
    "closed below all": at(HOLDINGS, Fault.NEGATIVE, "closed", -1),
    "somebody else's lease": bad(HOLDINGS, Fault.FOREIGN, "holdings[0].lease.id", epoch=Epoch("pod-2", 1)),
    "less than nothing spent": at(HOLDINGS, Fault.NEGATIVE, "holdings[0].spent", -1),
    "less than nothing returned": at(HOLDINGS, Fault.NEGATIVE, "holdings[0].returned", -1),
    "more returned than lent": at(HOLDINGS, Fault.RANGE, "holdings[0].returned", USD + 1),
    "less than nothing held": at(HOLDINGS, Fault.NEGATIVE, "holdings[0].held", -1),
    "returns without end": at(HOLDINGS, Fault.RANGE, "holdings[0].serial", 10**9),
    "a serial of a report below nothing": at(HOLDINGS, Fault.NEGATIVE, "holdings[0].serial", -1),
    "a lease beyond all money": at(HOLDINGS, Fault.RANGE, "holdings[0].lease.amount", HUGE),
    "a window from the future": at(HOLDINGS, Fault.FUTURE, "holdings[0].lease.window_start", FUTURE),
    "a window that ends first": at(HOLDINGS, Fault.RANGE, "holdings[0].lease.window_end", 1),
    "a window of years": at(HOLDINGS, Fault.RANGE, "holdings[0].lease.window_end", NOW + accounting.MAX_WINDOW),
    "a deadline behind its window": at(HOLDINGS, Fault.RANGE, "holdings[0].lease.deadline", HELD.window_end + 1),
    "a lease that was never lent": at(HOLDINGS, Fault.FOREIGN, "holdings[0].lease.id", "pod-1:1/77/0"),
    "more than was lent": at(HOLDINGS, Fault.FOREIGN, "holdings[0].lease.amount", 9 * USD),
    "a report of a path without a name": at(HOLDINGS, Fault.EMPTY, "holdings[0].path[0]", ""),
    "a report of a path of two": at(HOLDINGS, Fault.FOREIGN, "holdings[0].path", (*ledgers.PATH, "namespace/other")),
    "a lease under another account's definition": at(HOLDINGS, Fault.UNKNOWN, "holdings[0].lease.key", "other"),
    "over more than all": at(HOLDINGS, Fault.RANGE, "holdings[0].lease.over", 101),
}


HOLDERS = {
    "nobody": Bad("", Fault.EMPTY, "holder"),
    "a name without end": Bad("x" * (bounds.MAX_HOLDER + 1), Fault.EMPTY, "holder"),
    "half a character": Bad(HALF, Fault.EMPTY, "holder"),
    "what cannot be printed": Bad(BELL, Fault.EMPTY, "holder"),
    "what another holder's ids begin with": Bad("pod-1:1", Fault.EMPTY, "holder"),
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
    book = await store.transact(Lock(holders=("pod-1", "pod-2", "pod-bad")), lambda book: book)
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
async def test_requests_that_define_accounts_otherwise_than_the_ledger(store: Store) -> None:
    hub = await ready(store)
    for accounts in ((ACCOUNT, VICTIM, ORGANIZATION), (ORGANIZATION,)):
        await hub.configuration.publish({"organization": OrganizationPart("test", accounts=accounts)})
    cases = ((name, _along(case, (*ledgers.PATH, "user/jane"))) for name, case in FORGED.items())
    await check(store, cases, hub.lease)


def _along(case: Bad, path: tuple[str, ...]) -> Bad:
    return dataclasses.replace(case, message=msgspec.structs.replace(case.message, path=path))


@on_every_store
async def test_registrations(store: Store) -> None:
    await check(store, HOLDERS.items(), (await ready(store)).register)


@on_every_store
async def test_returns_and_inventories(store: Store) -> None:
    hub = await ready(store)

    async def send(message: LeaseReturn | Inventory | Recalled) -> None:
        match message:
            case LeaseReturn():
                await hub.give_back(message)
            case Inventory():
                await hub.inventory(message)
            case Recalled():
                await hub.recalled(message)

    await check(store, RETURNS.items(), send)


@on_every_store
async def test_holdings(store: Store) -> None:
    await check(store, REPORTS.items(), (await ready(store)).holdings)


@on_every_store
async def test_an_event_that_cannot_be_is_put_aside_and_the_others_taken(store: Store) -> None:
    hub = await ready(store)
    await hub.deliver([EVENTS["an intent is from the future"].message, SETTLEMENT, REFUSED])
    row, _ = await store.violations(0, 2 * NOW)
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
async def test_an_attempt_that_says_that_it_was_in_1970_counts_now(store: Store) -> None:
    """Else it would count in no window: its intent stays as it was told."""
    hub = await ready(store)
    for number, time in enumerate((0, NOW - pruning.KEEP - 1, NOW - pruning.KEEP), 7):
        id_ = f"pod-1:1/{number}"
        await hub.deliver([ledgers.intent(id_, CENT, at=time), ledgers.settlement(id_, number)])
    (window,) = await store.windows(NOW)
    assert window.spent == 7 + 8, "the third one was last month"
    told = {each.id: (each.intent.at, each.time) for each in await store.attempts(0, 2 * NOW) if each.intent}
    assert told == {
        "pod-1:1/7": (0, NOW),
        "pod-1:1/8": (NOW - pruning.KEEP - 1, NOW),
        "pod-1:1/9": (NOW - pruning.KEEP,) * 2,
    }


@on_every_store
async def test_a_clock_that_is_ahead_by_less_counts_at_the_ledgers_time(store: Store) -> None:
    """Nearly an hour ahead: still in this month's window, and in no window that has not begun."""
    hub = await ready(store)
    ahead = msgspec.structs.replace(INTENT, at=NOW + bounds.CLOCK_AHEAD)
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


TABLES = (EVENTS, REQUESTS, RETURNS, REPORTS)
MESSAGES = (LeaseRequest, LeaseReturn, Inventory, Holdings, Recalled, *typing.get_args(Event))
WHOLE = (Match,)
"""What is bounded as a whole: by the size of the definition that it is in."""


def fields(kind: type[msgspec.Struct]) -> Iterator[tuple[str, str]]:
    """Each field that a decoder leaves open, as its struct and name, of a message and of what it is made of.

    Flags and words of a list are what the decoder makes sure of.
    """
    for field in msgspec.structs.fields(kind):
        for part in parts(field.type):
            if part in (bool, type(None)) or issubclass(part, enum.Enum):
                continue
            if issubclass(part, msgspec.Struct) and part not in WHOLE:
                yield from fields(part)
            else:
                yield kind.__name__, field.name
        if typing.get_origin(field.type) in (tuple, dict):
            yield kind.__name__, field.name


def parts(kind: Any) -> Iterator[type]:
    if typing.get_origin(kind) in (tuple, dict, typing.Union, types.UnionType):
        for one in typing.get_args(kind):
            if one is not Ellipsis:
                yield from parts(one)
    else:
        yield kind


def covered(case: Bad) -> tuple[str, str]:
    """The struct and name of the field that an error names."""
    part, kind, name = case.message, "", ""
    for step in re.findall(r"\w+", case.field):
        if isinstance(part, msgspec.Struct):
            kind, name, part = type(part).__name__, step, getattr(part, step)
        elif isinstance(part, tuple):
            part = part[int(step)]
    return kind, name


@pytest.mark.parametrize("message", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_field_of_every_message_has_a_row(message: type[msgspec.Struct]) -> None:
    cases = (case for table in TABLES for case in table.values() if type(case.message) is message)
    assert set(fields(message)) - {covered(case) for case in cases} == set()


def test_a_field_without_a_row_would_be_found() -> None:
    class Longer(Recalled, frozen=True):
        since: int = 0

    assert set(fields(Longer)) - {("Longer", name) for _, name in fields(Recalled)} >= {("Longer", "since")}


@on_every_store
async def test_a_cost_beyond_any_attempts_is_put_aside_and_its_money_stays_lent(store: Store) -> None:
    """An overrun is recorded whole, up to a million dollars: what says more is no bill."""
    hub = await ready(store)
    forged = msgspec.structs.replace(SETTLEMENT, cost=billing.MAX_COST + 1)
    await hub.deliver([INTENT, forged])
    (row,) = await store.violations(0, 2 * NOW)
    assert f"cost: {billing.MAX_COST + 1} micro-USD is more than any attempt costs" in row.message
    assert [entry.audience for entry in await store.outbox()] == ["Admins"]
    (window,) = await store.windows(NOW)
    assert (window.spent, window.leased) == (0, 32 * CENT)
    await hub.deliver([msgspec.structs.replace(SETTLEMENT, cost=billing.MAX_COST)])
    (window,) = await store.windows(NOW)
    assert window.spent == billing.MAX_COST


@on_every_store
async def test_who_was_lent_more_than_a_million_may_spend_it(store: Store) -> None:
    rich = ledgers.account(limit=10**9 * USD)
    hub = Hub(store, lambda: NOW, recall_wait_seconds=0)
    epoch, much = await hub.register("pod-1"), 2 * billing.MAX_COST
    grant = await hub.lease(LeaseRequest(epoch, 1, (Need(rich.key, rich, much, much),), ledgers.PATH))
    assert isinstance(grant, LeaseGrant)
    parts_ = (Charged(grant.leases[0].id, rich.key, much),)
    await hub.deliver([ledgers.intent("pod-1:1/1", much, parts_), ledgers.settlement("pod-1:1/1", much)])
    assert [window.spent for window in await store.windows(NOW)] == [much]


@on_every_store
async def test_whatever_is_wrong_with_an_event_its_being_put_aside_is_on_record(store: Store) -> None:
    """Also where its id or whom it is for is what is wrong: else it would be delivered for ever."""
    hub = await ready(store)
    wrong = [case.message for name, case in EVENTS.items() if "long" not in name and "endless" not in name]
    wrong += [EVENTS["Intent: id is long"].message, EVENTS["Refused: subject.user is long"].message]
    await hub.deliver(wrong)
    told_of = {row.event for row in await store.violations(0, 2 * NOW)}
    assert len(told_of) == len({message.id for message in wrong})
    assert all(len(event) <= bounds.MAX_NAME and event.isprintable() for event in told_of)
