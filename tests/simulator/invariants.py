"""What must hold at every step; `quiescence` has what must hold in the end. Allowances: docs/simulator.md."""

import collections
from typing import TYPE_CHECKING

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.messages import Epoch, LeaseGrant, LeaseRefusal, Why
from llmgov.ledger.purse import Wish
from llmgov.money import MicroUsd
from tests.simulator.truth import Attempt, WindowId
from tests.simulator.violation import Invariant

if TYPE_CHECKING:
    from tests.simulator.pod import Pod, Request
    from tests.simulator.world import World

CALM: Duration = 20 * instants.SECOND
"""So long after the last fault everybody has found everybody again: calls are given up after 5 s and repeated within
5 s more; a broken stream is noticed after 10 s and begun anew within 5 s more."""

LONGEST_WAIT: Duration = 10 * instants.SECOND + instants.SECOND
"""The sidecar's own bound on waiting for money, and a second for a busy loop."""

CLOCKS: Duration = 50 * instants.MILLISECOND
"""How far a replica's reading of the database's clock may be off, twice."""


class Waiting:
    """One attempt that waits for money: how its wait may end."""

    def __init__(self, invariants: "Invariants", pod: "Pod", request: "Request", wish: Wish) -> None:
        self._invariants = invariants
        self._world = invariants.world
        self._pod = pod
        self._request = request
        self.wish = wish
        self.since = self._world.now
        self._calm = self._world.calm
        self.until: Instant | None = None

    @property
    def overdue(self) -> bool:
        """Whether it waits longer than it may."""
        return self.until is None and self._world.now - self.since > LONGEST_WAIT + self._world.paused_for

    def ended(self) -> None:
        """It has its money."""
        self.until = self._world.now

    def unanswered(self) -> None:
        """Nobody answered in time: that may be only where something is broken."""
        self.until = self._world.now
        if self._stayed_calm:
            what = f"{self._pod.name}: request {self._request.number} got no answer though nothing is broken"
            self._world.fail(Invariant.ANSWER, what)

    def refused(self, refusal: LeaseRefusal) -> None:
        """The ledger says no."""
        self.until = self._world.now
        if refusal.why is Why.FENCED:
            self._check_fenced()
        elif refusal.key:
            self._invariants.refusals += 1
            self._check_refused(refusal)

    def _check_fenced(self) -> None:
        """Who waits lives, and there is no newer boot of its pod than the one that lives."""
        if self._pod.name not in self._world.truth.lost_pods:
            self._world.fail(Invariant.ANSWER, f"{self._pod.name} is told that it is fenced, and is its newest boot")

    @property
    def _stayed_calm(self) -> bool:
        return self._calm and self._world.calm

    def _check_refused(self, refusal: LeaseRefusal) -> None:
        """Some account of the path had too little that was idle within reach, whichever the refusal names."""
        keys = self.wish.keys
        if not self._stayed_calm or not all(self._invariants.uncontended(self, key) for key in keys):
            return
        start, _ = self._world.shape.calendar.window(refusal.window_end - 1)
        found = [self._invariants.idle((key, start), self.since) for key in keys]
        idle = [amount for amount in found if amount is not None]
        if len(idle) < len(keys):
            return
        self._invariants.refusals_checked += 1
        if min(idle) >= self.wish.least:
            self._world.fail(
                Invariant.REFUSAL,
                f"{self._pod.name}: request {self._request.number} needs {self.wish.least} and is refused though "
                f"{min(idle)} of each account is idle within reach",
            )


