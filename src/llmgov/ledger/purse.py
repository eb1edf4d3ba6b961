"""The sidecar's end of the lease protocol: who waits for money, and what is asked for, lent, held and given back.

A state machine without I/O: methods take what happened and the sidecar's clock, and return commands (see
`llmgov.ledger.commands`) to be carried out in order. Every hold that was asked for ends in exactly one `Held` or
`Refused`, or is cancelled; every `Held` ends in `settle`.

Whoever waits is served in the order of asking among those that share an account. A wait ends by a grant, by money
that another attempt frees, or by a refusal, which also ends the waits that what remains could not satisfy.

What is lent, and what of it may be held, is the business of `llmgov.ledger.pockets`. A lease has the mark of the
attempt that asked for it: from a strict one only strict attempts hold, and from the others all. So what an attempt that
is not strict cannot hold here goes back before it asks the ledger, which then lends it without the mark.
"""

import dataclasses
from collections.abc import Iterator, Mapping

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import bounds, reporting
from llmgov.ledger.commands import Command, Held, Leased, Refused, Send, Write
from llmgov.ledger.messages import (
    Epoch,
    Holding,
    Lease,
    LeaseGrant,
    LeaseRefusal,
    LeaseRequest,
    Need,
    Recall,
    Recalled,
    Recount,
    Why,
)
from llmgov.ledger.pockets import Asked, Pockets
from llmgov.money import MicroUsd
from llmgov.policy.decision import Charge
from llmgov.snapshot import Account


