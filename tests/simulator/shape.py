"""What kind of world a seed makes: how large, which accounts, which faults. Many small worlds find more than one big.

Each world has only some of the faults (a world with all of them hides what one of them needs to show), chosen by its
kind; kinds take turns from seed to seed, so that any few dozen seeds in a row have seen them all.
"""

import dataclasses
import random

import msgspec

from llmgov import instants, snapshot
from llmgov.instants import Duration, Instant
from llmgov.ledger.candidates import MAX_USERS
from llmgov.money import MicroUsd
from llmgov.snapshot import Account, Period, Target, TargetKind, Threshold, ThresholdAction

CENT: MicroUsd = 10_000

SEEDS = 2000
"""How many seeds a test run tries, from 0 on."""

KEEP: Duration = 4 * instants.MINUTE
"""How long ended windows are kept in place of five weeks: longer than any message is late."""

FAULTS: dict[str, tuple[str, ...]] = {
    "calm": (),
    "network": ("messages", "partitions"),
    "crashes": ("kills", "restarts"),
    "power": ("kills", "restarts", "power", "disk"),
    "clocks": ("clocks", "pauses", "messages"),
    "changes": ("changes", "messages"),
    "approvals": ("approvals", "messages", "kills"),
    "rollover": ("clocks", "messages", "kills"),
    "replicas": ("replicas", "messages", "database"),
    "lost": ("lost", "kills", "messages"),
    "expiry": ("messages", "pauses", "restarts"),
    "failover": ("failover", "restarts", "messages"),
    "contention": ("messages",),
    "storm": (
        "messages", "partitions", "kills", "restarts", "power", "disk", "clocks", "pauses", "changes", "approvals",
        "replicas", "database", "lost",
    ),
}  # fmt: skip
"""Which faults worlds of each kind have."""

KINDS = tuple(FAULTS)


@dataclasses.dataclass(frozen=True)
class Calendar:
    """Windows of one period and zone, written down by hand: the oracle shares no code with the ledger's."""

    period: Period
    zone: str
    bounds: tuple[Instant, ...] = ()

    def window(self, at: Instant) -> tuple[Instant, Instant]:
        """The window that contains `at`: an hour of UTC where nothing else is written down."""
        for start, end in zip(self.bounds, self.bounds[1:], strict=False):
            if start <= at < end:
                return start, end
        assert not self.bounds, "the world's time has left the calendar"
        start = at - at % instants.HOUR
        return start, start + instants.HOUR


def _times(*texts: str) -> tuple[Instant, ...]:
    return tuple(instants.from_rfc3339(f"{text}:00Z") for text in texts)


HOURS = Calendar(Period.HOUR, "UTC")
MONTH = Calendar(Period.MONTH, "UTC", _times("2026-10-01T00:00", "2026-11-01T00:00", "2026-12-01T00:00"))
AUTUMN_DAYS = Calendar(
    Period.DAY,
    "Europe/Berlin",
    _times("2026-10-23T22:00", "2026-10-24T22:00", "2026-10-25T23:00", "2026-10-26T23:00", "2026-10-27T23:00"),
)
"""The 25th has 25 hours."""
SPRING_DAYS = Calendar(
    Period.DAY,
    "Europe/Berlin",
    _times("2026-03-27T23:00", "2026-03-28T23:00", "2026-03-29T22:00", "2026-03-30T22:00", "2026-03-31T22:00"),
)
"""The 29th has 23 hours."""
HALF_HOURS = Calendar(
    Period.HOUR,
    "Australia/Lord_Howe",
    _times(
        "2026-04-04T12:00", "2026-04-04T13:00", "2026-04-04T14:00", "2026-04-04T15:30", "2026-04-04T16:30",
        "2026-04-04T17:30", "2026-04-04T18:30", "2026-04-04T19:30", "2026-04-04T20:30", "2026-04-04T21:30",
    ),
)  # fmt: skip
"""Clocks go back by half an hour at 15:00Z: one hour has 90 minutes."""

