"""Both ends of the lease protocol against each other, through a transport that loses, repeats and reorders.

Sidecars crash and restart from their spools (sometimes torn), pods vanish, clocks pass deadlines and windows, idle
money is recalled, limits are changed and sidecars hear of it late. The oracle knows what the ledger cannot: which
attempts were dispatched, and what they really cost.
"""

import dataclasses
import functools
import random
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llmgov import instants
from llmgov.ledger import balances, commands, epochs, grants, messages, recording, replay, returns
from llmgov.ledger.messages import Charged, Event, Intent, LeaseGrant, LeaseRefusal, Outcome
from llmgov.ledger.purse import Purse, Wish
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account, Period, Target, TargetKind, Threshold, ThresholdAction
from llmgov_store.memory import MemoryStore
from tests.support import ledgers
from tests.support.ledgers import CENT, NOW

T = TypeVar("T")

TEAM = ledgers.account(limit=500 * CENT, period=Period.HOUR)
ORGANIZATION = ledgers.account(
    Target(TargetKind.ORGANIZATION),
    limit=700 * CENT,
    period=Period.HOUR,
    thresholds=(Threshold(90, (ThresholdAction.REQUIRE_APPROVAL,)), Threshold(100, (ThresholdAction.BLOCK,))),
)
LIMITS = {TEAM.key: 500 * CENT, ORGANIZATION.key: 630 * CENT}
FIRST = {TEAM.key: TEAM, ORGANIZATION.key: ORGANIZATION}


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits, as those of the memory store are."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("the coroutine waits")


@dataclasses.dataclass
class Dispatched:
    """The truth about one attempt: what it held, from which leases and windows, and what it cost once that is known."""

    held: int
    charged: tuple[Charged, ...]
    windows: set[tuple[str, int]]
    cost: int | None = None

    def owed(self) -> Iterator[tuple[str, int]]:
        """What each lease owes for it at worst: of every account the cost, or the hold while nobody knows."""
        rest = dict.fromkeys((part.key for part in self.charged), self.held if self.cost is None else self.cost)
        for part in self.charged:
            paid = min(part.held, rest[part.key])
            rest[part.key] -= paid
            yield part.lease, paid


@dataclasses.dataclass
class Pod:
    """A sidecar with its volume: `synced` records of the spool survive whatever happens."""

    holder: str
    purse: Purse
    spool: list[commands.SpoolRecord] = dataclasses.field(default_factory=list)
    synced: int = 0
    flying: dict[str, commands.Held] = dataclasses.field(default_factory=dict)
    unanswered: list[Any] = dataclasses.field(default_factory=list)
    undelivered: list[Event] = dataclasses.field(default_factory=list)
    torn: bool = False
    recovery: tuple[Any, ...] = ()
    heard: Counter[str] = dataclasses.field(default_factory=Counter)

    @property
    def is_torn(self) -> bool:
        """Whether the ledger may not know yet that this spool has lost something."""
        return self.torn and any(message in self.unanswered for message in self.recovery)


