"""Planted bugs of the ledger and the hub: what somebody might write there one day."""

from collections.abc import Sequence
from typing import Any

import msgspec

from llmgov.instants import SECOND, Instant
from llmgov.ledger import (
    approvals,
    candidates,
    ceilings,
    charging,
    checks,
    corrections,
    epochs,
    grants,
    moves,
    pruning,
    returns,
    settling,
    timing,
)
from llmgov.ledger.book import Book
from llmgov.ledger.corrections import Order
from llmgov.ledger.messages import Epoch, Event, Inventory, LeaseRequest
from llmgov.ledger.rows import ApprovalRow, ApprovalState, Correction, CorrectionKind, LeaseRow, LeaseState
from llmgov_hub.configuration import Configuration
from llmgov_hub.events import Events
from llmgov_hub.in_force import Known
from llmgov_hub.leases import Leases
from llmgov_hub.recalls import Recalls
from tests.simulator.bug import Replace, bug
from tests.simulator.violation import Invariant


@bug("expiry", Invariant.RETURNED, Invariant.LIMIT)
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


@bug("crashes", Invariant.FENCING)
def request_known_by_the_senders_number_alone(replace: Replace) -> None:
    """A lease is identified by the number that its sender chose, without the epoch; after a start they repeat."""

    def lease_ids(request: LeaseRequest) -> tuple[str, ...]:
        return tuple(f"{request.epoch.holder}:1/{request.request}/{index}" for index in range(len(request.needs)))

    replace(grants, "_lease_ids", lease_ids)


@bug("failover", Invariant.FENCING)
def fencing_ignored(replace: Replace) -> None:
    """An epoch that a newer one has fenced is lent to all the same."""

    def admit(book: Book, epoch: Epoch) -> bool:
        admitted(book, epoch)
        return True

    admitted = epochs.admit
    replace(epochs, "admit", admit)


@bug("network", Invariant.SUMS, Invariant.REFUSAL)
def settled_as_often_as_told(replace: Replace) -> None:
    """A settlement that arrives again is charged again."""
    record = settling.record

    def again(book: Book, half: Any, now: Instant) -> bool:
        known = book.attempts.get(half.id)
        if known is not None and known.settlement is not None and known.settlement == half:
            book.attempts[half.id] = msgspec.structs.replace(known, settlement=None)
        return record(book, half, now)

    replace(settling, "record", again)


@bug("rollover", Invariant.WINDOW)
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


@bug("contention", Invariant.RETURNED, Invariant.LIMIT)
def return_counted_as_often_as_told(replace: Replace) -> None:
    """A return that arrives again gives back once more."""
    replace(Book, "put_return", lambda self, lease, serial: None)


@bug("expiry", Invariant.RETURNED, Invariant.LIMIT)
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


@bug("calm", Invariant.THRESHOLD, Invariant.LIMIT)
def only_one_account_is_checked(replace: Replace) -> None:
    """Of the accounts of a path only the first one is looked at."""
    stopping = grants._stopping

    def first(book: Book, request: LeaseRequest, found: Sequence[Any], *rest: Any) -> Any:
        return stopping(book, request, found[:1], *rest)

    replace(grants, "_stopping", first)


@bug("network", Invariant.LEASED, Invariant.REFUSAL)
def late_copy_of_a_refused_request_granted(replace: Replace) -> None:
    """A copy of a request that was refused arrives when there is money again, and is lent what nobody waits for."""
    replace(epochs, "is_answered", lambda book, request: False)


@bug("approvals", Invariant.APPROVAL)
def approval_used_twice(replace: Replace) -> None:
    """An approval is looked at and not used up."""
    replace(grants, "_consume", lambda book, request: None)


@bug("approvals", Invariant.APPROVAL)
def approval_not_waited_for(replace: Replace) -> None:
    """An approval that somebody has asked for is as good as one that was given."""

    def usable(row: ApprovalRow, now: Instant) -> bool:
        return row.state in (ApprovalState.PENDING, ApprovalState.APPROVED)

    replace(approvals, "usable", usable)


@bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
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


@bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def lost_pods_ordinary_lease_is_freed_as_if_it_were_strict(replace: Replace) -> None:
    """Of a lost pod's lease all comes back that no attempt on record claims, also where attempts need not be on it."""
    replace(returns, "_tells_all", lambda lease, life: True)


@bug("lost", Invariant.LIMIT, Invariant.COUNTED, Invariant.RETURNED)
def intent_of_a_pod_that_was_written_off_is_taken(replace: Replace) -> None:
    """An intent that comes after its pod was written off is put on record, and dispatched from money that came back."""
    replace(checks, "_require_kept", lambda book, intent, part, field: None)


@bug("lost", Invariant.UNKNOWN)
def strict_lease_of_a_lost_pod_stays_unknown(replace: Replace) -> None:
    """What no attempt on record claims of a strict lease does not come back when its pod is lost."""
    replace(returns, "_tells_all", lambda lease, life: False)


@bug("crashes", Invariant.SETTLED)
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


@bug("approvals", Invariant.THRESHOLD)
def threshold_crossed(replace: Replace) -> None:
    """Leases go up to the limit, past thresholds that nobody opened."""
    replace(ceilings, "ceiling", lambda account, window, opened: ceilings.Ceiling(account.limit, 100, False))


@bug("network", Invariant.REFUSAL, Invariant.LEASED, Invariant.SUMS)
def repeated_request_lent_again(replace: Replace) -> None:
    """A request that is repeated because its answer got lost is lent for once more."""
    grant = grants.grant

    def forgetful(book: Book, request: LeaseRequest, *arguments: Any, **named: Any) -> Any:
        for id_ in grants._lease_ids(request):
            book.leases.pop(id_, None)
        return grant(book, request, *arguments, **named)

    replace(grants, "grant", forgetful)


