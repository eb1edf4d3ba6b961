"""What the ledger cannot know: which attempts were really dispatched, what they really cost, who was really refused.

Kept by the simulator as things happen, by sums of its own. Nothing here reads the ledger or shares code with it.
"""

import collections
import dataclasses
import enum
from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

from llmgov.instants import Instant
from llmgov.ledger.messages import Charged, Epoch, LeaseGrant, LeaseRequest
from llmgov.money import MicroUsd
from llmgov.snapshot import Account, ThresholdAction

WindowId = tuple[str, Instant]

_LATER: Instant = 1 << 62
"""When what has not happened yet happens."""


class State(enum.Enum):
    """How far an attempt got."""

    FLYING = "flying"
    ENDED = "ended"
    """Its end was written to the spool."""
    CUT = "cut"
    """Its process died before that; nobody will ever know what it cost, so that its hold is charged."""


@dataclasses.dataclass(slots=True)
class Attempt:
    """One dispatch. `cost` is what the provider bills; `told` what the sidecar puts on record of it.

    `either` says that the process died while it wrote that down: it may be there or not.
    """

    id: str
    pod: str
    hold: MicroUsd
    charged: tuple[Charged, ...]
    path: tuple[str, ...]
    at: Instant
    cost: MicroUsd
    told: MicroUsd
    approval: str | None
    state: State = State.FLYING
    either: bool = False
    torn: bool = False
    billed: frozenset[str] = frozenset()
    """The leases that it cost what the provider billed, since somebody corrected that."""

    def gave(self, cost: MicroUsd) -> Iterator[tuple[str, MicroUsd]]:
        """What each lease gave of a cost up to the hold: an account's parts in order, each up to what it holds."""
        rest = dict.fromkeys((part.key for part in self.charged), cost)
        for part in self.charged:
            paid = min(part.held, rest[part.key])
            rest[part.key] -= paid
            yield part.lease, paid

    @property
    def worst(self) -> MicroUsd:
        """What it may have cost, as far as anybody but the provider can tell; an overrun counts as its hold, since
        more was never granted."""
        known = self.state is State.ENDED or (self.state is State.CUT and self.either)
        return min(self.told, self.hold) if known else self.hold

    @property
    def surely(self) -> MicroUsd:
        """What it has at least cost of what was granted to it."""
        told = self.told if self.state is State.ENDED and not self.torn else self.cost
        return min(told, self.hold)

    @property
    def recordable(self) -> set[MicroUsd]:
        """What the ledger may say that it cost."""
        if self.state is State.ENDED and not self.torn:
            return {self.told}
        return {self.told, self.hold} if self.either or self.torn else {self.hold}


@dataclasses.dataclass(frozen=True, slots=True)
class Lent:
    """A lease, as the grant told it."""

    key: str
    start: Instant
    end: Instant
    amount: MicroUsd
    deadline: Instant
    strict: bool


class Arrived(NamedTuple):
    """When a lease got to its holder, and from when on that may not hold from it: by the true time, as far as clocks
    go right."""

    at: Instant
    ends: Instant


class Bill(NamedTuple):
    """What somebody put on record that a lost lease cost, beside attempts that were `settled` by then."""

    amount: MicroUsd
    settled: frozenset[str]


