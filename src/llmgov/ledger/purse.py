"""The sidecar's end of the lease protocol: the leases of one epoch, the holds on them, and who waits for money.

A state machine without I/O: methods take what happened and the sidecar's clock, and return commands (see
`llmgov.ledger.commands`) to be carried out in order. Every hold that was asked for ends in exactly one `Held` or
`Refused`, or is cancelled; every `Held` ends in `settle`.

Whoever waits is served in the order of asking among those that share an account. A wait ends by a grant, by money
that another attempt frees, or by a refusal, which also ends the waits that what remains could not satisfy.

A lease is good only under the definition of its account that it was lent by, which it names by fingerprint. When
another one comes into force here (`define`), what is idle goes back at once and is asked for anew, so that the ledger
decides by the new limit; what attempts hold already they keep. A change is published before sidecars are told of it, so
until then a lease by a definition that was never heard of here is by a newer one, and good.

All leases that can be held from are of windows that share a moment, so that an attempt is charged to one window of an
account, and to windows of one time. When a lease's window ends is a duration here, and this clock may be set back; but
a grant tells the ledger's time, and ends every lease whose window does not contain it.
"""

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import charging, definitions
from llmgov.ledger.commands import Command, Held, Leased, Refused, Returned, Send, Write
from llmgov.ledger.messages import (
    Charged,
    Epoch,
    Holding,
    Holdings,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    LeaseReturn,
    Need,
    Recall,
    Recalled,
    Recount,
    Why,
)
from llmgov.money import MicroUsd
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account

_ENDED: Instant = 0
"""When a lease that is not good any more ended: before every clock."""


class Wish(msgspec.Struct, frozen=True):
    """What an attempt needs: between `least` and `want` micro-USD in each account, the same in all.

    `attempt` names it in this purse alone: what is not dispatched has no id. `path` is its charging
    path; `approval` the id of a request's approval, which the hub consumes with the grant; `request_id` the request's.
    """

    attempt: str
    charges: tuple[Charge, ...]
    least: MicroUsd
    want: MicroUsd
    path: tuple[str, ...] = ()
    approval: str | None = None
    request_id: str = ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The accounts' keys, each once."""
        if len(self.charges) == 1:
            return (self.charges[0].key,)
        return tuple(dict.fromkeys(charge.key for charge in self.charges))


@dataclasses.dataclass(slots=True, eq=False)
class _Pocket:
    """One lease in memory. `ends` is its deadline by the sidecar's clock; an overrun may make `free` negative.

    `account` is the key of its account's definition: that of `lease`, without a user. `asked` is the definition that it
    was asked for under.
    """

    lease: Lease
    account: str
    asked: Account | None
    ends: Instant
    free: MicroUsd
    holds: int = 0
    returns: int = 0
    returned: MicroUsd = 0

    def usable(self, now: Instant) -> MicroUsd:
        return max(0, self.free) if now < self.ends else 0


@dataclasses.dataclass(slots=True)
class _Wait:
    """An attempt without its money yet, the `number`th that had to wait.

    `asked` is its request on its way, `answered` that the hub has answered one.
    """

    wish: Wish
    number: int = 0
    asked: int | None = None
    answered: bool = False


@dataclasses.dataclass(slots=True)
class _Asked:
    """A lease request on its way: since when, for which attempt, and up to which number attempts waited then.

    `accounts` names the definition behind each account's key; `outdated` that others may have come into force since.
    """

    at: Instant
    attempt: str
    waiting: int
    accounts: dict[str, Account]
    outdated: bool = False


