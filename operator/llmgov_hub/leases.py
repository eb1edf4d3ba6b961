"""Money for sidecars: leases, returns, epochs. The rules are `llmgov.ledger`'s; here they meet the store and the clock.

Before a request is refused, the hub asks other sidecars for what lies idle with them: so small accounts are neither
overspent nor refused early.
"""

import asyncio
import dataclasses
import functools
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from typing import TypeGuard, TypeVar

from llmgov.instants import Instant
from llmgov.ledger import accounting, bounds, epochs, grants, recovery, returns
from llmgov.ledger.book import Book, Lock
from llmgov.ledger.candidates import MAX_USERS
from llmgov.ledger.definitions import Definitions
from llmgov.ledger.errors import BadInputError, Fault
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
)
from llmgov.ledger.store import Store, StoreError
from llmgov.money import MicroUsd
from llmgov_hub import in_force
from llmgov_hub.in_force import Known
from llmgov_hub.recalls import Recalls

T = TypeVar("T")

MAX_ROUNDS = 3
"""How often idle money is asked for on behalf of one request and account: others may take what came back."""

MAX_TURNS = 16
"""For how many accounts, one after the other, idle money is asked for on behalf of one request: more than cover one,
since what comes back of one may be lent to others while another one is asked for."""

MAX_LOOKS = 8
"""How often one request looks again at the definitions in force: each time another configuration has to be published
in between, and no administrator is that quick."""