class World:
    """Hub, pods and the transport between them; `chance` decides what the transport does."""

    def __init__(self, seed: int, pods: int, faults: bool) -> None:
        self.chance = random.Random(seed)
        self.now = NOW
        self.store = MemoryStore()
        self.pods: dict[str, Pod] = {}
        self.truth: dict[str, Dispatched] = {}
        self.refused: list[commands.Refused] = []
        self.windows_of_leases: dict[str, tuple[str, int]] = {}
        self.definitions = dict(FIRST)
        self.changes: Counter[str] = Counter()
        self.changes_before_leases: dict[str, int] = {}
        self.faults = faults
        self.overruns = False
        self.delayed: list[Any] = []
        self.attempts = 0
        self.unaccounted = False
        for index in range(pods):
            self.boot(f"pod-{index}", [])

    def boot(self, holder: str, spool: list[commands.SpoolRecord]) -> Pod:
        epoch = self.step(epochs.register_lock(holder), lambda book: epochs.register(book, holder))
        pod = Pod(holder, Purse(epoch), spool, len(spool))
        self.pods[holder] = pod
        self.hear(pod)
        return pod

    def change(self, account: Account, percent: int) -> None:
        """Somebody limits an account to about so much of what it had at first, and to no amount twice.

        The hub knows at once, sidecars later.
        """
        self.changes[account.key] += 1
        limit = account.limit * percent // 100 - self.changes[account.key]
        self.definitions[account.key] = msgspec.structs.replace(account, limit=limit)

    def hear(self, pod: Pod) -> None:
        """A sidecar is told of the limits in force."""
        pod.heard = self.changes.copy()
        self.obey(pod, pod.purse.define(dict(self.definitions), self.now))

    def step(self, lock: Any, step: Any) -> Any:
        return at_once(self.store.transact(lock, step))

    def hold(self, pod: Pod, least: int, want: int, accounts: tuple[Account, ...]) -> str:
        self.attempts += 1
        attempt = f"{pod.purse.epoch}/a{self.attempts}"
        charges = tuple(Charge(account, account.key) for account in accounts)
        path = tuple(str(account.target) for account in accounts)
        self.obey(pod, pod.purse.hold(Wish(attempt, charges, least, want, path), self.now))
        return attempt

    def obey(self, pod: Pod, done: tuple[commands.Command, ...]) -> None:
        for command in done:
            match command:
                case commands.Write(record=record, sync=sync):
                    pod.spool.append(record)
                    if sync:
                        pod.synced = len(pod.spool)
                case commands.Send(message=message):
                    pod.unanswered.append(message)
                case commands.Held():
                    self.dispatch(pod, command)
                case commands.Refused():
                    self.refused.append(command)

    def dispatch(self, pod: Pod, held: commands.Held) -> None:
        durable = {record.lease.id for record in pod.spool[: pod.synced] if isinstance(record, commands.Leased)}
        assert {part.lease for part in held.charged} <= durable, "spent from a lease that is not on disk"
        for part in held.charged:
            assert self.changes_before_leases[part.lease] >= pod.heard[part.key], "spent by a limit known to be old"
        intent = ledgers.intent(held.attempt, held.amount, held.charged, self.now, ledgers.subject(path=()))
        self.event(pod, intent)
        pod.flying[held.attempt] = held
        self.truth[held.attempt] = Dispatched(
            held.amount, held.charged, {self.windows_of_leases[part.lease] for part in held.charged}
        )

    def event(self, pod: Pod, event: Event) -> None:
        pod.spool.append(event)
        pod.undelivered.append(event)

    def finish(self, pod: Pod, attempt: str, cost: int) -> None:
        del pod.flying[attempt]
        self.truth[attempt].cost = cost
        self.event(pod, ledgers.settlement(attempt, cost, self.now))
        self.obey(pod, pod.purse.settle(attempt, cost, self.now))

    def transmit(self, pod: Pod) -> None:
        """One message arrives at the hub, perhaps lost on the way, perhaps twice; perhaps its answer is lost."""
        if not pod.unanswered:
            return
        message = self.chance.choice(pod.unanswered) if self.faults else pod.unanswered[0]
        if self.faults and self.chance.random() < 0.2:
            return
        reply = self.answer(message)
        if self.faults and self.chance.random() < 0.2:
            return
        if not self.faults or self.chance.random() < 0.8:
            pod.unanswered.remove(message)
        match reply:
            case LeaseGrant():
                self.obey(pod, pod.purse.on_grant(reply, self.now))
            case LeaseRefusal():
                self.obey(pod, pod.purse.on_refusal(reply, self.now))

    def answer(self, message: Any) -> LeaseGrant | LeaseRefusal | None:
        match message:
            case messages.LeaseRequest():
                lock = grants.lock(message, self.definitions, self.now)
                reply: LeaseGrant | LeaseRefusal = self.step(
                    lock, lambda book: grants.grant(book, message, self.definitions, self.now)
                )
                if isinstance(reply, LeaseGrant):
                    for lease in reply.leases:
                        self.lent(lease)
                return reply
            case messages.LeaseReturn():
                self.step(returns.return_lock(message), lambda book: returns.give_back(book, message, self.now))
            case messages.Inventory():
                lock = returns.holder_lock(message.epoch.holder)
                self.step(lock, lambda book: returns.take_inventory(book, message, self.now))
        return None

    def lent(self, lease: messages.Lease) -> None:
        """What is lent for the first time is within the limit of this moment."""
        if lease.id in self.windows_of_leases:
            return
        self.windows_of_leases[lease.id] = window = (lease.key, lease.window_start)
        self.changes_before_leases[lease.id] = self.changes[lease.key]
        limit = self.definitions[lease.key].limit * LIMITS[lease.key] // FIRST[lease.key].limit
        assert self.store._rows.windows[window].used <= limit, "lent beyond the limit in force"

    def report(self, pod: Pod) -> None:
        """One event arrives, perhaps before earlier ones, perhaps again later."""
        if not pod.undelivered:
            return
        event = self.chance.choice(pod.undelivered) if self.faults else pod.undelivered[0]
        self.step(recording.lock([event], self.now), lambda book: recording.record(book, event, self.now))
        if not self.faults or self.chance.random() < 0.8:
            pod.undelivered.remove(event)

    def crash(self, pod: Pod, torn: bool) -> None:
        """The process dies; with `torn` the machine does, and some of what was not synced is gone."""
        kept = self.chance.randint(pod.synced, len(pod.spool)) if torn else len(pod.spool)
        lossy = torn or pod.is_torn
        self.unaccounted |= torn
        self.delayed.extend(pod.unanswered)
        fresh = self.boot(pod.holder, pod.spool[:kept])
        found = replay.replay(fresh.spool, fresh.purse.epoch, self.now, torn=lossy)
        fresh.undelivered.extend(record for record in fresh.spool if isinstance(record, Event))
        for settlement in found.settlements:
            self.event(fresh, settlement)
        fresh.torn, fresh.recovery = lossy, (*found.returns, found.inventory)
        fresh.unanswered.extend(fresh.recovery)

    def arrive_late(self) -> None:
        """A message of an epoch that has ended arrives; nobody hears the answer."""
        if self.delayed:
            self.answer(self.chance.choice(self.delayed))

    def vanish(self, pod: Pod) -> None:
        """The pod is deleted with its volume, and somebody tells the hub."""
        self.unaccounted = True
        self.delayed.extend(message for message in pod.unanswered if not isinstance(message, messages.LeaseRequest))
        self.step(returns.holder_lock(pod.holder), lambda book: returns.lose(book, pod.holder, self.now))
        del self.pods[pod.holder]

    def pass_time(self, duration: int) -> None:
        self.now += duration
        for pod in self.pods.values():
            deadline = pod.purse.next_deadline()
            if deadline is not None and deadline <= self.now:
                self.obey(pod, pod.purse.on_time(self.now))

    def settle_down(self) -> None:
        """Everything in flight ends, everything sent arrives."""
        self.faults = False
        for pod in list(self.pods.values()):
            self.drain(pod)
            for attempt in list(pod.flying):
                self.finish(pod, attempt, self.chance.randint(0, pod.flying[attempt].amount))
            self.drain(pod)
            self.obey(pod, pod.purse.close(self.now))
            self.drain(pod)
            assert pod.purse.waiting == pod.purse.holding == 0
            assert pod.purse.open_leases() == ()

    def drain(self, pod: Pod) -> None:
        while pod.unanswered or pod.undelivered:
            self.transmit(pod)
            self.report(pod)

    def check(self) -> None:
        """What must hold at every moment."""
        owed: Counter[str] = Counter()
        for attempt in self.truth.values():
            for lease_id, amount in attempt.owed():
                owed[lease_id] += amount
        outstanding: dict[tuple[str, int], int] = {}
        for lease in self.store._rows.leases.values():
            key = (lease.account, lease.window_start)
            outstanding[key] = outstanding.get(key, 0) + lease.outstanding
            assert owed[lease.id] + lease.returned <= lease.amount, "money was returned that may be spent"
        for key, window in self.store._rows.windows.items():
            assert min(window.spent, window.leased, window.unknown) >= 0
            assert window.leased + window.unknown == outstanding.get(key, 0), "a lease and its window disagree"
            if not self.overruns:
                assert window.used <= LIMITS[window.account], "the ledger gave more than the limit"
                assert self.really_spent(key) <= LIMITS[window.account], "more than the limit may really be spent"

    def check_balances(self) -> None:
        assert list(balances.differences(at_once(self.store.balances()))) == []

    def really_spent(self, key: tuple[str, int]) -> int:
        """At worst: what attempts cost, or hold while nobody knows."""
        found = (attempt for attempt in self.truth.values() if key in attempt.windows)
        return sum(attempt.held if attempt.cost is None else attempt.cost for attempt in found)

    def check_sums(self) -> None:
        """What must hold once everything has settled down."""
        for key, window in self.store._rows.windows.items():
            assert window.leased == 0, "money is lent that nobody has"
            if self.unaccounted:
                assert window.spent + window.unknown >= sum(
                    attempt.cost or 0 for attempt in self.truth.values() if key in attempt.windows
                )
            else:
                assert window.unknown == 0
                assert window.spent == self.really_spent(key)


