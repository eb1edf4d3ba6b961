"""A pod: what outlives its sidecar's process (disk, clock, what it has heard), and the requests that come to it."""

import asyncio
import dataclasses
import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from llmgov import instants, snapshot
from llmgov.instants import Duration, Instant
from llmgov.ledger.commands import Held
from llmgov.ledger.messages import Intent, LeaseRefusal, Outcome, Refused, Settlement, Subject
from llmgov.ledger.purse import Wish
from llmgov.money import MicroUsd
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account, TargetKind
from llmgov_sidecar.leasing import NoMoneyError
from llmgov_sidecar.spool import SpoolFullError
from tests.simulator.disk import Disk
from tests.simulator.loop import Process
from tests.simulator.sidecar import Boot
from tests.simulator.truth import Attempt
from tests.simulator.violation import Invariant

if TYPE_CHECKING:
    from tests.simulator.world import World


@dataclasses.dataclass(frozen=True)
class Request:
    """What an application asks for: between `least` and `want`, answered after `duration` for a share of its hold.

    `outcome` is how it ends where nothing fails. `digest` names what an approval must cover.
    """

    number: int
    user: str | None
    least: MicroUsd
    want: MicroUsd
    duration: Duration
    percent: int
    outcome: Outcome
    digest: str | None = None


