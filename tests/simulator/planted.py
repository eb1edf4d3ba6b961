"""Protocol bugs that somebody might write one day, planted by name: the simulator must find each.

Every one is small and plausible, and silent as long as nothing is lost, late or dead. Each says which invariants it may
break first: a bug that shows as anything else is not the bug that it says it is, or the oracle looks at something else.
"""

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from llmgov.instants import SECOND, Instant
from llmgov.ledger import (
    approvals,
    candidates,
    ceilings,
    charging,
    checks,
    epochs,
    grants,
    lives,
    moves,
    recovery,
    replay,
    returns,
    settling,
)
from llmgov.ledger.book import Book
from llmgov.ledger.messages import Epoch, Event, Inventory, LeaseGrant, LeaseRefusal, LeaseRequest, Outcome, Settlement
from llmgov.ledger.pockets import Pocket, Pockets
from llmgov.ledger.purse import Purse
from llmgov.ledger.rows import ApprovalRow, ApprovalState, LeaseState
from llmgov_hub.configuration import Configuration
from llmgov_hub.events import Events
from llmgov_hub.leases import Leases
from llmgov_hub.recalls import Recalls
from llmgov_sidecar import leasing, records
from llmgov_sidecar.delivery import Delivery
from llmgov_sidecar.ends import Ends
from llmgov_sidecar.spool import Position
from tests.simulator import shape
from tests.simulator.violation import Invariant
from tests.simulator.world import Result, run

Replace = Callable[[Any, str, object], None]


@dataclasses.dataclass(frozen=True)
class Bug:
    """A bug: what is wrong, in which kind of world it shows soonest, what it breaks first there, and how it is
    planted."""

    what: str
    kind: str
    breaks: frozenset[Invariant]
    plant: Callable[[Replace], None]


BUGS: dict[str, Bug] = {}


def _bug(kind: str, *breaks: Invariant) -> Callable[[Callable[[Replace], None]], Callable[[Replace], None]]:
    """Enter a bug under its function's name; the function's docstring says what is wrong."""

    def enter(plant: Callable[[Replace], None]) -> Callable[[Replace], None]:
        BUGS[plant.__name__] = Bug((plant.__doc__ or "").strip(), kind, frozenset(breaks), plant)
        return plant

    return enter


@contextlib.contextmanager
def planted(name: str) -> Iterator[None]:
    """The code with the bug of that name, for as long as this lasts; the empty name plants none."""
    with contextlib.ExitStack() as undo:

        def replace(owner: Any, attribute: str, value: object) -> None:
            undo.callback(setattr, owner, attribute, getattr(owner, attribute))
            setattr(owner, attribute, value)

        if name:
            BUGS[name].plant(replace)
        yield


def seeds(kind: str) -> range:
    """The seeds of a test run whose worlds are of that kind, in order."""
    return range(shape.KINDS.index(kind), shape.SEEDS, len(shape.KINDS))


def find(name: str) -> tuple[int, Result | None]:
    """Look for a planted bug in the worlds of its kind, in order: how many were tried, and what the last one found."""
    tried = 0
    with planted(name):
        for seed in seeds(BUGS[name].kind):
            tried += 1
            result = run(seed, keep=60)
            if result.violation is not None:
                return tried, result
    return tried, None


@_bug("expiry", Invariant.RETURNED, Invariant.LIMIT)
def expiry_returns_money(replace: Replace) -> None:
    """The hub takes leases back once their deadline has passed, though their holders may have dispatched."""
    look_again = Leases.look_again

    async def sweep(self: Leases) -> None:
        await look_again(self)
        now = self._clock()

        def step(book: Book) -> None:
            for lease in list(book.leases.values()):
                if lease.deadline <= now and lease.state is LeaseState.OPEN:
                    rest = lease.returned + lease.outstanding
                    moves.change_lease(book, msgspec.structs.replace(lease, returned=rest), now)

        for number in range(4):
            await self._store.transact(returns.holder_lock(f"pod-{number}"), step)

    replace(Leases, "look_again", sweep)


@_bug("crashes", Invariant.FENCING)
def request_known_by_the_senders_number_alone(replace: Replace) -> None:
    """A lease is identified by the number that its sender chose, without the epoch; after a start they repeat."""

    def lease_id(request: LeaseRequest, index: int) -> str:
        return f"{request.epoch.holder}:1/{request.request}/{index}"

    replace(grants, "_lease_id", lease_id)


@_bug("crashes", Invariant.SETTLED)
def attempt_known_by_its_sequence_alone(replace: Replace) -> None:
    """An attempt's id is its sidecar's sequence without the epoch: what a later boot does looks like a repetition."""

    def init(self: records.Sequence, epoch: Epoch) -> None:
        sequence(self, Epoch(epoch.holder, 1))

    sequence = records.Sequence.__init__
    replace(records.Sequence, "__init__", init)