class Wish(msgspec.Struct, frozen=True):
    """What an attempt needs: between `least` and `want` micro-USD in each account, the same in all.

    `attempt` names it in this purse alone: what is not dispatched has no id. `path` is its charging
    path; `approval` the id of a request's approval, which the hub consumes with the grant; `request_id` the request's.
    Of a `strict` one the intent is on record at the hub before it is dispatched.
    """

    attempt: str
    charges: tuple[Charge, ...]
    least: MicroUsd
    want: MicroUsd
    path: tuple[str, ...] = ()
    approval: str | None = None
    request_id: str = ""
    strict: bool = False

    @property
    def keys(self) -> tuple[str, ...]:
        """The accounts' keys, each once."""
        if len(self.charges) == 1:
            return (self.charges[0].key,)
        return tuple(dict.fromkeys(charge.key for charge in self.charges))

    @property
    def parts(self) -> int:
        """From how many leases of each account it may hold, so that the ledger takes its intent."""
        return max(1, bounds.MAX_PARTS // max(1, len(self.charges)))

    @property
    def is_too_wide(self) -> bool:
        """Whether it is charged to more than the ledger takes of one attempt."""
        return len(self.charges) > bounds.MAX_PATH or len(self.path) > bounds.MAX_PATH


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

    `accounts` names the definition behind each account's key, `path` is that attempt's; `outdated` says that others may
    have come into force since.
    """

    at: Instant
    attempt: str
    waiting: int
    accounts: dict[str, Account]
    path: tuple[str, ...]
    outdated: bool = False


class Purse:
    """The money of one epoch."""

    def __init__(self, epoch: Epoch) -> None:
        self.epoch = epoch
        self._pockets = Pockets(epoch)
        self._waits: dict[str, _Wait] = {}
        self._asked: dict[int, _Asked] = {}
        self._numbers = 0
        self._requests = 0
        self._closed: Why | None = None

    def define(self, in_force: Mapping[str, Account], now: Instant) -> tuple[Command, ...]:
        """Definitions of accounts are in force, by their keys: give back what was lent under others.

        That is so even where they are those known before: there may have been others in between.
        """
        for asked in self._asked.values():
            asked.outdated = True
        return tuple(self._pockets.define(in_force, now))

    def hold(self, wish: Wish, now: Instant) -> tuple[Command, ...]:
        """Set money aside for an attempt, now or when commands of a later call say so.

        Raises:
            ValueError: the attempt holds or waits already; attempts' names are used once.
        """
        if self._pockets.holds(wish.attempt) or wish.attempt in self._waits:
            raise ValueError(f"attempt {wish.attempt} already has a hold")
        if self._closed is not None:
            return (Refused(wish.attempt, _closed(self._closed, now)),)
        if wish.is_too_wide:
            return (Refused(wish.attempt, _closed(Why.NOT_TAKEN, now)),)
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
        retired = tuple(self._pockets.settle(attempt, cost, now))
        return (*retired, *self._serve(now)) if self._waits else retired

    def cancel(self, attempt: str, now: Instant) -> tuple[Command, ...]:
        """The attempt gives up waiting; what the hub may still lend for it serves others."""
        self._waits.pop(attempt, None)
        return tuple(self._serve(now))

    def again(self, request: LeaseRequest) -> LeaseRequest:
        """A request as it is to be sent now: since it was made, others below it may have been answered."""
        return msgspec.structs.replace(request, closed=min(self._asked, default=request.closed))

    def on_grant(self, grant: LeaseGrant, now: Instant) -> tuple[Command, ...]:
        """Take leases; a repeated grant changes nothing."""
        if grant.request not in self._asked:
            return ()
        asked = self._asked.pop(grant.request)
        touched = self._pockets.take(grant, Asked(asked.at, asked.accounts, asked.path, asked.outdated))
        wait = self._waits.get(asked.attempt)
        if wait is not None and wait.asked == grant.request:
            wait.asked, wait.answered = None, True
        writes = (Write(Leased(lease), sync=True) for lease in grant.leases)
        return (*writes, *self._pockets.retire_these(touched, now), *self._serve(now))

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
        served = tuple(self._serve(now))
        amount, returned = self._pockets.give_back_idle(recall.key)
        return (*served, *returned, Send(Recalled(self.epoch, recall.key, amount, recall.ask)))

    def on_recount(self, recount: Recount, now: Instant) -> tuple[Command, ...]:
        """Tell the ledger what is lent here, since it may have lost that."""
        if recount.epoch != self.epoch:
            return ()
        closed = min(self._asked, default=self._requests + 1)
        report = reporting.messages(self.epoch, recount.ledger, self.holdings(), closed)
        return (*map(Send, report), *self._serve(now))

    def holdings(self) -> tuple[Holding, ...]:
        """All leases, and what became of their money so far."""
        return self._pockets.holdings()

    def on_time(self, now: Instant) -> tuple[Command, ...]:
        """Give back what ended: to be called when `next_deadline` has passed."""
        return tuple(self._pockets.retire(now))

    def next_deadline(self) -> Instant | None:
        """When a lease ends next, by the sidecar's clock."""
        return self._pockets.next_deadline()

    def close(self, now: Instant) -> tuple[Command, ...]:
        """Take no new holds, refuse who waits, give back what is idle; the rest follows as attempts settle."""
        return self._end(Why.CLOSED, now)

    def open_leases(self) -> tuple[Lease, ...]:
        """Leases whose spool records must outlive the trimming of the spool."""
        return self._pockets.leases()

    def idle(self, key: str, now: Instant) -> MicroUsd:
        """What could be held of an account at once."""
        return self._pockets.idle(key, now)

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
        return self._pockets.holding

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
                yield from self._exchange(wait.wish, now)
                yield self._ask(wait, now)
            behind.update(wait.wish.keys)

    def _take(self, wait: _Wait, now: Instant) -> Held | None:
        """Hold as much as is wanted, or, where the hub was asked, as much as there is."""
        wish, keys, parts = wait.wish, wait.wish.keys, wait.wish.parts
        idle = [(self._pockets.idle(key, now, strict=wish.strict, most=parts), key) for key in keys]
        amount, tightest = min(idle, default=(wish.want, ""))
        enough = wish.least if wait.answered else wish.want
        if amount < enough or (wish.approval is not None and not wait.answered):
            return None
        if amount >= wish.want:
            amount, tightest = wish.want, ""
        charged = self._pockets.hold(wish.attempt, keys, amount, now, strict=wish.strict, most=parts)
        return Held(wish.attempt, amount, charged, self._pockets.over(charged), tightest)

    def _exchange(self, wish: Wish, now: Instant) -> Iterator[Command]:
        """Give back what lies idle here of accounts that are short, and that the attempt may not hold from: strict
        leases where it is not strict, and of many small ones those that would be too many beside the one it asks for.
        """
        for key in wish.keys:
            if self._pockets.idle(key, now, strict=wish.strict, most=wish.parts) < wish.want:
                if not wish.strict:
                    yield from self._pockets.give_back_idle(key, strict_only=True)[1]
                yield from self._pockets.give_back_small(key, now, strict=wish.strict, but=wish.parts - 1)

    def _ask(self, wait: _Wait, now: Instant) -> Send:
        self._requests += 1
        wait.asked = self._requests
        wish = wait.wish
        needs = tuple(self._needs(wish, now))
        accounts = {need.key: need.account for need in needs}
        self._asked[self._requests] = _Asked(now, wish.attempt, self._numbers, accounts, wish.path)
        approval = None if wait.answered else wish.approval  # a grant has consumed it, for this attempt
        first = min(self._asked)
        return Send(
            LeaseRequest(
                epoch=self.epoch,
                request=self._requests,
                needs=needs,
                path=wish.path,
                approval=approval,
                closed=first,
                accounts=wish.keys,
                least=wish.least,
                request_id=wish.request_id,
                strict=wish.strict,
            )
        )

    def _needs(self, wish: Wish, now: Instant) -> Iterator[Need]:
        """What is missing, and of each account better as much as all who wait for it want."""
        for charge in {charge.key: charge for charge in wish.charges}.values():
            idle = self._pockets.idle(charge.key, now, strict=wish.strict, most=wish.parts)
            if idle < wish.want:
                served = (wait.wish for wait in self._waits.values() if wait.wish.strict or not wish.strict)
                wanted = sum(other.want for other in served if charge.key in other.keys)
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

    def _end(self, why: Why, now: Instant) -> tuple[Command, ...]:
        self._closed = self._closed or why
        self._pockets.closed = True
        refused = [Refused(attempt, _closed(self._closed, now)) for attempt in self._waits]
        self._waits.clear()
        return (*refused, *self._pockets.retire(now))


def _closed(why: Why, now: Instant) -> LeaseRefusal:
    return LeaseRefusal(0, why, "", 0, 0, now, now)