class Truth:
    """The books of the oracle."""

    def __init__(self) -> None:
        self.attempts: dict[str, Attempt] = {}
        self.leases: dict[str, Lent] = {}
        self.granted: dict[str, Instant] = {}
        self.finished: dict[str, Instant] = {}
        self._asked: dict[tuple[Epoch, int], Instant] = {}
        self._requests: dict[tuple[Epoch, int], LeaseRequest] = {}
        self._arrived: dict[str, Arrived] = {}
        self._held: dict[str, Attempt] = {}
        self.exposed: dict[WindowId, MicroUsd] = collections.defaultdict(int)
        self.history: dict[WindowId, list[tuple[Instant, MicroUsd]]] = collections.defaultdict(list)
        self.doubt: dict[WindowId, MicroUsd] = collections.defaultdict(int)
        self.overrun: dict[WindowId, MicroUsd] = collections.defaultdict(int)
        self.limits = Limits()
        self.forgetful = False
        self.corrected: dict[str, MicroUsd] = {}
        self.billed: set[str] = set()
        self.bills: dict[str, Bill] = {}
        self._corrected: dict[WindowId, Instant] = {}
        self.lost_pods: set[str] = set()
        self.torn_pods: dict[str, Instant] = {}
        self.adrift: set[str] = set()

    def lent(self, grant: LeaseGrant, fresh: Collection[str], now: Instant) -> None:
        """A grant is committed; `fresh` are those of its leases that it has just made. Of the others it may tell less
        than they were, where a failover lost them and attempts have brought them back."""
        for lease in grant.leases:
            if lease.id in fresh:
                times = lease.window_start, lease.window_end
                self.leases[lease.id] = Lent(lease.key, *times, lease.amount, lease.deadline, lease.strict)
        self.granted.update(dict.fromkeys(fresh, now))

    def asked(self, request: LeaseRequest, now: Instant) -> None:
        """A sidecar asks; it may ask again for the same."""
        self._asked.setdefault((request.epoch, request.request), now)
        self._requests[request.epoch, request.request] = request

    def request(self, lease: str) -> LeaseRequest | None:
        """For which a lease was lent, by its id; `None` where nobody has asked by that number."""
        epoch, number, _ = lease.rsplit("/", 2)
        holder, _, boot = epoch.partition(":")
        return self._requests.get((Epoch(holder, int(boot)), int(number)))

    def is_beyond_belief(self, lease: str) -> bool:
        """Whether it is larger than a limit of its account, as one may be while nothing is refused: of such a lease
        that a failover lost the ledger takes up a part, and its attempts count when they end."""
        lent = self.leases[lease]
        return self.forgetful and lent.amount > self.limits.lowest(lent.key)

    def arrived(self, request: LeaseRequest, grant: LeaseGrant, now: Instant) -> None:
        """A grant arrived at the sidecar that asks. By its own rule it counts what is left from when it asked."""
        asked = self._asked[request.epoch, request.request]
        for lease in grant.leases:
            ends = asked + min(lease.deadline, lease.window_end) - grant.now
            self._arrived.setdefault(lease.id, Arrived(now, ends))

    def came(self, lease: str) -> "Arrived | None":
        """When a lease got to its holder, if it has."""
        return self._arrived.get(lease)

    def concerned(self, window: WindowId, since: Instant) -> Iterator[str]:
        """The leases of a window that were not finished yet at that moment."""
        for id_, lent in self.leases.items():
            if (lent.key, lent.start) == window and self.finished.get(id_, since) >= since:
                yield id_

    def windows(self, attempt: Attempt) -> Iterator[WindowId]:
        """The windows that an attempt holds from, each account's first; parts of one account may lie in two."""
        seen = set()
        for part in attempt.charged:
            lease = self.leases[part.lease]
            if (lease.key, lease.start) not in seen:
                seen.add((lease.key, lease.start))
                yield lease.key, lease.start

    def uncovered(self, key: str) -> MicroUsd:
        """What attempts may cost an account whose pods had not heard of it, so that they held nothing from it."""
        scope = self.limits.scope(key)
        return sum(
            max(attempt.hold, attempt.told, attempt.cost)
            for attempt in (*self.attempts.values(), *self._held.values())
            if scope in attempt.path and all(part.key != key for part in attempt.charged)
        )

    def is_out_of_reach(self, lease: str) -> bool:
        """Whether nobody can ask for its money: its pod is lost, its machine died, or a failover met it on its way."""
        holder = lease.partition(":")[0]
        torn = self.granted.get(lease, 0) <= self.torn_pods.get(holder, -1)
        return holder in self.lost_pods or torn or lease in self.adrift

    def held(self, attempt: Attempt, now: Instant) -> None:
        """An attempt has set its money aside, and will be dispatched in a moment."""
        self._held[attempt.id] = attempt
        self._expose(attempt, now, 1)

    def dropped(self, attempt: Attempt, now: Instant) -> None:
        """It was not dispatched after all."""
        del self._held[attempt.id]
        self._expose(attempt, now, -1)

    def dispatched(self, attempt: Attempt) -> None:
        """An attempt that was held is on its way to the provider."""
        del self._held[attempt.id]
        self.attempts[attempt.id] = attempt

    def died(self, pod: str, now: Instant) -> None:
        """The pod's process is dead: what it was about to dispatch never will be, what flies has no end."""
        for attempt in [attempt for attempt in self._held.values() if attempt.pod == pod]:
            self.dropped(attempt, now)
            for window in self.windows(attempt):  # its intent may be on record, and then costs its hold
                self.doubt[window] += attempt.hold
        for attempt in self.attempts.values():
            if attempt.pod == pod and attempt.state is State.FLYING:
                self._expose(attempt, now, -1)
                attempt.state = State.CUT
                self._expose(attempt, now, 1)
                for window in self.windows(attempt):
                    self.doubt[window] += attempt.hold - attempt.worst

    def ended(self, attempt: Attempt, now: Instant) -> None:
        """Its end is on the pod's record."""
        self._expose(attempt, now, -1)
        attempt.state = State.ENDED
        self._expose(attempt, now, 1)
        for window in self.windows(attempt):
            self.overrun[window] += max(0, attempt.told - attempt.hold)

    def corrects_attempt(self, attempt: Attempt, now: Instant) -> None:
        """Somebody is about to correct what an attempt cost to what the provider has billed: what it held beyond that
        may be lent from now on, or still be missing."""
        self._expose(attempt, now, -1)
        attempt.billed = frozenset(part.lease for part in attempt.charged)
        self._expose(attempt, now, 1)
        for window in self.windows(attempt):
            self.overrun[window] += max(0, attempt.cost - attempt.hold) - max(0, attempt.told - attempt.hold)
            self._corrected[window] = _LATER

    def corrects_lease(self, lease: str, now: Instant) -> None:
        """Somebody is about to correct what a lost lease cost to what the provider has billed."""
        for attempt in self.attempts.values():
            if any(part.lease == lease for part in attempt.charged):
                self._expose(attempt, now, -1)
                attempt.billed |= {lease}
                self._expose(attempt, now, 1)
        self.billed.add(lease)
        lent = self.leases[lease]
        self._corrected[lent.key, lent.start] = _LATER

    def has_corrected(self, now: Instant) -> None:
        """What somebody was about to correct is corrected."""
        self._corrected = {window: min(at, now) for window, at in self._corrected.items()}

    def corrected_since(self, window: WindowId, since: Instant) -> bool:
        """Whether somebody has corrected, or may have, what was spent of a window."""
        return self._corrected.get(window, since) > since

    def bill(self, lease: str, on_record: Collection[str]) -> MicroUsd:
        """What attempts really cost a lease that are not among those on record."""
        return sum(
            paid
            for attempt in self.attempts.values()
            if attempt.id not in on_record
            for id_, paid in attempt.gave(min(attempt.cost, attempt.hold))
            if id_ == lease
        )

    def _expose(self, attempt: Attempt, now: Instant, sign: int) -> None:
        for lease, amount in self.owed(attempt):
            lent = self.leases[lease]
            window = (lent.key, lent.start)
            self.exposed[window] += sign * amount
            self.history[window].append((now, self.exposed[window]))

    def owed(self, attempt: Attempt) -> Iterator[tuple[str, MicroUsd]]:
        """What each lease gave at worst: an account's parts in their order, each up to what it holds."""
        billed = dict(attempt.gave(min(attempt.cost, attempt.hold))) if attempt.billed else {}
        for lease, paid in attempt.gave(attempt.worst):
            yield lease, billed[lease] if lease in attempt.billed else paid

    def forget(self, kept: Collection[str]) -> None:
        """The database has lost commits, of which some were answered: from now on the ledger may know less than was
        spent, and no promise about limits holds (docs/simulator.md). `kept` are attempts of which it has both halves.
        """
        self.forgetful = True
        for attempt in (*self.attempts.values(), *self._held.values()):
            attempt.torn |= attempt.id not in kept or attempt.state is not State.ENDED

    def failed_over(self, on_disk: Callable[[str], bool]) -> None:
        """The database lives another life. What it lent before and nobody has on disk yet may never arrive; then the
        ledger cannot tell it from what was spent and ended, and whose end it lost."""
        self.adrift.update(lease for lease in self.leases if not on_disk(lease))

    def most_exposed(self, window: WindowId, since: Instant) -> MicroUsd:
        """The most that attempts held or had spent of a window at any moment since then."""
        most = 0
        for at, amount in reversed(self.history[window]):
            most = max(most, amount)
            if at < since:
                break
        return most