@_bug("failover", Invariant.FENCING)
def fencing_ignored(replace: Replace) -> None:
    """An epoch that a newer one has fenced is lent to all the same."""

    def admit(book: Book, epoch: Epoch) -> bool:
        admitted(book, epoch)
        return True

    admitted = epochs.admit
    replace(epochs, "admit", admit)


@_bug("network", Invariant.SUMS, Invariant.REFUSAL)
def settled_as_often_as_told(replace: Replace) -> None:
    """A settlement that arrives again is charged again."""
    record = settling.record

    def again(book: Book, half: Any, now: Instant) -> bool:
        known = book.attempts.get(half.id)
        if known is not None and known.settlement is not None and known.settlement == half:
            book.attempts[half.id] = msgspec.structs.replace(known, settlement=None)
        return record(book, half, now)

    replace(settling, "record", again)


@_bug("rollover", Invariant.WINDOW)
def old_window_goes_on(replace: Replace) -> None:
    """For half a minute after a window has ended its money is still lent."""
    lock, look_up = candidates.lock, candidates.look_up
    late = 30 * SECOND
    replace(candidates, "lock", lambda need, definitions, now: lock(need, definitions, now - late))
    replace(
        candidates,
        "look_up",
        lambda book, need, definitions, now, *whole: look_up(book, need, definitions, now - late, *whole),
    )


@_bug("rollover", Invariant.SETTLED)
def windows_held_from_together(replace: Replace) -> None:
    """A sidecar whose clock was set back when a window ended holds for one attempt from that one and from the next."""

    def end_none(self: Pockets, grant: LeaseGrant) -> list[Pocket]:
        return [self._all[lease.id] for lease in grant.leases]

    replace(Pockets, "_end_other_windows", end_none)


@_bug("power", Invariant.SYNCED)
def spent_from_before_it_is_on_the_disk(replace: Replace) -> None:
    """A lease is written to the spool, and nobody waits until it is synced."""
    replace(leasing, "_must_sync", lambda command: False)


@_bug("contention", Invariant.RETURNED, Invariant.LIMIT)
def return_counted_as_often_as_told(replace: Replace) -> None:
    """A return that arrives again gives back once more."""
    replace(Book, "put_return", lambda self, lease, serial: None)


@_bug("expiry", Invariant.RETURNED, Invariant.LIMIT)
def inventory_frees_what_is_in_use(replace: Replace) -> None:
    """An inventory frees every lease of its holder that it does not name, also those that were lent since."""
    take = returns.take_inventory

    def everything(book: Book, message: Inventory, now: Instant) -> int:
        freed = take(book, message, now)
        for lease in list(book.leases.values()):
            if lease.epoch == message.epoch and lease.spent == 0:
                rest = lease.returned + lease.outstanding
                moves.change_lease(book, msgspec.structs.replace(lease, returned=rest), now)
        return freed

    replace(returns, "take_inventory", everything)


@_bug("contention", Invariant.LIMIT, Invariant.RETURNED)
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


@_bug("calm", Invariant.THRESHOLD, Invariant.LIMIT)
def only_one_account_is_checked(replace: Replace) -> None:
    """Of the accounts of a path only the first one is looked at."""
    stopping = grants._stopping

    def first(book: Book, request: LeaseRequest, found: Sequence[Any], *rest: Any) -> Any:
        return stopping(book, request, found[:1], *rest)

    replace(grants, "_stopping", first)


@_bug("network", Invariant.LEASED, Invariant.REFUSAL)
def late_copy_of_a_refused_request_granted(replace: Replace) -> None:
    """A copy of a request that was refused arrives when there is money again, and is lent what nobody waits for."""
    replace(epochs, "is_answered", lambda book, request: False)


@_bug("approvals", Invariant.APPROVAL)
def approval_used_twice(replace: Replace) -> None:
    """An approval is looked at and not used up."""
    replace(grants, "_consume", lambda book, request: None)


@_bug("approvals", Invariant.APPROVAL)
def approval_not_waited_for(replace: Replace) -> None:
    """An approval that somebody has asked for is as good as one that was given."""

    def usable(row: ApprovalRow, now: Instant) -> bool:
        return row.state in (ApprovalState.PENDING, ApprovalState.APPROVED)

    replace(approvals, "usable", usable)


@_bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def lost_pods_money_is_freed(replace: Replace) -> None:
    """What a lost pod has outstanding is lent to others, since 'it cannot spend any more'."""
    lose = returns.lose

    def free(book: Book, holder: str, now: Instant) -> int:
        lost = lose(book, holder, now)
        for lease in list(book.leases.values()):
            rest = lease.returned + lease.outstanding
            moves.change_lease(book, msgspec.structs.replace(lease, returned=rest), now)
        return lost

    replace(returns, "lose", free)