@bug("rollover", Invariant.REFUSAL)
def nobody_is_asked_for_idle_money(replace: Replace) -> None:
    """The hub says no while money lies idle with other sidecars."""

    async def collect(self: Recalls, key: str, asked: Any) -> int:
        return 0

    replace(Recalls, "collect", collect)


@bug("changes", Invariant.THRESHOLD, Invariant.LIMIT)
def old_limit_goes_on(replace: Replace) -> None:
    """A replica goes on lending by the limits that it read when it started."""
    decide = Leases._decide

    async def stale(self: Leases, *arguments: Any) -> Any:
        before = self._known
        self._known = Known(await self._store.edition(), before.definitions, before.settings)
        try:
            return await decide(self, *arguments)
        finally:
            self._known = before

    async def follow(self: Configuration, look_seconds: float = 0) -> None:
        """Nobody looks again."""

    replace(Leases, "_decide", stale)
    replace(Configuration, "follow", follow)


@bug("calm", Invariant.LIMIT, Invariant.RETURNED, Invariant.SUMS, Invariant.SPENT)
def only_the_first_lease_pays(replace: Replace) -> None:
    """Of an attempt that held from two leases only the first one pays."""

    def first(charged: Any, cost: int) -> dict[str, int]:
        return {part.lease: 0 if index else min(part.held, cost) for index, part in enumerate(charged)}

    replace(charging, "distribute", first)


@bug("network", Invariant.ANSWER)
def registration_fences(replace: Replace) -> None:
    """A registration fences the older boots, also where it is carried out after its sidecar has given up on it."""
    register = epochs.register

    def fencing(book: Book, holder: str) -> Epoch:
        epoch = register(book, holder)
        epochs.admit(book, epoch)
        return epoch

    replace(epochs, "register", fencing)


@bug("rollover", Invariant.THRESHOLD, Invariant.LIMIT, Invariant.REFUSAL)
def rate_of_a_window_changes(replace: Replace) -> None:
    """A limit in another currency is counted by today's rate, also in a window that was opened by another."""
    replace(ceilings, "limit", lambda account, nano_usd: account.limit * account.nano_usd // 10**9)


@bug("network", Invariant.SPENT, Invariant.SUMS)
def correction_made_as_often_as_told(replace: Replace) -> None:
    """A correction that arrives again is made again, by the difference that it made the first time."""
    known = corrections.known

    def again(book: Book, order: Order) -> Correction | None:
        row = known(book, order)
        if row is not None and row.kind is CorrectionKind.ATTEMPT:
            for window in list(book.windows.values()):
                book.put_window(msgspec.structs.replace(window, spent=max(0, window.spent + row.after - row.before)))
        return row

    replace(corrections, "known", again)


@bug("lost", Invariant.COUNTED, Invariant.UNKNOWN, Invariant.SPENT, Invariant.SUMS)
def correction_of_a_lease_is_not_charged(replace: Replace) -> None:
    """A lost lease that is corrected comes back, and what it cost by the bill is not spent."""
    bill = corrections._bill
    replace(corrections, "_bill", lambda leases, book, amount, now: bill(leases, book, 0, now))


@bug("crashes", Invariant.ENFORCED)
def dry_run_refuses(replace: Replace) -> None:
    """An account in dry run refuses as if it were enforced."""
    replace(candidates.Candidate, "binds", True)


@bug("calm", Invariant.USERS)
def users_are_not_counted(replace: Replace) -> None:
    """A user more than may be counted gets an account all the same."""
    replace(candidates, "is_full", lambda *arguments: False)


@bug("rollover", Invariant.PRUNED)
def window_is_pruned_at_its_end(replace: Replace) -> None:
    """A window is forgotten as soon as it is over, whatever of it is still asked for."""
    replace(pruning, "_is_over", lambda book, window, before: window.end < before + pruning.KEEP)
    lock = pruning.lock
    replace(pruning, "lock", lambda now: lock(now + pruning.KEEP))


@bug("changes", Invariant.THRESHOLD)
def account_that_was_left_out_never_refuses(replace: Replace) -> None:
    """An account in force that a sidecar has not heard of lets everything pass."""
    replace(grants, "left_out", lambda *arguments: [])


@bug("rollover", Invariant.SUMS)
def counted_by_the_senders_clock(replace: Replace) -> None:
    """An attempt counts when its sidecar says, whatever windows it held from."""
    replace(timing, "counted", lambda intent, leases: intent.at)


@bug("lost", Invariant.LEASED)
def request_of_a_lost_pod_is_lent_to(replace: Replace) -> None:
    """Writing a pod off fences none of its boots: a request that comes late is lent what nobody gives back."""
    lose = returns.lose

    def unfenced(book: Book, holder: str, now: Instant) -> int:
        known = book.epochs.get(holder)
        lost = lose(book, holder, now)
        if known is not None:
            book.put_epoch(known)
        return lost

    replace(returns, "lose", unfenced)


@bug("lost", Invariant.UNKNOWN)
def claim_of_an_attempt_outlives_it(replace: Replace) -> None:
    """What an attempt has claimed of a lost strict lease, and did not spend, never comes back."""

    def pay(book: Book, lease: LeaseRow, held: int, paid: int, now: Instant) -> None:
        known = min(lease.billed, paid)
        after = msgspec.structs.replace(lease, spent=lease.spent + paid, billed=lease.billed - known)
        moves.change_lease(book, after, now, spent=paid - known)

    replace(moves, "pay", pay)
