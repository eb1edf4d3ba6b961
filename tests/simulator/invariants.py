"""What must hold at every step; `quiescence` has what must hold in the end. Allowances: docs/simulator.md."""

import collections
from collections.abc import Collection
from typing import TYPE_CHECKING

from llmgov import instants
from llmgov.instants import Duration, Instant
from llmgov.ledger.messages import Charged, Epoch, Holdings, Inventory, LeaseGrant, LeaseRefusal, LeaseReturn, Why
from llmgov.ledger.purse import Wish
from llmgov.ledger.rows import LeaseRow, LeaseState, Window
from llmgov.money import MicroUsd
from tests.simulator.shape import KEEP
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


DRIFT: Duration = 250 * instants.MILLISECOND
"""How much longer a lease may be held from than its holder is to: a pod's clock drifts by 120 ms in ten minutes, a
replica's reading of the database's is off, and what is held waits for the disk."""


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
        self._troubled = {each.name for each in self._world.pods if self._world.troubled(each, self.since)}
        self.until: Instant | None = None
        self.may_be_lent = True

    @property
    def overdue(self) -> bool:
        """Whether it waits longer than it may."""
        return self.until is None and self._world.now - self.since > LONGEST_WAIT + self._world.paused_for

    def ended(self) -> None:
        """It has its money, which the truth knows of from now on."""
        self.until, self.may_be_lent = self._world.now, False

    def unanswered(self) -> None:
        """Nobody answered in time: that may be only where something is broken."""
        self.until = self._world.now
        if self._stayed_calm:
            what = f"{self._pod.name}: request {self._request.number} got no answer though nothing is broken"
            self._world.fail(Invariant.ANSWER, what)

    def refused(self, refusal: LeaseRefusal) -> None:
        """The ledger says no."""
        self.until, self.may_be_lent = self._world.now, False
        if refusal.why is Why.FENCED:
            self._check_fenced()
        elif refusal.key:
            self._invariants.refusals += 1
            self._check_enforced(refusal)
            self._check_refused(refusal)

    def _check_fenced(self) -> None:
        """Who waits lives, and there is no newer boot of its pod than the one that lives."""
        if self._pod.name not in self._world.truth.lost_pods:
            self._world.fail(Invariant.ANSWER, f"{self._pod.name} is told that it is fenced, and is its newest boot")

    def _check_enforced(self, refusal: LeaseRefusal) -> None:
        """What is not enforced refuses nobody."""
        world = self._world
        if world.shape.observes or not world.truth.limits.enforced(refusal.key):
            world.fail(Invariant.ENFORCED, f"{refusal.key} refuses request {self._request.number}, and is not enforced")

    @property
    def _stayed_calm(self) -> bool:
        return self._calm and self._world.calm

    def _check_refused(self, refusal: LeaseRefusal) -> None:
        """Some account of the path had too little that was idle within reach, whichever the refusal names."""
        keys = [key for key in self.wish.keys if self._world.truth.limits.enforced(key)]
        if refusal.key not in keys or not self._world.hub_calm(self.since):
            return
        start, _ = self._world.shape.calendar.window(refusal.window_end - 1)
        found = [self._invariants.idle((key, start), self) for key in keys]
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

    def may_have(self, lease: str) -> bool:
        """Whether its money may be out of the ledger's reach, as far as nobody holds it: its holder cannot be asked, it
        is on its way there, or it ends at this moment."""
        world, lent, came = self._world, self._world.truth.leases[lease], self._world.truth.came(lease)
        holder, now = lease.partition(":")[0], world.database.clock()
        pod = next(pod for pod in world.pods if pod.name == holder)
        if holder in self._troubled or world.troubled(pod, self.since) or world.truth.is_out_of_reach(lease):
            return True
        tick = round(world.shape.tick * instants.SECOND)
        ending = now - tick - 2 * instants.SECOND < lent.deadline < now + instants.SECOND
        return ending or came is None or (came.at >= self.since and pod is not self._pod)