class Purse:
    """The money of one epoch."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._pockets: dict[str, _Pocket] = {}
        self._of: dict[str, list[_Pocket]] = {}
        self._held: dict[str, tuple[Charged, ...]] = {}
        self._waits: dict[str, _Wait] = {}
        self._asked: dict[int, _Asked] = {}
        self._fingerprints: dict[str, str] = {}
        self._numbers = 0
        self._requests = 0
        self._told: tuple[int, Instant] = (0, 0)
        self._closed: Why | None = None

    def define(self, in_force: Mapping[str, Account], now: Instant) -> tuple[Command, ...]:
        """Definitions of accounts are in force, by their keys: give back what was lent under others.

        That is so even where they are those known before: there may have been others in between.
        """
        self._fingerprints = {key: definitions.fingerprint(account) for key, account in in_force.items()}
        for asked in self._asked.values():
            asked.outdated = True
        ended = [pocket for pocket in self._pockets.values() if not self._is_good(pocket)]
        for pocket in ended:
            pocket.ends = _ENDED
        return tuple(self._retire(ended, now))

    def hold(self, wish: Wish, now: Instant) -> tuple[Command, ...]:
        """Set money aside for an attempt, now or when commands of a later call say so.

        Raises:
            ValueError: the attempt holds or waits already; attempts' names are used once.
        """
        if wish.attempt in self._held or wish.attempt in self._waits:
            raise ValueError(f"attempt {wish.attempt} already has a hold")
        if self._closed is not None:
            return (Refused(wish.attempt, _closed(self._closed, now)),)
        wait = _Wait(wish)
        if not self._waits:  # nearly always: nobody waits, and the money is there
            held = self._take(wait, now)
            if held is not None:
                return (held,)
        self._numbers += 1
        wait.number = self._numbers
        self._waits[wish.attempt] = wait
        return tuple(self._serve(now))

    def settle(self, attempt: str, cost: MicroUsd, now: Instant) -> tuple[Command, ...]:
        """Replace the attempt's hold by its cost (0 where it was never dispatched); a second time changes nothing."""
        charged = self._held.pop(attempt, ())
        paid = charging.distribute(charged, cost)
        touched = [self._pockets[part.lease] for part in charged]
        for part, pocket in zip(charged, touched, strict=True):
            pocket.free += part.held - paid[part.lease]
            pocket.holds -= 1
        retired = tuple(self._retire(touched, now))
        return (*retired, *self._serve(now)) if self._waits else retired

    def cancel(self, attempt: str, now: Instant) -> tuple[Command, ...]:
        """The attempt gives up waiting; what the hub may still lend for it serves others."""
        self._waits.pop(attempt, None)
        return tuple(self._serve(now))

    def on_grant(self, grant: LeaseGrant, now: Instant) -> tuple[Command, ...]:
        """Take leases; a repeated grant changes nothing."""
        if grant.request not in self._asked:
            return ()
        asked = self._asked.pop(grant.request)
        # The hub's clock may differ, its durations do not; counted from the asking they never end too late.
        for lease in grant.leases:
            ends = asked.at + min(lease.deadline, lease.window_end) - grant.now
            account = asked.accounts.get(lease.key)
            pocket = _Pocket(lease, lease.key if account is None else account.key, account, ends, lease.amount)
            if asked.outdated and not self._is_good(pocket):
                pocket.ends = _ENDED
            self._put(pocket)
        ended = self._end_other_windows(grant)
        wait = self._waits.get(asked.attempt)
        if wait is not None and wait.asked == grant.request:
            wait.asked, wait.answered = None, True
        writes = (Write(Leased(lease), sync=True) for lease in grant.leases)
        return (*writes, *self._retire(ended, now), *self._serve(now))

    def on_refusal(self, refusal: LeaseRefusal, now: Instant) -> tuple[Command, ...]:
        """End the wait that asked, and those beside it that what remains would not satisfy either.

        A wait that it would satisfy now stays, and asks again: each time more has come back here, so this ends. It
        stays, too, where the refusal may have gone by a definition that is not in force any more.
        """
        if refusal.request not in self._asked:
            return ()
        asked = self._asked.pop(refusal.request)
        if refusal.why is Why.FENCED:
            return self._end(Why.FENCED, now)
        wait = self._waits.get(asked.attempt)
        if asked.outdated:
            if wait is not None and wait.asked == refusal.request:
                wait.asked = None
            return tuple(self._serve(now))
        ended = self._refused(wait, refusal, now) if wait is not None and wait.asked == refusal.request else ()
        return (*ended, *self._refuse_hopeless(refusal, asked.waiting, now), *self._serve(now))

    def on_recall(self, recall: Recall, now: Instant) -> tuple[Command, ...]:
        """Return what is idle of an account; who waits here keeps its place and is lent to again."""
        if recall.epoch != self.epoch:
            return ()
        commands = list(self._serve(now))
        idle = [pocket for pocket in self._of.get(recall.key, ()) if pocket.free > 0]
        amount = sum(pocket.free for pocket in idle)
        for pocket in idle:
            commands.extend(self._give_back(pocket))
        return (*commands, Send(Recalled(self.epoch, recall.key, amount, recall.ask)))

    def on_recount(self, recount: Recount, now: Instant) -> tuple[Command, ...]:
        """Tell the ledger what is lent here, since it may have lost that."""
        if recount.epoch != self.epoch:
            return ()
        closed = min(self._asked, default=self._requests + 1)
        return (Send(Holdings(self.epoch, recount.ledger, self.holdings(), closed)), *self._serve(now))

    def holdings(self) -> tuple[Holding, ...]:
        """All leases, and what became of their money so far."""
        held = collections.Counter[str]()
        for part in itertools.chain.from_iterable(self._held.values()):
            held[part.lease] += part.held
        return tuple(self._holding(pocket, held[pocket.lease.id]) for pocket in self._pockets.values())

    def _holding(self, pocket: _Pocket, held: MicroUsd) -> Holding:
        spent = pocket.lease.amount - pocket.free - held - pocket.returned
        return Holding(pocket.lease, spent, held, pocket.returned, pocket.returns, pocket.asked)

    def on_time(self, now: Instant) -> tuple[Command, ...]:
        """Give back what ended: to be called when `next_deadline` has passed."""
        return tuple(self._retire(self._pockets.values(), now))

    def next_deadline(self) -> Instant | None:
        """When a lease ends next, by the sidecar's clock."""
        return min((pocket.ends for pocket in self._pockets.values() if pocket.free > 0), default=None)

    def close(self, now: Instant) -> tuple[Command, ...]:
        """Take no new holds, refuse who waits, give back what is idle; the rest follows as attempts settle."""
        return self._end(Why.CLOSED, now)

    def open_leases(self) -> tuple[Lease, ...]:
        """Leases whose spool records must outlive the trimming of the spool."""
        return tuple(pocket.lease for pocket in self._pockets.values())

    def idle(self, key: str, now: Instant) -> MicroUsd:
        """What could be held of an account at once."""
        amount = 0
        for pocket in self._of.get(key, ()):
            amount += pocket.usable(now)
        return amount

    @property
    def waiting(self) -> int:
        """How many attempts wait for money."""
        return len(self._waits)

    @property
    def asking(self) -> int:
        """How many requests the hub has not answered."""
        return len(self._asked)

    @property
    def holding(self) -> int:
        """How many attempts hold money."""
        return len(self._held)

    def _is_good(self, pocket: _Pocket) -> bool:
        """Whether its lease is by the definition in force here."""
        return self._fingerprints.get(pocket.account) == pocket.lease.definition

    def _end_other_windows(self, grant: LeaseGrant) -> list[_Pocket]:
        """End leases whose windows do not contain the ledger's time; return them, and those that were just granted.

        The latest request tells that time: an earlier one's answer may be late, and the ledger's clock corrected.
        """
        self._told = max(self._told, (grant.request, grant.now))
        _, time = self._told
        ended = {lease.id: self._pockets[lease.id] for lease in grant.leases}
        for pocket in self._pockets.values():
            if not pocket.lease.window_start <= time < pocket.lease.window_end:
                pocket.ends = _ENDED
                ended[pocket.lease.id] = pocket
        return list(ended.values())

    def _put(self, pocket: _Pocket) -> None:
        """Take a lease; those of an account are kept in the order in which they end."""
        self._pockets[pocket.lease.id] = pocket
        siblings = self._of.setdefault(pocket.lease.key, [])
        bisect.insort(siblings, pocket, key=lambda each: (each.ends, each.lease.id))

    def _drop(self, pocket: _Pocket) -> None:
        del self._pockets[pocket.lease.id]
        siblings = self._of[pocket.lease.key]
        siblings.remove(pocket)
        if not siblings:
            del self._of[pocket.lease.key]

    def _serve(self, now: Instant) -> Iterator[Command]:
        """Hold for whoever can be served, and ask for the first of those that cannot, account by account."""
        behind: set[str] = set()
        for attempt, wait in list(self._waits.items()):
            first = behind.isdisjoint(wait.wish.keys)
            held = self._take(wait, now) if first else None
            if held is not None:
                del self._waits[attempt]
                yield held
                continue
            if first and wait.asked is None:
                yield self._ask(wait, now)
            behind.update(wait.wish.keys)

    def _take(self, wait: _Wait, now: Instant) -> Held | None:
        """Hold as much as is wanted, or, where the hub was asked, as much as there is."""
        wish, keys = wait.wish, wait.wish.keys
        amount, tightest = min([(self.idle(key, now), key) for key in keys], default=(wish.want, ""))
        enough = wish.least if wait.answered else wish.want
        if amount < enough or (wish.approval is not None and not wait.answered):
            return None
        if amount >= wish.want:
            amount, tightest = wish.want, ""
        charged = tuple([part for key in keys for part in self._set_aside(key, amount, now)])
        self._held[wish.attempt] = charged
        return Held(wish.attempt, amount, charged, self._over(charged), tightest)

    def _set_aside(self, key: str, amount: MicroUsd, now: Instant) -> Iterator[Charged]:
        """Take `amount` from the account's leases, from the one that ends first on."""
        for pocket in self._of.get(key, ()):
            part = min(pocket.usable(now), amount)
            if part > 0:
                pocket.free -= part
                pocket.holds += 1
                amount -= part
                yield Charged(pocket.lease.id, key, part)

    def _over(self, charged: Iterable[Charged]) -> dict[str, int]:
        leases = [self._pockets[part.lease].lease for part in charged]
        return {lease.key: lease.over for lease in leases if lease.over is not None}

    def _ask(self, wait: _Wait, now: Instant) -> Send:
        self._requests += 1
        wait.asked = self._requests
        wish = wait.wish
        needs = tuple(self._needs(wish, now))
        accounts = {need.key: need.account for need in needs}
        self._asked[self._requests] = _Asked(now, wish.attempt, self._numbers, accounts)
        approval = None if wait.answered else wish.approval  # a grant has consumed it, for this attempt
        charged = wish.keys if any(charge.enforced for charge in wish.charges) else ()
        first = min(self._asked)
        return Send(
            LeaseRequest(
                epoch=self.epoch,
                request=self._requests,
                needs=needs,
                path=wish.path,
                approval=approval,
                closed=first,
                accounts=charged,
                least=wish.least,
                request_id=wish.request_id,
            )
        )

    def _needs(self, wish: Wish, now: Instant) -> Iterator[Need]:
        """What is missing, and of each account better as much as all who wait for it want."""
        for charge in {charge.key: charge for charge in wish.charges}.values():
            idle = self.idle(charge.key, now)
            if idle < wish.want:
                wanted = sum(wait.wish.want for wait in self._waits.values() if charge.key in wait.wish.keys)
                yield Need(charge.key, charge.account, max(0, wish.least - idle), wanted - idle, charge.enforced)

    def _refused(self, wait: _Wait, refusal: LeaseRefusal, now: Instant) -> Iterator[Command]:
        """End a wait that the hub refused, unless money that came back here meanwhile makes what remains suffice."""
        attempt = wait.wish.attempt
        wait.asked, wait.answered = None, wait.wish.approval is None
        held = self._take(wait, now)
        if held is None and self._suffices(wait.wish, refusal, now):
            return
        del self._waits[attempt]
        yield held or self._refuse(attempt, refusal, now)

    def _suffices(self, wish: Wish, refusal: LeaseRefusal, now: Instant) -> bool:
        """Whether what the refusing account could still give would do now: it refused what was missing then."""
        return bool(refusal.key) and wish.least - self.idle(refusal.key, now) <= refusal.remaining

    def _refuse_hopeless(self, refusal: LeaseRefusal, waiting: int, now: Instant) -> Iterator[Command]:
        """Refuse who waited already when the hub was asked: for later ones, others may have money idle by now."""
        if not refusal.key:
            return
        for attempt, wait in list(self._waits.items()):
            wish = wait.wish
            bound = any(charge.key == refusal.key and charge.enforced for charge in wish.charges)
            if bound and wait.number <= waiting and wait.asked is None and not self._suffices(wish, refusal, now):
                del self._waits[attempt]
                yield self._refuse(attempt, refusal, now)

    def _refuse(self, attempt: str, refusal: LeaseRefusal, now: Instant) -> Refused:
        """The refusal as its attempt is concerned: what is idle here remains, too."""
        remaining = refusal.remaining + self.idle(refusal.key, now)
        return Refused(attempt, msgspec.structs.replace(refusal, remaining=remaining))

    def _retire(self, pockets: Iterable[_Pocket], now: Instant) -> Iterator[Command]:
        """Give back those that nothing can be held from any more: ended, used up, or all of them once closed."""
        for pocket in tuple(pockets):
            over = now >= pocket.ends or self._closed is not None
            if (over and pocket.free > 0) or (pocket.holds == 0 and (over or pocket.free <= 0)):
                yield from self._give_back(pocket)

    def _give_back(self, pocket: _Pocket) -> Iterator[Command]:
        """Return what is free; for the last time where nothing is held."""
        pocket.returns += 1
        final = pocket.holds == 0
        amount = max(0, pocket.free)
        message = LeaseReturn(self.epoch, pocket.lease.id, pocket.returns, amount, final)
        pocket.free -= amount
        pocket.returned += amount
        if final:
            self._drop(pocket)
        yield Write(Returned(message), sync=False)
        yield Send(message)

    def _end(self, why: Why, now: Instant) -> tuple[Command, ...]:
        self._closed = self._closed or why
        refused = [Refused(attempt, _closed(self._closed, now)) for attempt in self._waits]
        self._waits.clear()
        return (*refused, *self._retire(self._pockets.values(), now))


def _closed(why: Why, now: Instant) -> LeaseRefusal:
    return LeaseRefusal(0, why, "", 0, 0, now, now)
