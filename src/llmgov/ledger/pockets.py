"""The leases of one epoch in memory, and what attempts hold from them; `llmgov.ledger.purse` says who gets what when.

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
import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from llmgov.instants import Instant
from llmgov.ledger import bounds, charging, definitions
from llmgov.ledger.commands import Command, Returned, Send, Write
from llmgov.ledger.messages import Charged, Epoch, Holding, Lease, LeaseGrant, LeaseReturn
from llmgov.money import MicroUsd
from llmgov.snapshot import Account

_ENDED: Instant = 0
"""When a lease that is not good any more ended: before every clock."""


@dataclasses.dataclass(slots=True, eq=False)
class Pocket:
    """One lease in memory. `ends` is its deadline by the sidecar's clock; an overrun may make `free` negative.

    `account` is the key of its account's definition: that of `lease`, without a user. `asked` is the definition that it
    was asked for under, `path` the charging path that it was asked for along.
    """

    lease: Lease
    account: str
    asked: Account | None
    ends: Instant
    free: MicroUsd
    path: tuple[str, ...] = ()
    holds: int = 0
    returns: int = 0
    returned: MicroUsd = 0

    def usable(self, now: Instant, *, strict: bool) -> MicroUsd:
        """What can be held from it: of a strict lease by a strict attempt only."""
        return max(0, self.free) if now < self.ends and self.serves(strict=strict) else 0

    def serves(self, *, strict: bool) -> bool:
        """Whether such an attempt may hold from it."""
        return strict or not self.lease.strict


@dataclasses.dataclass(frozen=True, slots=True)
class Asked:
    """What a grant answers: since when the sidecar asks, by its clock, the definition behind each account's key, and
    along which charging path.

    `outdated` says that other definitions may have come into force since.
    """

    at: Instant
    accounts: Mapping[str, Account]
    path: tuple[str, ...]
    outdated: bool


class Pockets:
    """All leases of an epoch. Once `closed`, nothing is kept that no attempt holds."""

    def __init__(self, epoch: Epoch) -> None:
        self.closed = False
        self._epoch = epoch
        self._all: dict[str, Pocket] = {}
        self._of: dict[str, list[Pocket]] = {}
        self._held: dict[str, tuple[Charged, ...]] = {}
        self._fingerprints: dict[str, str] = {}
        self._told: tuple[int, Instant] = (0, 0)

    def define(self, in_force: Mapping[str, Account], now: Instant) -> Iterator[Command]:
        """Definitions of accounts are in force, by their keys: give back what was lent under others."""
        self._fingerprints = {key: definitions.fingerprint(account) for key, account in in_force.items()}
        ended = [pocket for pocket in self._all.values() if not self._is_good(pocket)]
        for pocket in ended:
            self._end(pocket)
        return self._retire(ended, now)

    def take(self, grant: LeaseGrant, asked: Asked) -> list[Pocket]:
        """Take leases in; those that are to be looked at once they are on record: the new ones, and what they end."""
        # The hub's clock may differ, its durations do not; counted from the asking they never end too late.
        for lease in grant.leases:
            ends = asked.at + min(lease.deadline, lease.window_end) - grant.now
            account = asked.accounts.get(lease.key)
            key = lease.key if account is None else account.key
            pocket = Pocket(lease, key, account, ends, lease.amount, asked.path)
            if asked.outdated and not self._is_good(pocket):
                pocket.ends = _ENDED
            self._put(pocket)
        return self._end_other_windows(grant)

    def idle(self, key: str, now: Instant, *, strict: bool = True, most: int = bounds.MAX_PARTS) -> MicroUsd:
        """What could be held of an account at once, by an attempt that is strict or is not, from so many leases."""
        pockets = self._of.get(key, ())
        if len(pockets) > most:
            pockets = _largest(pockets, most, now, strict=strict)
        amount = 0
        for pocket in pockets:
            amount += pocket.usable(now, strict=strict)
        return amount

    def holds(self, attempt: str) -> bool:
        """Whether the attempt holds money."""
        return attempt in self._held

    def hold(
        self,
        attempt: str,
        keys: Iterable[str],
        amount: MicroUsd,
        now: Instant,
        *,
        strict: bool,
        most: int = bounds.MAX_PARTS,
    ) -> tuple[Charged, ...]:
        """Set `amount` aside in each account, all of which have as much in so many leases."""
        charged = tuple([part for key in keys for part in self._set_aside(key, amount, now, strict, most)])
        self._held[attempt] = charged
        return charged

    def settle(self, attempt: str, cost: MicroUsd, now: Instant) -> Iterator[Command]:
        """Replace what an attempt holds by what it cost; a second time changes nothing."""
        charged = self._held.pop(attempt, ())
        paid = charging.distribute(charged, cost)
        touched = [self._all[part.lease] for part in charged]
        for part, pocket in zip(charged, touched, strict=True):
            pocket.free += part.held - paid[part.lease]
            pocket.holds -= 1
        return self._retire(touched, now)

    def give_back_small(self, key: str, now: Instant, *, strict: bool, but: int) -> Iterator[Command]:
        """Return what could be held of an account, except from its largest leases, as many as `but`."""
        pockets = self._of.get(key, ())
        if len(pockets) > but:
            kept = set(map(id, _largest(pockets, but, now, strict=strict)))
            for pocket in tuple(pockets):
                if id(pocket) not in kept and pocket.usable(now, strict=strict):
                    yield from self._give_back(pocket)

    def give_back_idle(self, key: str, *, strict_only: bool = False) -> tuple[MicroUsd, list[Command]]:
        """Return what is idle of an account, or of its strict leases; how much that is."""
        idle = [each for each in self._of.get(key, ()) if each.free > 0 and (each.lease.strict or not strict_only)]
        amount = sum(pocket.free for pocket in idle)
        return amount, [command for pocket in idle for command in self._give_back(pocket)]

    def retire(self, now: Instant) -> Iterator[Command]:
        """Give back those that nothing can be held from any more: ended, used up, or all of them once closed."""
        return self._retire(self._all.values(), now)

    def retire_these(self, pockets: Iterable[Pocket], now: Instant) -> Iterator[Command]:
        """The same, of those that were touched."""
        return self._retire(pockets, now)

    def over(self, charged: Iterable[Charged]) -> dict[str, int]:
        """The accounts that would have refused had they been enforced, with the percentage that stood in the way."""
        leases = [self._all[part.lease].lease for part in charged]
        return {lease.key: lease.over for lease in leases if lease.over is not None}

    def holdings(self) -> tuple[Holding, ...]:
        """All leases, and what became of their money so far."""
        held = collections.Counter[str]()
        for part in itertools.chain.from_iterable(self._held.values()):
            held[part.lease] += part.held
        return tuple(_holding(pocket, held[pocket.lease.id]) for pocket in self._all.values())

    def next_deadline(self) -> Instant | None:
        """When a lease ends next, by the sidecar's clock."""
        return min((pocket.ends for pocket in self._all.values() if pocket.free > 0), default=None)

    def leases(self) -> tuple[Lease, ...]:
        """All of them."""
        return tuple(pocket.lease for pocket in self._all.values())

    @property
    def holding(self) -> int:
        """How many attempts hold money."""
        return len(self._held)

    def _is_good(self, pocket: Pocket) -> bool:
        """Whether its lease is by the definition in force here."""
        return self._fingerprints.get(pocket.account) == pocket.lease.definition

    def _end_other_windows(self, grant: LeaseGrant) -> list[Pocket]:
        """End leases whose windows do not contain the ledger's time; return them, and those that were just granted.

        The latest request tells that time: an earlier one's answer may be late, and the ledger's clock corrected.
        """
        self._told = max(self._told, (grant.request, grant.now))
        _, time = self._told
        ended = {lease.id: self._all[lease.id] for lease in grant.leases}
        for pocket in self._all.values():
            if not pocket.lease.window_start <= time < pocket.lease.window_end:
                self._end(pocket)
                ended[pocket.lease.id] = pocket
        return list(ended.values())

    def _put(self, pocket: Pocket) -> None:
        """Take a lease; those of an account are kept in the order in which they end."""
        self._all[pocket.lease.id] = pocket
        bisect.insort(self._of.setdefault(pocket.lease.key, []), pocket, key=_in_order)

    def _end(self, pocket: Pocket) -> None:
        """Hold no more from a lease, which is the first of its account's from then on."""
        siblings = self._of[pocket.lease.key]
        siblings.remove(pocket)
        pocket.ends = _ENDED
        bisect.insort(siblings, pocket, key=_in_order)

    def _drop(self, pocket: Pocket) -> None:
        del self._all[pocket.lease.id]
        siblings = self._of[pocket.lease.key]
        siblings.remove(pocket)
        if not siblings:
            del self._of[pocket.lease.key]

    def _set_aside(self, key: str, amount: MicroUsd, now: Instant, strict: bool, most: int) -> Iterator[Charged]:
        """Take `amount` from the account's leases, from the one that ends first on; a strict attempt first from those
        that no other may hold from; from the largest alone where there are more than may be named."""
        pockets = self._of.get(key, [])
        if len(pockets) > most:
            pockets = _largest(pockets, most, now, strict=strict)
        if strict and len(pockets) > 1:
            pockets = sorted(pockets, key=lambda pocket: not pocket.lease.strict)
        for pocket in pockets:
            part = min(pocket.usable(now, strict=strict), amount)
            if part > 0:
                pocket.free -= part
                pocket.holds += 1
                amount -= part
                yield Charged(pocket.lease.id, key, part)

    def _retire(self, pockets: Iterable[Pocket], now: Instant) -> Iterator[Command]:
        for pocket in tuple(pockets):
            over = now >= pocket.ends or self.closed
            if (over and pocket.free > 0) or (pocket.holds == 0 and (over or pocket.free <= 0)):
                yield from self._give_back(pocket)

    def _give_back(self, pocket: Pocket) -> Iterator[Command]:
        """Return what is free; for the last time where nothing is held."""
        pocket.returns += 1
        final = pocket.holds == 0
        amount = max(0, pocket.free)
        message = LeaseReturn(self._epoch, pocket.lease.id, pocket.returns, amount, final)
        pocket.free -= amount
        pocket.returned += amount
        if final:
            self._drop(pocket)
        yield Write(Returned(message), sync=False)
        yield Send(message)


def _largest(pockets: Sequence[Pocket], most: int, now: Instant, *, strict: bool) -> list[Pocket]:
    """The `most` of them that most can be held from, in their order."""
    chosen = heapq.nlargest(most, range(len(pockets)), key=lambda place: pockets[place].usable(now, strict=strict))
    return [pockets[place] for place in sorted(chosen)]


def _in_order(pocket: Pocket) -> tuple[Instant, str]:
    return pocket.ends, pocket.lease.id


def _holding(pocket: Pocket, held: MicroUsd) -> Holding:
    spent = pocket.lease.amount - pocket.free - held - pocket.returned
    return Holding(pocket.lease, spent, held, pocket.returned, pocket.returns, pocket.asked, pocket.path)
