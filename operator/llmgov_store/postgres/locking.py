"""Which advisory locks a transaction takes: names that follow from its `Lock`, and from the rows that it names.

A lock is taken on a name instead of on rows, since most of what a step relies on are rows that do not exist yet: that a
window is new, that an attempt is not known. Each row has one name that whoever changes it has locked:

    scope/<scope>       the scope's windows, their leases and thresholds' approvals, and its sums; so a window that is
                        opened with what its scope spent cannot miss a settlement that is being committed
    account/<key>       the account's definition and which windows it has
    users/<key>         how many users have a window of a definition; taken by whoever adds one
    holder/<holder>     its epoch; which leases, returns, attempts and events there are of its epochs
    approval/<id>       a request's approval, and whether there is one of that id
    workload/<name>     which of its requests wait for an approval; not taken by whoever decides one
    kind/<kind>         the approvals of models that are stopped: which there are
    writer/<name>       the end of an audit writer's chain
    subject/<name>      a subject's key
    correction/<id>     whether there is a correction of that id
    configuration       what is in force, of all clusters; shared among those who only rely on it
    ledger epoch        the same for the ledger's epoch
    everything          shared by all; alone by whoever would need more than `MAX_NAMES` names, in the place of these

All are taken in one statement in ascending order of their numbers, so nobody waits in a circle. They end with the
transaction: PostgreSQL makes its changes visible first, and then lets the next one in.

The server's table of locks has some 6,000 places by default, for all connections; once it is full, everybody's
transactions fail. What is too wide for it, such as the loss of a pod that has served thousands of users,
therefore takes one lock instead, and others wait for it: nearly all would anyway, since whatever is charged is charged
to the organization, too.
"""

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from llmgov.ledger import epochs
from llmgov.ledger.book import Lock, Put
from llmgov.ledger.messages import Intent
from llmgov.ledger.rows import ApprovalKind, ApprovalRow, LeaseRow
from llmgov_store.working import WorkingSet

Names: TypeAlias = dict[str, bool]
"""What to lock; true: for this transaction alone, false: shared."""

CONFIGURATION: Final = "configuration"
LEDGER_EPOCH: Final = "ledger epoch"
EVERYTHING: Final = "everything"

MAX_NAMES: Final = 1024
"""How many names one database transaction locks at most."""

_FIRST: Final = -(2**63)
"""The lowest number there is: `EVERYTHING` is waited for before anything is held."""


def stated(lock: Lock) -> Names:
    """The names that follow from `lock` itself."""
    names = dict.fromkeys(_stated(lock), True)
    if lock.configuration is not None:
        names[CONFIGURATION] = True
    elif lock.edition:
        names[CONFIGURATION] = False
    if lock.ledger_epoch:
        names[LEDGER_EPOCH] = False
    return names


def _stated(lock: Lock) -> Iterator[str]:
    for window in lock.windows:
        yield of_scope(window.scope)
        yield _account(window.account)
    yield from (_holder(epochs.holder_of(lease)) for lease in lock.leases)
    yield from (_holder(epochs.holder_of(lease)) for lease, _ in lock.returns)
    yield from (_holder(_of_event(id_)) for id_ in (*lock.attempts, *lock.events))
    yield from map(_holder, (*lock.holders, *lock.leases_of))
    yield from _of_intents(lock.intents)
    yield from (f"approval/{id_}" for id_ in lock.approvals)
    yield from (f"kind/{kind.value}" for kind in lock.approval_kinds)
    yield from (f"workload/{workload}" for workload in lock.workloads)
    yield from (f"subject/{subject}" for subject in lock.subjects)
    yield from (f"correction/{id_}" for id_ in lock.corrections)
    if lock.writer is not None:
        yield f"writer/{lock.writer}"


def found(lock: Lock, working: WorkingSet) -> Names:
    """The names that follow from rows that `lock` names, as they were loaded."""
    return dict.fromkeys(_found(lock, working), True)


def _found(lock: Lock, working: WorkingSet) -> Iterator[str]:
    rows = working.rows
    stored = [rows.attempts[id_] for id_ in lock.attempts if id_ in rows.attempts]
    intents = [*lock.intents, *(attempt.intent for attempt in stored if attempt.intent is not None)]
    leases = {*lock.leases, *(part.lease for intent in intents for part in intent.charged)}
    yield from _of_intents(intents)
    yield from (of_scope(scope) for attempt in stored for scope in attempt.beside)
    keys = {part.key for intent in intents for part in intent.charged}
    yield from (of_scope(rows.accounts[key].scope) for key in keys if key in rows.accounts)
    for lease in (*(rows.leases[id_] for id_ in leases if id_ in rows.leases), *_held(lock, working)):
        yield from _of_window(working, lease.account, lease.window_start)
    for window in lock.windows:
        yield from _of_window(working, window.account, window.span.start)
        if window.base and (window.account, window.span.start) not in rows.windows:
            yield f"users/{window.base}"
    if lock.ended is not None:
        yield from _of_ended(working)
    for approval in _approvals(lock, working):
        yield from _of_approval(working, approval)