@_bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def lost_pods_ordinary_lease_is_freed_as_if_it_were_strict(replace: Replace) -> None:
    """Of a lost pod's lease all comes back that no attempt on record claims, also where attempts need not be on it."""
    replace(returns, "_tells_all", lambda lease, life: True)


@_bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def spool_attempt_holds_from_a_strict_lease(replace: Replace) -> None:
    """An attempt whose intent waits in the spool holds from a lease that was lent to strict ones."""
    replace(Pocket, "serves", lambda self, *, strict: True)


@_bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def intent_of_a_pod_that_was_written_off_is_taken(replace: Replace) -> None:
    """An intent that comes after its pod was written off is put on record, and dispatched from money that came back."""
    replace(checks, "_require_kept", lambda book, intent, part, field: None)


@_bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def intent_that_was_put_aside_is_dispatched(replace: Replace) -> None:
    """A strict attempt waits until the hub has answered, whatever the answer says."""

    async def answered(self: Delivery, intent: str, position: Position, seconds: float) -> bool:
        return await self.wait(position, seconds)

    replace(Delivery, "taken", answered)


@_bug("lost", Invariant.UNKNOWN)
def strict_lease_of_a_lost_pod_stays_unknown(replace: Replace) -> None:
    """What no attempt on record claims of a strict lease does not come back when its pod is lost."""
    replace(returns, "_tells_all", lambda lease, life: False)


@_bug("power", Invariant.COUNTED, Invariant.LIMIT, Invariant.LEASED)
def torn_spool_trusted(replace: Replace) -> None:
    """After the death of its machine a sidecar believes that its spool is whole."""
    read = replay.replay
    replace(replay, "replay", lambda records, epoch, now, torn: read(records, epoch, now, torn=False))


@_bug("crashes", Invariant.SETTLED)
def settlement_of_an_old_epoch_ignored(replace: Replace) -> None:
    """What an older boot reports is dropped, since its epoch is fenced."""
    newest: dict[str, int] = {}
    register, deliver = Leases.register, Events.deliver

    async def noted(self: Leases, holder: str) -> Epoch:
        epoch = await register(self, holder)
        newest[holder] = epoch.number
        return epoch

    async def only_newest(self: Events, events: Sequence[Event]) -> tuple[str, ...]:
        def current(event: Event) -> bool:
            holder, _, rest = event.id.partition(":")
            return int(rest.partition("/")[0]) >= newest.get(holder, 0)

        return await deliver(self, tuple(filter(current, events)))

    replace(Leases, "register", noted)
    replace(Events, "deliver", only_newest)


@_bug("crashes", Invariant.LIMIT, Invariant.SETTLED)
def attempt_without_an_end_is_free(replace: Replace) -> None:
    """A restart believes that what has no answer cost nothing."""
    unknown = replay._unknown

    def free(intent: Any, now: Instant) -> Any:
        return msgspec.structs.replace(unknown(intent, now), cost=0, outcome=Outcome.FREE)

    replace(replay, "_unknown", free)


@_bug("approvals", Invariant.THRESHOLD)
def threshold_crossed(replace: Replace) -> None:
    """Leases go up to the limit, past thresholds that nobody opened."""
    replace(ceilings, "ceiling", lambda account, window, opened: ceilings.Ceiling(account.limit, 100, False))


@_bug("expiry", Invariant.DEADLINE)
def ended_lease_still_held_from(replace: Replace) -> None:
    """A sidecar holds from a lease whose deadline has passed."""
    replace(Pocket, "usable", lambda self, now, strict: max(0, self.free))


@_bug("rollover", Invariant.DEADLINE)
def deadline_read_by_the_wrong_clock(replace: Replace) -> None:
    """A lease's deadline is compared with the sidecar's own clock, as if that were the ledger's."""
    put = Pockets._put

    def absolute(self: Pockets, pocket: Pocket) -> None:
        if pocket.ends:
            pocket.ends = min(pocket.lease.deadline, pocket.lease.window_end)
        put(self, pocket)

    replace(Pockets, "_put", absolute)


@_bug("network", Invariant.REFUSAL, Invariant.LEASED, Invariant.SUMS)
def repeated_request_lent_again(replace: Replace) -> None:
    """A request that is repeated because its answer got lost is lent for once more."""
    grant = grants.grant

    def forgetful(book: Book, request: LeaseRequest, *arguments: Any, **named: Any) -> Any:
        for index in range(len(request.needs)):
            book.leases.pop(grants._lease_id(request, index), None)
        return grant(book, request, *arguments, **named)

    replace(grants, "grant", forgetful)


