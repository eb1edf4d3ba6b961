"""Whether the balances that grants are decided by are what attempts and leases add up to: a check, not a rule.

A window's columns are kept up to date by each change of a lease or an attempt (`moves`, `settling`). Here they are
added up again from the beginning, so that a column that anybody lowered by hand shows. What it cannot show: a return
that a lease's row claims and nobody made, since the records say what was spent and not what was lent.
"""

import bisect
import collections
import itertools
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Sequence
from typing import TypeVar

import msgspec

from llmgov import instants, money
from llmgov.instants import Instant
from llmgov.ledger import sums
from llmgov.ledger.book import WindowId
from llmgov.ledger.messages import Charged, Intent, Settlement
from llmgov.ledger.rows import AccountRow, Attempt, Correction, CorrectionKind, LeaseRow, LeaseState, Sum, Window
from llmgov.ledger.windows import Span
from llmgov.money import MicroUsd

K = TypeVar("K", bound=Hashable)


class Balances(msgspec.Struct, frozen=True):
    """All windows, leases, attempts, accounts, corrections, and sums that are not 0, of a ledger, as they were at one
    moment."""

    windows: tuple[Window, ...] = ()
    leases: tuple[LeaseRow, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    sums: tuple[Sum, ...] = ()
    accounts: tuple[AccountRow, ...] = ()
    corrections: tuple[Correction, ...] = ()


async def gathered(add_up: Callable[[Callable[[Balances], Callable[[Attempt], object]]], Awaitable[None]]) -> Balances:
    """All of what a store's `add_up` hands on, the attempts with it."""
    rest: list[Balances] = []
    attempts: list[Attempt] = []

    def begin(given: Balances) -> Callable[[Attempt], object]:
        rest.append(given)
        return attempts.append

    await add_up(begin)
    return msgspec.structs.replace(rest[0], attempts=tuple(attempts))


def differences(given: Balances) -> Iterator[str]:
    """A sentence for each sum that is not what its parts add up to; none where all is well."""
    check = Check(given)
    for attempt in given.attempts:
        check.add(attempt)
    return check.differences()


class Check:
    """The same where attempts are added one by one: `given` has all else, and none of them is kept.

    Memory grows with the windows that are kept, their leases, the sums, and corrections.
    """

    def __init__(self, given: Balances) -> None:
        self._given = given
        self._parts = _Parts(given)
        self._corrected = _Corrected(given)
        self._uncorrected: list[str] = []

    def add(self, attempt: Attempt) -> None:
        """Count an attempt, whether it has ended or not."""
        self._parts.add(attempt)
        self._uncorrected.extend(self._corrected.of_attempt(attempt))

    def differences(self) -> Iterator[str]:
        """The sentences, once every attempt was added."""
        given, parts = self._given, self._parts
        for window in given.windows:
            yield from parts.of_window(window)
        for lease in given.leases:
            yield from parts.of_lease(lease)
        yield from parts.of_sums(given.sums)
        for window in given.windows:
            yield from parts.of_time(window)
        yield from self._uncorrected
        for lease in given.leases:
            yield from self._corrected.of_lease(lease)


class _Timeline:
    """What was spent, by time: asked for between any two of `moments`, each time by as much work as they are many in
    binary (and not once for each window that there is)."""

    def __init__(self, moments: Iterable[Instant]) -> None:
        self._moments = sorted(set(moments))
        self._costs = [0] * (len(self._moments) + 1)
        self._until: list[MicroUsd] = []

    def add(self, at: Instant, cost: MicroUsd) -> None:
        self._costs[bisect.bisect_right(self._moments, at)] += cost
        self._until = []

    def within(self, span: Span) -> MicroUsd:
        """The sum in `span`, whose ends have to be among the moments."""
        self._until = self._until or list(itertools.accumulate(self._costs))
        first, last = (bisect.bisect_left(self._moments, moment) for moment in span)
        return self._until[last] - self._until[first]


class _Parts:
    """What settled attempts, leases and corrections add up to.

    `_paid_to` is what windows are charged through leases and corrections; for the time of attempts they are charged
    what their scope spent (`_spent`), less what attempts held from leases of their own account (`_held`). What attempts
    of their time cost their scope has to be the same as both together: it is not where one attempt held from leases
    whose windows share no moment.
    """

    def __init__(self, given: Balances) -> None:
        self._leases = {lease.id: lease for lease in given.leases}
        self._known = {_key(window) for window in given.windows}
        self._spent = _timelines((window.scope, window.span) for window in given.windows)
        self._held = _timelines(((window.account, window.scope), window.span) for window in given.windows)
        self._scopes: dict[str, set[str]] = collections.defaultdict(set)
        for window in given.windows:
            self._scopes[window.account].add(window.scope)
        self._paid: dict[str, MicroUsd] = collections.defaultdict(int)
        self._costs: dict[tuple[str, Instant], MicroUsd] = collections.defaultdict(int)
        self._billed: dict[WindowId, MicroUsd] = collections.defaultdict(int)
        for lease in given.leases:
            self._billed[lease.account, lease.window_start] += lease.billed
        self._paid_to = self._billed.copy()
        self._leased = self._outstanding(lost=False)
        self._unknown = self._outstanding(lost=True)

    def add(self, attempt: Attempt) -> None:
        if attempt.intent is not None and attempt.settlement is not None:
            self._add(attempt, attempt.intent, attempt.settlement)

    def of_window(self, window: Window) -> Iterator[str]:
        key = _key(window)
        unheld = self._spent[window.scope].within(window.span)
        unheld -= self._held[window.account, window.scope].within(window.span)
        columns = (
            ("spent", window.spent, self._paid_to[key] + unheld, "settled attempts"),
            ("leased", window.leased, self._leased[key], "leases"),
            ("unknown", window.unknown, self._unknown[key], "lost leases"),
        )
        for name, here, there, parts in columns:
            if here != there:
                yield f"{name} of {window.account} from {_time(window.start)}: {_differ(here, there, parts)}"

    def of_lease(self, lease: LeaseRow) -> Iterator[str]:
        if lease.spent != self._paid[lease.id]:
            yield f"spent of lease {lease.id}: {_differ(lease.spent, self._paid[lease.id], 'settled attempts')}"
        if (lease.account, lease.window_start) not in self._known:
            yield f"lease {lease.id}: the ledger has no window of {lease.account} from {_time(lease.window_start)}"

    def of_sums(self, given: tuple[Sum, ...]) -> Iterator[str]:
        """An account that begins later is filled from these."""
        found = {(row.scope, row.start): row.cost for row in given}
        for scope, start in sorted(found.keys() | self._costs.keys()):
            here, there = found.get((scope, start), 0), self._costs.get((scope, start), 0)
            if here != there:
                yield f"sum of {scope} from {_time(start)}: {_differ(here, there, 'settled attempts')}"

    def of_time(self, window: Window) -> Iterator[str]:
        """What a window has spent is what attempts of its time cost its scope, and what its lost leases were billed."""
        there = self._spent[window.scope].within(window.span) + self._billed[_key(window)]
        if window.spent != there:
            what = _differ(window.spent, there, "attempts then")
            yield f"spent of {window.account} from {_time(window.start)}: {what}"

    def _add(self, attempt: Attempt, intent: Intent, settlement: Settlement) -> None:
        """A lease's own books have what was settled; windows and sums have what counts."""
        for lease_id, paid in _paid_by(intent.charged, settlement.cost).items():
            if lease_id in self._leases:
                self._paid[lease_id] += paid
        held = set()
        for lease_id, paid in _paid_by(intent.charged, attempt.cost).items():
            if lease_id in self._leases:
                lease = self._leases[lease_id]
                held.add(lease.account)
                self._paid_to[lease.account, lease.window_start] += paid
        self._add_to_time(attempt, intent.at if attempt.time is None else attempt.time, held)

    def _add_to_time(self, attempt: Attempt, at: Instant, held: set[str]) -> None:
        scopes, quarter = attempt.scopes, sums.quarter(at)
        for scope in scopes:
            self._costs[scope, quarter] += attempt.cost
            if scope in self._spent:
                self._spent[scope].add(at, attempt.cost)
        for account in held & self._scopes.keys():
            for scope in self._scopes[account].intersection(scopes):
                self._held[account, scope].add(at, attempt.cost)

    def _outstanding(self, *, lost: bool) -> dict[WindowId, MicroUsd]:
        found: dict[WindowId, MicroUsd] = collections.defaultdict(int)
        for lease in self._leases.values():
            if (lease.state is LeaseState.LOST) is lost:
                found[lease.account, lease.window_start] += lease.outstanding
        return found


class _Corrected:
    """What corrections, the only ones who may, put in the place of what was settled or lost."""

    def __init__(self, given: Balances) -> None:
        self._amounts: dict[tuple[CorrectionKind, str], set[MicroUsd]] = collections.defaultdict(set)
        self._bounds: dict[tuple[str, str, Instant], MicroUsd] = collections.defaultdict(int)
        for row in given.corrections:
            self._amounts[row.kind, row.subject].add(row.after)
            if row.kind is CorrectionKind.HOLDER:
                key = (row.subject, row.account, row.window_start)
                self._bounds[key] = max(self._bounds[key], row.after)

    def of_attempt(self, attempt: Attempt) -> Iterator[str]:
        if attempt.corrected is not None and attempt.corrected not in self._amounts[CorrectionKind.ATTEMPT, attempt.id]:
            yield f"attempt {attempt.id}: no correction has put its cost at ${money.format_amount(attempt.corrected)}"

    def of_lease(self, lease: LeaseRow) -> Iterator[str]:
        """Settlements that arrive later lessen what was billed."""
        own = max(self._amounts[CorrectionKind.LEASE, lease.id], default=0)
        most = max(own, self._bounds[lease.holder, lease.account, lease.window_start])
        if lease.billed > most:
            yield f"lease {lease.id}: no correction has billed it ${money.format_amount(lease.billed)}"


def _timelines(spans: Iterable[tuple[K, Span]]) -> dict[K, _Timeline]:
    """A timeline for each name, of the ends of all its spans."""
    moments: dict[K, list[Instant]] = collections.defaultdict(list)
    for name, span in spans:
        moments[name].extend(span)
    return {name: _Timeline(ends) for name, ends in moments.items()}


def _paid_by(charged: Sequence[Charged], cost: MicroUsd) -> dict[str, MicroUsd]:
    """What each lease has to have paid. The rule of `charging`, stated here a second time and otherwise, since what is
    checked by itself is never found wrong: of its account a lease pays what of the cost lies between what those before
    it gave and what they and it gave; the last one all that lies beyond those before it."""
    paid: dict[str, MicroUsd] = {}
    given: dict[str, MicroUsd] = collections.defaultdict(int)
    last = {part.key: index for index, part in enumerate(charged)}
    for index, part in enumerate(charged):
        before = given[part.key]
        given[part.key] += part.held
        until = max(cost, before) if last[part.key] == index else given[part.key]
        paid[part.lease] = min(max(cost, before), until) - before
    return paid


def _key(window: Window) -> WindowId:
    return window.account, window.start


def _time(start: Instant) -> str:
    return instants.to_rfc3339(start)


def _differ(here: MicroUsd, there: MicroUsd, parts: str) -> str:
    return f"the ledger has ${money.format_amount(here)}, by its {parts} it is ${money.format_amount(there)}"
