"""Money for sidecars: leases, returns, epochs. The rules are `llmgov.ledger`'s; here they meet the store and the clock.

Before a request is refused, the hub asks other sidecars for what lies idle with them: so small accounts are neither
overspent nor refused early.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Set
from typing import TypeGuard

from llmgov.instants import Instant
from llmgov.ledger import epochs, grants, returns
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.messages import (
    Epoch,
    Inventory,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Recall,
    Recalled,
)
from llmgov.ledger.store import Store
from llmgov.money import MicroUsd
from llmgov.snapshot import Account
from llmgov_hub.recalls import Recalls

MAX_ROUNDS = 3
"""How often idle money is asked for on behalf of one request and account: others may take what came back."""


class Leases:
    """Lends and takes back; `clock` is the ledger's."""

    def __init__(self, store: Store, recalls: Recalls, clock: Callable[[], Instant]) -> None:
        self._store = store
        self._recalls = recalls
        self._clock = clock
        self._definitions: Mapping[str, Account] = {}

    async def define(self, definitions: Mapping[str, Account]) -> None:
        """The accounts in force, by key: these decide, whatever a sidecar with an older snapshot believes.

        What is lent of an account that is defined anew is asked back, without waiting for it: a sidecar that has not
        heard of the change yet then asks again, and is answered by the new limit.

        Raises:
            StoreError: the definitions are in force, but what is lent was not asked back; each sidecar gives it back
                once it hears of the change.
        """
        before, self._definitions = self._definitions, definitions
        changed = {key for key, account in definitions.items() if before.get(key) != account}
        if changed:
            # One after the other: behind this, no grant goes by the definitions before.
            await self._store.transact(Lock(), lambda _: None)
            await self._ask_back(changed)

    async def _ask_back(self, changed: Set[str]) -> None:
        keys = {row.key for row in await self._store.accounts() if row.account.key in changed}
        for window in await self._store.windows(self._clock()):
            if window.leased and window.account in keys:
                self._recalls.send(window.account, await self._store.borrowers(window.account, window.start))

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """Lend on all accounts of a path, or refuse; a repeated request gets the leases that it got before.

        Raises:
            StoreError: nothing was lent, or it was and the request may be repeated to learn which.
            ValueError: the request contradicts itself.
        """
        reply = await self._try(request)
        for _ in request.needs:
            if not _is_short(reply):
                break
            key = reply.key
            async with self._recalls.turn(key):
                reply = await self._try_with_others(request, key)
            if _is_short(reply) and reply.key == key:
                break
        return reply if isinstance(reply, LeaseGrant) else await self._try(request, final=True)

    async def _try(self, request: LeaseRequest, *, final: bool = False) -> LeaseGrant | LeaseRefusal:
        now = self._clock()

        def step(book: Book) -> LeaseGrant | LeaseRefusal:
            # Which definitions are in force is looked up in the transaction: it may have waited for its turn.
            return grants.grant(book, request, self._definitions, now, final=final)

        return await self._store.transact(grants.lock(request, self._definitions, now), step)

    async def _try_with_others(self, request: LeaseRequest, key: str) -> LeaseGrant | LeaseRefusal:
        """Try again, after asking others for idle money of `key` for as long as that brings something."""
        reply = await self._try(request)
        for _ in range(MAX_ROUNDS):
            if not (_is_short(reply) and reply.key == key):
                break
            borrowers = await self._borrowers(request, key)
            if not await self._recalls.collect(key, borrowers):
                break
            reply = await self._try(request)
        return reply

    async def _borrowers(self, request: LeaseRequest, key: str) -> list[Epoch]:
        lock = grants.lock(request, self._definitions, self._clock())
        start = next(window.span.start for window in lock.windows if window.account == key)
        found = await self._store.borrowers(key, start)
        return [epoch for epoch in found if epoch != request.epoch]

    async def give_back(self, message: LeaseReturn) -> None:
        """Take a return; repeating it changes nothing."""
        now = self._clock()
        await self._store.transact(returns.return_lock(message), lambda book: returns.give_back(book, message, now))

    async def inventory(self, message: Inventory) -> MicroUsd:
        """Free what a holder's older epochs were lent and never used; how much that is."""
        now = self._clock()
        lock = returns.holder_lock(message.epoch.holder)
        return await self._store.transact(lock, lambda book: returns.take_inventory(book, message, now))

    async def register(self, holder: str) -> Epoch:
        """A sidecar has started: its epoch, which fences the earlier ones of its pod."""
        return await self._store.transact(Lock(holders=(holder,)), lambda book: epochs.register(book, holder))

    async def lose(self, holder: str) -> MicroUsd:
        """A pod is gone for good: charge what it still had as unknown; how much that is."""
        now = self._clock()
        return await self._store.transact(returns.holder_lock(holder), lambda book: returns.lose(book, holder, now))

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall]:
        """What the hub asks a sidecar back for, for as long as it listens."""
        return self._recalls.stream(epoch)

    async def recalled(self, message: Recalled) -> None:
        """A sidecar's answer to a recall, after its returns were taken."""
        self._recalls.answered(message)


def _is_short(reply: LeaseGrant | LeaseRefusal) -> TypeGuard[LeaseRefusal]:
    """Refused for want of money in one account."""
    return isinstance(reply, LeaseRefusal) and bool(reply.key)