class Pod:
    """One pod of the workload `payments/app-<number>`."""

    def __init__(self, world: "World", number: int, chance: random.Random) -> None:
        self.name = f"pod-{number}"
        self.world = world
        self.disk = Disk(world.chance("disk", self.name))
        self.known: Mapping[str, Account] = {}
        self.boot: Boot | None = None
        self.process = Process(self.name)
        self.process.alive = False
        self.gone = False
        self.began: Instant = 0
        self.tolerance: Duration = 0
        self.draining = False
        self.flying = 0
        self._number = number
        self._chance = chance
        self._offset = 0
        self._drift = 0
        if "clocks" in world.shape.faults:
            self._offset = chance.randint(-5 * instants.MINUTE, 5 * instants.MINUTE)
            self._drift = chance.randint(-200, 200)

    def clock(self) -> Instant:
        """The pod's clock: off by up to five minutes, and too fast or too slow by up to 200 parts in a million."""
        return self.world.now + self._offset + self.world.loop.now * self._drift // 1_000_000

    def step_clock(self) -> None:
        """Somebody sets the clock: leases that end by it may end ten minutes late."""
        self.tolerance = 10 * instants.MINUTE
        self._offset = self._chance.randint(-5 * instants.MINUTE, 5 * instants.MINUTE)

    @property
    def path(self) -> tuple[str, ...]:
        """What its requests are charged to, without a user."""
        return (f"workload/payments/app-{self._number}", "namespace/payments", "team/payments", "organization")

    def start(self) -> None:
        """A new process over the same disk."""
        world = self.world
        self.process = process = Process(self.name, f"{self.name}/{self.disk.machine}")
        self.boot = None
        self.began, self.flying, self.draining = world.now, 0, False
        world.note(self.name, "starts")
        world.loop.spawn(process, self._begin(process), "sidecar")

    async def _begin(self, process: Process) -> None:
        def step(label: str) -> None:
            self.world.step(process, label)

        self.disk.on_step = step
        try:
            boot = Boot(self.world, self, process)
        except OSError as error:
            self.world.note(self.name, "cannot start", repr(error))
            self.world.restart_later(self)
            process.kill()
            return
        except Exception as error:
            self.world.fail(Invariant.ERROR, f"{self.name} cannot start: {error!r}")
            raise
        self.boot = boot
        boot.join()

    def learn(self, definitions: Mapping[str, Account]) -> None:
        """The pod is told what is in force."""
        self.known = definitions
        boot = self.boot
        if boot is not None and self.process.alive:
            self.world.loop.run_in(self.process, lambda: boot.learn(definitions))

    def take(self, request: Request) -> None:
        """A request arrives; where no sidecar lives, its connection is refused."""
        if self.boot is not None and self.process.alive and not self.draining:
            self.flying += 1
            self.world.loop.spawn(self.process, self._take(self.boot, request), f"request {request.number}")

    async def _take(self, boot: Boot, request: Request) -> None:
        try:
            await self._serve(boot, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, no code of the sidecar's expects it here
            self.world.fail(Invariant.REQUEST, f"{self.name}: request {request.number} died of {error!r}")
        self.flying -= 1

    @property
    def settled(self) -> bool:
        """Whether it is up and has dealt with what earlier boots left; or is gone."""
        up = self.process.alive and self.boot is not None
        return self.gone or (up and self.boot is not None and self.boot.recovered)

    @property
    def rested(self) -> bool:
        """Whether it has nothing to do, nothing to send and no money."""
        boot = self.boot
        if not self.settled or boot is None or boot.services.leasing is None:
            return False
        leasing = boot.services.leasing
        return boot.all_delivered and leasing.settled_down and leasing.held == 0 and leasing.lent == 0

    def _charges(self, user: str | None) -> tuple[Charge, ...]:
        found = []
        for account in self.known.values():
            target, enforced = account.target, not (account.dry_run or self.world.shape.observes)
            if target.kind is TargetKind.USER:
                if user is not None:
                    found.append(Charge(account, snapshot.user_account_key(account.key, user), enforced))
            elif str(target) in self.path:
                found.append(Charge(account, account.key, enforced))
        return tuple(found)

    async def _serve(self, boot: Boot, request: Request) -> None:
        world, path = self.world, self.path if request.user is None else (*self.path, f"user/{request.user}")
        approval = None
        if request.digest is not None:
            approval = self._approval(boot, request, path)
            if approval is None:
                return
        charges = self._charges(request.user)
        leasing = boot.services.leasing
        if leasing is None or not charges:
            return
        ticket = str(next(boot.services.tickets))
        wish = Wish(ticket, charges, request.least, request.want, path, approval, strict=self._is_strict(request))
        waiting = world.invariants.wish(self, request, wish)
        try:
            answer = await leasing.hold(wish)
        except NoMoneyError as error:
            world.note(self.name, "no answer", request.number, error)
            waiting.unanswered()
            return
        if isinstance(answer, LeaseRefusal):
            world.note(self.name, "refused", request.number, answer)
            waiting.refused(answer)
            return
        waiting.ended()
        await self._dispatch(boot, request, wish, answer)

    def _is_strict(self, request: Request) -> bool:
        """Where audit is strict, a few requests are of a namespace where it is not."""
        return self.world.shape.strict and request.number % 5 != 0

    def _approval(self, boot: Boot, request: Request, path: tuple[str, ...]) -> str | None:
        """The approval to send along, as the directory names it; without one the request is refused, which asks for
        one. Some send one that nobody granted."""
        assert request.digest is not None
        approval = snapshot.approval_id(request.digest)
        if approval in self.world.directory or self._chance.random() < 0.1:
            return approval
        message = "llmgov: needs an approval"
        refused = Refused(
            boot.services.ids(), self.clock(), f"req-{request.number}", self._subject(request, path), "approval",
            "root/costly", message, (), 403, approval_digest=request.digest, approval_summary="costly",
        )  # fmt: skip
        self.world.note(self.name, "asks approval", approval)
        try:
            boot.journal.note(refused)
        except OSError:
            self.world.note(self.name, "disk refuses", refused.id)
        return None

    def _subject(self, request: Request, path: tuple[str, ...]) -> Subject:
        service_account = f"app-{self._number}"
        return Subject("payments", service_account, request.user, ("payments",), path, "openai", "gpt", "chat")

    async def _dispatch(self, boot: Boot, request: Request, wish: Wish, held: Held) -> None:
        world, services, leasing = self.world, boot.services, boot.services.leasing
        assert leasing is not None
        attempt = self._attempt(request, wish, held, services.ids())
        world.truth.held(attempt, world.now)
        world.invariants.held(self, attempt)
        intent = Intent(
            attempt.id, attempt.at, f"req-{request.number}", self._subject(request, wish.path), held.amount,
            held.charged, ("v1",), approval=wish.approval,
        )  # fmt: skip
        try:
            position = boot.journal.begin(intent)
        except (SpoolFullError, OSError) as error:
            world.note(self.name, "disk refuses", request.number, repr(error))
            world.truth.dropped(attempt, world.now)
            leasing.settle(wish.attempt, 0)
            return
        if wish.strict:
            delivery = services.delivery
            if delivery is None or not await delivery.taken(attempt.id, position, 2.0):
                world.note(self.name, "audit away", attempt.id)
                free = Settlement(attempt.id, self.clock(), Outcome.FREE, 0, {}, 0, "gpt")
                self._end(boot, wish, free, lambda: world.truth.dropped(attempt, world.now))
                return
        world.step(self.process, "dispatch")
        world.note(self.name, "dispatches", attempt.id, f"holds {attempt.hold}", f"costs {attempt.cost}")
        world.truth.dispatched(attempt)
        world.step(self.process, "dispatched")
        await asyncio.sleep(request.duration / 1e6)
        overrun = attempt.told > attempt.hold
        settlement = Settlement(
            attempt.id, self.clock(), request.outcome, attempt.told, {}, 200, "gpt", request.duration, overrun
        )
        attempt.either = True

        def known() -> None:
            world.truth.ended(attempt, world.now)
            world.note(self.name, "ends", attempt.id, settlement.outcome.value, attempt.told)

        self._end(boot, wish, settlement, known)

    def _attempt(self, request: Request, wish: Wish, held: Held, id_: str) -> Attempt:
        cost = 0 if request.outcome is Outcome.FREE else held.amount * request.percent // 100
        told = {Outcome.FREE: 0, Outcome.SETTLED: cost}.get(request.outcome, held.amount)
        return Attempt(id_, self.name, held.amount, held.charged, wish.path, self.clock(), cost, told, wish.approval)

    def _end(self, boot: Boot, wish: Wish, settlement: Settlement, known: Callable[[], None]) -> None:
        """The end of an attempt on record, and then its money."""
        leasing = boot.services.leasing
        assert leasing is not None

        def recorded() -> None:
            known()
            leasing.settle(wish.attempt, settlement.cost)

        boot.services.ends.put(settlement, recorded)