@dataclasses.dataclass(slots=True)
class _Version:
    """A definition: it may be in force from `since` on, and surely is once `published`."""

    account: Account
    since: Instant
    published: Instant | None = None


class Limits:
    """What was in force when, and which thresholds were opened; what is on its way may be in force already."""

    def __init__(self) -> None:
        self._versions: dict[str, list[_Version]] = collections.defaultdict(list)
        self._opened: dict[WindowId, set[int]] = collections.defaultdict(set)
        self._begun: dict[WindowId, Instant] = {}
        self._opened_at: dict[WindowId, Instant] = collections.defaultdict(int)

    def change(self, account: Account, at: Instant) -> None:
        """From now on it may be in force."""
        self._versions[account.key].append(_Version(account, at))

    def published(self, at: Instant) -> None:
        """All that was changed is in force now."""
        for versions in self._versions.values():
            for version in versions:
                version.published = version.published or at

    def open(self, key: str, start: Instant, percent: int, at: Instant) -> None:
        """Somebody approves to go beyond a threshold; from now on it may be open."""
        self._opened[key, start].add(percent)
        self._opened_at[key, start] = at

    def changed(self, key: str, start: Instant) -> Instant:
        """When the last change of the account, or of what is open in the window, came into force for sure; far in the
        future where it has not."""
        newest = self._of(key)[-1]
        return max(newest.published or _LATER, self._opened_at[key, start])

    def is_over(self, key: str, known: Account, lent: Instant) -> bool:
        """Whether a lease that was lent at that moment cannot have been lent under `known`, nor under what is newer."""
        versions = self._of(key)
        number = next(number for number, version in enumerate(versions) if version.account is known)
        return lent < versions[number].since and all(version.account != known for version in versions[:number])

    def in_force(self, path: Collection[str]) -> Iterator[str]:
        """The keys of the accounts along a path that are in force for sure."""
        for key, versions in self._versions.items():
            target = str(versions[0].account.target)
            if versions[0].published is None:
                continue
            if target == "user":
                users = (each.removeprefix("user/") for each in path if each.startswith("user/"))
                yield from (f"{key}|{user}" for user in users)
            elif target in path:
                yield key

    def _of(self, key: str) -> list[_Version]:
        """By the definition's key: that of an account of one user is followed by the user."""
        return self._versions[key if key in self._versions else key.rpartition("|")[0]]

    def account(self, key: str) -> Account:
        """The newest definition."""
        return self._of(key)[-1].account

    def scope(self, key: str) -> str:
        """The target on charging paths, of an account of each user that user."""
        target = str(self.account(key).target)
        return f"user/{key.rpartition('|')[2]}" if target == "user" else target

    def began(self, key: str) -> Instant:
        """When the account was defined first."""
        return self._of(key)[0].since

    def ceiling(self, key: str, start: Instant) -> MicroUsd:
        """Up to where the newest definition lets a window be lent from."""
        return _ceiling(self.account(key), self._opened[key, start], min(self._rates(key, start)))

    def highest(self, key: str, start: Instant, since: Instant) -> MicroUsd:
        """The highest that any definition that may have been in force since then let it be lent from."""
        opened, rates = self._opened[key, start], self._rates(key, start)
        return max(_ceiling(version.account, opened, max(rates)) for version in self._in_force(key, since))

    def lowest(self, key: str) -> MicroUsd:
        """The lowest that any definition of the account has limited it to, in micro-USD by any of their rates."""
        accounts = [version.account for version in self._of(key)]
        return min(each.limit for each in accounts) * min(each.nano_usd for each in accounts) // 10**9

    def _in_force(self, key: str, since: Instant) -> list[_Version]:
        """The definitions that may have been in force since then."""
        versions = self._of(key)
        ends = [*(version.published for version in versions[1:]), None]
        return [each for each, end in zip(versions, ends, strict=True) if end is None or end >= since]

    def _rates(self, key: str, start: Instant) -> list[int]:
        """What a unit of the limit's currency may be worth in a window, whose rate is fixed when it is opened."""
        begun = self._begun.get((key, start), 0)
        found = self._in_force(key, begun)
        return [version.account.nano_usd for version in found if not begun or version.since <= begun] or [
            found[0].account.nano_usd
        ]

    def begins(self, key: str, start: Instant, at: Instant) -> None:
        """The ledger has a window; at its first use it has opened it."""
        self._begun.setdefault((key, start), at)

    def enforced(self, key: str) -> bool:
        """Whether the account stops anybody."""
        return not self.account(key).dry_run


def _ceiling(account: Account, opened: set[int], nano_usd: int) -> MicroUsd:
    """The lowest acting threshold that nobody opened, else the limit; in micro-USD."""
    limit = account.limit * nano_usd // 10**9
    found = [limit]
    for threshold in account.thresholds:
        stops = ThresholdAction.BLOCK in threshold.actions
        asks = ThresholdAction.REQUIRE_APPROVAL in threshold.actions and threshold.percent not in opened
        if threshold.percent < 100 and (stops or asks):
            found.append(limit * threshold.percent // 100)
    return min(found)
