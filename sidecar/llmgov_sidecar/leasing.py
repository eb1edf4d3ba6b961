"""The purse with its surroundings: asks the hub, writes the spool, lets attempts wait for money a bounded time.

The purse's commands are carried out strictly in order: what may be spent from a lease waits until the lease is synced.
Nearly always an attempt is served from memory, and then nothing here waits for anything.
"""

import asyncio
import collections
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping
from typing import assert_never

from llmgov.instants import Instant
from llmgov.ledger.commands import Command, Held, Leased, Refused, Returned, Send, Write
from llmgov.ledger.errors import BadInputError
from llmgov.ledger.messages import (
    Epoch,
    Holdings,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
    Recount,
    Why,
)
from llmgov.ledger.purse import Purse, Wish
from llmgov.money import MicroUsd
from llmgov.snapshot import Account
from llmgov_sidecar.calls import Calls
from llmgov_sidecar.hub import Hub
from llmgov_sidecar.journal import Journal
from llmgov_sidecar.tasks import Tasks


class NoMoneyError(Exception):
    """The hub did not answer in time; nothing is held."""


@dataclasses.dataclass(slots=True)
class _Letter:
    """A message to the hub that waits its turn; `arrived` once the hub has taken it."""

    message: LeaseReturn | Recalled | Holdings | Inventory
    arrived: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    @property
    def has_money(self) -> bool:
        return isinstance(self.message, LeaseReturn) and self.message.amount > 0


