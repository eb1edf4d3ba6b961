"""What the two ends of the lease protocol, and the store behind the hub's, say to each other: data only.

A sidecar epoch asks (`LeaseRequest`), gets leases or a refusal, spends from them, and gives back what it does not need
(`LeaseReturn`, on its own or after a `Recall`). What it did with the money it reports as `Event`s in order, each once
by its id; the hub stores an event, its settlement and its audit record in one transaction.
"""

import enum
from typing import TypeAlias

import msgspec

from llmgov.instants import Instant
from llmgov.money import NANO_PER_UNIT, MicroUsd
from llmgov.policy.decision import Violation
from llmgov.snapshot import Account, Dimension


class Struct(msgspec.Struct, frozen=True, omit_defaults=True):
    """Base of the messages: immutable, and small on the wire."""


class Epoch(Struct, frozen=True):
    """One boot of one sidecar: `holder` is the pod's UID, `number` grows with every start and fences the smaller."""

    holder: str
    number: int

    def __str__(self) -> str:
        return f"{self.holder}:{self.number}"


class Need(Struct, frozen=True):
    """Money wanted from one account: at least `least` (for the attempt in hand), better `want`.

    `key` is the account's key with the user filled in; `account` the definition that the sidecar's snapshot has, so
    that an account exists from its first use on. `enforced` is false where the sidecar's snapshot lets nothing be
    refused (an account in dry run, an observing namespace, the kill switch): the money is lent all the same, and the
    lease says that it is over. Once a configuration was in force, it says so and not the sender (`asking.as_in_force`).
    """

    key: str
    account: Account
    least: MicroUsd
    want: MicroUsd
    enforced: bool = True


class LeaseRequest(Struct, frozen=True, tag=True):
    """Ask for leases on all accounts of one charging path: all or nothing.

    `request` grows with each one of an epoch; those below `closed` have been answered and will not be repeated.
    `accounts` are the keys of all accounts that the attempt in hand is charged to, also where money is at hand, and
    `least` is what it needs of each: so that the ledger notices one that the sidecar has not heard of. `request_id` is
    what the client's answer says: who decides an approval is told.
    `strict` asks for leases that only attempts hold from whose intents are on record before they are dispatched.
    """

    epoch: Epoch
    request: int
    needs: tuple[Need, ...]
    path: tuple[str, ...]
    approval: str | None = None
    closed: int = 0
    accounts: tuple[str, ...] = ()
    least: MicroUsd = 0
    request_id: str = ""
    strict: bool = False


class Lease(Struct, frozen=True):
    """Money already deducted from an account's window and lent to one epoch until `deadline` (the ledger's clock).

    `over` is the percentage of the limit that would have refused it, had the account been enforced. `definition` is the
    fingerprint of the account's definition that it was lent by (one in dry run, where nothing could be refused): it is
    good under that one only. From a `strict` one only attempts hold whose intents are on record before they are
    dispatched: so of a lost pod the ledger knows them.
    """

    id: str
    key: str
    window_start: Instant
    window_end: Instant
    amount: MicroUsd
    deadline: Instant
    over: int | None = None
    definition: str = ""
    strict: bool = False


class LeaseGrant(Struct, frozen=True, tag=True):
    """The answer yes: one lease for each account that something was wanted from."""

    request: int
    leases: tuple[Lease, ...]
    now: Instant


class Why(enum.Enum):
    """Why no lease was granted."""

    EXHAUSTED = "exhausted"
    APPROVAL = "approval"
    FENCED = "fenced"
    CLOSED = "closed"
    RECOVERING = "recovering"
    """The database began another life: nobody is lent to before the ledger knows what is lent already."""
    USERS = "users"
    """A definition of each user has as many users in this window as the ledger keeps: `limit` of them."""
    NOT_TAKEN = "not_taken"
    """Said by a sidecar to itself: the ledger refused the request as one that cannot be meant (`errors`)."""


class LeaseRefusal(Struct, frozen=True, tag=True):
    """The answer no: which account, what it could still give, and when its window ends.

    `threshold` is the percentage that stops it; `approval` the pending approval's id where one may open it; `denied`
    the reason (perhaps empty) where somebody has said no to that. The limit was written as `units` millionths of
    `currency`, one unit of which is worth `nano_usd` billionths of a USD in this window.
    """

    request: int
    why: Why
    key: str
    remaining: MicroUsd
    limit: MicroUsd
    window_end: Instant
    now: Instant
    threshold: int = 100
    source: str = ""
    approval: str | None = None
    denied: str | None = None
    units: int = 0
    currency: str = "USD"
    nano_usd: int = NANO_PER_UNIT


class LeaseReturn(Struct, frozen=True, tag=True):
    """Give back what is not held or spent of a lease; `amount` counts once for each `(lease, serial)`.

    `final` says that no attempt will hold from it any more. `unaccounted` says that the holder cannot tell what became
    of the rest (a spool that lost its unsynced end): it is charged as unknown, and settlements still correct it.
    """

    epoch: Epoch
    lease: str
    serial: int
    amount: MicroUsd
    final: bool
    unaccounted: bool = False


