"""The end of a run: everything heals, everything sent arrives, everybody gives back; then the books are compared."""

import asyncio
import collections
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from llmgov import instants
from llmgov.audit import record
from llmgov.ledger import balances
from llmgov.ledger.balances import Balances
from llmgov.ledger.messages import Charged, Outcome
from llmgov.ledger.rows import Attempt as Recorded
from llmgov.ledger.rows import LeaseRow, LeaseState, Window
from llmgov.money import MicroUsd
from tests.simulator.shape import KEEP
from tests.simulator.truth import Attempt
from tests.simulator.violation import Invariant, Violation

if TYPE_CHECKING:
    from tests.simulator.pod import Pod
    from tests.simulator.world import World

BOUND = 30 * instants.MINUTE
"""Within this time everything must have come to rest: leases end after ten minutes, the rest is retries."""


def tear(world: "World", pod: "Pod") -> None:
    """A pod's machine dies: of what the ledger does not have yet, some may be lost for ever."""
    known = world.database.store._rows.attempts
    for attempt in world.truth.attempts.values():
        if attempt.pod == pod.name:
            row = known.get(attempt.id)
            attempt.torn |= row is None or row.intent is None or row.settlement is None


async def reach(world: "World") -> None:
    """Wait until nothing is under way any more, and money that nobody uses is back."""
    world.network.cut.clear()
    started = world.loop.now
    await _until(world, started, "every request has ended", lambda: not any(pod.flying for pod in _there(world)))
    await _until(world, started, "every sidecar has recovered", lambda: all(pod.settled for pod in _there(world)))
    chance = world.chance("end")
    closed = [pod for pod in _there(world) if chance.random() < 0.6]
    for pod in closed:
        await world.stop_pod(pod)
    await _until(world, started, "stopped sidecars are up again", lambda: all(pod.settled for pod in _there(world)))
    await _until(world, started, "all money is given back", lambda: all(pod.rested for pod in _there(world)))
    await _until(world, started, "the ledger lends again", lambda: world.database.lends)
    await _until(world, started, "every correction is made", lambda: not world.admin.correcting)
    await _until(world, started, "every message has arrived", lambda: world.network.in_flight == 0)
    await asyncio.sleep(2)


def _there(world: "World") -> list["Pod"]:
    return [pod for pod in world.pods if not pod.gone]


