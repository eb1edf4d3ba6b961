"""The bus between the replicas of a hub over PostgreSQL: NOTIFY to be quick, tables that are looked at to be sure.

Implements `llmgov_hub.bus.Bus`. All statements go through one connection, in rounds: hand in what is to be said, look
what others have said, wait for a notification or until it is time to look again. NOTIFY is lost while a connection is
broken, so nothing is known by a notification alone; and everything that a round hands in can be handed in again after
a connection broke, since the replica still knows it.
"""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import Never, Protocol, TypeVar

import msgspec

from llmgov.ledger.messages import Epoch, Recall, Recalled
from llmgov.money import MicroUsd
from llmgov_store.postgres import recalls
from llmgov_store.postgres.connecting import ERRORS, Connection
from llmgov_store.postgres.recalls import RecallId

T = TypeVar("T")

MAX_NAME = 253
"""Characters of a replica's name: those of a pod's. It is all that a notification carries, of at most 8,000 bytes."""

_MOST: MicroUsd = 2**63 - 1
"""What a column can hold; what a sidecar claims to have returned decides about no money."""


class Times(msgspec.Struct, frozen=True):
    """Seconds between two looks and beats; all of these bound how late something is that is usually notified."""

    look: float = 0.5
    """Between two looks for recalls: one small read for each replica, and half of what a request waits at most."""
    look_while_asking: float = 0.1
    """The same while an answer is waited for: so that a lost notification costs one such pause and not two of those."""
    try_turn: float = 0.025
    """Between two tries to have the turn of an account: as long as it takes to be answered by a sidecar, about."""
    beat: float = 2.0
    """Between two signs of life."""
    dead: float = 6.0
    """After so long without one a replica is not waited for: three may be late before its sidecars are out of reach."""
    forget: float = 60.0
    """After so long its rows are removed."""
    reconnect: float = 0.2
    """Before a connection that broke is opened again: much less than one request waits."""
    round: float = 5.0
    """What one round may take: a server that does not answer in that time is as good as gone."""


class Member(Protocol):
    """A replica as its bus sees it."""

    def asked(self, recall: Recall) -> None:
        """Another replica is short: ask a sidecar that is connected here."""
        ...

    def told(self, message: Recalled) -> None:
        """A sidecar elsewhere has answered what this replica asked for."""
        ...


@dataclasses.dataclass(eq=False, slots=True)
class _Ask:
    key: str
    epochs: Sequence[Epoch]
    seconds: float
    asked: "asyncio.Future[Collection[Epoch]]"


@dataclasses.dataclass(eq=False, slots=True)
class _Turn:
    key: str
    granted: "asyncio.Future[None]"