def _held(lock: Lock, working: WorkingSet) -> Iterable[LeaseRow]:
    return (lease for holder in lock.leases_of for lease in working.unfinished(holder))


def _approvals(lock: Lock, working: WorkingSet) -> Iterator[ApprovalRow]:
    rows = working.rows.approvals
    yield from (rows[id_] for id_ in lock.approvals if id_ in rows)
    if lock.approval_kinds:
        yield from (row for row in rows.values() if row.kind in lock.approval_kinds)


def _of_intents(intents: Sequence[Intent]) -> Iterator[str]:
    """The same of many, nearly all of which state the same names."""
    yield from map(of_scope, {scope for intent in intents for scope in intent.subject.path})
    yield from map(_account, {part.key for intent in intents for part in intent.charged})


def of_intent(intent: Intent) -> Iterator[str]:
    """The names that an attempt's intent states."""
    yield from map(of_scope, intent.subject.path)
    yield from (_account(part.key) for part in intent.charged)


def _of_window(working: WorkingSet, account: str, start: int) -> Iterator[str]:
    """A window keeps the scope that it was opened with, whatever its account's is now."""
    window = working.rows.windows.get((account, start))
    if window is not None:
        yield of_scope(window.scope)


def _of_approval(working: WorkingSet, approval: ApprovalRow) -> Iterator[str]:
    match approval.kind:
        case ApprovalKind.THRESHOLD:
            yield from _of_window(working, approval.account, approval.window_start)
        case ApprovalKind.REQUEST:
            yield f"approval/{approval.id}"
        case ApprovalKind.OVERRUN:
            yield f"kind/{approval.kind.value}"


def _of_ended(working: WorkingSet) -> Iterator[str]:
    """Such a lock is its batch's only one: all that was loaded may be removed."""
    for window in working.rows.windows.values():
        yield of_scope(window.scope)
        yield _account(window.account)
    yield from map(_holder, working.rows.epochs)
    yield from (f"approval/{id_}" for id_ in working.rows.approvals)


def written(put: Put) -> Names:
    """The names of what was written although it may have been locked to be relied on only."""
    return {} if put.ledger_epoch is None else {LEDGER_EPOCH: True}


def of_scope(scope: str) -> str:
    """A scope's name."""
    return f"scope/{scope}"


def _account(key: str) -> str:
    return f"account/{key}"


def _holder(holder: str) -> str:
    return f"holder/{holder}"


def _of_event(id_: str) -> str:
    """The holder in `<holder>:<number>/<sequence>`."""
    return id_.rsplit("/", 1)[0].rpartition(":")[0]


def numbered(names: Mapping[str, bool]) -> tuple[list[int], list[bool]]:
    """The locks of `names` in the order in which they are taken, and which are taken alone.

    A number is 64 bits of a hash. Should two names ever share one, transactions wait that need not.
    """
    numbers: dict[int, bool] = {}
    for name, alone in names.items():
        number = _number(name)
        numbers[number] = numbers.get(number, False) or alone
    ordered = sorted(numbers)
    return ordered, [numbers[number] for number in ordered]


def statement(names: Mapping[str, bool]) -> str:
    """What takes these locks in a transaction that has begun, and may be sent in one message with its beginning.

    A lock is waited for in a statement of its own: what is read after it is what its last holder has committed.
    """
    numbers, alone = numbered(names)
    given = f"'{{{','.join(map(str, numbers))}}}'::bigint[], '{{{','.join(map(str, alone))}}}'::boolean[]"
    take = "CASE WHEN alone THEN pg_advisory_xact_lock(number) ELSE pg_advisory_xact_lock_shared(number) END"
    return f"SELECT {take} FROM unnest({given}) AS wanted (number, alone)"  # noqa: S608 - numbers


@functools.lru_cache(maxsize=16384)
def _number(name: str) -> int:
    if name == EVERYTHING:
        return _FIRST
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), signed=True)


def merged(names: Iterable[Names]) -> Names:
    """All of them; what one wants alone, all together do."""
    whole: Names = {}
    for each in names:
        for name, alone in each.items():
            whole[name] = whole.get(name, False) or alone
    return whole


def bounded(names: Names) -> Names:
    """The locks to take for `names`: no more than `MAX_NAMES` and one, or else the one that stands for all."""
    if names.get(EVERYTHING) or len(names) > MAX_NAMES:
        return {EVERYTHING: True}
    return {**names, EVERYTHING: False}