class Inventory(Struct, frozen=True, tag=True):
    """What a new epoch found in its spool: leases of older epochs of its holder that are not named were never spent
    from (a lease is synced before its first use), so the ledger takes them back whole."""

    epoch: Epoch
    leases: tuple[str, ...]


class Recount(Struct, frozen=True, tag=True):
    """The hub asks an epoch what it holds, for the ledger epoch of this name: the ledger may have lost something."""

    epoch: Epoch
    ledger: str


class Holding(Struct, frozen=True):
    """One lease as its holder's books have it: what is `spent` and `held` of it, and `returned` by the returns up to
    `serial`, whether they have arrived or not. `account` is the definition that it was asked for under, `path` the
    charging path that it was asked for along: what the ledger does not know of comes back along it only."""

    lease: Lease
    spent: MicroUsd
    held: MicroUsd
    returned: MicroUsd
    serial: int
    account: Account | None = None
    path: tuple[str, ...] = ()


class Holdings(Struct, frozen=True, tag=True):
    """The answer to a `Recount`: all leases that the epoch may still hold from or return.

    Requests below `closed` have been answered: what they were lent and is not named was returned. A report of many
    leases comes in several messages (`reporting`): all but the last are to no `ledger`, and say only what they name;
    the last says in `before` which leases the others named.
    """

    epoch: Epoch
    ledger: str
    holdings: tuple[Holding, ...]
    closed: int = 0
    before: tuple[str, ...] = ()


class Recall(Struct, frozen=True, tag=True):
    """The hub asks an epoch to return idle money of an account. `ask` is the hub's name for this asking."""

    epoch: Epoch
    key: str
    ask: str = ""


class Recalled(Struct, frozen=True, tag=True):
    """The answer to a `Recall`, sent after the returns that it brought about: `amount` in all, nothing more is idle.

    `ask` is the recall's: so that a late answer is not taken for that to a later recall.
    """

    epoch: Epoch
    key: str
    amount: MicroUsd = 0
    ask: str = ""


class Outcome(enum.Enum):
    """How an attempt ended, as far as its money is concerned."""

    SETTLED = "settled"
    """The provider reported the usage."""
    FREE = "free"
    """The provider's own error answer, or never dispatched: costs 0."""
    UNKNOWN = "unknown"
    """Lost after dispatch: costs the hold."""
    ABANDONED = "abandoned"
    """The client hung up and the usage was not learnt: costs the hold."""


class Charged(Struct, frozen=True):
    """What one lease gave to one attempt before dispatch; an account's parts add up to the attempt's hold."""

    lease: str
    key: str
    held: MicroUsd


class Subject(Struct, frozen=True):
    """For whom and for what an attempt or refusal is: the facts that reports group by."""

    namespace: str
    service_account: str
    user: str | None
    teams: tuple[str, ...]
    path: tuple[str, ...]
    provider: str
    model: str
    operation: str
    pod: str = ""


class Intent(Struct, frozen=True, tag="intent"):
    """Written before dispatch: attempt, hold and what decided it. `request_id` is what the client sees."""

    id: str
    at: Instant
    request_id: str
    subject: Subject
    hold: MicroUsd
    charged: tuple[Charged, ...]
    snapshot: tuple[str, ...]
    policies: tuple[str, ...] = ()
    prompt: str | None = None
    retention_days: int | None = None
    approval: str | None = None


class Settlement(Struct, frozen=True, tag="settlement"):
    """An attempt's end. `cost` is in micro-USD; `cost > hold` is an overrun, recorded and never rejected.

    `stop` says why its model is to wait for an administrator under cost limits where that is no overrun: words that
    follow the model's name.
    """

    id: str
    at: Instant
    outcome: Outcome
    cost: MicroUsd
    usage: dict[Dimension, int]
    status: int
    model: str
    duration: int = 0
    overrun: bool = False
    stop: str = ""


class Refused(Struct, frozen=True, tag="refused"):
    """A request that was not dispatched, with its violations; `count` > 1 stands for a flood of the same."""

    id: str
    at: Instant
    request_id: str
    subject: Subject
    reason: str
    policy: str | None
    message: str
    violations: tuple[Violation, ...]
    status: int
    count: int = 1
    approval_digest: str | None = None
    approval_summary: str | None = None


class Violated(Struct, frozen=True, tag="violated"):
    """Violations of a request that was dispatched all the same, or of its answer (redacted, flagged, dry run, cut)."""

    id: str
    at: Instant
    request_id: str
    attempt: str | None
    subject: Subject
    violations: tuple[Violation, ...]


Event: TypeAlias = Intent | Settlement | Refused | Violated
"""What a sidecar reports. An `Intent`'s and its `Settlement`'s `id` is the attempt's; the others have an id of their
own: `<epoch>/<sequence>` all of them, made by the sidecar, unique for ever."""