ORDINARY: Instant = instants.from_rfc3339("2026-11-24T08:10:00Z")

_ROLLOVERS: tuple[tuple[Calendar, Instant], ...] = (
    (HOURS, instants.from_rfc3339("2026-11-24T09:00:00Z")),
    (MONTH, instants.from_rfc3339("2026-11-01T00:00:00Z")),
    (AUTUMN_DAYS, instants.from_rfc3339("2026-10-24T22:00:00Z")),
    (AUTUMN_DAYS, instants.from_rfc3339("2026-10-25T23:00:00Z")),
    (SPRING_DAYS, instants.from_rfc3339("2026-03-29T22:00:00Z")),
    (HALF_HOURS, instants.from_rfc3339("2026-04-04T15:30:00Z")),
    (HALF_HOURS, instants.from_rfc3339("2026-04-04T16:30:00Z")),
)


@dataclasses.dataclass(frozen=True)
class Shape:
    """One world. Rates are chances for each step or message while it storms; times are microseconds.

    Where it `observes` nothing is enforced; where it `corrects` or `prunes` an administrator does so; `rates` says that
    limits are in euros, whose rate changes once; `late_reports` that what holders tell after a failover is often late.
    """

    seed: int
    kind: str
    faults: frozenset[str]
    begin: Instant
    calendar: Calendar
    accounts: dict[str, Account]
    pods: int
    replicas: int
    requests: int
    storm: Duration
    calm: Duration
    largest: MicroUsd
    overruns: bool
    strict: bool
    tick: float
    segment_bytes: int
    lease_life: Duration
    kill_rate: float
    drop_rate: float
    repeat_rate: float
    slow_rate: float
    disk_rate: float
    changes: int
    losing: bool
    observes: bool
    corrects: bool
    prunes: bool
    max_users: int
    rates: bool
    late_reports: bool

    @property
    def duration(self) -> Duration:
        """How long requests come."""
        return self.storm + self.calm


def draw(seed: int) -> Shape:
    """The world of a seed."""
    chance = random.Random(f"shape/{seed}")
    kind = KINDS[seed % len(KINDS)]
    faults = frozenset(FAULTS[kind])
    calendar, begin = HOURS, ORDINARY + chance.randrange(30 * instants.MINUTE)
    storm = chance.randint(20, 90) * instants.SECOND
    if kind == "rollover" or (kind == "storm" and chance.random() < 0.5):
        calendar, boundary = chance.choice(_ROLLOVERS)
        begin = boundary - chance.randint(5, 60) * instants.SECOND
    if chance.random() < 0.1:
        storm += 12 * instants.MINUTE  # leases end meanwhile
    largest = chance.choice([5, 30, 60]) * CENT
    segment_bytes = chance.choice([700, 4000, 1 << 20])
    accounts = _accounts(chance, kind, calendar, largest)
    extras = random.Random(f"extras/{seed}")
    rates = kind == "rollover" and extras.random() < 0.4
    failovers = random.Random(f"failovers/{seed}")
    late_reports = kind == "failover" and failovers.random() < 0.6
    brief = kind == "expiry" or (kind == "failover" and failovers.random() < 0.4)
    return Shape(
        seed=seed,
        kind=kind,
        faults=faults,
        begin=begin,
        calendar=calendar,
        accounts={key: _vary(extras, each, rates, len(accounts)) for key, each in accounts.items()},
        pods=chance.choice([3, 4] if kind == "contention" else [1, 2, 2, 3, 4]),
        replicas=chance.choice([2, 3]) if faults & {"replicas", "changes"} else chance.choice([1, 1, 2]),
        requests=chance.choice([12, 20, 30, 45]) * (2 if kind == "failover" else 1),
        storm=storm,
        calm=chance.choice([0, 40, 60]) * instants.SECOND,
        largest=largest,
        overruns=chance.random() < 0.15,
        strict=chance.random() < (0.5 if kind in ("lost", "failover") else 0.2),
        tick=1.0 if storm < 3 * instants.MINUTE and kind != "expiry" else 10.0,
        segment_bytes=segment_bytes,
        lease_life=20 * instants.SECOND if brief else 10 * instants.MINUTE,
        kill_rate=chance.choice([0.002, 0.01]) if "kills" in faults else 0.0,
        drop_rate=chance.choice([0.03, 0.15]) if "messages" in faults else 0.0,
        repeat_rate=chance.choice([0.05, 0.25]) if "messages" in faults else 0.0,
        slow_rate=chance.choice([0.02, 0.2]) if "messages" in faults else 0.0,
        disk_rate=0.03 if "disk" in faults else 0.0,
        losing=chance.random() < (0.75 if kind == "failover" else 0.5),
        changes=chance.randint(2, 6) if "changes" in faults else 0,
        observes=extras.random() < 0.04,
        corrects="failover" not in faults and extras.random() < 0.25,
        prunes=kind == "rollover" and extras.random() < 0.4,
        max_users=1 if extras.random() < 0.15 else MAX_USERS,
        rates=rates,
        late_reports=late_reports,
    )


