"""Planted bugs of the sidecar: its purse, its spool, and what it makes of them when it starts."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from llmgov.instants import Instant
from llmgov.ledger import replay
from llmgov.ledger.messages import Epoch, LeaseGrant, LeaseRefusal, Outcome, Settlement
from llmgov.ledger.pockets import Pocket, Pockets
from llmgov.ledger.purse import Purse
from llmgov_sidecar import leasing, records
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.ends import Ends
from llmgov_sidecar.spool import Position
from tests.simulator.bug import Replace, bug
from tests.simulator.violation import Invariant


@bug("crashes", Invariant.SETTLED)
def attempt_known_by_its_sequence_alone(replace: Replace) -> None:
    """An attempt's id is its sidecar's sequence without the epoch: what a later boot does looks like a repetition."""

    def init(self: records.Sequence, epoch: Epoch) -> None:
        sequence(self, Epoch(epoch.holder, 1))

    sequence = records.Sequence.__init__
    replace(records.Sequence, "__init__", init)


@bug("rollover", Invariant.SETTLED)
def windows_held_from_together(replace: Replace) -> None:
    """A sidecar whose clock was set back when a window ended holds for one attempt from that one and from the next."""

    def end_none(self: Pockets, grant: LeaseGrant) -> list[Pocket]:
        return [self._all[lease.id] for lease in grant.leases]

    replace(Pockets, "_end_other_windows", end_none)


@bug("power", Invariant.SYNCED)
def spent_from_before_it_is_on_the_disk(replace: Replace) -> None:
    """A lease is written to the spool, and nobody waits until it is synced."""
    replace(leasing, "_must_sync", lambda command: False)


@bug("contention", Invariant.LIMIT, Invariant.RETURNED)
def recall_gives_back_what_is_held(replace: Replace) -> None:
    """Recalled money includes what attempts in flight hold."""
    on_recall = Purse.on_recall

    def generous(self: Purse, recall: Any, now: Instant) -> Any:
        pockets = self._pockets
        for charged in pockets._held.values():
            for part in charged:
                if part.key == recall.key and pockets._all[part.lease].free == 0:
                    pockets._all[part.lease].free += part.held
        return on_recall(self, recall, now)

    replace(Purse, "on_recall", generous)


@bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def spool_attempt_holds_from_a_strict_lease(replace: Replace) -> None:
    """An attempt whose intent waits in the spool holds from a lease that was lent to strict ones."""
    replace(Pocket, "serves", lambda self, *, strict: True)


@bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def intent_that_was_put_aside_is_dispatched(replace: Replace) -> None:
    """A strict attempt waits until the hub has answered, whatever the answer says."""

    async def answered(self: Delivery, intent: str, position: Position, seconds: float) -> bool:
        return await self.wait(position, seconds)

    replace(Delivery, "taken", answered)


@bug("power", Invariant.COUNTED, Invariant.LIMIT, Invariant.LEASED)
def torn_spool_trusted(replace: Replace) -> None:
    """After the death of its machine a sidecar believes that its spool is whole."""
    read = replay.replay
    replace(replay, "replay", lambda records, epoch, now, torn: read(records, epoch, now, torn=False))


@bug("crashes", Invariant.LIMIT, Invariant.SETTLED)
def attempt_without_an_end_is_free(replace: Replace) -> None:
    """A restart believes that what has no answer cost nothing."""
    unknown = replay._unknown

    def free(intent: Any, now: Instant) -> Any:
        return msgspec.structs.replace(unknown(intent, now), cost=0, outcome=Outcome.FREE)

    replace(replay, "_unknown", free)


@bug("expiry", Invariant.DEADLINE)
def ended_lease_still_held_from(replace: Replace) -> None:
    """A sidecar holds from a lease whose deadline has passed."""
    replace(Pocket, "usable", lambda self, now, strict: max(0, self.free))


@bug("rollover", Invariant.DEADLINE)
def deadline_read_by_the_wrong_clock(replace: Replace) -> None:
    """A lease's deadline is compared with the sidecar's own clock, as if that were the ledger's."""
    put = Pockets._put

    def absolute(self: Pockets, pocket: Pocket) -> None:
        if pocket.ends:
            pocket.ends = min(pocket.lease.deadline, pocket.lease.window_end)
        put(self, pocket)

    replace(Pockets, "_put", absolute)


@bug("power", Invariant.SETTLED)
def money_let_go_before_its_end_is_on_record(replace: Replace) -> None:
    """The disk refuses the end of an attempt, and its money is let go all the same."""

    def put(self: Ends, settlement: Settlement, recorded: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            self._journal.end_attempt(settlement)
        recorded()

    replace(Ends, "put", put)


@bug("changes", Invariant.DEFINITION)
def old_definition_goes_on(replace: Replace) -> None:
    """A sidecar that has heard of another limit holds from what it was lent under the old one."""
    replace(Pockets, "_is_good", lambda self, pocket: True)


@bug("contention", Invariant.REFUSAL)
def refusal_of_one_refuses_all(replace: Replace) -> None:
    """A refusal ends the waits of all that need its account, also where what remains would serve them."""

    def refuse(self: Purse, refusal: LeaseRefusal, waiting: int, now: Instant) -> Iterator[Any]:
        for attempt, wait in list(self._waits.items()):
            if wait.asked is None and any(charge.key == refusal.key for charge in wait.wish.charges):
                del self._waits[attempt]
                yield self._refuse(attempt, refusal, now)

    replace(Purse, "_refuse_hopeless", refuse)


@bug("contention", Invariant.REFUSAL)
def refusal_is_not_looked_at_again(replace: Replace) -> None:
    """A refusal stands, whatever has come back to the sidecar since it asked, and whatever remains for others."""
    replace(Purse, "_suffices", lambda self, *arguments: False)


@bug("expiry", Invariant.DEADLINE)
def deadline_counted_from_the_answer(replace: Replace) -> None:
    """A lease's time is counted from when the answer came, as if it had been on its way for no time."""
    on_grant = Purse.on_grant

    def late(self: Purse, grant: LeaseGrant, now: Instant) -> Any:
        if grant.request in self._asked:
            self._asked[grant.request].at = now
        return on_grant(self, grant, now)

    replace(Purse, "on_grant", late)