class PostgresBus:
    """One replica's end. `name` is its own among those that live (its pod's name); `connect` opens a connection.

    It works while `run` does. `report` is told of every connection that broke; `others` is how many other replicas
    lived when it last beat, `None` while it has no connection.

    Raises:
        ValueError: a name that is empty, longer than a pod's may be, or not printable.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Awaitable[Connection]],
        *,
        times: Times | None = None,
        report: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        if not (1 <= len(name) <= MAX_NAME and name.isprintable()):
            raise ValueError(f"no name for a replica: {name!r}")
        self._name = name
        self._connect = connect
        self._times = times or Times()
        self._report = report
        self._member: Member | None = None
        self._wake, self._news = asyncio.Event(), asyncio.Event()
        self._here: dict[Epoch, None] = {}
        self._moved: dict[Epoch, bool] = {}
        self._handed: dict[RecallId, Recall] = {}
        self._answers: dict[RecallId, MicroUsd] = {}
        self._asks: dict[int, _Ask] = {}
        self._number = 0
        self._withdrawn: list[int] = []
        self._wishes: list[_Turn] = []
        self._ended: list[str] = []
        self._announced = False
        self.others: int | None = None
        self._next_beat = 0.0

    def join(self, member: Member) -> None:
        self._member = member

    def connect(self, epoch: Epoch) -> None:
        self._here[epoch] = None
        self._move(epoch, arrived=True)

    def disconnect(self, epoch: Epoch) -> None:
        self._here.pop(epoch, None)
        self._move(epoch, arrived=False)

    def _move(self, epoch: Epoch, *, arrived: bool) -> None:
        self._moved[epoch] = arrived
        # What it was handed on an earlier stream may never have reached it.
        self._handed = {id_: recall for id_, recall in self._handed.items() if recall.epoch != epoch}
        self._wake.set()

    @contextlib.asynccontextmanager
    async def asking(self, key: str, epochs: Sequence[Epoch], seconds: float) -> AsyncIterator[Collection[Epoch]]:
        if not epochs:
            yield ()
            return
        self._number += 1
        number, asked = self._number, asyncio.get_running_loop().create_future()
        self._asks[number] = _Ask(key, epochs, seconds, asked)
        self._wake.set()
        try:
            yield await _within(seconds, asked) or ()
        finally:
            del self._asks[number]
            if asked.cancelled() or not asked.done() or asked.result():  # else nobody was asked, or it was not said yet
                self._withdrawn.append(number)
                self._wake.set()

    def answer(self, message: Recalled) -> None:
        wanted = Recall(message.epoch, message.key, message.ask)
        for id_ in [id_ for id_, recall in self._handed.items() if recall == wanted]:
            self._answers[id_] = min(max(0, message.amount), _MOST)
            self._wake.set()

    @contextlib.asynccontextmanager
    async def turn(self, key: str, seconds: float) -> AsyncIterator[None]:
        if not self.others:
            yield
            return
        wish = _Turn(key, asyncio.get_running_loop().create_future())
        self._wishes.append(wish)
        self._wake.set()
        try:
            await _within(seconds, wish.granted)
            yield
        finally:
            if wish in self._wishes:
                self._wishes.remove(wish)
            else:
                self._ended.append(key)
                self._wake.set()

    def announce(self) -> None:
        self._announced = True
        self._wake.set()

    async def changed(self, seconds: float) -> None:
        await _within(seconds, self._news.wait())
        self._news.clear()

    async def run(self) -> Never:
        """Keep a connection, for ever. Cancelled, it says that this replica ends."""
        while True:
            try:
                await self._keep_connection()
            except ERRORS as error:
                self._report(error)
            self.others = None
            await asyncio.sleep(self._times.reconnect)

    async def _keep_connection(self) -> Never:
        connection = await self._connect()
        try:
            await self._begin(connection)
            while True:
                self._wake.clear()
                async with asyncio.timeout(self._times.round):
                    await self._round(connection)
                await _within(self._pause(), self._wake.wait())
        except asyncio.CancelledError:
            with contextlib.suppress(*ERRORS):
                async with asyncio.timeout(self._times.reconnect):
                    await recalls.leave(connection, self._name)
            raise
        finally:
            connection.terminate()

    async def _begin(self, connection: Connection) -> None:
        """Listen before looking, and say all that this replica knows: what was on its way may be lost."""
        connection.add_termination_listener(lambda _: self._wake.set())
        async with asyncio.timeout(self._times.round):
            await connection.add_listener(recalls.WAKE, self._on_wake)
            await connection.add_listener(recalls.CONFIGURATION, lambda *_: self._news.set())
            self._moved.clear()
            self._handed.clear()
            self._answers.clear()
            self._ended.clear()
            self._next_beat = 0.0
            self._news.set()
            await recalls.introduce(connection, self._name, list(self._here), list(self._asks))

    def _on_wake(self, _connection: Connection, _pid: int, _channel: str, payload: str) -> None:
        if payload == self._name:
            self._wake.set()

    def _pause(self) -> float:
        if self._wishes:
            return self._times.try_turn
        return self._times.look_while_asking if self._asks else self._times.look

    async def _round(self, connection: Connection) -> None:
        await self._hand_in(connection)
        await self._take_turns(connection)
        await self._ask(connection)
        await self._look(connection)
        await self._beat(connection)

    async def _hand_in(self, connection: Connection) -> None:
        moved, self._moved = self._moved, {}
        if arrived := [epoch for epoch, here in moved.items() if here]:
            await recalls.arrive(connection, self._name, arrived)
        if departed := [epoch for epoch, here in moved.items() if not here]:
            await recalls.depart(connection, self._name, departed)
        answers, self._answers = self._answers, {}
        if answers:
            await recalls.answer(connection, answers)
        withdrawn, self._withdrawn = self._withdrawn, []
        if withdrawn:
            await recalls.withdraw(connection, self._name, withdrawn)
        announced, self._announced = self._announced, False
        if announced:
            await recalls.announce(connection)

    async def _take_turns(self, connection: Connection) -> None:
        ended, self._ended = self._ended, []
        for key in ended:
            await recalls.end_turn(connection, key)
        for wish in tuple(self._wishes):
            if await recalls.try_turn(connection, wish.key):
                self._grant(wish)

    def _grant(self, wish: _Turn) -> None:
        """Who gave up meanwhile has left, or is about to and must not find its wish any more."""
        if wish not in self._wishes:
            self._ended.append(wish.key)
            self._wake.set()
            return
        self._wishes.remove(wish)
        if not wish.granted.done():
            wish.granted.set_result(None)

    async def _ask(self, connection: Connection) -> None:
        for number, ask in tuple(self._asks.items()):
            if not ask.asked.done():
                asked = await recalls.ask(
                    connection, self._name, number, ask.key, ask.epochs, ask.seconds, self._times.dead
                )
                if not ask.asked.done():
                    ask.asked.set_result(asked)

    async def _look(self, connection: Connection) -> None:
        if self._here:
            before, self._handed = self._handed, await recalls.open_recalls(connection, self._name)
            for id_, recall in self._handed.items():
                if id_ not in before and self._member is not None:
                    self._member.asked(recall)
        if self._asks:
            for number, message in await recalls.answers(connection, self._name):
                if number in self._asks and self._member is not None:
                    self._member.told(message)

    async def _beat(self, connection: Connection) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._next_beat:
            return
        self._next_beat = now + self._times.beat
        others = await recalls.beat(connection, self._name, self._times.dead)
        if others is None:
            raise ConnectionError("this replica was given up by the others, and begins anew")
        self.others = others
        await recalls.sweep(connection, self._times.forget)


async def _within(seconds: float, awaited: Awaitable[T]) -> T | None:
    """What is awaited, or `None` where that takes longer."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await awaited
    return None
