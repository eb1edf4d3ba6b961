"""Sidecars reduced to their money: a real purse joined to a hub, without files, requests or a provider."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence

from llmgov.instants import Instant
from llmgov.ledger import commands
from llmgov.ledger.messages import LeaseGrant, LeaseRequest, LeaseReturn, Recalled
from llmgov.ledger.purse import Purse, Wish
from llmgov.snapshot import Account
from llmgov_hub.hub import Hub
from tests.support import ledgers

Outcome = commands.Held | commands.Refused


class Client:
    """Attempts that cost `actual` once they hold money, and settle at once. It follows recalls while `run` runs."""

    def __init__(self, hub: Hub, purse: Purse, actual: int, account: Account, now: Instant = ledgers.NOW) -> None:
        self.hub = hub
        self.purse = purse
        self.outcomes: dict[str, Outcome] = {}
        self.asked_back = 0
        self._actual = actual
        self._account = account
        self._now = now
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._post: asyncio.Queue[LeaseReturn | Recalled] = asyncio.Queue()
        self._follower: asyncio.Task[None] | None = None

    async def run(self, ready: asyncio.Event | None = None) -> None:
        """Follow recalls and send returns, until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self._follower = self._group.create_task(self._follow_recalls(self.hub))
            self._group.create_task(self._send_post())
            if ready is not None:
                ready.set()

    async def move(self, hub: Hub) -> None:
        """Lose the connection, and connect to another replica."""
        assert self._follower is not None
        self._follower.cancel()
        await asyncio.wait([self._follower])
        self.hub = hub
        self._follower = self._group.create_task(self._follow_recalls(hub))

    async def call(self, name: str, worst: int, least: int | None = None) -> Outcome:
        """One attempt, from its hold to its settlement; its name is made unique by the epoch."""
        attempt = f"{self.purse.epoch}/{name}"
        self._waiting[attempt] = asyncio.get_running_loop().create_future()
        wish = Wish(attempt, (ledgers.charge(self._account),), worst if least is None else least, worst, ledgers.PATH)
        self._obey(self.purse.hold(wish, self._now))
        outcome = self.outcomes[attempt] = await self._waiting[attempt]
        if isinstance(outcome, commands.Held):
            intent = ledgers.intent(attempt, outcome.amount, outcome.charged)
            await self.hub.deliver([intent, ledgers.settlement(attempt, self._actual)])
            self._obey(self.purse.settle(attempt, self._actual, self._now))
        return outcome

    def held(self) -> list[str]:
        """The attempts that got money, by name."""
        return [name for name, outcome in self.outcomes.items() if isinstance(outcome, commands.Held)]

    def _obey(self, done: Iterable[commands.Command]) -> None:
        for command in done:
            match command:
                case commands.Send(message=LeaseRequest() as asked):
                    self._group.create_task(self._ask(asked))
                case commands.Send(message=LeaseReturn() | Recalled() as message):
                    self._post.put_nowait(message)
                case commands.Held(attempt=attempt) | commands.Refused(attempt=attempt):
                    self._waiting[attempt].set_result(command)
                case commands.Write():
                    pass

    async def _ask(self, request: LeaseRequest) -> None:
        """Ask behind what was given back before, as sidecars do."""
        await self._post.join()
        reply = await self.hub.lease(request)
        if isinstance(reply, LeaseGrant):
            self._obey(self.purse.on_grant(reply, self._now))
        else:
            self._obey(self.purse.on_refusal(reply, self._now))

    async def _send_post(self) -> None:
        while True:
            message = await self._post.get()
            if isinstance(message, LeaseReturn):
                await self.hub.give_back(message)
            else:
                await self.hub.recalled(message)
            self._post.task_done()

    async def _follow_recalls(self, hub: Hub) -> None:
        async with contextlib.aclosing(hub.recalls(self.purse.epoch)) as recalls:  # type: ignore[type-var]
            async for recall in recalls:
                self.asked_back += 1
                self._obey(self.purse.on_recall(recall, self._now))


@contextlib.asynccontextmanager
async def clients(
    hubs: Sequence[Hub], actual: int, account: Account | None = None, holder: str = "pod"
) -> AsyncIterator[list[Client]]:
    """A connected client for each of `hubs`, which may name a hub several times."""
    epochs = [await hub.register(f"{holder}-{index}") for index, hub in enumerate(hubs)]
    definition = account or ledgers.account()
    made = [Client(hub, Purse(epoch), actual, definition) for hub, epoch in zip(hubs, epochs, strict=True)]
    async with asyncio.TaskGroup() as group:
        ready = [asyncio.Event() for _ in made]
        running = [group.create_task(client.run(event)) for client, event in zip(made, ready, strict=True)]
        for event in ready:
            await event.wait()
        await asyncio.sleep(0)
        try:
            yield made
        finally:
            for task in running:
                task.cancel()