def _vary(extras: random.Random, account: Account, rates: bool, among: int) -> Account:
    """A few accounts are in dry run, in worlds with others; where `rates` change limits are in euros."""
    dry_run = among > 1 and extras.random() < 0.08
    if rates:
        account = msgspec.structs.replace(account, currency="EUR", nano_usd=extras.randrange(9 * 10**8, 13 * 10**8))
    return msgspec.structs.replace(account, dry_run=True) if dry_run else account


def _accounts(chance: random.Random, kind: str, calendar: Calendar, largest: MicroUsd) -> dict[str, Account]:
    if kind == "contention" or (kind == "lost" and chance.random() < 0.7):
        alone = account(Target(TargetKind.ORGANIZATION), largest * chance.choice([2, 4, 8]), calendar)
        return {alone.key: alone}
    targets = [Target(TargetKind.ORGANIZATION)]
    others = (
        Target(TargetKind.TEAM, "payments"),
        Target(TargetKind.WORKLOAD, "payments/app-0"),
        Target(TargetKind.USER),
    )
    targets += [target for target in others if chance.random() < 0.55]
    thresholds = kind == "approvals" or chance.random() < 0.3
    found = [account(target, _limit(chance, largest), calendar, _thresholds(chance, thresholds)) for target in targets]
    return {each.key: each for each in found}


def account(
    target: Target, limit: MicroUsd, calendar: Calendar, thresholds: tuple[Threshold, ...] | None = None
) -> Account:
    """A limit on a target."""
    key = snapshot.account_key("sim", str(target), calendar.period, calendar.zone)
    made = Account(key, target, limit, calendar.period, calendar.zone, f"Budget/root/{target}")
    return (
        made if thresholds is None else Account(*(getattr(made, name) for name in _POSITIONAL), thresholds=thresholds)
    )


_POSITIONAL = ("key", "target", "limit", "period", "time_zone", "source")


def _limit(chance: random.Random, largest: MicroUsd) -> MicroUsd:
    """From two of the largest attempts to plenty."""
    return largest * chance.choice([2, 4, 8, 8, 20, 200]) + chance.randrange(CENT)


def _thresholds(chance: random.Random, wanted: bool) -> tuple[Threshold, ...] | None:
    if not wanted or chance.random() < 0.3:
        return None
    found = [Threshold(chance.choice([20, 50, 75]), (ThresholdAction.REQUIRE_APPROVAL,))]
    if chance.random() < 0.3:
        found.append(Threshold(90, (ThresholdAction.BLOCK,)))
    return (*found, Threshold(100, (ThresholdAction.BLOCK,)))