class Leases:
    """Lends and takes back; `clock` is the ledger's.

    Before any configuration is in force, who is `trusting` goes by what sidecars say of their accounts, with
    `max_users` (`snapshot.Settings`). Whoever serves sidecars that might lie is not: what one of them said of an
    account (its limit, the rate of its window), and what it borrowed by that, would count on when the account is in
    force. No sidecar needs it, since each learns its accounts from a configuration that was in force before.

    Of the accounts in force each replica keeps the definitions in memory, and whether they may refuse anything, with
    the edition of the configuration that this is of. A transaction that decides a request compares it with the
    ledger's, and decides nothing where they differ: so no grant goes by older definitions than those in force, whoever
    published them.
    """

    def __init__(
        self,
        store: Store,
        recalls: Recalls,
        clock: Callable[[], Instant],
        *,
        max_users: int = MAX_USERS,
        trusting: bool = True,
    ) -> None:
        self._store = store
        self._recalls = recalls
        self._clock = clock
        self._max_users_before = max_users
        self._trusting = trusting
        self._known = Known()
        self._looking = asyncio.Lock()
        self._outdated: set[str] = set()

    async def look_again(self) -> None:
        """Go by the definitions that are in force in the ledger: these decide, whatever a sidecar with an older
        snapshot believes.

        What sidecars that are connected here were lent of an account that is defined anew is asked back, without
        waiting for it: one that has not heard of the change yet then asks again, and is answered by the new limit.

        Raises:
            StoreError: the definitions are those before, or what is lent was not asked back yet; look again.
        """
        async with self._looking:
            edition = await self._store.edition()  # before the rest: so that is never older than it says
            if edition != self._known.edition:
                self._know(await in_force.read(self._store, edition))
            if self._outdated:
                await self._ask_back()

    def _know(self, known: Known) -> None:
        before, self._known = self._known, known
        switched = known.kill_switch != before.kill_switch
        self._outdated |= {
            key for key, account in known.definitions.items() if switched or before.definitions.get(key) != account
        }

    async def _ask_back(self) -> None:
        """Ask for what is lent of outdated accounts. No grant that went by the definitions before comes after this:
        the ledger has ended all of them before it puts a configuration in force."""
        keys = {row.key for row in await self._store.accounts() if row.account.key in self._outdated}
        for window in await self._store.windows(self._clock()):
            if window.leased and window.account in keys:
                self._recalls.send(window.account, await self._store.borrowers(window.account, window.start))
        self._outdated.clear()

    @property
    def definitions(self) -> Definitions:
        """The accounts in force, as far as this replica has read them."""
        return self._known.definitions

    async def lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        """Lend on all accounts of a path, or refuse; a repeated request gets the leases that it got before.

        It is refused by an account only after others were asked for idle money of that one: while they were asked for
        another's, this one's may have been lent.

        Raises:
            StoreError: nothing was lent, or it was and the request may be repeated to learn which; or it is not decided
                yet, since its sender has too many refused ones open.
            BadInputError: the request cannot be meant, or its epoch was never given out; nothing was lent.
        """
        try:
            return await self._lease(request)
        except epochs.CrowdedError as error:
            raise StoreError(str(error)) from error
        except BadInputError as error:
            if error.fault is Fault.UNKNOWN and error.field == "epoch":
                # Its sender may be alive and the ledger begun anew: then what it holds is what there is to know.
                self._recalls.recount("", (request.epoch.holder,))
            raise

    async def _lease(self, request: LeaseRequest) -> LeaseGrant | LeaseRefusal:
        asked: set[str] = set()
        reply = await self._try(request, asked)
        for _ in range(MAX_TURNS):
            if not _is_short(reply) or reply.key in asked:
                return reply
            async with self._recalls.turn(reply.key):
                reply = await self._try_with_others(request, reply.key, asked)
        return await self._try(request, None)

    async def _try(self, request: LeaseRequest, asked: Collection[str] | None) -> LeaseGrant | LeaseRefusal:
        """Lend, or refuse for good, unless an account is short of which nobody was asked for idle money yet; `None`
        where nobody is to be asked any more."""
        now = self._clock()

        def step(book: Book, known: Known, observed: bool) -> LeaseGrant | LeaseRefusal:
            most = known.max_users(request, self._max_users_before)
            grant = functools.partial(
                grants.grant, book, request, known.definitions, now, max_users=most, observed=observed
            )
            reply = grant(final=False)
            if isinstance(reply, LeaseGrant) or (asked is not None and _is_short(reply) and reply.key not in asked):
                return reply
            return grant(final=True)

        return await self._decide(lambda definitions: grants.lock(request, definitions, now), step, request.path)

    async def _decide(
        self, lock: Callable[[Definitions], Lock], step: Callable[[Book, Known, bool], T], path: Sequence[str] = ()
    ) -> T:
        """Run a step by what is in force when its transaction commits; it is told whether `path` is observed only.

        Raises:
            StoreError: nothing is in force yet, and sidecars' own word is not enough.
        """
        if not (self._trusting or self._known.edition):
            await self.look_again()
            if not self._known.edition:
                raise StoreError("no configuration is in force yet: ask again")
        for _ in range(MAX_LOOKS):
            known = self._known
            wanted = dataclasses.replace(lock(known.definitions), edition=True)
            observed = await known.observes(self._store, path)
            try:
                return await self._store.transact(wanted, functools.partial(_by, known, observed, step))
            except _OutdatedError:
                await self.look_again()
        raise StoreError("the configuration in force changes faster than it can be read")

    async def _try_with_others(self, request: LeaseRequest, key: str, asked: set[str]) -> LeaseGrant | LeaseRefusal:
        """Try again, after asking others for idle money of `key` for as long as that brings something; then they were
        `asked`.

        What comes back may be there without an answer that says so: that one may be late, or get lost.
        """
        reply = await self._try(request, asked)
        for _ in range(MAX_ROUNDS):
            if not (_is_short(reply) and reply.key == key):
                return reply
            if not await self._recalls.collect(key, await self._borrowers(request, key)):
                break
            reply = await self._try(request, asked)
        asked.add(key)
        return await self._try(request, asked)

    async def _borrowers(self, request: LeaseRequest, key: str) -> list[Epoch]:
        lock = grants.lock(request, self._known.definitions, self._clock())
        starts = [window.span.start for window in lock.windows if window.account == key]
        if not starts:  # since it refused, it was published that it does not cover the request
            return []
        found = await self._store.borrowers(key, starts[0])
        return [epoch for epoch in found if epoch != request.epoch]

    async def give_back(self, message: LeaseReturn) -> None:
        """Take a return; repeating it changes nothing.

        Raises:
            BadInputError: nothing came back.
        """
        accounting.check_return(message)
        now = self._clock()
        await self._store.transact(returns.return_lock(message), lambda book: returns.give_back(book, message, now))

    async def inventory(self, message: Inventory) -> MicroUsd:
        """Free what a holder's older epochs were lent and never used; how much that is.

        Raises:
            BadInputError: nothing became free.
        """
        accounting.check_inventory(message)
        now = self._clock()
        lock = returns.holder_lock(message.epoch.holder)
        return await self._store.transact(lock, lambda book: returns.take_inventory(book, message, now))

    async def register(self, holder: str) -> Epoch:
        """A sidecar has started: its epoch, which fences the earlier ones of its pod once it asks for anything."""
        return await self._store.transact(epochs.register_lock(holder), lambda book: epochs.register(book, holder))

    async def holdings(self, message: Holdings) -> None:
        """Take up what a sidecar holds and the ledger has lost, by the definitions that are in force.

        Raises:
            BadInputError: nothing was taken up.
        """
        now = self._clock()
        accounting.check_holdings(message, now)
        await self._decide(
            lambda definitions: recovery.lock(message, definitions),
            lambda book, known, _: recovery.report(book, message, known.definitions, now),
        )

    async def lose(self, holder: str) -> MicroUsd:
        """A pod is gone for good: charge what it still had as unknown; how much that is."""
        now = self._clock()
        return await self._store.transact(returns.holder_lock(holder), lambda book: returns.lose(book, holder, now))

    def recalls(self, epoch: Epoch) -> AsyncIterator[Recall | Recount]:
        """What the hub asks a sidecar back for, for as long as it listens.

        Raises:
            BadInputError: no boot has such an epoch.
        """
        bounds.require_epoch(epoch)
        return self._recalls.stream(epoch)

    async def recalled(self, message: Recalled) -> None:
        """A sidecar's answer to a recall, after its returns were taken.

        Raises:
            BadInputError: nobody is told.
        """
        accounting.check_recalled(message)
        self._recalls.answered(message)


class _OutdatedError(Exception):
    """Another edition is in force than the one known here: nothing may be decided by that."""


def _by(known: Known, observed: bool, step: Callable[[Book, Known, bool], T], book: Book) -> T:
    """Run a step, unless what is known is of another edition than what is in force in its transaction."""
    if book.edition != known.edition:
        raise _OutdatedError
    return step(book, known, observed)


def _is_short(reply: LeaseGrant | LeaseRefusal) -> TypeGuard[LeaseRefusal]:
    """Refused for want of money in one account."""
    return isinstance(reply, LeaseRefusal) and bool(reply.key)