class Invariants:
    """Checks what happens against the truth."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._given: dict[str, int] = collections.defaultdict(int)
        self._acted: dict[str, int] = collections.defaultdict(int)
        self.refusals = 0
        self.refusals_checked = 0
        self._waits: list[Waiting] = []
        self._committed: set[str] = set()
        self._granted: dict[str, Instant] = {}
        self._used: dict[str, list[str]] = collections.defaultdict(list)

    def wish(self, pod: "Pod", request: "Request", wish: Wish) -> Waiting:
        """An attempt begins to wait."""
        waiting = Waiting(self, pod, request, wish)
        self._waits.append(waiting)
        return waiting

    def check_waits(self) -> None:
        """Nobody waits longer than the sidecar's bound."""
        for waiting in self._waits:
            if waiting.overdue and waiting._pod.process.alive and waiting.since >= waiting._pod.began:
                what = f"{waiting._pod.name}: request {waiting._request.number} waits for ever"
                self.world.fail(Invariant.ANSWER, what)

    def uncontended(self, mine: Waiting, key: str) -> bool:
        """Whether nobody else waited for money of the account meanwhile."""
        return not any(
            other is not mine
            and key in other.wish.keys
            and (other.until is None or (other.until >= mine.since and other.until > other.since))
            for other in self._waits
        )

    def idle(self, window: WindowId, since: Instant) -> MicroUsd | None:
        """What no attempt held or had spent at any moment since then, and could be lent; `None` where somebody may
        have it whom nobody can ask, or where what is in force has just changed."""
        truth = self.world.truth
        key, start = window
        if truth.forgetful:
            return None
        if truth.limits.changed_at > since - CALM or truth.limits.began(key) > max(start, self.world.shape.begin):
            return None
        tick = round(self.world.shape.tick * instants.SECOND)
        now = self.world.database.clock()
        unreachable = truth.lost_pods | truth.torn_pods
        for id_, lent in truth.leases.items():
            if (lent.key, lent.start) == window:
                ending = now - tick - 2 * instants.SECOND < lent.deadline < now + instants.SECOND
                if ending or id_.partition(":")[0] in unreachable:
                    return None
        return (
            truth.limits.ceiling(key, start)
            - truth.most_exposed(window, since)
            - truth.overrun[window]
            - truth.doubt[window]
        )

    def registered(self, epoch: Epoch) -> None:
        """An epoch was given out."""
        if epoch.number <= self._given[epoch.holder]:
            self.world.fail(Invariant.FENCING, f"{epoch} was given out, and {self._given[epoch.holder]} before it")
        self._given[epoch.holder] = epoch.number

    def acted(self, epoch: Epoch) -> None:
        """A boot has been lent something, or told what it knows of: from now on those before it get nothing."""
        self._acted[epoch.holder] = max(self._acted[epoch.holder], epoch.number)

    async def lent(self, grant: LeaseGrant) -> None:
        """A grant is committed; nothing awaits here but the memory store, which never does."""
        world = self.world
        world.truth.told(grant)
        windows = {row.account: row for row in await world.database.store.windows(world.database.clock())}
        for lease in grant.leases:
            if lease.id in self._committed:
                continue
            self._committed.add(lease.id)
            self._granted[lease.id] = world.now
            self._check_window(lease.id, (lease.window_start, lease.window_end), lease.deadline)
            holder, _, rest = lease.id.partition(":")
            number = int(rest.partition("/")[0])
            if number < self._acted[holder]:
                world.fail(Invariant.FENCING, f"lease {lease.id} is lent to a fenced epoch")
            self.acted(Epoch(holder, number))
            row = windows.get(lease.key)
            if row is not None and not world.truth.forgetful and row.start == lease.window_start:
                most = world.truth.limits.highest(lease.key, row.start, world.now)
                if row.used > most:
                    what = f"lease {lease.id} crosses what {lease.key} may be lent: {row.used} > {most}"
                    world.fail(Invariant.THRESHOLD, what)

    def _check_window(self, lease: str, window: tuple[Instant, Instant], deadline: Instant) -> None:
        calendar, now = self.world.shape.calendar, self.world.database.clock()
        if window not in {calendar.window(now - CLOCKS), calendar.window(now + CLOCKS)}:
            self.world.fail(Invariant.WINDOW, f"lease {lease} is of the window {window}, which is not now")
        if deadline > window[1]:
            self.world.fail(Invariant.WINDOW, f"lease {lease} outlives its window")

    def held(self, pod: "Pod", attempt: Attempt) -> None:
        """An attempt has its money: from leases that are on the disk and have not ended, within every limit."""
        world = self.world
        for part in attempt.charged:
            if not pod.disk.has_synced(part.lease.encode()):
                world.fail(Invariant.SYNCED, f"{attempt.id} holds from {part.lease}, which is not on the disk")
            self._check_deadline(pod, attempt, part.lease)
        self._check_approval(attempt)
        for window in () if world.truth.forgetful else world.truth.windows(attempt):
            since = min(self._granted[part.lease] for part in attempt.charged if part.key == window[0])
            most = world.truth.limits.highest(*window, since)
            exposed = world.truth.exposed[window]
            if exposed > most:
                world.fail(Invariant.LIMIT, f"{exposed} of {window[0]} may really be spent, more than {most}")

    def _check_deadline(self, pod: "Pod", attempt: Attempt, lease: str) -> None:
        lent = self.world.truth.leases[lease]
        late = self.world.database.clock() - lent.deadline
        if late > instants.SECOND + pod.tolerance:
            self.world.fail(Invariant.DEADLINE, f"{attempt.id} holds from {lease}, which ended {late / 1e6:.1f} s ago")

    def _check_approval(self, attempt: Attempt) -> None:
        if attempt.approval is None:
            return
        used = self._used[attempt.approval]
        used.append(attempt.id)
        times = self.world.approved[attempt.approval]
        if len(used) > times:
            what = f"approval {attempt.approval} was given {times} times, and used by {', '.join(used)}"
            self.world.fail(Invariant.APPROVAL, what)