class LeaseProtocol(RuleBasedStateMachine):
    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed: int) -> None:
        self.world = World(seed, pods=3, faults=True)

    def pod(self, index: int) -> Pod:
        pods = sorted(self.world.pods)
        return self.world.pods[pods[index % len(pods)]]

    @rule(pod=st.integers(0, 2), least=st.integers(0, 90), more=st.integers(0, 60), both=st.booleans())
    def hold(self, pod: int, least: int, more: int, both: bool) -> None:
        accounts = (TEAM, ORGANIZATION) if both else (ORGANIZATION,)
        self.world.hold(self.pod(pod), least * CENT, (least + more) * CENT, accounts)

    @rule(pod=st.integers(0, 2), percent=st.integers(0, 100))
    def settle(self, pod: int, percent: int) -> None:
        flying = self.pod(pod).flying
        if flying:
            attempt = self.world.chance.choice(sorted(flying))
            self.world.finish(self.pod(pod), attempt, flying[attempt].amount * percent // 100)

    @rule(pod=st.integers(0, 2), times=st.integers(1, 5))
    def transmit(self, pod: int, times: int) -> None:
        for _ in range(times):
            self.world.transmit(self.pod(pod))

    @rule(pod=st.integers(0, 2), times=st.integers(1, 5))
    def report(self, pod: int, times: int) -> None:
        for _ in range(times):
            self.world.report(self.pod(pod))

    @rule(pod=st.integers(0, 2), account=st.sampled_from([TEAM, ORGANIZATION]))
    def recall(self, pod: int, account: Account) -> None:
        chosen = self.pod(pod)
        self.world.obey(
            chosen, chosen.purse.on_recall(messages.Recall(chosen.purse.epoch, account.key), self.world.now)
        )

    @rule(account=st.sampled_from([TEAM, ORGANIZATION]), percent=st.sampled_from([1, 10, 50, 100]))
    def change(self, account: Account, percent: int) -> None:
        self.world.change(account, percent)

    @rule(pod=st.integers(0, 2))
    def hear(self, pod: int) -> None:
        self.world.hear(self.pod(pod))

    @rule(minutes=st.sampled_from([1, 11, 61]))
    def pass_time(self, minutes: int) -> None:
        self.world.pass_time(minutes * instants.MINUTE)

    @rule(pod=st.integers(0, 2))
    def give_up_waiting(self, pod: int) -> None:
        chosen = self.pod(pod)
        for attempt in list(chosen.purse._waits)[:1]:
            self.world.obey(chosen, chosen.purse.cancel(attempt, self.world.now))

    @rule(pod=st.integers(0, 2), torn=st.booleans())
    def crash(self, pod: int, torn: bool) -> None:
        self.world.crash(self.pod(pod), torn)

    @precondition(lambda self: len(self.world.pods) > 1)
    @rule(pod=st.integers(0, 2))
    def vanish(self, pod: int) -> None:
        self.world.vanish(self.pod(pod))

    @invariant()
    def nothing_is_overspent(self) -> None:
        if hasattr(self, "world"):
            self.world.check()
            self.world.check_balances()

    def teardown(self) -> None:
        if hasattr(self, "world"):
            self.world.settle_down()
            self.world.check()
            self.world.check_sums()


TestLeaseProtocol = LeaseProtocol.TestCase
TestLeaseProtocol.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


HAPPENINGS = {
    "hold": 30,
    "transmit": 60,
    "report": 25,
    "settle": 25,
    "recall": 6,
    "time": 2,
    "late": 4,
    "cancel": 1,
    "change": 2,
    "hear": 4,
    "crash": 3,
    "torn": 1,
    "vanish": 0.3,
}
"""What happens, and how often."""


def act(world: World) -> None:
    """One random thing happens: mostly traffic, now and then a fault."""
    chance = world.chance
    pod = chance.choice(sorted(world.pods.values(), key=lambda pod: pod.holder))
    happening = chance.choices(
        [*HAPPENINGS],
        [*HAPPENINGS.values()],
    )[0]
    match happening:
        case "hold":
            least = chance.randint(0, 60) * CENT
            accounts = chance.choice([(TEAM, ORGANIZATION), (TEAM, ORGANIZATION), (ORGANIZATION,)])
            world.hold(pod, least, least + chance.choice([0, 0, 80]) * CENT, accounts)
        case "transmit":
            world.transmit(pod)
        case "report":
            world.report(pod)
        case "settle" if pod.flying:
            attempt = chance.choice(sorted(pod.flying))
            most = pod.flying[attempt].amount * (3 if world.overruns else 1)
            world.finish(pod, attempt, chance.choice([0, most, most // 3]))
        case "recall":
            recall = messages.Recall(pod.purse.epoch, chance.choice([TEAM.key, ORGANIZATION.key]))
            world.obey(pod, pod.purse.on_recall(recall, world.now))
        case "time":
            world.pass_time(chance.choice([1, 11, 11, 30]) * instants.MINUTE)
        case "late":
            world.arrive_late()
        case "cancel" if pod.purse._waits:
            world.obey(pod, pod.purse.cancel(next(iter(pod.purse._waits)), world.now))
        case "change":
            world.change(chance.choice([TEAM, ORGANIZATION]), chance.choice([1, 10, 50, 100, 100]))
        case "hear":
            world.hear(pod)
        case "crash":
            world.crash(pod, torn=False)
        case "torn":
            world.crash(pod, torn=True)
        case "vanish" if len(world.pods) > 1:
            world.vanish(pod)


@pytest.mark.parametrize("faulty_ends", [False, True], ids=["crashes only", "torn spools and vanished pods too"])
def test_whatever_happens_no_more_than_the_limit_is_granted_and_all_money_is_accounted_for(faulty_ends: bool) -> None:
    for seed in range(60):
        world = World(seed, pods=3, faults=True)
        if not faulty_ends:
            world.crash = functools.partial(_only_crash, world)  # type: ignore[method-assign]
            world.vanish = lambda pod: None  # type: ignore[method-assign]
        for _ in range(150):
            act(world)
            world.check()
        world.settle_down()
        world.check()
        world.check_sums()


def test_what_costs_more_than_its_hold_is_recorded_whole_and_no_sum_drifts() -> None:
    for seed in range(30):
        world = World(seed, pods=3, faults=True)
        world.overruns = True
        world.crash = functools.partial(_only_crash, world)  # type: ignore[method-assign]
        world.vanish = lambda pod: None  # type: ignore[method-assign]
        for _ in range(150):
            act(world)
            world.check()
        world.settle_down()
        world.check()
        world.check_sums()


def _only_crash(world: World, pod: Pod, torn: bool) -> None:
    World.crash(world, pod, torn=False)


def run_concurrently(world: World, worst: int, actual: int, requests: int) -> int:
    """Many requests at once, spread over the pods, each settled at once when it may go; how many passed.

    Before the hub refuses, it recalls what is idle elsewhere, as the hub's service does.
    """
    pods = sorted(world.pods.values(), key=lambda pod: pod.holder)
    for index in range(requests):
        world.hold(pods[index % len(pods)], worst, worst, (TEAM,))
    while any(pod.unanswered for pod in pods):
        pod = world.chance.choice([pod for pod in pods if pod.unanswered])
        if isinstance(pod.unanswered[0], messages.LeaseRequest):
            recall_if_short(world, pod)
        world.transmit(pod)
        world.check()
        while pod.flying:
            world.finish(pod, next(iter(pod.flying)), actual)
        while pod.undelivered:
            world.report(pod)
    return len(world.truth)


def recall_if_short(world: World, pod: Pod) -> None:
    (window,) = at_once(world.store.windows(world.now)) or [None]
    (need,) = pod.unanswered[0].needs
    if window is not None and LIMITS[TEAM.key] - window.used < need.least:
        for other in world.pods.values():
            if other is not pod:
                recall = messages.Recall(other.purse.epoch, TEAM.key)
                world.obey(other, other.purse.on_recall(recall, world.now))
                for message in [sent for sent in other.unanswered if isinstance(sent, messages.LeaseReturn)]:
                    other.unanswered.remove(message)
                    world.answer(message)


def test_exactly_fifty_of_a_thousand_pass_when_worst_is_actual() -> None:
    for seed in range(5):
        world = World(seed, pods=4, faults=False)
        assert run_concurrently(world, 10 * CENT, 10 * CENT, 1000) == 50
        assert len(world.refused) == 950
        world.settle_down()
        world.check_sums()


def test_nothing_is_refused_while_money_that_nobody_holds_suffices() -> None:
    """Worst $1, actual $0.10, limit $5: a request that may go settles before the next is looked at, so that refusals
    begin only when less than $1 is left: at least 41 pass, and $5 at most is spent."""
    for seed in range(5):
        world = World(seed, pods=4, faults=False)
        passed = run_concurrently(world, 100 * CENT, 10 * CENT, 1000)
        assert 41 <= passed <= 50
        spent = sum(attempt.cost or 0 for attempt in world.truth.values())
        assert spent > LIMITS[TEAM.key] - 100 * CENT
        world.settle_down()
        world.check_sums()


def test_an_intent_of_a_crashed_epoch_costs_its_hold() -> None:
    world = World(1, pods=1, faults=False)
    pod = world.pods["pod-0"]
    world.hold(pod, 10 * CENT, 10 * CENT, (TEAM,))
    world.transmit(pod)
    world.crash(pod, torn=False)
    world.settle_down()
    (window,) = at_once(world.store.windows(world.now))
    assert (window.spent, window.leased, window.unknown) == (10 * CENT, 0, 0)
    (attempt,) = at_once(world.store.attempts(0, world.now + 1))
    assert isinstance(attempt.intent, Intent)
    assert attempt.settlement is not None
    assert attempt.settlement.outcome is Outcome.UNKNOWN