class Leasing:
    """The money of one epoch. `start` first; `stop` gives back what is idle."""

    def __init__(
        self, epoch: Epoch, hub: Hub, journal: Journal, clock: Callable[[], Instant], tasks: Tasks, calls: Calls
    ) -> None:
        self._purse = Purse(epoch)
        self._hub = hub
        self._journal = journal
        self._clock = clock
        self._tasks = tasks
        self._calls = calls
        self._waits = calls.waits
        self._waiters: dict[str, asyncio.Future[Held | LeaseRefusal]] = {}
        self._commands: collections.deque[Command] = collections.deque()
        self._carrying = False
        self._unsynced = False
        self._post: collections.deque[_Letter] = collections.deque()
        self._posted = asyncio.Event()
        self._idle = asyncio.Event()
        self._recovered = False
        self._recounted = False

    @property
    def epoch(self) -> Epoch:
        """Whose money this is."""
        return self._purse.epoch

    @property
    def waiting(self) -> int:
        """How many attempts wait for money."""
        return self._purse.waiting

    def start(self) -> None:
        """Begin to follow recalls and deadlines, and to send returns."""
        self._tasks.keep("returns", self._send_post)
        self._tasks.keep("recalls", self._follow_recalls)
        self._tasks.keep("lease deadlines", self._tick)

    def recovered(self) -> None:
        """All that earlier boots of this volume held is closed, and the hub has taken that: should the ledger lose it,
        it is told so again when it asks what is held here, as it may have asked already."""
        self._recovered = True
        if self._recounted:
            self._carry_out([self._nothing_older()])

    def define(self, definitions: Mapping[str, Account]) -> None:
        """Other definitions of accounts are in force: nothing is held any more from what was lent under others."""
        self._carry_out(self._purse.define(definitions, self._clock()))

    async def hold(self, wish: Wish) -> Held | LeaseRefusal:
        """Set money aside for an attempt.

        Raises:
            NoMoneyError: no answer within the bound; the attempt waits no longer.
        """
        commands = self._purse.hold(wish, self._clock())
        if len(commands) == 1 and isinstance(commands[0], Held) and not self._carrying:
            return commands[0]
        waiter: asyncio.Future[Held | LeaseRefusal] = asyncio.get_running_loop().create_future()
        self._waiters[wish.attempt] = waiter
        self._carry_out(commands)
        try:
            async with asyncio.timeout(self._waits.lease):
                return await waiter
        except TimeoutError as error:
            self._abandon(wish.attempt, waiter)
            raise NoMoneyError(f"the ledger did not answer within {self._waits.lease:g} s") from error
        except asyncio.CancelledError:
            self._abandon(wish.attempt, waiter)
            raise
        finally:
            self._waiters.pop(wish.attempt, None)

    def settle(self, attempt: str, cost: MicroUsd) -> None:
        """Replace an attempt's hold by its cost; its settlement is in the journal already."""
        self._carry_out(self._purse.settle(attempt, cost, self._clock()))

    async def stop(self, seconds: float) -> None:
        """Give back what is idle, and what the hub still lends, as far as it takes it within `seconds`."""
        self._carry_out(self._purse.close(self._clock()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _abandon(self, attempt: str, waiter: asyncio.Future[Held | LeaseRefusal]) -> None:
        now = self._clock()
        if waiter.done() and not waiter.cancelled() and isinstance(waiter.result(), Held):
            self._carry_out(self._purse.settle(attempt, 0, now))
        else:
            self._waiters.pop(attempt, None)
            self._carry_out(self._purse.cancel(attempt, now))

    def _carry_out(self, commands: Iterable[Command]) -> None:
        """Carry out commands behind those under way; at once where nothing has to be synced and the disk obeys."""
        self._commands.extend(commands)
        while self._commands and not self._carrying:
            if _must_sync(self._commands[0]) or not self._done_at_once():
                self._carrying = True
                self._tasks.keep("lease sync", self._carry_out_slowly)
        self._note_idle()

    def _done_at_once(self) -> bool:
        try:
            self._do_first()
        except OSError:
            return False
        return True

    def _do_first(self) -> None:
        """Carry out the first command, which stays the first where that fails: no later one may overtake it."""
        self._do(self._commands[0])
        self._commands.popleft()

    async def _carry_out_slowly(self) -> None:
        """Carry out all commands; what fails is begun anew, and what waits for a sync waits for one that succeeds."""
        while self._commands or self._unsynced:
            while self._commands and _must_sync(self._commands[0]):
                self._do_first()
                self._unsynced = True
            if self._unsynced:
                await self._journal.sync()
                self._unsynced = False
            else:
                self._do_first()
        self._carrying = False
        self._note_idle()

    def _note_idle(self) -> None:
        """Idle is who neither carries out commands, nor waits for the hub's answer, nor has returns to send."""
        if self._carrying or self._commands or self._post or self._purse.asking:
            self._idle.clear()
        else:
            self._idle.set()

    def _do(self, command: Command) -> None:
        match command:
            case Write():
                self._record(command.record)
            case Send():
                self._send(command.message)
            case Held():
                self._answer(command.attempt, command)
            case Refused():
                self._answer(command.attempt, command.refusal)
            case _:
                assert_never(command)

    def _record(self, record: Leased | Returned) -> None:
        if isinstance(record, Leased):
            self._journal.take(record)
        else:
            self._journal.give_back(record)

    def _send(self, message: LeaseRequest | LeaseReturn | Recalled | Holdings | Inventory) -> None:
        if isinstance(message, LeaseRequest):
            money = next((letter for letter in reversed(self._post) if letter.has_money), None)
            self._tasks.spawn("lease request", self._ask(message, money))
        else:
            self._post.append(_Letter(message))
            self._posted.set()

    def _answer(self, attempt: str, answer: Held | LeaseRefusal) -> None:
        waiter = self._waiters.get(attempt)
        if waiter is not None and not waiter.done():
            waiter.set_result(answer)
        elif isinstance(answer, Held):
            # Who asked has left between the hold and this command: nothing was dispatched.
            self._commands.extend(self._purse.settle(attempt, 0, self._clock()))

    async def _ask(self, request: LeaseRequest, money: _Letter | None) -> None:
        """Ask the hub, once it has the `money` that was given back before: what it lends may depend on it."""
        if money is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._waits.call):
                    await money.arrived.wait()
        answer = await self._answer_to(request)
        now = self._clock()
        if isinstance(answer, LeaseGrant):
            self._carry_out(self._purse.on_grant(answer, now))
        else:
            self._carry_out(self._purse.on_refusal(answer, now))

    async def _answer_to(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """The hub's answer; where the ledger does not take the request for one, that is a refusal of no account.

        Each time it is told which requests are closed by then: while too many refused ones are not, it decides none.
        """
        try:
            return await self._calls.until_decided(lambda: self._hub.lease(self._purse.again(request)))
        except BadInputError:
            now = self._clock()
            return LeaseRefusal(request.request, Why.NOT_TAKEN, "", 0, 0, now, now)

    async def _send_post(self) -> None:
        while True:
            while self._post:
                letter = self._post[0]
                await self._calls.until_taken(functools.partial(self._deliver, letter.message))
                self._post.popleft()
                letter.arrived.set()
            self._posted.clear()
            self._note_idle()
            await self._posted.wait()

    async def _deliver(self, message: LeaseReturn | Recalled | Holdings | Inventory) -> None:
        match message:
            case Recalled():
                await self._hub.recalled(message)
            case Holdings():
                await self._hub.holdings(message)
            case Inventory():
                await self._hub.inventory(message)
            case LeaseReturn():
                await self._hub.give_back(message)
                self._journal.acknowledged(message)
            case _:
                assert_never(message)

    async def _follow_recalls(self) -> None:
        pause = self._waits.retry
        while True:
            try:
                async for asked in self._hub.recalls(self.epoch):
                    pause = self._waits.retry
                    self._carry_out(self._asked_for(asked))
            except OSError:
                pause = min(2 * pause, self._waits.retry_at_most)
            await asyncio.sleep(pause)

    def _asked_for(self, asked: Recall | Recount) -> tuple[Command, ...]:
        now = self._clock()
        if isinstance(asked, Recall):
            return self._purse.on_recall(asked, now)
        self._recounted |= asked.epoch == self.epoch
        report = self._purse.on_recount(asked, now)
        return (*report, self._nothing_older()) if report and self._recovered else report

    def _nothing_older(self) -> Command:
        """What a boot that has recovered holds of earlier ones' leases. It reports its own alone, and the ledger may
        have lost how those ended."""
        return Send(Inventory(self.epoch, ()))

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._waits.tick)
            now = self._clock()
            deadline = self._purse.next_deadline()
            if deadline is not None and deadline <= now:
                self._carry_out(self._purse.on_time(now))


def _must_sync(command: Command) -> bool:
    return isinstance(command, Write) and command.sync