@_bug("rollover", Invariant.REFUSAL)
def nobody_is_asked_for_idle_money(replace: Replace) -> None:
    """The hub says no while money lies idle with other sidecars."""

    async def collect(self: Recalls, key: str, asked: Any) -> int:
        return 0

    replace(Recalls, "collect", collect)


@_bug("changes", Invariant.THRESHOLD, Invariant.LIMIT)
def old_limit_goes_on(replace: Replace) -> None:
    """A replica goes on lending by the limits that it read when it started."""
    decide = Leases._decide

    async def stale(self: Leases, *arguments: Any) -> Any:
        before, self._edition = self._edition, await self._store.edition()
        try:
            return await decide(self, *arguments)
        finally:
            self._edition = before

    async def follow(self: Configuration, look_seconds: float = 0) -> None:
        """Nobody looks again."""

    replace(Leases, "_decide", stale)
    replace(Configuration, "follow", follow)


@_bug("calm", Invariant.LIMIT, Invariant.RETURNED, Invariant.SUMS, Invariant.SPENT)
def only_the_first_lease_pays(replace: Replace) -> None:
    """Of an attempt that held from two leases only the first one pays."""

    def first(charged: Any, cost: int) -> dict[str, int]:
        return {part.lease: 0 if index else min(part.held, cost) for index, part in enumerate(charged)}

    replace(charging, "distribute", first)


@_bug("network", Invariant.ANSWER)
def registration_fences(replace: Replace) -> None:
    """A registration fences the older boots, also where it is carried out after its sidecar has given up on it."""
    register = epochs.register

    def fencing(book: Book, holder: str) -> Epoch:
        epoch = register(book, holder)
        epochs.admit(book, epoch)
        return epoch

    replace(epochs, "register", fencing)


@_bug("power", Invariant.SETTLED)
def money_let_go_before_its_end_is_on_record(replace: Replace) -> None:
    """The disk refuses the end of an attempt, and its money is let go all the same."""

    def put(self: Ends, settlement: Settlement, recorded: Callable[[], None]) -> None:
        with contextlib.suppress(OSError):
            self._journal.end_attempt(settlement)
        recorded()

    replace(Ends, "put", put)


@_bug("failover", Invariant.RECOVERY)
def lends_while_it_recovers(replace: Replace) -> None:
    """After a failover the ledger lends at once."""
    is_open = lives.is_open

    def always(book: Book, now: Instant) -> bool:
        is_open(book, now)
        return True

    replace(lives, "is_open", always)


@_bug("failover", Invariant.RECOVERY)
def lends_again_without_hearing_from_all(replace: Replace) -> None:
    """After a failover the ledger lends again after half a minute, whoever has not reported yet."""
    reopen = lives.reopen
    replace(lives, "reopen", lambda book, unreported, now: reopen(book, [], now))


@_bug("failover", Invariant.RECOVERY)
def reports_are_not_taken_up(replace: Replace) -> None:
    """What holders report after a failover is heard, and nothing of it put into the ledger."""
    replace(recovery, "_take_up", lambda *arguments: None)
    replace(recovery, "_raise", lambda *arguments: None)


@_bug("changes", Invariant.DEFINITION)
def old_definition_goes_on(replace: Replace) -> None:
    """A sidecar that has heard of another limit holds from what it was lent under the old one."""
    replace(Pockets, "_is_good", lambda self, pocket: True)


@_bug("contention", Invariant.REFUSAL)
def refusal_of_one_refuses_all(replace: Replace) -> None:
    """A refusal ends the waits of all that need its account, also where what remains would serve them."""

    def refuse(self: Purse, refusal: LeaseRefusal, waiting: int, now: Instant) -> Iterator[Any]:
        for attempt, wait in list(self._waits.items()):
            if wait.asked is None and any(charge.key == refusal.key for charge in wait.wish.charges):
                del self._waits[attempt]
                yield self._refuse(attempt, refusal, now)

    replace(Purse, "_refuse_hopeless", refuse)


@_bug("contention", Invariant.REFUSAL)
def refusal_is_not_looked_at_again(replace: Replace) -> None:
    """A refusal stands, whatever has come back to the sidecar since it asked, and whatever remains for others."""
    replace(Purse, "_suffices", lambda self, *arguments: False)


@_bug("expiry", Invariant.DEADLINE)
def deadline_counted_from_the_answer(replace: Replace) -> None:
    """A lease's time is counted from when the answer came, as if it had been on its way for no time."""
    on_grant = Purse.on_grant

    def late(self: Purse, grant: LeaseGrant, now: Instant) -> Any:
        if grant.request in self._asked:
            self._asked[grant.request].at = now
        return on_grant(self, grant, now)

    replace(Purse, "on_grant", late)