class Invariants:
    """Checks what happens against the truth."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self._given: dict[str, int] = collections.defaultdict(int)
        self._acted: dict[str, int] = collections.defaultdict(int)
        self.refusals = 0
        self.refusals_checked = 0
        self._waits: list[Waiting] = []
        self._kept: set[str] = set()
        self._ended: set[str] = set()
        self._reports: dict[str, Inventory | Holdings] = {}
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

    def wanted(self, mine: Waiting, key: str) -> MicroUsd:
        """What others that wait for money of the account may be lent before the one that asks."""
        return sum(
            other.wish.want
            for other in self._waits
            if other is not mine
            and key in other.wish.keys
            and other.may_be_lent
            and (other.until is None or other.until >= mine.since)
        )

    def idle(self, window: WindowId, waiting: Waiting) -> MicroUsd | None:
        """What no attempt held or had spent at any moment of a wait, and could be lent, whatever others get that wait;
        `None` where what is in force has just changed."""
        truth, since = self.world.truth, waiting.since
        key, start = window
        if truth.forgetful:
            return None
        begun = max(start, self.world.shape.begin)
        if (
            truth.limits.changed(key, start) > since
            or truth.limits.began(key) > begun
            or truth.corrected_since(window, since)
        ):
            return None
        away = sum(truth.leases[id_].amount for id_ in truth.concerned(window, since) if waiting.may_have(id_))
        return (
            truth.limits.ceiling(key, start)
            - truth.most_exposed(window, since)
            - truth.overrun[window]
            - truth.doubt[window]
            - truth.uncovered(key)
            - self.wanted(waiting, key)
            - away
        )

    def registered(self, epoch: Epoch) -> None:
        """An epoch was given out."""
        if epoch.number <= self._given[epoch.holder]:
            self.world.fail(Invariant.FENCING, f"{epoch} was given out, and {self._given[epoch.holder]} before it")
        self._given[epoch.holder] = epoch.number

    def acted(self, epoch: Epoch) -> None:
        """A boot has been lent something, or told what it knows of: from now on those before it get nothing."""
        self._acted[epoch.holder] = max(self._acted[epoch.holder], epoch.number)

    def pruned(self, window: Window) -> None:
        """A window is forgotten: it has ended long ago, and nothing of it is lent or unknown."""
        if window.end > self.world.database.clock() - KEEP + CLOCKS or window.leased or window.unknown:
            self.world.fail(Invariant.PRUNED, f"{window.account} is forgotten, and may still be asked for")

    def reported(self, message: Inventory | Holdings) -> None:
        """The hub has taken what a boot says that it holds, or found on its disk."""
        self.acted(message.epoch)
        told = self._reports.get(message.epoch.holder)
        if isinstance(message, Holdings) or told is None or told.epoch != message.epoch:
            self._reports[message.epoch.holder] = message

    def begins_life(self, kept: set[str]) -> None:
        """The database lives another life, in which it knows these leases."""
        self._kept = kept
        self._reports.clear()
        self._ended.clear()

    def returned(self, message: LeaseReturn) -> None:
        """The ledger has taken a return."""
        if message.final and not message.unaccounted:
            self._ended.add(message.lease)

    def is_awaited(self, lease: LeaseRow) -> bool:
        """Whether it is known from attempts alone, and not how large it was, nor that it has ended: its holder may yet
        report it, or have ended it in what the ledger lost."""
        return not lease.deadline and lease.id not in self._ended

    def accepts_loss(self) -> None:
        """Somebody does not wait for those who have not reported."""
        self._kept = set()

    def lends_again(self) -> None:
        """The ledger has found its way into another life: who holds of what it knew has reported, and all that was
        reported is in it."""
        world = self.world
        rows = world.database.store._rows.leases
        for row in rows.values():
            known = row.id in self._kept and row.state is LeaseState.OPEN and row.outstanding > 0
            if known and row.holder not in self._reports and row.holder not in world.truth.lost_pods:
                what = f"the ledger lends again, and {row.holder}, to which {row.id} is lent, has not reported"
                world.fail(Invariant.RECOVERY, what)
        for pod in world.pods:
            if pod.process.alive and pod.name not in world.truth.lost_pods:
                self._check_taken_up(pod, rows)

    def _check_taken_up(self, pod: "Pod", rows: dict[str, LeaseRow]) -> None:
        """What a sidecar reported and still has is lent to it as far as the ledger knows."""
        world, report = self.world, self._reports.get(pod.name)
        leasing = None if pod.boot is None else pod.boot.services.leasing
        if leasing is None or not isinstance(report, Holdings) or report.epoch != leasing.epoch:
            return
        reported = {holding.lease.id for holding in report.holdings if holding.account is not None}
        for holding in leasing.holdings():
            lease, row = holding.lease, rows.get(holding.lease.id)
            rest = lease.amount - holding.spent - holding.returned
            left = 0 if row is None else row.outstanding
            if lease.id in reported and left < rest and not world.truth.is_beyond_belief(lease.id):
                what = f"the ledger lends again, and of {lease.id} it knows {left}, where {pod.name} has {rest}"
                world.fail(Invariant.RECOVERY, what)

    async def lent(self, grant: LeaseGrant, fresh: Collection[str]) -> None:
        """A grant is committed, with `fresh` leases; nothing awaits here but the memory store, which never does."""
        world = self.world
        world.truth.lent(grant, fresh, world.now)
        if fresh and not world.database.lends:
            world.fail(Invariant.RECOVERY, f"{', '.join(sorted(fresh))} is lent while the ledger recovers")
        windows = {row.account: row for row in await world.database.store.windows(world.database.clock())}
        for lease in grant.leases:
            if lease.id not in fresh:
                continue
            self._check_left_out(lease.id)
            self._check_window(lease.id, (lease.window_start, lease.window_end), lease.deadline)
            holder, _, rest = lease.id.partition(":")
            number = int(rest.partition("/")[0])
            if number < self._acted[holder]:
                world.fail(Invariant.FENCING, f"lease {lease.id} is lent to a fenced epoch")
            self.acted(Epoch(holder, number))
            row = windows.get(lease.key)
            if row is not None and self._binds(lease.key) and row.start == lease.window_start:
                most = world.truth.limits.highest(lease.key, row.start, world.now)
                if row.used > most:
                    what = f"lease {lease.id} crosses what {lease.key} may be lent: {row.used} > {most}"
                    world.fail(Invariant.THRESHOLD, what)

    def _check_left_out(self, lease: str) -> None:
        """Of an account in force that its sidecar has not heard of, what ended and is on record leaves room for the
        attempt; looked at where a lease has just been lent for it."""
        world = self.world
        request = world.truth.request(lease)
        if request is None:
            return
        named = {*request.accounts, *(need.key for need in request.needs)}
        for key in world.truth.limits.in_force(request.path):
            if key in named or not self._binds(key):
                continue
            start, end = world.shape.calendar.window(world.database.clock())
            most, spent = world.truth.limits.highest(key, start, world.now), self._on_record(key, start, end)
            if spent + request.least > most:
                what = f"{lease} is lent for {request.least}, and of {key}, which was left out, {spent} is spent"
                world.fail(Invariant.THRESHOLD, f"{what} of {most}")

    def _on_record(self, key: str, start: Instant, end: Instant) -> MicroUsd:
        """What attempts have at least cost an account in a window, as far as the ledger has them."""
        world, spent = self.world, 0
        scope = world.truth.limits.scope(key)
        for row in world.database.store._rows.attempts.values():
            attempt = world.truth.attempts.get(row.id)
            if attempt is None or row.intent is None or row.settlement is None or scope not in attempt.path:
                continue
            if start <= (row.intent.at if row.counted is None else row.counted) < end:
                spent += min(attempt.recordable | {attempt.cost} if attempt.billed else attempt.recordable)
        return spent

    def _binds(self, key: str) -> bool:
        """Whether an account's limit is kept: where it is enforced, and the ledger has lost nothing."""
        world = self.world
        return not (world.truth.forgetful or world.shape.observes) and world.truth.limits.enforced(key)

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
            self._check_definition(pod, attempt, part)
        self._check_approval(attempt)
        for window in filter(lambda window: self._binds(window[0]), world.truth.windows(attempt)):
            since = min(world.truth.granted[part.lease] for part in attempt.charged if part.key == window[0])
            most = world.truth.limits.highest(*window, since)
            exposed = world.truth.exposed[window]
            if exposed > most:
                world.fail(Invariant.LIMIT, f"{exposed} of {window[0]} may really be spent, more than {most}")

    def _check_deadline(self, pod: "Pod", attempt: Attempt, lease: str) -> None:
        lent = self.world.truth.leases[lease]
        late = self.world.database.clock() - lent.deadline
        if late > instants.SECOND + pod.tolerance:
            self.world.fail(Invariant.DEADLINE, f"{attempt.id} holds from {lease}, which ended {late / 1e6:.1f} s ago")

        came = self.world.truth.came(lease)
        late = 0 if came is None else self.world.now - came.ends
        if late > DRIFT + pod.tolerance:
            what = f"{attempt.id} holds from {lease}, which by its asking ended {late / 1e6:.1f} s ago"
            self.world.fail(Invariant.DEADLINE, what)

    def _check_definition(self, pod: "Pod", attempt: Attempt, part: Charged) -> None:
        """Once its pod has learnt of another definition, what was lent under the one before it is not held from."""
        world, boot = self.world, pod.boot
        known = None if boot is None else boot.known.get(world.truth.limits.account(part.key).key)
        if boot is None or known is None or world.now < boot.heard + instants.SECOND:
            return
        if world.truth.limits.is_over(part.key, known, world.truth.granted[part.lease]):
            what = f"{attempt.id} holds from {part.lease}, lent under a definition that {pod.name} knows is over"
            world.fail(Invariant.DEFINITION, what)

    def _check_approval(self, attempt: Attempt) -> None:
        if attempt.approval is None:
            return
        used = self._used[attempt.approval]
        used.append(attempt.id)
        times = self.world.approved[attempt.approval]
        if len(used) > times:
            what = f"approval {attempt.approval} was given {times} times, and used by {', '.join(used)}"
            self.world.fail(Invariant.APPROVAL, what)