async def _until(world: "World", started: int, what: str, holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(1)
        world.invariants.check_waits()
        if world.loop.now - started > BOUND:
            world.fail(Invariant.REST, f"no progress: it never comes to pass that {what}")
            await asyncio.sleep(0)


async def check(world: "World") -> None:
    """Compare the ledger with the truth."""
    found = await world.database.store.balances()
    for violation in _violations(world, found):
        world.fail(*violation)
        return
    await _check_audit(world, found)


async def prune(world: "World") -> None:
    """Once ended windows have been kept long enough they go, but for those of which money is lent or unknown; what is
    left still adds up."""
    await asyncio.sleep(2 * KEEP / 1e6)
    await world.admin.through(lambda hub: hub.upkeep.prune(), "prune")
    found, over = await world.database.store.balances(), world.database.clock() - KEEP - instants.MINUTE
    for window in found.windows:
        if window.end < over and window.leased == window.unknown == 0:
            world.fail(Invariant.PRUNED, f"{_name(window)} ended long ago, and is kept")
    await check(world)


def _violations(world: "World", found: Balances) -> Iterator[Violation]:
    yield from (Violation(Invariant.SUMS, difference) for difference in balances.differences(found))
    recorded = {row.id: row for row in found.attempts}
    for attempt in world.truth.attempts.values():
        yield from _of_attempt(world, attempt, recorded.get(attempt.id))
    for window in found.windows:
        yield from _of_window(world, window, found)
    yield from _of_users(world, found)
    yield from _of_strangers(world, recorded)
    yield from _of_leases(world, found)


def _of_attempt(world: "World", attempt: Attempt, row: Recorded | None) -> Iterator[Violation]:
    lost = attempt.pod in world.truth.lost_pods
    if row is None or row.intent is None or row.settlement is None:
        if not (attempt.torn or lost):
            yield Violation(Invariant.SETTLED, f"attempt {attempt.id} was dispatched, and is not settled")
        return
    if row.settlement.cost not in attempt.recordable:
        what = f"attempt {attempt.id} cost {sorted(attempt.recordable)}, and the ledger says {row.settlement.cost}"
        yield Violation(Invariant.SETTLED, what)


def _of_leases(world: "World", found: Balances) -> Iterator[Violation]:
    """Nothing came back of a lease that an attempt has spent from it; what was billed counts beside the lease. One that
    attempts have brought back may have been larger, since each of them held money of its own as far as anybody knew."""
    spent: collections.Counter[str] = collections.Counter()
    for attempt in world.truth.attempts.values():
        for lease, paid in shares(attempt.charged, attempt.surely):
            spent[lease] += paid
    for row in found.leases:
        amount = max(row.amount, world.truth.leases[row.id].amount)
        known = row.id not in world.truth.billed and not world.truth.is_beyond_belief(row.id)
        if row.returned and row.returned + spent[row.id] > amount and known:
            what = f"of lease {row.id} over {amount} came back {row.returned}, and {spent[row.id]} was spent"
            yield Violation(Invariant.RETURNED, what)
        if _is_forsaken(world, row):
            yield Violation(Invariant.LEASED, f"lease {row.id} is open with {row.outstanding}, and nobody has it")


def _is_forsaken(world: "World", row: LeaseRow) -> bool:
    """Whether it waits for a holder that has given back all that it knows of."""
    truth, invariants = world.truth, world.invariants
    open_ = row.state is LeaseState.OPEN and row.outstanding > 0
    return open_ and not (row.holder in truth.lost_pods or invariants.is_awaited(row))


def _of_users(world: "World", found: Balances) -> Iterator[Violation]:
    """No account has more users in a window than it may: but for those that the ledger was told of after a failover."""
    users = collections.Counter((window.base, window.start) for window in found.windows if window.base)
    for (account, _), count in users.items():
        if count > world.shape.max_users and "failover" not in world.shape.faults:
            yield Violation(Invariant.USERS, f"{account} counts {count} users")


def _of_strangers(world: "World", recorded: dict[str, Recorded]) -> Iterator[Violation]:
    """What was never dispatched costs nothing, but for an intent that a crash left without its dispatch."""
    for id_, row in recorded.items():
        if id_ in world.truth.attempts or row.settlement is None or row.settlement.outcome is Outcome.UNKNOWN:
            continue
        if row.settlement.cost:
            what = f"attempt {id_} was never dispatched and cost {row.settlement.cost}"
            yield Violation(Invariant.DISPATCHED, what)


def _of_window(world: "World", window: Window, found: Balances) -> Iterator[Violation]:
    spent = sum(_spent(world, window, row) for row in found.attempts)
    spent += sum(_billed(world, window, found))
    if window.spent != spent:
        what = f"{window.spent} is spent, by what attempts cost it is {spent}"
        yield Violation(Invariant.SPENT, f"{_name(window)}: {what}")
    if not world.truth.forgetful:
        yield from _of_money_at_rest(world, window, found)
    whole: Collection[str] = world.truth.leases
    if world.truth.forgetful:
        whole = {row.id for row in found.leases if row.deadline and not world.truth.is_beyond_belief(row.id)}
    really, counted = sum(_really(world, window, whole)), window.spent + window.unknown + window.leased
    if counted < really:
        what = f"{counted} is spent, unknown or lent, and {really} was really spent"
        yield Violation(Invariant.COUNTED, f"{_name(window)}: {what}")


def _of_money_at_rest(world: "World", window: Window, found: Balances) -> Iterator[Violation]:
    """Not so after commits were lost: what the ledger forgot of attempts stays lent or unknown."""
    if window.leased:
        yield Violation(Invariant.LEASED, f"{_name(window)}: {window.leased} is lent, and nobody has it")
    stranded = _stranded(world, window, found)
    if window.unknown > stranded:
        what = f"{_name(window)}: {window.unknown} is unknown, and lost pods' leases leave {stranded}"
        yield Violation(Invariant.UNKNOWN, what)


def _name(window: Window) -> str:
    return f"{window.account} from {instants.to_rfc3339(window.start)}"


def _stranded(world: "World", window: Window, found: Balances) -> MicroUsd:
    """What is lent to pods that are lost, or whose machine died, and that no settlement speaks of; and what was on its
    way to its holder during a failover, and never got there."""
    truth = world.truth
    suspects = truth.lost_pods | truth.torn_pods.keys()
    adrift = truth.adrift - {part.lease for attempt in truth.attempts.values() for part in attempt.charged}
    rest = {
        id_: lent.amount
        for id_, lent in truth.leases.items()
        if (lent.key, lent.start) == (window.account, window.start)
        and (id_ in adrift or id_.partition(":")[0] in suspects)
    }
    claimed = _claimed(world, rest, found)
    for row in found.attempts:
        if row.intent is not None and row.settlement is not None:
            for lease, paid in shares(row.intent.charged, row.settlement.cost):
                if lease in rest:
                    rest[lease] -= paid
    return sum(claimed.get(id_, max(0, amount)) for id_, amount in rest.items())


def _claimed(world: "World", leases: Iterable[str], found: Balances) -> dict[str, MicroUsd]:
    """Of lost pods' strict leases, what attempts hold that are on record and have no end: nothing else was dispatched.

    That is known of a pod that has its disk, and in the first life of the database only.
    """
    truth = world.truth
    if "failover" in world.shape.faults:
        return {}
    strict = (id_ for id_ in leases if truth.leases[id_].strict)
    claimed = {id_: 0 for id_ in strict if id_.partition(":")[0] not in truth.torn_pods}
    for row in found.attempts:
        for part in row.intent.charged if row.intent is not None and row.settlement is None else ():
            if part.lease in claimed:
                claimed[part.lease] += part.held
    return claimed


def _spent(world: "World", window: Window, row: Recorded) -> MicroUsd:
    """What a settled attempt costs a window: through the leases it held from, else if it falls into its time."""
    if row.intent is None or row.settlement is None:
        return 0
    cost, leases = world.truth.corrected.get(row.id, row.settlement.cost), world.truth.leases
    known = [(leases[part.lease], part.lease) for part in row.intent.charged if part.lease in leases]
    if any(lent.key == window.account for lent, _ in known):
        paid = dict(shares(row.intent.charged, cost))
        return sum(paid[id_] for lent, id_ in known if (lent.key, lent.start) == (window.account, window.start))
    scope = world.truth.limits.scope(window.account)
    inside = window.start <= (row.intent.at if row.counted is None else row.counted) < window.end
    return cost if inside and scope in row.intent.subject.path else 0


def _billed(world: "World", window: Window, found: Balances) -> Iterator[MicroUsd]:
    """What lost leases of a window were billed, beyond attempts of theirs that were settled later: those are a part of
    the bill, up to all of it."""
    paid: collections.Counter[str] = collections.Counter()
    for row in found.attempts:
        if row.intent is not None and row.settlement is not None:
            for lease, part in shares(row.intent.charged, row.settlement.cost):
                bill = world.truth.bills.get(lease)
                paid[lease] += part if bill is not None and row.id not in bill.settled else 0
    for lease, bill in world.truth.bills.items():
        lent = world.truth.leases[lease]
        if (lent.key, lent.start) == (window.account, window.start):
            yield max(0, bill.amount - paid[lease])


def shares(charged: tuple[Charged, ...], cost: MicroUsd) -> Iterator[tuple[str, MicroUsd]]:
    """What each lease pays: an account's leases in their order, each up to what it gave; the last one the rest."""
    for key in dict.fromkeys(part.key for part in charged):
        parts, rest = [part for part in charged if part.key == key], cost
        for part in parts[:-1]:
            yield part.lease, min(part.held, rest)
            rest -= min(part.held, rest)
        yield parts[-1].lease, rest


def _really(world: "World", window: Window, of: Collection[str]) -> Iterator[MicroUsd]:
    """What attempts that held from the window, and from these leases, cost at the provider, as far as was granted."""
    leases = world.truth.leases
    for attempt in world.truth.attempts.values():
        for id_, paid in shares(attempt.charged, min(attempt.cost, attempt.hold)):
            if id_ in of and (leases[id_].key, leases[id_].start) == (window.account, window.start):
                yield paid


async def _check_audit(world: "World", found: Balances) -> None:
    """Every chain is whole, and has both halves of every attempt that the ledger has, once."""
    store, seen = world.database.store, collections.Counter[tuple[str, str]]()
    for writer in await store.writers():
        previous = record.GENESIS
        for number, row in enumerate(await store.records(writer, 0, 1 << 30), 1):
            one = record.decode(row.data)
            if (one.seq, one.previous, one.hash) != (number, previous, record.digest(one)):
                world.fail(Invariant.AUDIT, f"the audit chain of {writer} breaks at {row.seq}")
                return
            previous = one.hash
            if one.kind in ("intent", "settlement"):
                seen[one.kind, str(one.facts["id"])] += 1
    expected = {("intent", row.id) for row in found.attempts if row.intent is not None}
    expected |= {("settlement", row.id) for row in found.attempts if row.settlement is not None}
    for half in sorted(expected | seen.keys()):
        if seen[half] != 1 or half not in expected:
            world.fail(Invariant.AUDIT, f"the audit has {seen[half]} records of {half[0]} {half[1]}")
            return
